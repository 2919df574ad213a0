"""An interval of the expected calibration error that holds, for a calibrated model too.

The error over bins is a sum of absolute differences: chance alone makes it positive, in every resample again, so percentiles of
resamples miss the error of a calibrated model (0) about half of the time. Here the share of hits is a smooth function of the
confidence, ``logit(share) = logit(confidence) + a + b z`` (Cox 1958), and a test of participants asks whether a = b = 0.
"""

import numpy as np
from scipy.special import expit, logit

from voxtune.evaluation.intervals import (
    Draws,
    blocks,
    exact_interval_at_bound,
    percentile_interval,
    resampled_weights,
    small_sample_quantile,
)
from voxtune.evaluation.weighted_metrics import Booleans, Floats, Integers

NEAREST = 1e-4
"""Confidences are kept this far from 0 and 1, where a logit has no end."""
RIDGE = 1.0
"""Pull of a and b towards 0, in scans: without one a set with no miss would send them to infinity."""
DRAWS = 999
STEPS = 8
"""Newton steps; from a = b = 0 the change after eight is below 1e-6."""


def calibration_error_interval(
    confidence: Floats,
    hit: Booleans,
    participant: Integers,
    drawn: Draws,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """The interval of the mean absolute difference between confidence and share of hits.

    It begins at 0 unless a test over participants says that the confidences are wrong. Coverage is measured in
    ``benchmarks/coverage/calibration.py``.

    Args:
        confidence: the largest probability of each scan (n,).
        hit: whether its class is the right one (n,).
        participant: of each scan, numbered 0.. (n,).
        drawn: participants of each resample (R, m).
        level: of the interval.

    Returns:
        ``None`` with fewer than three participants.
    """
    people, place = np.unique(participant, return_inverse=True)
    quantile = small_sample_quantile(len(people), 1, level)
    if quantile is None or len(people) < 3:
        return None
    stated = np.clip(confidence, NEAREST, 1 - NEAREST)
    fitted = share_of_hits(np.ones((1, len(hit))), stated, hit)[0]
    value, sign = float(np.abs(fitted - stated).mean()), np.sign(fitted - stated)
    bent, straight = [], []
    for block in blocks(len(drawn), len(hit)):
        weights = resampled_weights(drawn[block], participant)
        weights = weights[weights.sum(axis=1) > 0]
        gap, total = share_of_hits(weights, stated, hit) - stated, weights.sum(axis=1)
        bent.append((weights * np.abs(gap)).sum(axis=1) / total)
        # With the signs held, the resamples vary around the value and not above it.
        straight.append((weights * gap * sign).sum(axis=1) / total)
    lower, upper = (percentile_interval(np.concatenate(part), level) for part in (straight, bent))
    half = quantile * float(np.std(np.concatenate(straight)))
    # The test guards the lower end already, so it is not moved outwards for few people too.
    low = max(lower[0], 0.0) if lower and _said_wrong(stated, hit, place, 1 - level) else 0.0
    high = max(value + half, upper[1] if upper else 0.0)
    if hit.all() or not hit.any():  # resamples know no other share: the exact bound does
        share = float(hit[0])
        bounds = exact_interval_at_bound(share, len(people), level)
        high = max(high, *(abs(float(stated.mean()) - bound) for bound in bounds))
    return low, min(high, 1.0)


def share_of_hits(weights: Floats, stated: Floats, hit: Booleans) -> Floats:
    """The fitted share of hits at each scan's confidence, for each row of weights (R, n)."""
    offset, z = logit(stated), _standard(stated)
    wanted = hit.astype(float)
    a, b = np.zeros((2, len(weights), 1))
    share: Floats = np.broadcast_to(stated, weights.shape)
    for _ in range(STEPS):
        residual = weights * (wanted - share)
        spread = weights * np.maximum(share * (1 - share), 1e-6)
        slope_a = residual.sum(axis=1, keepdims=True) - RIDGE * a
        slope_b = (residual * z).sum(axis=1, keepdims=True) - RIDGE * b
        aa = spread.sum(axis=1, keepdims=True) + RIDGE
        ab = (spread * z).sum(axis=1, keepdims=True)
        bb = (spread * z * z).sum(axis=1, keepdims=True) + RIDGE
        size = aa * bb - ab * ab
        a = a + np.clip((bb * slope_a - ab * slope_b) / size, -3, 3)
        b = b + np.clip((aa * slope_b - ab * slope_a) / size, -3, 3)
        share = expit(offset + a + b * z)
    return share


def _standard(stated: Floats) -> Floats:
    offset = logit(stated)
    spread = float(offset.std())
    centred: Floats = offset - offset.mean()
    return centred / spread if spread > 1e-9 else np.zeros_like(centred)


def _said_wrong(stated: Floats, hit: Booleans, place: Integers, alpha: float) -> bool:
    """Whether a score test of a = b = 0 rejects, against hits drawn by the stated confidences.

    All scans of a person are drawn together, by one number: they depend on each other as much as they can, so the test is exact
    where they do and careful where they do not. Few or no misses are judged rightly too, which no normal distribution does.
    """
    rng, people = np.random.default_rng(0), int(place.max()) + 1
    directions = np.stack([np.ones_like(stated), _standard(stated)], axis=1)
    parts = []
    for block in blocks(DRAWS, len(stated)):  # the lots of 10^4 scans at once would be a gigabyte
        lots = rng.random((len(range(DRAWS)[block]), people))
        parts.append(((lots[:, place] < stated) - stated) @ directions)
    chance = np.concatenate(parts)
    found = (hit - stated) @ directions
    inverse = np.linalg.pinv(chance.T @ chance / DRAWS)
    statistic = float(found @ inverse @ found)
    reached = np.einsum("ri,ij,rj->r", chance, inverse, chance) >= statistic - 1e-9
    return (1 + int(reached.sum())) / (DRAWS + 1) < alpha
