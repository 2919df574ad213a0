"""How far off a predicted MMSE may be: a split-conformal interval over validation participants."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from voxtune.types.reliability import MmseInterval

LEVEL = 0.9
LOWEST, HIGHEST = 0.0, 30.0


def fit_mmse_interval(
    predicted: ArrayLike, true: ArrayLike, participants: Sequence[str], level: float = LEVEL
) -> MmseInterval | None:
    """The half width that covers the MMSE of a new participant's scan with probability ``level``.

    Conformal with groups (Dunn, Wasserman, Ramdas 2022, arXiv 1809.07441, pooling CDFs): every participant weighs the same, however
    many visits, and the level is raised by the usual (n + 1) / n, with n participants. ``None`` with fewer than
    level / (1 - level) participants: no finite interval holds then.

    Args:
        predicted: points (n,).
        true: points (n,), NaN where unknown.
        participants: of the scans (n,).
        level: wanted coverage.
    """
    found, known = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    usable = np.isfinite(found) & np.isfinite(known)
    people, place, count = np.unique(
        np.asarray(participants)[usable], return_inverse=True, return_counts=True
    )
    wanted = math.ceil((len(people) + 1) * level - 1e-9)
    if wanted > len(people):
        return None
    errors = np.abs(found - known)[usable]
    order = np.argsort(errors, kind="stable")
    reached = np.cumsum((1.0 / count[place])[order])
    half = float(errors[order][np.searchsorted(reached, wanted - 1e-9)])
    return MmseInterval(
        level=level,
        half_width=max(half, 1e-3),
        n_scans=int(usable.sum()),
        n_participants=len(people),
    )


def around(points: float, interval: MmseInterval) -> tuple[float, float]:
    """The interval of one prediction, within 0..30 points."""
    return max(LOWEST, points - interval.half_width), min(HIGHEST, points + interval.half_width)
