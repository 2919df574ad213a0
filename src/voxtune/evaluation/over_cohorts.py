"""Comparisons over cohorts: each cohort gives one difference between two methods on the same scans, and other cohorts are what could change it.

The interval is Student's t over the cohorts' differences, the p that of flipping their signs (exact up to twelve cohorts). What such a
comparison could have seen is said beside it: the smallest true difference that it finds four times in five.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

from voxtune.evaluation.paired import holm, permutation_p
from voxtune.evaluation.weighted_metrics import Floats

LEVEL = 0.05
"""Of p after Holm, below which a comparison is decided."""
POWER = 0.8
PERMUTATIONS = 20_000
"""Random flips of signs where there are more than twelve cohorts."""
GRID = 2000
"""Quantiles of the spread that the power is averaged over."""
Verdict = Literal["higher", "lower", "not decided", "not compared"]


@dataclass(frozen=True)
class OverCohorts:
    """Some values, one a cohort: their mean, its t interval and their standard deviation."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    cohorts: int


@dataclass(frozen=True)
class Comparison:
    """A method minus another over cohorts."""

    difference: OverCohorts
    p: float | None
    """Two-sided, of flipping signs; ``None`` with fewer than two cohorts."""
    p_holm: float | None = None
    detectable: float | None = None
    """Smallest true difference that is decided in four of five such series of cohorts, at the level of Holm's first step."""

    @property
    def verdict(self) -> Verdict:
        """Whether the first is decided to be higher or lower."""
        if self.p_holm is None:
            return "not compared"
        if self.p_holm >= LEVEL:
            return "not decided"
        return "higher" if self.difference.mean > 0 else "lower"


def over_cohorts(values: Sequence[float]) -> OverCohorts:
    """The mean of one value a cohort with its 95% t interval; of one cohort the value alone.

    Args:
        values: one a cohort, at least one.
    """
    known = np.asarray(values, dtype=float)
    mean = float(known.mean())
    if len(known) < 2:
        return OverCohorts(mean, None, None, None, len(known))
    sd = float(known.std(ddof=1))
    half = float(t.ppf(1 - LEVEL / 2, len(known) - 1)) * sd / float(np.sqrt(len(known)))
    return OverCohorts(mean, sd, mean - half, mean + half, len(known))


def compare_over_cohorts(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Two methods on the same cohorts, before Holm.

    Args:
        first: a value a cohort.
        second: of the other method, in the same order.
    """
    differences: Floats = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    found = over_cohorts(differences.tolist())
    if found.cohorts < 2:
        return Comparison(found, None)

    def flipped(keep: Floats) -> Floats:
        return np.asarray((2 * keep - 1) @ differences / len(differences))

    return Comparison(found, permutation_p(flipped, np.arange(len(differences)), PERMUTATIONS))


def family(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons that are judged together: p after Holm, and what each could have found at the level of its first step."""
    known = [place for place, one in enumerate(comparisons) if one.p is not None]
    corrected = dict(zip(known, holm([comparisons[place].p or 0.0 for place in known]), strict=True))
    level = LEVEL / max(1, len(known))
    return [
        replace(one, p_holm=corrected[place], detectable=detectable(one.difference, level))
        if place in corrected
        else one
        for place, one in enumerate(comparisons)
    ]


def detectable(seen: OverCohorts, level: float = LEVEL) -> float | None:
    """The true difference that a two-sided t test at this level finds with 80%, at the spread and number of cohorts seen.

    Args:
        seen: the differences; ``None`` comes back where they show no spread.
        level: of the test.
    """
    if not seen.sd:
        return None
    freedom = seen.cohorts - 1
    critical = float(t.ppf(1 - level / 2, freedom))
    # The spread that is seen varies too: a sample of what it may be, in place of the noncentral t, which SciPy does not give far out.
    bars = critical * np.sqrt(chi2.ppf((np.arange(GRID) + 0.5) / GRID, freedom) / freedom)

    def short_of(away: float) -> float:
        """Power minus what is wanted, of a mean that lies so many standard errors from 0."""
        return float((norm.sf(bars - away) + norm.cdf(-bars - away)).mean()) - POWER

    return float(brentq(short_of, 0.0, float(bars[-1]) + 10.0)) * seen.sd / float(np.sqrt(seen.cohorts))


def fewest_cohorts(comparisons: int) -> int:
    """How many cohorts the flipping of signs needs before any of so many comparisons can be decided after Holm."""
    count = 2
    while 2.0 ** (1 - count) * comparisons >= LEVEL:
        count += 1
    return count
