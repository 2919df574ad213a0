"""Do two groups of people differ in a figure? A permutation test with one value a person, and how large a difference it would find.

The statistic is that of Cramér and von Mises for two samples (Anderson 1962), which sees shifts and spreads; its p is the share of
random divisions of the same people that differ as much, so that nothing is assumed of the figures. Many figures are corrected by Holm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from voxtune.evaluation.paired import holm
from voxtune.evaluation.weighted_metrics import Floats

DRAWS = 1999
LEVEL = 0.05
FEWEST = 5
"""People of either group below whom nothing is tested."""
EFFICIENCY = 0.82
"""Of the statistic for a shift of the mean, against the best test of normal figures; held by a test."""


@dataclass(frozen=True)
class FigureTest:
    """One figure of two groups."""

    name: str
    reference: int
    """People of the reference with the figure."""
    people: int
    """New people with it."""
    medians: tuple[float, float]
    """Of the reference and of the new people."""
    p: float
    p_holm: float

    @property
    def found(self) -> bool:
        """Whether the groups differ, corrected over all figures."""
        return self.p_holm <= LEVEL


@lru_cache(maxsize=4)
def divisions(first: int, second: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Random divisions of first + second people (draws, people): 1 for who counts as one of the first."""
    rng = np.random.default_rng(seed)
    order = rng.random((draws, first + second)).argsort(axis=1)
    return (order < first).astype(np.float32)


def cramer_von_mises(groups: Floats, values: Floats) -> Floats:
    """The statistic of each division (draws,).

    Args:
        groups: (draws, n), 1 for the first group.
        values: (n,); equal ones count as one step.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last = np.r_[ordered[1:] != ordered[:-1], True]
    sizes = np.diff(np.r_[-1, np.flatnonzero(last)])
    reached = np.cumsum(groups[:, order], axis=1)[:, last]
    first = groups.sum(axis=1, keepdims=True)
    total = np.cumsum(sizes)
    beyond = reached / first - (total - reached) / (len(values) - first)
    found: Floats = (beyond**2 * sizes).sum(axis=1)
    return found


def figure_tests(
    reference: Mapping[str, Sequence[float]],
    people: Mapping[str, Sequence[float]],
    seed: int = 0,
    beside: Sequence[float] = (),
) -> tuple[list[FigureTest], list[float]]:
    """Every figure that enough people of both groups have and that is not the same for all; and what stands beside, corrected too.

    Args:
        reference: one value a person, by figure.
        people: the same of the new people.
        seed: of the divisions.
        beside: p of other tests of the same people.
    """
    kept, p_values = [], []
    for name, values in reference.items():
        old, new = np.asarray(values, dtype=float), np.asarray(people.get(name, ()), dtype=float)
        both = np.concatenate([old, new])
        if min(len(old), len(new)) < FEWEST or np.ptp(both) <= 1e-9 * (1 + np.abs(both).max()):
            continue
        p_values.append(_p(old, new, seed))
        kept.append((name, old, new))
    corrected = holm([*p_values, *beside])
    tests = [
        FigureTest(name, len(old), len(new), (float(np.median(old)), float(np.median(new))), p, p_holm)
        for (name, old, new), p, p_holm in zip(kept, p_values, corrected, strict=False)
    ]
    return tests, corrected[len(tests) :]


def _p(old: Floats, new: Floats, seed: int) -> float:
    """The share of divisions that differ as much."""
    groups = divisions(len(old), len(new), seed=seed)
    both = np.concatenate([old, new])
    own = np.r_[np.ones(len(old)), np.zeros(len(new))][None].astype(np.float32)
    observed = cramer_von_mises(own, both)[0]
    drawn = cramer_von_mises(groups, both)
    return float((1 + (drawn >= observed * (1 - 1e-6)).sum()) / (len(drawn) + 1))


def group_test(reference: Mapping[str, int], people: ArrayLike, seed: int = 0) -> float:
    """The p of two groups of people over named groups (scanners): how far their shares lie apart, by the same divisions.

    Args:
        reference: people by group.
        people: the group of each new person (n,).
        seed: of the divisions.
    """
    names = sorted({*reference, *np.asarray(people, dtype=str).tolist()})
    old = np.repeat(np.arange(len(names)), [reference.get(name, 0) for name in names])
    new = np.array([names.index(one) for one in np.asarray(people, dtype=str).tolist()], dtype=int)
    member = np.eye(len(names), dtype=np.float32)[np.concatenate([old, new])]

    def apart(groups: Floats) -> Floats:
        first = groups @ member / groups.sum(axis=1, keepdims=True)
        second = (1 - groups) @ member / (1 - groups).sum(axis=1, keepdims=True)
        found: Floats = ((first - second) ** 2 / member.mean(axis=0)).sum(axis=1)
        return found

    own = np.r_[np.ones(len(old)), np.zeros(len(new))][None].astype(np.float32)
    drawn = apart(divisions(len(old), len(new), seed=seed))
    return float((1 + (drawn >= apart(own)[0] * (1 - 1e-5)).sum()) / (len(drawn) + 1))


def smallest_found(reference: int, people: int, figures: int, power: float = 0.8) -> float | None:
    """The shift of one normal figure, in standard deviations, that is found with this power; ``None``: no shift could be found.

    Args:
        reference: people of the reference.
        people: new people.
        figures: that are tested together.
        power: wanted.
    """
    from scipy.stats import norm

    level = LEVEL / max(figures, 1)
    if min(reference, people) < FEWEST or level < 1 / (DRAWS + 1):
        return None
    if 2 / math.comb(reference + people, people) > level:
        return None
    reach = float(norm.ppf(1 - level / 2) + norm.ppf(power))
    return reach * math.sqrt((1 / reference + 1 / people) / EFFICIENCY)
