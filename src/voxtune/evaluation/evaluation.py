"""One scoring of a model: its answers, those of everything it must beat on the same scans, and what comes of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from voxtune.evaluation.answers import Vectors, ask
from voxtune.evaluation.auroc_difference import auroc_difference
from voxtune.evaluation.baselines import baseline_notes
from voxtune.evaluation.compare import compare_with_each
from voxtune.evaluation.evaluated_model import (
    EvaluatedModel,
    ScoredCohort,
    cohort_rows,
    manifest_to_score,
    scored_cohort,
)
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import evaluate, headline_names, headline_scores
from voxtune.evaluation.predictions import Predictions, no_answers, stacked
from voxtune.evaluation.rivals import ZERO_SHOT, rivals_of, usable_rows
from voxtune.evaluation.scored_task import ScoredTask, model_targets, with_measured
from voxtune.evaluation.set_scores import PredictionSets, stacked_sets
from voxtune.evaluation.site_probe import SiteProbe, probe_sites
from voxtune.evaluation.subgroups import Subgroup, subgroups
from voxtune.model.build import frozen_base
from voxtune.types.conformal import WantedSets
from voxtune.types.records import Comparison, Kind, ManifestRow, Metric

OWN_RAW = "model"
"""Under which name the raw answers of the model itself stand."""


@dataclass(frozen=True)
class Evaluation:
    """The answers of a model and of its rivals for the scans of a cohort; the scores are computed when they are asked for."""

    model: EvaluatedModel
    asked: ScoredTask
    cohort: ScoredCohort
    table: Predictions
    rivals: Mapping[str, Predictions] = field(default_factory=dict)
    """By name: guesses from the table, a probe on the frozen base, the base alone."""
    reworded: Mapping[str, Predictions] = field(default_factory=dict)
    """The model with other class texts, by the text."""
    vectors: Vectors = field(default_factory=dict)
    """The model's unit image embeddings by scan_id."""
    resamples: int = 2000
    sets: tuple[PredictionSets, ...] = ()
    """Where they were asked for: of classes or findings, of each target, of findings that may be said."""
    wanted: WantedSets | None = None
    """What was asked for."""
    raw: Mapping[str, Predictions] = field(default_factory=dict)
    """The answers before calibration, of the model itself under ``model`` and of its rivals by name; none of findings and of numbers."""
    calibration: str = ""
    """How the rows were calibrated, or why not, for people."""

    @property
    def draw(self) -> Draw:
        """How participants are resampled."""
        return Draw(self.resamples, self.model.config.seed)

    @property
    def fitted_on(self) -> list[ManifestRow]:
        """The training rows that baselines were fitted on; empty where they were cross-fitted."""
        return usable_rows(self.asked, self.cohort, self.cohort.train_rows)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """What the figures of each finding are called; of one answer that of the whole under the empty name."""
        return self.asked.kinds(self.cohort.chosen)

    @property
    def by_finding(self) -> dict[str, Kind]:
        """The kind of each finding; empty of one answer as a whole."""
        return {name: kind for name, kind in self.kinds.items() if name}

    @property
    def kind(self) -> str:
        """All of them in a line."""
        return ", ".join(dict.fromkeys(self.kinds.values()))

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """Every score of the model."""
        return evaluate(self.table, self.draw)

    @cached_property
    def rival_metrics(self) -> dict[str, dict[str, Metric]]:
        """The scores that stand for each rival; of a base that was asked for findings all of them."""
        every = bool(self.by_finding)
        return {
            name: evaluate(rival, self.draw)
            if every and name == ZERO_SHOT
            else headline_scores(rival, self.draw)
            for name, rival in self.rivals.items()
        }

    @cached_property
    def against(self) -> dict[str, Comparison]:
        """The headline score of the model minus that of each rival."""
        return compare_with_each(self.table, self.rivals, self.draw)

    @cached_property
    def raw_metrics(self) -> dict[str, dict[str, Metric]]:
        """The headline scores before calibration, of the model under ``model`` and of each rival."""
        return {name: headline_scores(table, self.draw) for name, table in self.raw.items()}

    @property
    def never_said(self) -> tuple[str, ...]:
        """Classes that some scan here has and the model says of none."""
        if not self.table.exclusive:
            return ()
        known = self.table.scored()
        said = known.called.sum(axis=0)
        there = (known.truth == 1).sum(axis=0)
        return tuple(
            name for name, yes, some in zip(known.names, said, there, strict=True) if some and not yes
        )

    @cached_property
    def gain(self) -> dict[str, Metric]:
        """The AUROC of findings of the model minus that of its base, over all and for each; empty without a base beside it."""
        if not self.by_finding or ZERO_SHOT not in self.rivals:
            return {}
        return auroc_difference(self.table, self.rivals[ZERO_SHOT], self.draw)

    @cached_property
    def subgroups(self) -> list[Subgroup]:
        """The headline scores by sex, age, site, scanner and field strength."""
        return subgroups(self.table, {row.scan_id: row for row in self.cohort.rows}, self.draw)

    @cached_property
    def set_metrics(self) -> dict[str, Metric]:
        """Coverage and size of prediction sets; empty where none were asked for."""
        rows = {row.scan_id: row for row in self.cohort.rows}
        return {
            name: one for sets in self.sets for name, one in sets.scores(self.table, rows, self.draw).items()
        }

    @cached_property
    def site_probe(self) -> SiteProbe | None:
        """How well the site is read from the embeddings."""
        return probe_sites(self.cohort.rows, self.vectors, seed=self.draw.seed)

    @cached_property
    def wordings(self) -> dict[str, dict[str, Metric]]:
        """The headline scores by class text, the model's own first; empty where there is one wording only."""
        if not self.reworded:
            return {}
        own = " + ".join(self.model.config.classes.templates)
        return {own: headline_scores(self.table, self.draw)} | {
            words: headline_scores(table, self.draw) for words, table in self.reworded.items()
        }

    @property
    def baseline_notes(self) -> dict[str, str]:
        """What a reader must know of the inputs of a baseline."""
        return baseline_notes(
            self.asked.baseline_answer(self.cohort.chosen),
            self.fitted_on or self.cohort.rows,
            self.cohort.rows,
            self.model.config.known_profile,
        )

    def of(self, names: Sequence[str]) -> "Evaluation":
        """These findings alone."""
        return replace(
            self,
            table=self.table.of(names),
            rivals={name: rival.of(names) for name, rival in self.rivals.items()},
        )

    def all_metrics(self) -> dict[str, Metric]:
        """``metrics.json``: the model's own scores, and those of baselines, subgroups, other class texts, the site probe."""
        found = dict(self.metrics)
        found |= {
            f"baseline/{name}/{score}": one
            for name, some in self.rival_metrics.items()
            for score, one in some.items()
        }
        found |= {
            f"raw/{name}/{score}": one
            for name, some in self.raw_metrics.items()
            for score, one in some.items()
        }
        found |= {
            f"against/{name}/{one.score}": Metric(
                value=one.difference,
                low=one.low,
                high=one.high,
                n_scans=one.n_scans,
                n_participants=one.n_participants,
            )
            for name, one in self.against.items()
        }
        found |= {f"gain/{name}": one for name, one in self.gain.items()}
        for group in self.groups if len(self.groups) > 1 else ():
            found |= group.metrics()
        for subgroup in self.subgroups:
            place = f"subgroup/{subgroup.column}/{subgroup.value}"
            found |= {f"{place}/{name}": one for name, one in subgroup.scores.items()}
        found |= {
            f"class_text/{text}/{score}": one
            for text, some in self.wordings.items()
            for score, one in some.items()
        }
        found |= self.set_metrics
        return found | ({"site_probe/accuracy": self.site_probe.accuracy} if self.site_probe else {})

    @cached_property
    def groups(self) -> "list[Group]":
        """The findings of each kind by themselves: what was learned and what was kept out are never mixed; none of one class among several."""
        return [self._group(kind) for kind in dict.fromkeys(self.by_finding.values())]

    def _group(self, kind: Kind) -> "Group":
        some = self.of([name for name, one in self.kinds.items() if one == kind])
        base = some.rivals.get(ZERO_SHOT)
        return Group(
            kind,
            len(some.table.names),
            headline_scores(some.table, self.draw)["auroc"],
            None if base is None else headline_scores(base, self.draw)["auroc"],
            some.gain.get("auroc"),
        )

    @property
    def headline(self) -> str:
        """The score that stands for the model above all."""
        return headline_names(self.table.scored())[0]


@dataclass(frozen=True)
class Group:
    """Findings of one kind: the mean AUROC of the model, of its base, and the gain."""

    kind: Kind
    findings: int
    model: Metric
    base: Metric | None
    gain: Metric | None

    def metrics(self) -> dict[str, Metric]:
        """As ``metrics.json`` names them."""
        place = self.kind.replace(", ", "_").replace(" ", "_").replace("-", "_")
        return {f"{place}/auroc": self.model} | ({f"{place}/gain": self.gain} if self.gain else {})


# ------------------------------------------------------------------------------------------------ how it is made
def evaluation_of(
    model: EvaluatedModel,
    asked: ScoredTask,
    data: Path | None,
    classes: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    sets: WantedSets | None = None,
) -> Evaluation:
    """Choose the scans of a cohort and let the model, its base and every baseline answer for them.

    Raises:
        UsageError: no manifest.
        SettingError: impossible classes or labels.
        DataError: nothing to score, scans that the run has seen under the manifest of another cohort, or sets that no validation
            participants stand for.
    """
    rows = cohort_rows(model, manifest_to_score(model, data))
    chosen = asked.choose(rows, classes, label_map)
    if sets is not None:
        asked.sets(
            no_answers(chosen.classes), sets
        )  # what cannot be promised is refused before anything is scored
    found = answered(model, asked, scored_cohort(model, rows, chosen))
    return found if sets is None else replace(found, sets=asked.sets(found.table, sets), wanted=sets)


def answered(model: EvaluatedModel, asked: ScoredTask, cohort: ScoredCohort) -> Evaluation:
    """The answers of the model, its base and every baseline for the chosen scans."""
    config, chosen = model.config, cohort.chosen
    base, question = frozen_base(config), asked.question(chosen)
    if model.adapter is None:
        found = of_base = ask(base, question, chosen.rows, cohort.manifest, config.preset, published=True)
    else:
        found = ask(model.adapter.model, question, chosen.rows, cohort.manifest, model.adapter.facts.preset)
        alone = asked.base_question(cohort, base)
        of_base = ask(base, alone, chosen.rows, cohort.manifest, config.preset, published=True)
    rivals = rivals_of(model, asked, cohort, of_base, base)
    table = replace(
        with_measured(found.table, chosen.rows, model_targets(model)), thresholds=asked.thresholds(chosen)
    )
    raw: dict[str, Predictions] = {}
    if model.adapter is not None and found.raw is not None:
        raw = {OWN_RAW: found.raw, **rivals.raw}
    calibration = rivals.calibration if raw else ""
    return Evaluation(
        model,
        asked,
        cohort,
        table,
        rivals.tables,
        found.reworded,
        found.vectors,
        raw=raw,
        calibration=calibration,
    )


def pooled(parts: Sequence[Evaluation]) -> Evaluation:
    """The folds of a cross-validation as one evaluation: every scan answered by the model that never saw its participant."""
    first = parts[0]
    plain = [name for name in first.raw if all(name in part.raw for part in parts)]
    shared = [name for name in first.rivals if all(name in part.rivals for part in parts)]
    words = [text for text in first.reworded if all(text in part.reworded for part in parts)]
    chosen = replace(
        first.cohort.chosen,
        rows=[row for part in parts for row in part.cohort.rows],
        left_out=dict(
            sorted(sum((Counter(part.cohort.chosen.left_out) for part in parts), Counter()).items())
        ),
    )
    return replace(
        first,
        cohort=replace(first.cohort, chosen=chosen),
        table=replace(stacked([part.table for part in parts]), thresholds={}),
        rivals={name: stacked([part.rivals[name] for part in parts]) for name in shared},
        raw={name: stacked([part.raw[name] for part in parts]) for name in plain},
        reworded={text: stacked([part.reworded[text] for part in parts]) for text in words},
        vectors={},
        sets=stacked_sets([(part.sets, len(part.table)) for part in parts]),
    )
