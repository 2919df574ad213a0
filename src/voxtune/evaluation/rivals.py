"""What a model is measured against: the frozen base and every baseline, asked, fitted and calibrated by the same rules as the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from voxtune.evaluation.answers import Answers, Vectors, ask
from voxtune.evaluation.baselines import Inputs, cross_fitted_baselines, run_baselines, unlabelled_texts
from voxtune.evaluation.calibration import calibrated_alike, too_few
from voxtune.evaluation.evaluated_model import EvaluatedModel, ScoredCohort
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.scored_task import ScoredTask
from voxtune.model.vlm import VisionLanguageModel
from voxtune.reports.needed import kept_norms
from voxtune.types.records import ManifestRow

ZERO_SHOT = "zero_shot"
Tables = dict[str, Predictions]


@dataclass(frozen=True)
class Rivals:
    """The answers of every rival by name."""

    tables: Tables
    """As they are compared with the model's."""
    raw: Tables = field(default_factory=dict)
    """Before calibration, of one class among several."""
    calibration: str = ""
    """How the rows were calibrated, or why not, for people; empty where no class is chosen among several."""


def rivals_of(
    model: EvaluatedModel,
    asked: ScoredTask,
    cohort: ScoredCohort,
    of_base: Answers,
    base: VisionLanguageModel,
) -> Rivals:
    """What the model must beat on the scored scans: fitted on its training scans, or where these are not at hand on other people of the cohort.

    Args:
        model: what is scored.
        asked: its task.
        cohort: the scans, and what the run has seen.
        of_base: what the frozen base says of the scans.
        base: the frozen base.
    """
    train = usable_rows(asked, cohort, cohort.train_rows)
    one_class, zero_shot = of_base.table.exclusive, model.adapter is not None and bool(of_base.table.names)
    if not train or cohort.training is None:
        answer = asked.baseline_answer(cohort.chosen)
        found = cross_fitted_baselines(
            answer, cohort.rows, _inputs(model, asked, cohort, cohort.rows, of_base.vectors)
        )
        found |= {ZERO_SHOT: of_base.table} if zero_shot else {}
        why = (
            "The run's training and validation scans are not at hand, so no row but the model is calibrated."
        )
        return Rivals(found, found, why) if one_class else Rivals(found)

    # Without validation scans: no threshold is fitted on the training side.
    question = asked.base_question(replace(cohort, val_rows=[]), base)

    def seen(rows: Sequence[ManifestRow]) -> Answers:
        assert cohort.training is not None
        return ask(base, question, rows, cohort.training, model.config.preset, published=True)

    known = seen(train).vectors

    def answers(rows: Sequence[ManifestRow], of_rows: Answers) -> Tables:
        inputs = _inputs(model, asked, cohort, [*train, *rows], known | of_rows.vectors)
        tables = run_baselines(asked.baseline_answer(cohort.chosen), train, rows, inputs)
        return tables | ({ZERO_SHOT: of_rows.table} if zero_shot else {})

    raw = answers(cohort.rows, of_base)
    if not one_class:
        return Rivals(raw)
    rows = usable_rows(asked, cohort, cohort.val_rows)
    why_not = too_few(np.zeros(len(rows)), [row.participant_id for row in rows])
    if why_not:
        return Rivals(raw, raw, f"No row is calibrated: {why_not}.")
    validation = answers(rows, seen(rows))
    alike = {
        name: calibrated_alike(table, validation[name]) if name in validation else table
        for name, table in raw.items()
    }
    people = len({row.participant_id for row in rows})
    return Rivals(
        alike,
        raw,
        "Every row is calibrated alike: one temperature, and an offset for each class, fitted on its own answers for the "
        f"{people} validation participants.",
    )


def usable_rows(asked: ScoredTask, cohort: ScoredCohort, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """The rows of which the answer is known."""
    if not rows:
        return []
    known = np.isfinite(asked.baseline_answer(cohort.chosen).truth(rows))
    return [row for row, some in zip(rows, known, strict=True) if some.any()]


def _inputs(
    model: EvaluatedModel,
    asked: ScoredTask,
    cohort: ScoredCohort,
    rows: Sequence[ManifestRow],
    vectors: Vectors,
) -> Inputs:
    """What baselines are given of some rows beside the manifest."""
    config, answer = model.config, asked.baseline_answer(cohort.chosen)
    profile = config.known_profile
    kept = model.adapter.facts.norms if model.adapter is not None else None
    norms = kept_norms(kept, config.report, profile, cohort.train_rows, config.predicted_columns)
    texts = unlabelled_texts(
        rows, config.report.template, profile, config.report.fields, answer.targets, norms
    )
    return Inputs(texts, vectors, config.seed, profile)
