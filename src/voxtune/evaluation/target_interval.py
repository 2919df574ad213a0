"""How far off a predicted target may be: a split-conformal interval over validation participants."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from voxtune.types.reliability import TargetInterval
from voxtune.types.target import Target

LEVEL = 0.9


def fit_target_interval(
    predicted: ArrayLike, true: ArrayLike, participants: Sequence[str], level: float = LEVEL
) -> TargetInterval | None:
    """The half width that covers the target of a new participant's scan with probability ``level``.

    Conformal with groups (Dunn, Wasserman, Ramdas 2022, arXiv 1809.07441, pooling CDFs): every participant weighs the same, however
    many visits, and the level is raised by the usual (n + 1) / n, with n participants. ``None`` with fewer than
    level / (1 - level) participants: no finite interval holds then.

    Args:
        predicted: values (n,).
        true: values (n,) in the same units, NaN where unknown.
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
    return TargetInterval(
        level=level,
        half_width=max(half, 1e-9),
        n_scans=int(usable.sum()),
        n_participants=len(people),
    )


def around(value: float, interval: TargetInterval, target: Target) -> tuple[float, float]:
    """The interval of one prediction, within the range of the target."""
    low, high = value - interval.half_width, value + interval.half_width
    return (
        low if target.low is None else max(target.low, low),
        high if target.high is None else min(target.high, high),
    )
