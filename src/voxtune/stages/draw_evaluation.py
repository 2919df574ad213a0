"""The figures of an evaluation page from its predictions: the bridge between ``evaluation`` and ``pages``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxtune.pages.evaluation_page import EvaluationFacts
    from voxtune.types.records import ManifestRow, Prediction


def draw_evaluation(
    facts: "EvaluationFacts", predictions: Sequence["Prediction"], rows: Sequence["ManifestRow"]
) -> "EvaluationFacts":
    """The facts with everything a page draws: confusion, reliability, ROC, MMSE scatter and subgroups.

    Args:
        facts: the words and scores of the evaluation.
        predictions: the scored scans.
        rows: their manifest rows, for measured MMSE and subgroups.
    """
    from voxtune.evaluation.calibration import reliability, top_label
    from voxtune.evaluation.curves import mmse_points, roc_curves
    from voxtune.evaluation.metrics import confusion
    from voxtune.evaluation.subgroups import subgroups

    by_scan = {row.scan_id: row for row in rows}
    measured = {row.scan_id: row.mmse for row in rows if row.mmse is not None}
    return replace(
        facts,
        confusion=confusion(predictions, facts.classes).tolist(),
        reliability=reliability(*top_label(predictions)),
        roc=roc_curves(predictions, facts.classes),
        mmse=mmse_points(predictions, measured),
        subgroups=subgroups(
            predictions,
            by_scan,
            facts.classes,
            resamples=facts.resamples,
            seed=facts.seed,
            confidence=facts.confidence,
        ),
        n_predicted=len(predictions),
    )
