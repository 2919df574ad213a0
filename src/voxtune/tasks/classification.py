"""One of several classes, the diagnosis: the nearest class text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.data.manifest import LABEL_TODO
from voxtune.errors import DataError, SettingError
from voxtune.reports.class_signs import NONE, Signs, sets_of_classes, signs_of
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
    from voxtune.types.conformal import WantedSets
    from voxtune.types.tensors import Batch, Output, ScanOutputs


@dataclass(frozen=True)
class Classification:
    """The classes of a run and the words for them; ``names`` are empty until the training scans are known."""

    names: tuple[str, ...]
    wanted: tuple[str, ...]
    """Those that the settings name, if any: other scans are left out."""
    templates: tuple[str, ...]
    class_weight: float
    balance: bool = False
    """Whether the scans of rare classes weigh more in the class term."""
    config: RunConfig | None = None
    """Says whether classes are described by their signs too."""

    metrics = frozenset({"balanced_accuracy", "accuracy", "loss"})

    @classmethod
    def of(cls, config: RunConfig, classes: Sequence[str]) -> "Classification":
        """The task that a run's settings ask for."""
        wanted = config.classes.names
        loss = config.loss
        return cls(
            wanted or tuple(classes), wanted, config.classes.templates, loss.class_weight, loss.class_balance, config
        )  # fmt: skip

    @property
    def signs(self) -> Signs:
        """Further texts of each class, where the settings ask for them."""
        return NONE if self.config is None else signs_of(self.config, self.names)

    def taught(self, rows: Sequence[ManifestRow]) -> "Classification":
        """With the diagnoses of the training scans, where the settings name none."""
        from voxtune.data.examples import class_names

        profile = None if self.config is None else self.config.known_profile
        return self if self.names else replace(self, names=class_names(rows, profile))

    def check(self) -> None:
        """Any settings go together."""

    def select_rows(self, rows: Sequence[ManifestRow], say: Say) -> list[ManifestRow]:
        """The rows that have a diagnosis (among the classes, where these are named).

        Raises:
            DataError: none has.
        """
        return labelled(rows, self.wanted, say)

    def unlabelled_rows(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        """The rows without any diagnosis; one that is not asked for is a label too."""
        return [row for row in rows if not row.diagnosis]

    def settle(self, config: RunConfig, sides: Mapping[str, Sequence[ManifestRow]], say: Say) -> RunConfig:  # noqa: ARG002  (a task's signature)
        """The settings as they are."""
        return config

    def labels(self, rows: Sequence[ManifestRow], train: Sequence[ManifestRow]) -> "Labels":
        """The class of each scan; where classes are balanced, its weight by how often the class is in training."""
        from voxtune.data.examples import Labels, class_labels, class_weights

        own = class_labels(rows, self.names)
        if not self.balance:
            return Labels(classes=own)
        weights = class_weights(own, class_labels(train, self.names), len(self.names))
        return Labels(classes=own, class_weights=weights)

    def class_texts(self) -> list[list[str]]:
        """The words of all classes, once for each template and each wording of their signs."""
        return sets_of_classes(self.names, self.templates, self.signs)

    def loss(self, output: "Output", batch: "Batch", heads: "Mapping[str, TargetHead]") -> "TaskTerms":  # noqa: ARG002  (a task's signature)
        """Cross-entropy over the class texts, where its weight is not 0."""
        from voxtune.losses.classification import class_cross_entropy
        from voxtune.losses.total import TaskTerms

        if not self.class_weight or output.class_scores is None or batch.labels is None:
            return TaskTerms()
        return TaskTerms(classes=class_cross_entropy(output.class_scores, batch.labels, batch.class_weights))

    def validation_metric(
        self, outputs: "ScanOutputs", labels: "Labels", metric: str, heads: "Mapping[str, TargetHead]"  # noqa: ARG002  (a task's signature)
    ) -> float:  # fmt: skip
        """Accuracy, balanced accuracy, or minus the cross-entropy; 0 where no scan has a label."""
        from voxtune.evaluation.validation import validation_metric

        assert outputs.logits is not None
        assert labels.classes is not None
        return validation_metric(outputs.logits, labels.classes, metric, labels.class_weights)

    def probe(self, labels: "Labels", seen: "Floats", new: "Floats", seed: int) -> "Tensor | None":
        """A multinomial logistic regression; ``None`` of one class alone."""
        import torch

        from voxtune.evaluation.baseline_answers import ClassAnswer, log_chances
        from voxtune.model.questions import ClassQuestion

        assert labels.classes is not None
        answer, known = ClassAnswer(ClassQuestion(self.names, ())), labels.classes >= 0
        truth = torch.nn.functional.one_hot(labels.classes[known], len(self.names)).double().numpy()
        if not answer.varies(truth):
            return None
        return log_chances(answer.fit(seen[known.numpy()], new, truth, seed))

    def notes(self, train: "Labels") -> list[str]:  # noqa: ARG002  (a task's signature)
        """Nothing to say."""
        return []

    def adapter_facts(self, validated: Validated) -> TaskFacts:
        """Classes, their words, calibration and thresholds, and how sure the model must be to answer."""
        from voxtune.evaluation.abstention import fit_abstention
        from voxtune.evaluation.calibration import calibrate, softmax
        from voxtune.evaluation.prediction_sets import class_scores

        outputs, known, seen = validated.outputs, validated.validation.labels, validated.train.labels
        assert outputs.logits is not None
        assert known.classes is not None
        assert seen.classes is not None
        logits, labels = outputs.logits.numpy(), known.classes.numpy()
        people = validated.validation.participant_ids
        calibration = calibrate(logits, labels, self.names, people)
        probabilities = softmax(logits, calibration.temperature, list(calibration.offsets.values()))
        counts = {name: int((seen.classes == place).sum()) for place, name in enumerate(self.names)}
        return TaskFacts(
            fields={
                "task": "diagnosis",
                "classes": self.names,
                "class_texts": self.templates,
                "signs": dict(self.signs),
                "temperature": calibration.temperature,
                "offsets": calibration.offsets,
                "thresholds": calibration.thresholds,
            },
            training={"diagnoses": counts, "not_calibrated": calibration.refused},
            trust={
                "abstention": fit_abstention(probabilities, labels, people),
                "sets": class_scores(probabilities, labels, people, self.names),
            },
            probabilities=probabilities,
        )


def labelled(rows: Sequence[ManifestRow], classes: Sequence[str], say: Say) -> list[ManifestRow]:
    """The rows that have a diagnosis (among ``classes``, where given); the others are counted aloud.

    Raises:
        DataError: none has.
    """
    kept = [row for row in rows if row.diagnosis and (not classes or row.diagnosis in classes)]
    if not kept:
        found = ", ".join(sorted({row.diagnosis for row in rows if row.diagnosis}))
        among = f" among {', '.join(classes)}" if classes else ""
        raise DataError(
            f"No scan of {len(rows)} has a diagnosis{among}{': the manifest has ' + found if found else ''}. {LABEL_TODO}."
        )
    if len(kept) < len(rows):
        say(f"{len(rows) - len(kept)} of {len(rows)} scans have no diagnosis of this run and are left out.")
    return kept


@dataclass(frozen=True)
class ScoredClasses:
    """One class of several."""

    model: "EvaluatedModel"
    task: str = "diagnosis"
    second_score: str | None = "auroc"

    def choose(
        self, cohort: "CohortRows", classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> "Chosen":
        """Scans with a diagnosis among the classes."""
        from voxtune.evaluation.cohort_selection import choose_classes

        profile = self.model.config.profile
        return choose_classes(cohort.rows, self.model.classes, classes, label_map, cohort.own_sides, profile)

    def question(self, chosen: "Chosen") -> "Question":
        """With temperature, offsets (where every class has one), and in other words too."""
        from voxtune.evaluation.class_texts import other_templates
        from voxtune.model.questions import ClassQuestion

        adapter = self.model.adapter
        config = self.model.config
        wordings = other_templates(config.classes.templates, config.known_profile.class_texts)
        signs = signs_of(config, chosen.classes, NONE if adapter is None else adapter.facts.signs)
        if adapter is None:
            return ClassQuestion(chosen.classes, config.classes.templates, wordings=wordings, signs=signs)
        facts = adapter.facts
        offsets = tuple(facts.offsets_of(chosen.classes))
        return ClassQuestion(
            chosen.classes, facts.class_texts, facts.temperature, offsets, wordings, signs=signs
        )

    def base_question(self, cohort: "ScoredCohort", base: "VisionLanguageModel") -> "Question":
        """Nothing is calibrated."""
        from voxtune.model.questions import ClassQuestion

        del base
        config, classes = self.model.config, cohort.chosen.classes
        return ClassQuestion(classes, config.classes.templates, signs=signs_of(config, classes))

    def baseline_answer(self, chosen: "Chosen") -> "Answer":
        """The classes."""
        from voxtune.evaluation.baseline_answers import ClassAnswer
        from voxtune.model.questions import ClassQuestion

        return ClassAnswer(ClassQuestion(chosen.classes, ()))

    def kinds(self, chosen: "Chosen") -> dict[str, Kind]:
        """One answer, one kind."""
        from voxtune.evaluation.cohort_selection import kind_of

        return {"": kind_of(None, chosen, adapted=self.model.adapter is not None)}

    def thresholds(self, chosen: "Chosen") -> dict[str, float]:
        """Of one class against the rest, where the model chooses among the very classes they were fixed with."""
        adapter = self.model.adapter
        same = adapter is not None and chosen.classes == adapter.facts.classes
        return dict(adapter.facts.thresholds) if adapter is not None and same else {}

    def label_rules(self, rows: Sequence[ManifestRow]) -> dict[str, str]:
        """Of each class."""
        from voxtune.evaluation.cohort_selection import label_rules

        return label_rules(rows)

    def threshold_rule(self, cohort: "ScoredCohort") -> str:
        """Part of the calibration."""
        del cohort
        return ""

    def sets(self, table: "Predictions", wanted: "WantedSets") -> "tuple[PredictionSets, ...]":
        """Which classes stay possible, and the intervals of targets.

        Raises:
            SettingError: a false-discovery rate, which is of findings.
            DataError: no scores in the adapter, other classes than its own, or too few validation participants.
        """
        import numpy as np

        from voxtune.evaluation.conformal import guarantee
        from voxtune.evaluation.prediction_sets import class_sets, kept_scores
        from voxtune.evaluation.promise import ONLY_FINDINGS
        from voxtune.evaluation.scored_task import beside_targets
        from voxtune.evaluation.set_scores import PredictionSets

        if wanted.false_discovery is not None:
            raise SettingError("false_discovery", ONLY_FINDINGS, wanted.false_discovery)
        assert wanted.coverage is not None
        kept = kept_scores(self.model.adapter.facts.trust.sets if self.model.adapter else None, table.names)
        inside = class_sets(table.probabilities, kept, table.names, wanted.coverage, by_class=wanted.by_class)
        people = {name: len(kept[name].scores) for name in table.names}
        held = np.where(table.anything_known, inside[np.arange(len(table)), table.true], np.nan)
        own = PredictionSets(
            held[:, None].astype(float),
            inside.sum(axis=1)[:, None].astype(float),
            ("",),
            tuple(guarantee(number, wanted.coverage, f"class {name}") for name, number in people.items())
            if wanted.by_class
            else (guarantee(sum(people.values()), wanted.coverage),),
        )
        return beside_targets(self.model, table, wanted, own)
