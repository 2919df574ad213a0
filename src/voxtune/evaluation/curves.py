"""The points of ROC curves and of predicted against measured MMSE, for figures."""

from collections.abc import Mapping, Sequence

import numpy as np

from voxtune.types.records import Prediction

Curve = tuple[tuple[float, float], ...]


def roc_curves(predictions: Sequence[Prediction], classes: Sequence[str]) -> dict[str, Curve]:
    """For each class against the rest the points (1 - specificity, sensitivity), from (0, 0) to (1, 1).

    A class that all or none of the scored scans have is left out.
    """
    known = [one for one in predictions if one.diagnosis is not None]
    curves = {}
    for name in classes:
        positive = np.array([one.diagnosis == name for one in known], dtype=bool)
        if not positive.any() or positive.all():
            continue
        score = np.array([one.probabilities[name] for one in known])
        order = np.argsort(-score, kind="stable")
        last = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])  # tied scans move the curve together
        up, down = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
        x, y = down / (~positive).sum(), up / positive.sum()
        curves[name] = ((0.0, 0.0), *zip(x.tolist(), y.tolist(), strict=True))
    return curves


def mmse_points(
    predictions: Sequence[Prediction], mmse_true: Mapping[str, float]
) -> tuple[tuple[float, float, str], ...]:
    """Measured and predicted MMSE (points) and diagnosis of the scored scans that have both."""
    return tuple(
        (float(mmse_true[one.scan_id]), one.mmse, one.diagnosis)
        for one in predictions
        if one.diagnosis is not None and one.mmse is not None and one.scan_id in mmse_true
    )
