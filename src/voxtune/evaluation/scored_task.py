"""What a task says when a model is scored: which scans answer it, how the model and its rivals are asked, what the figures are called."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from voxtune.data.targets import measured
from voxtune.evaluation.baseline_answers import Answer
from voxtune.evaluation.cohort_selection import Chosen
from voxtune.evaluation.evaluated_model import CohortRows, EvaluatedModel, ScoredCohort
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.set_scores import PredictionSets, interval_sets
from voxtune.model.questions import Question
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.conformal import WantedSets
from voxtune.types.records import Kind, ManifestRow
from voxtune.types.target import Target


class ScoredTask(Protocol):
    """One kind of question, as an evaluation puts it."""

    @property
    def task(self) -> str:
        """``diagnosis``, ``findings``, ``regression`` or ``time_to_event``, as ``evaluation.json`` says it."""

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

    @property
    def second_score(self) -> str | None:
        """What stands beside the headline score; ``None``: the second of those that stand for a model."""

    def label_rules(self, rows: Sequence[ManifestRow]) -> dict[str, str]:
        """How the labels of scored rows were made, by the manifest's own words."""

    def threshold_rule(self, cohort: ScoredCohort) -> str:
        """Where the thresholds come from, a sentence or two; empty where the page says it elsewhere."""

    def sets(self, table: Predictions, wanted: WantedSets) -> tuple[PredictionSets, ...]:
        """What is promised of answers and what held, by what the adapter keeps of validation participants.

        Raises:
            SettingError: something is wanted that is not for what is predicted.
            DataError: no adapter, one from before there were sets, other classes than its own, or too few people.
        """


def model_targets(model: EvaluatedModel) -> tuple[Target, ...]:
    """The numbers that a model predicts, or would by its recipe."""
    return model.adapter.model.targets if model.adapter else model.config.targets


def estimated_targets(model: EvaluatedModel) -> tuple[Target, ...]:
    """Those of them that an adapter estimates: its training had values of them."""
    facts = model.adapter.facts if model.adapter else None
    return tuple(one for one in model_targets(model) if facts is None or facts.target_note(one.name) is None)


def beside_targets(
    model: EvaluatedModel, table: Predictions, wanted: WantedSets, own: PredictionSets
) -> tuple[PredictionSets, ...]:
    """The sets of classes or findings with the intervals of targets beside them; why a target has none is said with the first."""
    assert wanted.coverage is not None
    stored = model.adapter.facts.trust.intervals if model.adapter else None
    found, refused = interval_sets(stored, estimated_targets(model), table, wanted.coverage)
    return (replace(own, sentences=(*own.sentences, *refused)), *found)


def with_measured(table: Predictions, rows: Sequence[ManifestRow], targets: Sequence[Target]) -> Predictions:
    """The table with the measured numbers of its scans beside the predicted ones."""
    nan = float("nan")
    known = {target.name: measured(rows, target) for target in targets}
    return replace(
        table,
        measured={
            **table.measured,
            **{
                name: np.array([values.get(scan, nan) for scan in table.scan_ids], dtype=float)
                for name, values in known.items()
            },
        },
    )
