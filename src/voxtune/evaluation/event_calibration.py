"""The risks of a model held against its validation participants: one shift and one slope of the log-odds, and how sure the shift is.

Logistic recalibration (Cox 1958; van Houwelingen 2000) of the hazards, with a pull to no change, so that few events move little.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from voxtune.evaluation.intervals import number_participants, resample_participants, resampled_weights
from voxtune.evaluation.weighted_metrics import Floats

PULL = (1.0, 4.0)
"""Of the shift and of the slope, as the inverse variance of a normal prior around 0 and 1."""
FLATTEST = 0.05
"""Smallest slope: a model that ranks validation the wrong way round is given no more than this."""
STEPS = 30
RESAMPLES = 200


@dataclass(frozen=True)
class EventCalibration:
    """What is done to the log-odds of each interval: ``slope`` times the scan's factor plus the baseline plus ``shift``."""

    shift: float
    slope: float
    shift_sd: float
    """Standard deviation of the shift over resamples of validation participants."""
    events: int
    """Events of validation scans within the horizons."""
    participants: int


def calibrate_event(
    factor: Floats, cells: Floats, baseline: Sequence[float], participants: Sequence[str], seed: int = 0
) -> EventCalibration:
    """Fit shift and slope on validation.

    Args:
        factor: of each scan (n,), on the scale of the log-odds.
        cells: what each scan says of the hazard in each interval (n, J).
        baseline: log-odds of the intervals (J,).
        participants: of the scans (n,).
        seed: of the resamples.
    """
    person = number_participants(participants)
    drawn = resample_participants(np.zeros(person.max(initial=-1) + 1), RESAMPLES, seed)
    weights = np.vstack([np.ones((1, len(factor))), resampled_weights(drawn, person)])
    shift, slope = _fit(weights, factor, cells, np.asarray(baseline))
    return EventCalibration(
        float(shift[0]),
        max(float(slope[0]), FLATTEST),
        float(np.std(shift[1:])),
        int(np.nansum(cells)),
        len(set(participants)),
    )


def _fit(weights: Floats, factor: Floats, cells: Floats, baseline: Floats) -> tuple[Floats, Floats]:
    """Newton's method for each row of weights (R, n): shifts (R,) and slopes (R,)."""
    scan, interval = np.nonzero(np.isfinite(cells))
    x, level, y = factor[scan], baseline[interval], cells[scan, interval]
    w = weights[:, scan]
    # From nothing at all, where no probability is near 0 or 1: from a slope of 1 a model that is too sure makes Newton's steps swing.
    shift, slope = np.zeros(len(weights)), np.zeros(len(weights))
    most = 2 / max(float(np.std(factor)), 1e-6) if len(factor) else 2.0
    for _ in range(STEPS):
        p = expit(shift[:, None] + slope[:, None] * x + level)
        first = w * (y - p)
        second = w * p * (1 - p)
        g0, g1 = first.sum(axis=1) - PULL[0] * shift, (first * x).sum(axis=1) - PULL[1] * (slope - 1)
        h00, h01 = second.sum(axis=1) + PULL[0], (second * x).sum(axis=1)
        h11 = (second * x * x).sum(axis=1) + PULL[1]
        det = h00 * h11 - h01**2
        shift = shift + np.clip((h11 * g0 - h01 * g1) / det, -2, 2)
        slope = slope + np.clip((h00 * g1 - h01 * g0) / det, -most, most)
    return shift, slope
