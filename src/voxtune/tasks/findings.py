"""Many findings, each present or absent for itself: a two-way choice between the texts of its pair (method.md B)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.errors import SettingError
from voxtune.reports.class_signs import NONE, sets_of_pairs, signs_of
from voxtune.tasks.task import Say, TaskFacts, Validated
from voxtune.types.records import Kind, ManifestRow

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.data.examples import Labels
    from voxtune.evaluation.baseline_answers import Answer
    from voxtune.evaluation.cohort_selection import Chosen
    from voxtune.evaluation.evaluated_model import CohortRows, EvaluatedModel, ScoredCohort
    from voxtune.evaluation.predictions import Predictions
    from voxtune.evaluation.set_scores import PredictionSets
    from voxtune.evaluation.weighted_metrics import Floats
    from voxtune.losses.total import TaskTerms
    from voxtune.model.heads import TargetHead
    from voxtune.model.questions import Question
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.types.conformal import ConformalScores, WantedSets
    from voxtune.types.tensors import Batch, Output, ScanOutputs


@dataclass(frozen=True)
class Findings:
    """The findings of a run; those that are held out are never looked at in training or validation."""

    config: RunConfig

    metrics = frozenset({"auroc", "loss"})

    @classmethod
    def of(cls, config: RunConfig, classes: Sequence[str]) -> "Findings":  # noqa: ARG003  (a task's signature)
        """The task that a run's settings ask for."""
        return cls(config)

    @property
    def seen(self) -> tuple[str, ...]:
        """The findings that training sees."""
        return tuple(name for name in self.config.classes.findings if name not in self.held_out)

    @property
    def held_out(self) -> tuple[str, ...]:
        """Those it never does."""
        return self.config.classes.held_out

    def check(self) -> None:
        """The pair of texts, what is held out, and settings of the loss.

        Raises:
            SettingError: settings that cannot go together.
        """
        from voxtune.data.findings import pair_texts, seen_and_held_out

        config = self.config
        seen, held_out = seen_and_held_out(config.classes.findings, config.classes.held_out)
        pair_texts(seen, config.classes.pair)
        if config.aggregation.form != "none":
            raise SettingError(
                "aggregation.form",
                "'none' with findings: a pair's score must not depend on the others",
                config.aggregation.form,
            )
        if not config.loss.class_weight:
            raise SettingError(
                "loss.class_weight", "more than 0 with findings: it weighs their loss", config.loss.class_weight
            )  # fmt: skip
        if held_out and config.loss.contrastive_weight:
            raise SettingError(
                "loss.contrastive_weight", "0 with held-out findings: reports name them, so they would not be held out",
                config.loss.contrastive_weight,
            )  # fmt: skip

    def select_rows(self, rows: Sequence[ManifestRow], say: Say) -> list[ManifestRow]:  # noqa: ARG002  (a task's signature)
        """The rows in which at least one finding is known.

        Raises:
            DataError: none has one, or a column is absent.
        """
        from voxtune.data.findings import with_findings

        return with_findings(rows, self.seen)

    def unlabelled_rows(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        """The rows in which no finding is known, none that is held out either."""
        from voxtune.data.findings import finding_labels

        unknown = finding_labels(rows, self.config.classes.findings).isnan().all(dim=1).tolist()
        return [row for row, none in zip(rows, unknown, strict=True) if none]

    def settle(self, config: RunConfig, sides: Mapping[str, Sequence[ManifestRow]], say: Say) -> RunConfig:  # noqa: ARG002  (a task's signature)
        """The settings as they are."""
        return config

    def taught(self, rows: Sequence[ManifestRow]) -> "Findings":  # noqa: ARG002  (a task's signature)
        """As it is."""
        return self

    def labels(self, rows: Sequence[ManifestRow], train: Sequence[ManifestRow]) -> "Labels":
        """Each finding of each scan, and its weight by how often it is present in training."""
        from voxtune.data.examples import Labels
        from voxtune.data.findings import cell_weights, finding_labels

        own, counted = finding_labels(rows, self.seen), finding_labels(train, self.seen)
        weights = cell_weights(own, counted, balanced=self.config.loss.finding_balance)
        return Labels(findings=own, finding_weights=weights)

    def class_texts(self) -> list[list[str]]:
        """Present, absent of the first finding, then of the second, and so on."""
        from voxtune.data.findings import pair_texts

        pairs = pair_texts(self.seen, self.config.classes.pair)
        return [pairs, *sets_of_pairs(self.seen, signs_of(self.config, self.seen))]

    def loss(self, output: "Output", batch: "Batch", heads: "Mapping[str, TargetHead]") -> "TaskTerms":  # noqa: ARG002  (a task's signature)
        """The two-way cross-entropy of every known cell."""
        from voxtune.losses.findings import pair_cross_entropy
        from voxtune.losses.total import TaskTerms

        if output.class_scores is None or batch.findings is None:
            return TaskTerms()
        assert batch.finding_weights is not None
        return TaskTerms(
            classes=pair_cross_entropy(output.class_scores, batch.findings, batch.finding_weights)
        )

    def validation_metric(
        self, outputs: "ScanOutputs", labels: "Labels", metric: str, heads: "Mapping[str, TargetHead]"  # noqa: ARG002  (a task's signature)
    ) -> float:  # fmt: skip
        """The mean AUROC of the findings, or minus their loss."""
        import torch

        from voxtune.evaluation.finding_scores import mean_auroc
        from voxtune.losses.findings import pair_cross_entropy, pair_differences

        assert outputs.logits is not None
        assert labels.findings is not None
        assert labels.finding_weights is not None
        odds = pair_differences(outputs.logits)
        if metric == "auroc":
            return mean_auroc(labels.findings.double().numpy(), odds.double().numpy())
        pairs = torch.stack([odds, torch.zeros_like(odds)], dim=-1).flatten(1)
        return -float(pair_cross_entropy(pairs, labels.findings, labels.finding_weights))

    def probe(self, labels: "Labels", seen: "Floats", new: "Floats", seed: int) -> "Tensor | None":
        """A logistic regression of each finding, as a pair; ``None`` where none is there and not there."""
        import torch

        from voxtune.evaluation.baseline_answers import FindingAnswer, log_chances
        from voxtune.model.questions import FindingQuestion

        assert labels.findings is not None
        answer, truth = FindingAnswer(FindingQuestion({}, ("", ""))), labels.findings.double().numpy()
        if not answer.varies(truth):
            return None
        there = answer.fit(seen, new, truth, seed)
        return torch.stack([log_chances(there), log_chances(1 - there)], dim=2).flatten(1)

    def notes(self, train: "Labels") -> list[str]:
        """Findings that every training scan has, or none; how many there are."""
        assert train.findings is not None
        both = (train.findings == 1).any(dim=0) & (train.findings == 0).any(dim=0)
        idle = [name for name, one in zip(self.seen, both.tolist(), strict=True) if not one]
        said = [
            f"Training has no scan with and one without: {', '.join(idle)}. These are learned from nothing."
        ]
        out = f", {len(self.held_out)} held out" if self.held_out else ""
        return [*(said if idle else []), f"{len(self.seen)} findings{out}."]

    def adapter_facts(self, validated: Validated) -> TaskFacts:
        """The findings, the texts of a pair, and the threshold of each."""
        import numpy as np

        from voxtune.evaluation.prediction_sets import finding_scores
        from voxtune.evaluation.thresholds import fit_thresholds
        from voxtune.losses.findings import pair_differences
        from voxtune.model.questions import UNDECIDED

        outputs, known, seen = validated.outputs, validated.validation.labels, validated.train.labels
        assert outputs.logits is not None
        assert known.findings is not None
        assert seen.findings is not None
        odds = pair_differences(outputs.logits).double().numpy()
        probabilities = np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)
        thresholds = fit_thresholds(known.findings.double().numpy(), probabilities, self.seen)
        thresholds |= dict.fromkeys(
            self.held_out, UNDECIDED
        )  # their labels are not looked at, also not on validation
        people = validated.validation.participant_ids
        sets = finding_scores(probabilities, known.findings.double().numpy(), people, self.seen)
        present = (seen.findings == 1).sum(dim=0).tolist()
        return TaskFacts(
            fields={
                "task": "findings",
                "classes": self.config.classes.findings,
                "held_out": self.held_out,
                "class_texts": self.config.classes.pair,
                "signs": dict(signs_of(self.config, self.config.classes.findings)),
                "thresholds": thresholds,
            },
            training={"findings": dict(zip(self.seen, present, strict=True))},
            trust={"sets": sets},
        )


@dataclass(frozen=True)
class ScoredFindings:
    """Each finding, yes or no."""

    model: "EvaluatedModel"
    task: str = "findings"
    second_score: str | None = None

    def choose(
        self, cohort: "CohortRows", classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> "Chosen":
        """Scans with a known finding."""
        from voxtune.evaluation.cohort_selection import choose_findings

        config = self.model.config.classes
        return choose_findings(
            cohort.rows, config.findings, config.held_out, classes, label_map, cohort.own_sides
        )

    def question(self, chosen: "Chosen") -> "Question":
        """Called at the thresholds frozen in the adapter; a label of several findings at the highest of theirs."""
        from voxtune.model.questions import FindingQuestion

        config, adapter = self.model.config, self.model.adapter
        asked = FindingQuestion(chosen.parts, config.classes.pair, self.thresholds(chosen))
        kept = NONE if adapter is None else adapter.facts.signs
        return replace(asked, signs=signs_of(config, asked.findings, kept))

    def base_question(self, cohort: "ScoredCohort", base: "VisionLanguageModel") -> "Question":
        """Called at thresholds of its own, fitted on the run's validation scans, so that it is not judged by another model's."""
        import numpy as np

        from voxtune.evaluation.answers import ask
        from voxtune.evaluation.thresholds import fit_thresholds
        from voxtune.model.questions import UNDECIDED, FindingQuestion

        config, chosen = self.model.config, cohort.chosen
        asked = FindingQuestion(chosen.parts, config.classes.pair)
        asked = replace(asked, signs=signs_of(config, asked.findings))
        limits = dict.fromkeys(asked.names, UNDECIDED)
        if cohort.own and cohort.val_rows:
            rows = [row for row in cohort.val_rows if np.isfinite(asked.truth([row])).any()]
            if rows:
                seen = ask(base, asked, rows, cohort.manifest, config.preset, published=True).table
                limits = fit_thresholds(seen.truth, seen.probabilities, seen.names)
        limits |= dict.fromkeys(chosen.held_out, UNDECIDED)
        return replace(asked, thresholds=limits)

    def baseline_answer(self, chosen: "Chosen") -> "Answer":
        """The findings."""
        from voxtune.evaluation.baseline_answers import FindingAnswer
        from voxtune.model.questions import FindingQuestion

        return FindingAnswer(FindingQuestion(chosen.parts, self.model.config.classes.pair))

    def kinds(self, chosen: "Chosen") -> dict[str, Kind]:
        """Training saw the labels of some, of others never."""
        from voxtune.evaluation.cohort_selection import kind_of

        adapted = self.model.adapter is not None
        return {name: kind_of(name, chosen, adapted=adapted) for name in chosen.classes}

    def thresholds(self, chosen: "Chosen") -> dict[str, float]:
        """Those frozen in the adapter, of a label of several findings the highest of theirs; 0.5 of a base."""
        from voxtune.model.questions import UNDECIDED

        own = self.model.adapter.facts.thresholds if self.model.adapter else {}
        return {name: max(own.get(part, UNDECIDED) for part in parts) for name, parts in chosen.parts.items()}

    def label_rules(self, rows: Sequence[ManifestRow]) -> dict[str, str]:
        """One for all."""
        from voxtune.evaluation.cohort_selection import shared_rule

        return shared_rule(rows)

    def threshold_rule(self, cohort: "ScoredCohort") -> str:
        """Of the model and of the base."""
        if self.model.adapter is None:
            return "Thresholds are 0.5: a base alone has no validation scans."
        return (
            "Thresholds were fixed on the validation scans (largest sensitivity + specificity) and are frozen in the adapter; those of held-out "
            "findings are 0.5, since their labels are never looked at."
            + (
                " The base got thresholds of its own on the same validation scans."
                if cohort.own and cohort.val_rows
                else " The base is called at 0.5."
            )
        )

    def sets(self, table: "Predictions", wanted: "WantedSets") -> "tuple[PredictionSets, ...]":
        """Whether each finding can be excluded, or its absence, the intervals of targets, and findings that may be said.

        A finding with too few people has no sets, and it is said.

        Raises:
            DataError: no scores in the adapter, or too few people for every finding.
        """
        from voxtune.evaluation.prediction_sets import kept_scores
        from voxtune.evaluation.scored_task import beside_targets
        from voxtune.evaluation.set_scores import discovery_sets

        kept = kept_scores(self.model.adapter.facts.trust.sets if self.model.adapter else None, ())
        found: tuple[PredictionSets, ...] = ()
        if wanted.coverage is not None:
            own = _sides(table, kept, wanted.coverage)
            found = beside_targets(self.model, table, wanted, own)
        if wanted.false_discovery is not None:
            found += (discovery_sets(kept, table, wanted.false_discovery),)
        return found


def _sides(table: "Predictions", kept: "Mapping[str, ConformalScores]", coverage: float) -> "PredictionSets":
    """The sets of each finding."""
    import numpy as np

    from voxtune.errors import DataError
    from voxtune.evaluation.conformal import guarantee
    from voxtune.evaluation.prediction_sets import finding_sets
    from voxtune.evaluation.set_scores import PredictionSets

    held, size, names, sentences, refused = [], [], [], [], []
    for place, name in enumerate(table.names):
        if name not in kept:
            refused.append(
                f"{name}: the adapter keeps no scores of it (held out, or a label of several findings)."
            )
            continue
        try:
            inside = finding_sets(table.probabilities[:, place], kept[name], coverage, name)
        except DataError as error:
            refused.append(str(error))
            continue
        truth, known = table.truth[:, place], table.known[:, place]
        right = np.where(truth == 1, inside[:, 0], inside[:, 1]).astype(float)
        names.append(name)
        held.append(np.where(known, right, np.nan))
        size.append(inside.sum(axis=1).astype(float))
        sides = {f"with {name}": kept[name].scores, f"without {name}": kept[name].without}
        sentences += [guarantee(len(some), coverage, side) for side, some in sides.items()]
    if not names:
        raise DataError(" ".join(refused))
    return PredictionSets(
        np.stack(held, axis=1), np.stack(size, axis=1), tuple(names), (*sentences, *refused)
    )
