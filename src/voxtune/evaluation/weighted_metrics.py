"""Every score as a function of scan weights, so that one code path gives the value and all bootstrap replicates.

``weights`` is (R, n): one row a resample, how often each scan is in it. A row of ones gives the plain score. Results
are (R,), NaN where a score is not defined for that row; NaN never leaves ``evaluation``.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

CALIBRATION_BINS = 15


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below``, NaN where ``below`` is 0."""
    above, below = np.broadcast_arrays(above, below)
    answer: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
    return answer


def mean(weights: Floats, values: Floats) -> Floats:
    """Weighted mean of values (n,) for each row of weights (R,)."""
    return ratio(weights @ values, weights.sum(axis=1))


def some_mean(values: Floats) -> Floats:
    """Mean along the last axis over entries that are defined; NaN where none is."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(float))


# ------------------------------------------------------------------------- from the confusion table
def confusion(weights: Floats, true: Integers, predicted: Integers, classes: int) -> Floats:
    """Counts (R, k, k): true class by predicted class."""
    cells = np.eye(classes * classes)[true * classes + predicted]  # (n, k*k)
    counts: Floats = (weights @ cells).reshape(-1, classes, classes)
    return counts


def accuracy(table: Floats) -> Floats:
    """Share of scans on the diagonal (R,)."""
    return ratio(np.trace(table, axis1=1, axis2=2), table.sum(axis=(1, 2)))


def sensitivity(table: Floats) -> Floats:
    """Recall of each class (R, k); NaN where the class is not in the labels."""
    return ratio(np.diagonal(table, axis1=1, axis2=2), table.sum(axis=2))


def specificity(table: Floats) -> Floats:
    """True negative rate of each class against the rest (R, k)."""
    hits = np.diagonal(table, axis1=1, axis2=2)
    others = table.sum(axis=(1, 2))[:, None] - table.sum(axis=2)
    return ratio(others - (table.sum(axis=1) - hits), others)


def f1(table: Floats) -> Floats:
    """F1 of each class (R, k); 0 where it is never right, NaN where it is neither true nor predicted."""
    return ratio(2 * np.diagonal(table, axis1=1, axis2=2), table.sum(axis=1) + table.sum(axis=2))


def balanced_accuracy(table: Floats) -> Floats:
    """Mean recall over the classes present in the labels (R,)."""
    return some_mean(sensitivity(table))


def macro_f1(table: Floats) -> Floats:
    """Unweighted mean of F1 over the classes seen in labels or predictions (R,)."""
    return some_mean(f1(table))


def weighted_f1(table: Floats) -> Floats:
    """Mean of F1 weighted by the true class counts (R,)."""
    counts = table.sum(axis=2)
    return ratio((np.nan_to_num(f1(table)) * counts).sum(axis=1), counts.sum(axis=1))


# ----------------------------------------------------------------------------------- from the ranking
def _by_score(weights: Floats, positive: Booleans, score: Floats) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each distinct score, ascending, two of (R, distinct)."""
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    sorted_weights = weights[:, order]
    hit = positive[order]
    return (
        np.add.reduceat(sorted_weights * hit, starts, axis=1),
        np.add.reduceat(sorted_weights * ~hit, starts, axis=1),
    )


def auroc(weights: Floats, positive: Booleans, score: Floats) -> Floats:
    """Area under the ROC curve by trapezoids, a tie counts one half (R,); NaN where a side is empty."""
    if not score.size:
        return np.full(len(weights), np.nan)
    up, down = _by_score(weights, positive, score)
    below = np.cumsum(down, axis=1) - down / 2
    return ratio((up * below).sum(axis=1), up.sum(axis=1) * down.sum(axis=1))


def average_precision(weights: Floats, positive: Booleans, score: Floats) -> Floats:
    """Sum of precision times the step of recall, from the highest score down (R,); NaN without positives."""
    if not score.size:
        return np.full(len(weights), np.nan)
    up, down = (side[:, ::-1] for side in _by_score(weights, positive, score))
    found = np.cumsum(up, axis=1)
    precision = np.nan_to_num(ratio(found, found + np.cumsum(down, axis=1)))
    return ratio((up * precision).sum(axis=1), up.sum(axis=1))


def auroc_one_versus_one(weights: Floats, true: Integers, probabilities: Floats) -> Floats:
    """Hand and Till 2001: mean over ordered pairs of classes of the AUC of one against the other (R,)."""
    classes = probabilities.shape[1]
    pairs = [(one, other) for one in range(classes) for other in range(classes) if one != other]

    def area(one: int, other: int) -> Floats:
        members = (true == one) | (true == other)
        return auroc(weights[:, members], true[members] == one, probabilities[members, one])

    answer: Floats = np.mean([area(one, other) for one, other in pairs], axis=0)
    return answer


# ------------------------------------------------------------------------------ from the probabilities
def brier(weights: Floats, true: Integers, probabilities: Floats) -> Floats:
    """Brier score (R,): squared error summed over classes, halved for two classes so that it is mean (p - y)^2.

    This is scikit-learn's convention too (``scale_by_half="auto"``).
    """
    classes = probabilities.shape[1]
    error = ((probabilities - np.eye(classes)[true]) ** 2).sum(axis=1)
    return mean(weights, error / 2 if classes == 2 else error)


def log_loss(weights: Floats, true: Integers, probabilities: Floats) -> Floats:
    """Mean negative log of the probability given to the true class (R,), clipped at the precision of a float."""
    clipped = np.clip(probabilities, np.finfo(float).eps, 1 - np.finfo(float).eps)
    return mean(weights, -np.log(clipped[np.arange(len(true)), true]))


def calibration_bins(
    weights: Floats, confidence: Floats, hit: Booleans, bins: int = CALIBRATION_BINS
) -> tuple[Floats, Floats, Floats]:
    """Count, mean confidence and share of hits in equal-width bins (b/bins, (b+1)/bins], three of (R, bins)."""
    edges = np.arange(1, bins) / bins
    member = np.eye(bins)[np.searchsorted(edges, confidence, side="left")]  # (n, bins)
    count = weights @ member
    return (
        count,
        ratio(weights @ (member * confidence[:, None]), count),
        ratio(weights @ (member * hit[:, None]), count),
    )


def ece(weights: Floats, confidence: Floats, hit: Booleans, bins: int = CALIBRATION_BINS) -> Floats:
    """Expected calibration error (R,): sum over bins of share * |share of hits - mean confidence|."""
    count, said, got = calibration_bins(weights, confidence, hit, bins)
    return ratio((count * np.abs(np.nan_to_num(got - said))).sum(axis=1), count.sum(axis=1))


# ------------------------------------------------------------------------------------------- of MMSE
def mean_absolute_error(weights: Floats, true: Floats, predicted: Floats) -> Floats:
    """Mean absolute error (R,), in the unit of the values."""
    return mean(weights, np.abs(predicted - true))


def root_mean_squared_error(weights: Floats, true: Floats, predicted: Floats) -> Floats:
    """Root mean squared error (R,), in the unit of the values."""
    return np.sqrt(mean(weights, (predicted - true) ** 2))


def r_squared(weights: Floats, true: Floats, predicted: Floats) -> Floats:
    """1 - residual / total sum of squares around the mean of that row (R,); NaN where the truth does not vary."""
    shifted = true - (true.mean() if true.size else 0.0)  # keeps the difference below well conditioned
    total = weights @ shifted**2 - weights.sum(axis=1) * np.nan_to_num(mean(weights, shifted)) ** 2
    total = np.where(total > 1e-9 * np.maximum(weights @ shifted**2, 1e-300), total, 0.0)
    return 1 - ratio(weights @ (predicted - true) ** 2, total)
