"""A score of A against the same score of B: participants resampled for the interval, swapped for the p."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxtune.evaluation.intervals import (
    Draw,
    Draws,
    blocks,
    expanded_interval,
    resample_participants,
    resampled_weights,
)
from voxtune.evaluation.paired import holm, permutation_p
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.types.records import FEWEST_COMPARED, Comparison

ALIKE = 1e-9
"""Differences that vary less over resamples are the same."""


@dataclass(frozen=True)
class Sides:
    """Scans that A and B both answered for."""

    participant: Integers
    """Whose each scan is (n,); with several trainings of each model the same number is the same person in all of them."""
    of_each: Callable[[Floats], tuple[Floats, Floats]]
    """The score of A and of B (R,) with the same weights (R, n)."""
    mixed: Callable[[Floats, Floats], Floats]
    """The score (R,) of A's answers weighted (R, n) together with B's answers weighted (R, n)."""

    def values(self) -> tuple[float, float]:
        """The plain scores; NaN where not defined."""
        a, b = self.of_each(np.ones((1, len(self.participant))))
        return float(a[0]), float(b[0])


def swapped(name: str, sides: Sequence[Sides], strata: Integers, draw: Draw, *, n_scans: int) -> Comparison:
    """The difference of a score, of several trainings that of its mean over them.

    The interval draws whole participants within strata, the p swaps the answers of whole participants; with several trainings a
    participant is drawn, or swapped, in all of them together. Where that cannot vary (a stratum has one participant, or all of each
    differ alike) participants are drawn without strata; where they still never vary, or are fewer than six, there is no interval.

    Args:
        name: of the score.
        sides: one, or one for each pair of trainings.
        strata: the stratum of each participant (m,).
        draw: how often.
        n_scans: different scans behind the score.
    """
    owners = np.concatenate([one.participant for one in sides])
    ends = np.cumsum([len(one.participant) for one in sides])[:-1]

    def difference(keep: Floats) -> Floats:
        """A scan that keeps its side is weight on A's answer for A and on B's for B."""
        gains = [
            one.mixed(own, 1 - own) - one.mixed(1 - own, own)
            for one, own in zip(sides, np.split(keep, ends, axis=1), strict=True)
        ]
        mean: Floats = np.mean(gains, axis=0)
        return mean

    def resampled(people: Draws) -> Floats:
        gains = []
        for one in sides:
            of_a, of_b = one.of_each(resampled_weights(people, one.participant))
            gains.append(of_a - of_b)
        mean: Floats = np.mean(gains, axis=0)
        return mean

    def interval(strata: Integers) -> tuple[float, float] | None:
        sizes = np.unique(strata[inside], return_counts=True)[1]
        people = resample_participants(strata, draw.resamples, draw.seed)
        drawn = np.concatenate([resampled(people[block]) for block in blocks(len(people), 2 * len(owners))])
        defined = drawn[np.isfinite(drawn)]
        if sizes.min() > 1 and defined.size and np.ptp(defined) > ALIKE:
            return expanded_interval(drawn, len(inside), len(sizes), draw.confidence)
        return interval(np.zeros_like(strata)) if len(sizes) > 1 else None

    of_a, of_b = np.mean([one.values() for one in sides], axis=0)
    inside = np.unique(owners)
    return compared(
        name,
        "participants swapped",
        (float(of_a), float(of_b)),
        interval=interval(strata) if len(inside) >= FEWEST_COMPARED else None,
        p_value=permutation_p(difference, owners, draw.resamples, draw.seed),
        counts=(n_scans, len(inside)),
    )


def compared(
    score: str,
    test: str,
    values: tuple[float, float],
    *,
    interval: tuple[float, float] | None,
    p_value: float | None,
    counts: tuple[int, int],
) -> Comparison:
    """A comparison before Holm; a score that is not finite is not defined.

    Args:
        score: its name.
        test: in words.
        values: of A and of B.
        interval: of A minus B.
        p_value: of the test.
        counts: scans and participants.
    """
    defined = bool(np.isfinite(values).all())
    low, high = interval if interval and defined else (None, None)
    return Comparison(
        score=score,
        test=test,
        a=values[0] if defined else None,
        b=values[1] if defined else None,
        difference=values[0] - values[1] if defined else None,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=None,
        n_scans=counts[0],
        n_participants=counts[1],
    )


def corrected(family: Iterable[Comparison]) -> list[Comparison]:
    """The same comparisons with p corrected by Holm over those that have one."""
    rows = list(family)
    p_values = iter(holm([one.p_value for one in rows if one.p_value is not None]))
    return [one if one.p_value is None else replace(one, p_holm=next(p_values)) for one in rows]
