"""Where a probability becomes a yes: thresholds chosen on validation and frozen, never on the scored labels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from voxtune.errors import DataError
from voxtune.model.questions import UNDECIDED

Criterion = Literal["youden", "f1"]


def best_threshold(labels: ArrayLike, probabilities: ArrayLike, criterion: Criterion = "youden") -> float:
    """The threshold t (``p >= t`` is a yes) that is best on validation scans.

    ``youden`` maximises sensitivity + specificity - 1 and is the default; ``f1`` maximises F1. Candidates are the midpoints between
    neighbouring probabilities; of equals the one nearest 0.5 wins. Missing labels (NaN) are left out; 0.5 where one
    side is empty.
    """
    label, probability = np.asarray(labels, dtype=float), np.asarray(probabilities, dtype=float)
    known = np.isfinite(label)
    positive, probability = label[known] > 0.5, probability[known]
    if not positive.any() or positive.all():
        return UNDECIDED
    levels = np.unique(probability)
    candidates = np.r_[levels[0], (levels[1:] + levels[:-1]) / 2]
    order = np.argsort(probability)
    ups = np.r_[0, np.cumsum(positive[order])]
    split = np.searchsorted(probability[order], candidates, side="left")  # scans below the threshold
    hits = positive.sum() - ups[split]
    called = len(positive) - split
    if criterion == "f1":
        worth = 2 * hits / (called + positive.sum())
    else:
        worth = hits / positive.sum() - (called - hits) / (~positive).sum()
    best = np.flatnonzero(worth >= worth.max() - 1e-12)
    return float(candidates[best[np.argmin(np.abs(candidates[best] - UNDECIDED))]])


def fit_thresholds(
    labels: ArrayLike, probabilities: ArrayLike, findings: Sequence[str], criterion: Criterion = "youden"
) -> dict[str, float]:
    """A threshold for each finding from validation labels (n, f) and probabilities (n, f).

    Raises:
        DataError: shapes that do not fit the findings.
    """
    label, probability = np.asarray(labels, dtype=float), np.asarray(probabilities, dtype=float)
    expected = (len(label), len(findings))
    if label.shape != expected or probability.shape != expected:
        raise DataError(
            f"Thresholds: expected labels and probabilities (n, {len(findings)}), got {label.shape} and {probability.shape}."
        )
    return {
        name: best_threshold(label[:, number], probability[:, number], criterion)
        for number, name in enumerate(findings)
    }


def class_thresholds(labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """A threshold for each class against the rest; a class that all or none of the scans have gets none.

    Args:
        labels: class numbers (n,) of validation scans, below 0 where unknown.
        probabilities: calibrated (n, k).
        classes: names of the k classes.
    """
    label = np.asarray(labels, dtype=np.int64)
    present = [
        name for number, name in enumerate(classes) if 0 < (label == number).sum() < (label >= 0).sum()
    ]
    against_rest = np.where(label[:, None] < 0, np.nan, label[:, None] == np.arange(len(classes)))
    fitted = fit_thresholds(against_rest, probabilities, classes)
    return {name: fitted[name] for name in present}
