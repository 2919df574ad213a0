"""What a model is asked when it is scored: one class, findings, or numbers alone; which scans answer it, and what it is measured against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from voxtune.config import RunConfig
from voxtune.evaluation.answers import ask
from voxtune.evaluation.baseline_answers import Answer, ClassAnswer, FindingAnswer, TargetAnswer
from voxtune.evaluation.class_texts import other_templates
from voxtune.evaluation.cohort_selection import (
    Chosen,
    Kind,
    choose_classes,
    choose_findings,
    choose_measured,
    kind_of,
)
from voxtune.evaluation.evaluated_model import CohortRows, EvaluatedModel, ScoredCohort
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.questions import ClassQuestion, FindingQuestion, NoQuestion, Question
from voxtune.evaluation.thresholds import UNDECIDED, fit_thresholds
from voxtune.model.adapter import AdapterFacts
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.records import ManifestRow


def question_of(facts: AdapterFacts) -> Question:
    """What an adapter was trained to answer, with the calibration it was given on validation."""
    if facts.task == "findings":
        pair = (facts.class_texts[0], facts.class_texts[1])
        return FindingQuestion({name: (name,) for name in facts.classes}, pair, facts.thresholds)
    if not facts.classes:
        return NoQuestion()
    return ClassQuestion(
        facts.classes, facts.class_texts, facts.temperature, tuple(facts.offsets_of(facts.classes))
    )


class Asked(Protocol):
    """One kind of question, as an evaluation puts it."""

    task: str
    """``diagnosis``, ``findings`` or ``regression``, as ``evaluation.json`` says it."""

    def choose(
        self, cohort: CohortRows, classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> Chosen:
        """The scans to score, with the labels they are scored by."""

    def question(self, chosen: Chosen) -> Question:
        """Put to the model, with its calibration."""

    def base_question(self, cohort: ScoredCohort, base: VisionLanguageModel) -> Question:
        """Put to the frozen base, as published."""

    def baseline_answer(self, chosen: Chosen) -> Answer:
        """Put to the baselines."""

    def kinds(self, chosen: Chosen) -> dict[str, Kind]:
        """What the figures of each finding are called; of classes and targets those of the whole answer under the empty name."""

    def thresholds(self, chosen: Chosen) -> dict[str, float]:
        """Fixed on validation, by class or finding."""

    def threshold_rule(self, cohort: ScoredCohort) -> str:
        """Where the thresholds come from, a sentence or two; empty where the page says it elsewhere."""


@dataclass(frozen=True)
class AskedClasses:
    """One class of several."""

    model: EvaluatedModel
    task: str = "diagnosis"

    def choose(
        self, cohort: CohortRows, classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> Chosen:
        """Scans with a diagnosis among the classes."""
        return choose_classes(cohort.rows, self.model.classes, classes, label_map, cohort.own_sides)

    def question(self, chosen: Chosen) -> Question:
        """With temperature, offsets (where every class has one), and in other words too."""
        adapter = self.model.adapter
        wordings = other_templates(self.model.config.classes.templates)
        if adapter is None:
            return ClassQuestion(chosen.classes, self.model.config.classes.templates, wordings=wordings)
        facts = adapter.facts
        offsets = tuple(facts.offsets_of(chosen.classes))
        return ClassQuestion(chosen.classes, facts.class_texts, facts.temperature, offsets, wordings)

    def base_question(self, cohort: ScoredCohort, base: VisionLanguageModel) -> Question:
        """Nothing is calibrated."""
        del base
        return ClassQuestion(cohort.chosen.classes, self.model.config.classes.templates)

    def baseline_answer(self, chosen: Chosen) -> Answer:
        """The classes."""
        return ClassAnswer(ClassQuestion(chosen.classes, ()))

    def kinds(self, chosen: Chosen) -> dict[str, Kind]:
        """One answer, one kind."""
        return {"": kind_of(None, chosen, adapted=self.model.adapter is not None)}

    def thresholds(self, chosen: Chosen) -> dict[str, float]:
        """Of one class against the rest, where the model chooses among the very classes they were fixed with."""
        adapter = self.model.adapter
        same = adapter is not None and chosen.classes == adapter.facts.classes
        return dict(adapter.facts.thresholds) if adapter is not None and same else {}

    def threshold_rule(self, cohort: ScoredCohort) -> str:
        """Part of the calibration."""
        del cohort
        return ""


@dataclass(frozen=True)
class AskedFindings:
    """Each finding, yes or no."""

    model: EvaluatedModel
    task: str = "findings"

    def choose(
        self, cohort: CohortRows, classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> Chosen:
        """Scans with a known finding."""
        config = self.model.config.classes
        return choose_findings(
            cohort.rows, config.findings, config.held_out, classes, label_map, cohort.own_sides
        )

    def question(self, chosen: Chosen) -> Question:
        """Called at the thresholds frozen in the adapter; a label of several findings at the highest of theirs."""
        return FindingQuestion(chosen.parts, self.model.config.classes.pair, self.thresholds(chosen))

    def base_question(self, cohort: ScoredCohort, base: VisionLanguageModel) -> Question:
        """Called at thresholds of its own, fitted on the run's validation scans, so that it is not judged by another model's."""
        config, chosen = self.model.config, cohort.chosen
        asked = FindingQuestion(chosen.parts, config.classes.pair)
        limits = dict.fromkeys(asked.names, UNDECIDED)
        if cohort.own and cohort.val_rows:
            rows = [row for row in cohort.val_rows if np.isfinite(asked.truth([row])).any()]
            if rows:
                seen = ask(base, asked, rows, cohort.manifest, config.preset, published=True).table
                limits = fit_thresholds(seen.truth, seen.probabilities, seen.names)
        limits |= dict.fromkeys(chosen.held_out, UNDECIDED)
        return replace(asked, thresholds=limits)

    def baseline_answer(self, chosen: Chosen) -> Answer:
        """The findings."""
        return FindingAnswer(FindingQuestion(chosen.parts, self.model.config.classes.pair))

    def kinds(self, chosen: Chosen) -> dict[str, Kind]:
        """Training saw the labels of some, of others never."""
        adapted = self.model.adapter is not None
        return {name: kind_of(name, chosen, adapted=adapted) for name in chosen.classes}

    def thresholds(self, chosen: Chosen) -> dict[str, float]:
        """Those frozen in the adapter, of a label of several findings the highest of theirs; 0.5 of a base."""
        own = self.model.adapter.facts.thresholds if self.model.adapter else {}
        return {name: max(own.get(part, UNDECIDED) for part in parts) for name, parts in chosen.parts.items()}

    def threshold_rule(self, cohort: ScoredCohort) -> str:
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


@dataclass(frozen=True)
class AskedTargets:
    """Numbers alone."""

    model: EvaluatedModel
    task: str = "regression"

    def choose(
        self, cohort: CohortRows, classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> Chosen:
        """Scans on which some target was measured.

        Raises:
            SettingError: classes or labels are asked for, which this model does not know.
        """
        from voxtune.errors import SettingError

        for name, given in (("classes", classes), ("map", label_map)):
            if given:
                raise SettingError(name, "nothing: this model predicts numbers, no classes", ",".join(given))
        return choose_measured(
            cohort.rows,
            {name: measured(cohort.rows, name) for name in target_names(self.model)},
            cohort.own_sides,
        )

    def question(self, chosen: Chosen) -> Question:
        """Nothing is asked in words."""
        del chosen
        return NoQuestion()

    def base_question(self, cohort: ScoredCohort, base: VisionLanguageModel) -> Question:
        """A base predicts no number; its vectors serve the linear probe."""
        del cohort, base
        return NoQuestion()

    def baseline_answer(self, chosen: Chosen) -> Answer:
        """The numbers."""
        return TargetAnswer({name: measured(chosen.rows, name) for name in target_names(self.model)})

    def kinds(self, chosen: Chosen) -> dict[str, Kind]:
        """One kind."""
        return {"": kind_of(None, chosen, adapted=self.model.adapter is not None)}

    def thresholds(self, chosen: Chosen) -> dict[str, float]:
        """None."""
        del chosen
        return {}

    def threshold_rule(self, cohort: ScoredCohort) -> str:
        """There are none."""
        del cohort
        return ""


def asked_of(model: EvaluatedModel) -> Asked:
    """What this model is asked."""
    if model.config.classes.findings:
        return AskedFindings(model)
    return AskedTargets(model) if model.adapter and not model.adapter.facts.classes else AskedClasses(model)


def target_names(model: EvaluatedModel) -> tuple[str, ...]:
    """The numbers that a model predicts, or would by its recipe."""
    return targets_of(model.config)


def targets_of(config: RunConfig) -> tuple[str, ...]:
    """The numbers that a configuration trains for."""
    return ("mmse",) if config.mmse.enabled else ()


def measured(rows: Sequence[ManifestRow], target: str) -> dict[str, float]:
    """The measured numbers of a target by scan_id, where they are known."""
    found = {}
    for row in rows:
        value = getattr(row, target, None)
        if value is not None:
            found[row.scan_id] = float(value)
    return found


def with_measured(table: Predictions, rows: Sequence[ManifestRow], targets: Sequence[str]) -> Predictions:
    """The table with the measured numbers of its scans beside the predicted ones."""
    nan = float("nan")
    known = {name: measured(rows, name) for name in targets}
    return replace(
        table,
        measured={
            name: np.array([values.get(scan, nan) for scan in table.scan_ids], dtype=float)
            for name, values in known.items()
        },
    )
