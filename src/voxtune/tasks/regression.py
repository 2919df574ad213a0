"""Numbers read off a scan: MMSE, CDR-SB, age, any numeric column; each has a token, a head and a masked squared error (Eq. 3, 5, 14)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.errors import DataError, SettingError
from voxtune.tasks.task import DEFAULT_METRIC, Say, TaskFacts, Validated
from voxtune.types.records import Kind, ManifestRow
from voxtune.types.target import MMSE, Target

if TYPE_CHECKING:
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
    from voxtune.types.conformal import IntervalScores, WantedSets
    from voxtune.types.tensors import Batch, Output, ScanOutputs


@dataclass(frozen=True)
class Regression:
    """The targets of a run, alone or beside classes."""

    config: RunConfig
    alone: bool
    """No class is asked: the targets decide which rows are used and what steers the run."""

    metrics = frozenset({"mae", "loss"})

    @classmethod
    def of(cls, config: RunConfig, classes: Sequence[str]) -> "Regression":  # noqa: ARG003  (a task's signature)
        """The task that a run's settings ask for."""
        return cls(config, alone=not (config.classes.findings or config.classes.templates))

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is predicted."""
        return self.config.targets

    def check(self) -> None:
        """What targets alone cannot go with.

        Raises:
            SettingError: settings that cannot go together.
        """
        if not self.alone:
            return
        loss = self.config.loss
        if loss.class_weight:
            raise SettingError("loss.class_weight", "0 with classes=none: there is no class text to weigh", loss.class_weight)  # fmt: skip
        if idle := [target.name for target in self.targets if not target.weight]:
            raise SettingError(f"targets.{idle[0]}.weight", "more than 0 with targets alone", 0)
        if not loss.contrastive_weight and (self.config.text or self.config.projections == "trained"):
            raise SettingError(
                "loss.contrastive_weight",
                "more than 0 with classes=none, unless nothing waits for texts: also --set text=none --set projections=frozen "
                "--set loss.temperature_learned=false",
                loss.contrastive_weight,
            )

    def select_rows(self, rows: Sequence[ManifestRow], say: Say) -> list[ManifestRow]:
        """The rows in which at least one target is known.

        Raises:
            DataError: none has one, or there is no such column.
            TableError: a cell is no number, or outside the range of its target.
        """
        from voxtune.data.targets import target_values

        found = [target_values(rows, target) for target in self.targets]
        kept = [
            row for row, *values in zip(rows, *found, strict=True) if any(one is not None for one in values)
        ]
        if not kept:
            raise DataError(
                f"No scan of {len(rows)} has a value of {self._named(' or ')}; nothing can be learned."
            )
        if len(kept) < len(rows):
            say(
                f"{len(rows) - len(kept)} of {len(rows)} scans have no value of {self._named(' or ')} and are left out."
            )
        return kept

    def unlabelled_rows(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        """The rows in which no target is known."""
        from voxtune.data.targets import target_values

        found = [target_values(rows, target) for target in self.targets]
        return [row for row, *values in zip(rows, *found, strict=True) if all(one is None for one in values)]

    def settle(self, config: RunConfig, sides: Mapping[str, Sequence[ManifestRow]], say: Say) -> RunConfig:
        """``mae`` steers where no class does. The default target ``mmse`` beside classes is off where no training scan has one.

        Raises:
            DataError: no training scan has a value of a target, or all have the same; no validation scan has one of a target that
                steers the run; no such column.
            TableError: a cell is no number, or outside the range of its target.
        """
        from voxtune.data.targets import target_values

        default = not self.alone and [one.name for one in self.targets] == [MMSE]
        steers = self.alone or config.training.metric == "mae"
        for target in self.targets:
            values = {
                side: [value for value in target_values(rows, target) if value is not None]
                for side, rows in sides.items()
            }
            known = values["train"]
            if default:
                if not known:
                    say("No training scan has an MMSE: the MMSE term is off, and the model predicts none.")
                    config = config.model_copy(update={"targets": ()})
            elif not known:
                raise DataError(
                    f"No training scan of {len(sides['train'])} has a value of target '{target.name}': leave it out of 'targets'."
                )
            elif len(set(known)) == 1:
                raise DataError(
                    f"Target '{target.name}': all {len(known)} training scans with a value have the same, {target.text(known[0])}; "
                    "there is nothing to learn."
                )
            if steers and not values["val"]:
                raise DataError(
                    f"No validation scan has a value of target '{target.name}', so nothing would steer its training."
                )
        if self.alone and config.training.metric == DEFAULT_METRIC:
            config = config.model_copy(
                update={"training": config.training.model_copy(update={"metric": "mae"})}
            )
        return config

    def taught(self, rows: Sequence[ManifestRow]) -> "Regression":  # noqa: ARG002  (a task's signature)
        """As it is."""
        return self

    def labels(self, rows: Sequence[ManifestRow], train: Sequence[ManifestRow]) -> "Labels":  # noqa: ARG002  (a task's signature)
        """Every target of every scan, in its own units."""
        from voxtune.data.examples import Labels
        from voxtune.data.targets import target_tensors

        return Labels(targets=target_tensors(rows, self.targets))

    def class_texts(self) -> list[list[str]]:
        """None: a number needs no words."""
        return []

    def loss(self, output: "Output", batch: "Batch", heads: "Mapping[str, TargetHead]") -> "TaskTerms":
        """The masked squared error of each target; a target that no scan of the batch has is absent."""
        from voxtune.losses.regression import masked_squared_error
        from voxtune.losses.total import TaskTerms

        return TaskTerms(
            targets={
                name: masked_squared_error(output.targets[name], heads[name].scaled(truth))
                for name, truth in batch.targets.items()
                if name in output.targets and bool((~truth.isnan()).any())
            }
        )

    def validation_metric(
        self, outputs: "ScanOutputs", labels: "Labels", metric: str, heads: "Mapping[str, TargetHead]"
    ) -> float:  # fmt: skip
        """Minus the mean over targets of the mean absolute error in standard deviations of training, or minus the weighted loss."""
        from voxtune.losses.regression import masked_squared_error

        errors = []
        for target in self.targets:
            truth = labels.targets[target.name]
            known = ~truth.isnan()
            head = heads[target.name]
            here = head.mean.device
            predicted = head.scaled(outputs.targets[target.name].to(here))[known.to(here)]
            wanted = head.scaled(truth.to(here))[known.to(here)]
            if metric == "mae":
                errors.append(float((predicted - wanted).abs().mean()))
            else:
                errors.append(target.weight * float(masked_squared_error(predicted, wanted)))
        return -sum(errors) / (len(errors) if metric == "mae" else 1)

    def probe(self, labels: "Labels", seen: "Floats", new: "Floats", seed: int) -> None:
        """No logits: the numbers are predicted as themselves."""

    def notes(self, train: "Labels") -> list[str]:
        """What the training scans hold of each target other than MMSE, so that a code for a missing value is seen."""
        said = []
        for target in self.targets:
            values = train.targets[target.name]
            known = values[~values.isnan()].double()
            if target.name == MMSE or not len(known):
                continue
            said.append(
                f"Target {target.name}: {len(known)} of {len(values)} training scans, {float(known.min()):g} to "
                f"{target.text(float(known.max()))}, mean {target.text(float(known.mean()))}."
            )
        return said

    def adapter_facts(self, validated: Validated) -> TaskFacts:
        """What taught each head, and how far off its predictions may be."""
        from voxtune.evaluation.target_interval import fit_target_interval
        from voxtune.evaluation.target_sets import fit_scale, interval_scores
        from voxtune.types.reliability import TargetInterval, TargetScores

        people = validated.validation.participant_ids
        scores: dict[str, TargetScores] = {}
        intervals: dict[str, TargetInterval] = {}
        errors: dict[str, IntervalScores] = {}
        for target in self.targets:
            taught = validated.train.labels.targets[target.name]
            taught = taught[~taught.isnan()]
            scores[target.name] = TargetScores(scans=len(taught), values=len(set(taught.tolist())))
            truth = validated.validation.labels.targets[target.name].numpy()
            found = validated.outputs.targets[target.name].numpy()
            interval = fit_target_interval(found, truth, people)
            intervals |= {target.name: interval} if interval is not None else {}
            scale = fit_scale(*validated.taught(target.name))
            errors[target.name] = interval_scores(found, truth, people, scale)
        return TaskFacts(
            fields={"task": "regression", "classes": (), "class_texts": (), "target_scores": scores},
            trust={"targets": intervals, "intervals": errors},
        )

    def _named(self, between: str) -> str:
        return between.join(f"'{target.name}'" for target in self.targets)


@dataclass(frozen=True)
class ScoredNumbers:
    """Numbers alone."""

    model: "EvaluatedModel"
    task: str = "regression"
    second_score: str | None = None

    def choose(
        self, cohort: "CohortRows", classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> "Chosen":
        """Scans on which some target was measured.

        Raises:
            SettingError: classes or labels are asked for, which this model does not know.
        """
        from voxtune.data.targets import measured
        from voxtune.evaluation.cohort_selection import choose_measured
        from voxtune.evaluation.scored_task import model_targets

        for name, given in (("classes", classes), ("map", label_map)):
            if given:
                raise SettingError(name, "nothing: this model predicts numbers, no classes", ",".join(given))
        return choose_measured(
            cohort.rows,
            {target.name: measured(cohort.rows, target) for target in model_targets(self.model)},
            cohort.own_sides,
        )

    def question(self, chosen: "Chosen") -> "Question":
        """Nothing is asked in words."""
        from voxtune.model.questions import NoQuestion

        del chosen
        return NoQuestion()

    def base_question(self, cohort: "ScoredCohort", base: "VisionLanguageModel") -> "Question":
        """A base predicts no number; its vectors serve the linear probe."""
        from voxtune.model.questions import NoQuestion

        del cohort, base
        return NoQuestion()

    def baseline_answer(self, chosen: "Chosen") -> "Answer":
        """The numbers."""
        from voxtune.evaluation.baseline_answers import TargetAnswer
        from voxtune.evaluation.scored_task import model_targets

        del chosen
        return TargetAnswer(model_targets(self.model))

    def kinds(self, chosen: "Chosen") -> dict[str, Kind]:
        """One kind."""
        from voxtune.evaluation.cohort_selection import kind_of

        return {"": kind_of(None, chosen, adapted=self.model.adapter is not None)}

    def thresholds(self, chosen: "Chosen") -> dict[str, float]:
        """None."""
        del chosen
        return {}

    def label_rules(self, rows: Sequence[ManifestRow]) -> dict[str, str]:
        """One for all."""
        from voxtune.evaluation.cohort_selection import shared_rule

        return shared_rule(rows)

    def threshold_rule(self, cohort: "ScoredCohort") -> str:
        """There are none."""
        del cohort
        return ""

    def sets(self, table: "Predictions", wanted: "WantedSets") -> "tuple[PredictionSets, ...]":
        """The intervals of each target; why a target has none is said with the first.

        Raises:
            SettingError: something that is of classes or findings.
            DataError: too few validation participants for every target.
        """
        from dataclasses import replace

        from voxtune.evaluation.promise import NOT_BY_CLASS, ONLY_FINDINGS
        from voxtune.evaluation.scored_task import estimated_targets
        from voxtune.evaluation.set_scores import interval_sets

        if wanted.false_discovery is not None:
            raise SettingError("false_discovery", ONLY_FINDINGS, wanted.false_discovery)
        if wanted.by_class:
            raise SettingError("by_class", NOT_BY_CLASS, "true")
        assert wanted.coverage is not None
        stored = self.model.adapter.facts.trust.intervals if self.model.adapter else None
        found, refused = interval_sets(stored, estimated_targets(self.model), table, wanted.coverage)
        if not found:
            raise DataError(" ".join(refused) or "No number is estimated, so there is no interval of one.")
        return (replace(found[0], sentences=(*found[0].sentences, *refused)), *found[1:])
