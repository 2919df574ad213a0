"""The points of ROC curves and of predicted against measured numbers, for figures."""

import numpy as np

from voxtune.evaluation.predictions import Predictions

Curve = tuple[tuple[float, float], ...]


def roc_curves(predictions: Predictions) -> dict[str, Curve]:
    """For each class against the rest the points (1 - specificity, sensitivity), from (0, 0) to (1, 1).

    A class that all or none of the scored scans have is left out.
    """
    table = predictions.scored()
    curves = {}
    for number, name in enumerate(table.names):
        known = table.known[:, number]
        positive = table.truth[known, number] > 0.5
        if not positive.any() or positive.all():
            continue
        score = table.probabilities[known, number]
        order = np.argsort(-score, kind="stable")
        last = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])  # tied scans move the curve together
        up, down = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
        x, y = down / (~positive).sum(), up / positive.sum()
        curves[name] = ((0.0, 0.0), *zip(x.tolist(), y.tolist(), strict=True))
    return curves


def target_points(predictions: Predictions, target: str) -> tuple[tuple[float, float, str], ...]:
    """Measured and predicted number and diagnosis (empty without classes) of the scored scans that have both numbers."""
    table = predictions.scored()
    if target not in table.measured:
        return ()
    measured, predicted = table.measured[target], table.estimate(target)
    return tuple(
        (float(measured[place]), float(predicted[place]), table.diagnosis(place) or "")
        for place in np.flatnonzero(np.isfinite(measured) & np.isfinite(predicted))
    )
