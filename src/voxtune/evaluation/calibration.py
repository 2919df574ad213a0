"""Do the probabilities mean what they say? Temperature and thresholds fixed on validation, reliability bins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from voxtune.errors import DataError
from voxtune.evaluation import weighted_metrics
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.thresholds import class_thresholds
from voxtune.evaluation.weighted_metrics import CALIBRATION_BINS, Floats
from voxtune.model.questions import largest

ENOUGH = 30
"""Validation participants with a known class below which nothing is calibrated."""
FEWEST = 5
"""Validation scans that every class must have before its offset is fitted."""
RIDGE = 0.01
"""Pull of the offsets towards 0: a few dozen validation scans place a boundary only roughly."""
SMALLEST = 1e-9
"""Probability below which all are alike: its logarithm is taken."""
COLDEST, HOTTEST = 0.05, 20.0
"""Bounds of the temperature: a validation set that is perfectly separated would drive it to 0."""


@dataclass(frozen=True)
class Calibration:
    """What an adapter fixes on its validation scans: probabilities are ``softmax(logits / temperature + offsets)``."""

    temperature: float
    offsets: dict[str, float]
    """By class, their mean is 0; empty where a class has too few validation scans."""
    thresholds: dict[str, float]
    """Of each class against the rest."""
    refused: str | None = None
    """Why nothing was calibrated."""


@dataclass(frozen=True)
class ReliabilityBin:
    """One bar of a reliability plot; ``confidence`` and ``fraction`` are ``None`` where no scan fell in the bin."""

    low: float
    high: float
    count: int
    confidence: float | None
    fraction: float | None


def calibrate(
    logits: ArrayLike, labels: ArrayLike, classes: Sequence[str], participants: Sequence[str]
) -> Calibration:
    """Temperature and offsets first, then thresholds on the probabilities they give; all from validation scans alone.

    With fewer than ``ENOUGH`` participants temperature and offsets are refused: the raw rule, the most similar class, stands.

    Args:
        logits: (n, k).
        labels: class numbers (n,), below 0 where unknown.
        classes: names of the k classes.
        participants: whose the scans are (n,).

    Raises:
        DataError: see :func:`fit_temperature`.
    """
    refused = too_few(labels, participants)
    if refused:
        return Calibration(1.0, {}, class_thresholds(labels, softmax(logits), classes), refused)
    temperature, shifts = fit_offsets(logits, labels)
    offsets = dict(zip(classes, shifts, strict=True)) if shifts else {}
    return Calibration(
        temperature, offsets, class_thresholds(labels, softmax(logits, temperature, shifts), classes)
    )


def too_few(labels: ArrayLike, participants: Sequence[str | None]) -> str | None:
    """Why validation cannot calibrate; ``None`` where it can.

    Args:
        labels: class numbers (n,), below 0 where unknown.
        participants: whose the scans are (n,).
    """
    known = np.asarray(labels) >= 0
    people = len({who for who, one in zip(participants, known.tolist(), strict=True) if one})
    if people >= ENOUGH:
        return None
    return f"{people} validation participants have a known class, {ENOUGH} are needed to calibrate"


def calibrated_alike(table: Predictions, validation: Predictions) -> Predictions:
    """Answers of one class among several, calibrated as an adapter's are: by the same model's answers for the validation scans.

    Args:
        table: any answers.
        validation: with ``ENOUGH`` participants.
    """
    known = validation.scored()
    temperature, shifts = fit_offsets(_logits(known), known.true)
    probabilities = softmax(_logits(table), temperature, shifts)
    return replace(table, probabilities=probabilities, called=largest(probabilities))


def _logits(table: Predictions) -> Floats:
    found: Floats = np.log(np.maximum(table.probabilities, SMALLEST))
    return found


def fit_offsets(logits: ArrayLike, labels: ArrayLike) -> tuple[float, list[float]]:
    """The temperature T and offsets b that minimise the log loss of ``softmax(logits / T + b)`` plus ``RIDGE * |b|^2``.

    Contrast aligns scans with whole reports, so the boundary between bare class texts may lie off the classes though their
    ranking is right; an offset moves it back (bias-corrected temperature scaling, Alexandari et al. 2020, arXiv 1901.06852;
    ``docs/decisions/0009-class-offsets.md``). Without ``FEWEST`` scans of every class the offsets are an empty list and T is
    that of :func:`fit_temperature`.

    Args:
        logits: (n, k).
        labels: class numbers (n,), below 0 where unknown.

    Raises:
        DataError: see :func:`fit_temperature`.
    """
    from scipy.optimize import minimize

    start = fit_temperature(logits, labels)
    scores, label = np.asarray(logits, dtype=float), np.asarray(labels)
    known = np.isfinite(label) & (label >= 0)
    scores, label = scores[known], label[known].astype(np.int64)
    count = scores.shape[1]
    if np.bincount(label, minlength=count).min() < FEWEST:
        return start, []
    ones = np.ones((1, len(label)))

    def loss(place: Floats) -> float:
        shifts = place[1:] - place[1:].mean()
        chances = softmax(scores, float(np.exp(place[0])), shifts)
        return float(weighted_metrics.log_loss(ones, label, chances)[0]) + RIDGE * float(
            place[1:] @ place[1:]
        )

    bounds = [(np.log(COLDEST), np.log(HOTTEST)), *[(-5.0, 5.0)] * count]
    found = minimize(loss, np.r_[np.log(start), np.zeros(count)], method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), [float(one) for one in found[1:] - found[1:].mean()]


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature T that minimises the log loss of ``softmax(logits / T)`` on validation scans.

    Guo et al. 2017 ("On Calibration of Modern Neural Networks"). Labels below 0 (unknown) are left out. The loss is
    convex in 1/T, so the bounded search finds the one minimum in 0.05..20.

    Args:
        logits: (n, k).
        labels: class numbers (n,).

    Raises:
        DataError: no labelled scan, shapes that do not fit, a label beyond the logits, or logits that are not finite.
    """
    from scipy.optimize import minimize_scalar

    scores, label = np.asarray(logits, dtype=float), np.asarray(labels)
    if scores.ndim != 2 or label.shape != scores.shape[:1]:
        raise DataError(
            f"Temperature: expected logits (n, k) and n labels, got {scores.shape} and {label.shape}."
        )
    known = np.isfinite(label) & (label >= 0)
    scores, label = scores[known], label[known].astype(np.int64)
    if not len(label):
        raise DataError(
            "Temperature: no validation scan has a diagnosis. Give the split a labelled validation part."
        )
    if label.max() >= scores.shape[1]:
        raise DataError(
            f"Temperature: label {label.max()} is beyond the {scores.shape[1]} classes of the logits."
        )
    if not np.isfinite(scores).all():
        raise DataError("Temperature: logits of the validation scans are not finite.")
    ones = np.ones((1, len(label)))

    def loss(log_temperature: float) -> float:
        return float(
            weighted_metrics.log_loss(ones, label, softmax(scores, float(np.exp(log_temperature))))[0]
        )

    bounds = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    # Where the classes never differ or T does nothing, leave the probabilities as they are.
    return float(np.exp(found.x)) if loss(float(found.x)) < loss(0.0) - 1e-12 else 1.0


def softmax(logits: ArrayLike, temperature: float = 1.0, offsets: ArrayLike = ()) -> Floats:
    """Probabilities (n, k) of logits (n, k) divided by the temperature, with an offset (k,) for each class where given."""
    scaled = np.asarray(logits, dtype=float) / temperature
    if np.size(offsets):
        scaled = scaled + np.asarray(offsets, dtype=float)
    grown = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: Floats = grown / grown.sum(axis=-1, keepdims=True)
    return probabilities


def top_label(predictions: Predictions) -> tuple[Floats, weighted_metrics.Booleans]:
    """Largest probability (n,) and whether the class it stands for is the right one (n,), of scans that have a diagnosis."""
    table = predictions.scored()
    return table.probabilities.max(axis=1, initial=0.0), table.predicted == table.true


def reliability(
    confidence: ArrayLike, hit: ArrayLike, bins: int = CALIBRATION_BINS
) -> tuple[ReliabilityBin, ...]:
    """Bins of a reliability plot: (b/bins, (b+1)/bins], 0 falls in the first."""
    said, right = np.asarray(confidence, dtype=float), np.asarray(hit, dtype=bool)
    ones = np.ones((1, len(said)))
    count, mean_said, share_right = (
        one[0] for one in weighted_metrics.calibration_bins(ones, said, right, bins)
    )
    return tuple(
        ReliabilityBin(
            low=b / bins,
            high=(b + 1) / bins,
            count=int(count[b]),
            confidence=float(mean_said[b]) if count[b] else None,
            fraction=float(share_right[b]) if count[b] else None,
        )
        for b in range(bins)
    )
