"""Tests of two models on the same scans: McNemar, swapping participants, and Holm over many of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, chi2

from voxtune.errors import DataError, SettingError
from voxtune.evaluation.intervals import blocks
from voxtune.evaluation.weighted_metrics import Floats, Integers

EXACT_UP_TO = 12
"""Up to this many participants every swap is tried (4,096 of them)."""


@dataclass(frozen=True)
class McNemar:
    """Discordant pairs, ``b`` (only A right) and ``c`` (only B right), and the two tests of their balance."""

    b: int
    c: int

    @property
    def p_value(self) -> float:
        """Two-sided exact binomial of min(b, c) in b + c at 1/2; 1 when there are none."""
        if self.b + self.c == 0:
            return 1.0
        return float(binomtest(min(self.b, self.c), self.b + self.c, 0.5).pvalue)

    @property
    def chi2_corrected(self) -> float:
        """Continuity-corrected statistic, (abs(b - c) - 1)^2 / (b + c); 0 when there are none."""
        return (abs(self.b - self.c) - 1) ** 2 / (self.b + self.c) if self.b + self.c else 0.0

    @property
    def chi2_corrected_p(self) -> float:
        """Its p with one degree of freedom; 1 when there are no discordant pairs."""
        return float(chi2.sf(self.chi2_corrected, 1))


def mcnemar(label: ArrayLike, prediction_a: ArrayLike, prediction_b: ArrayLike) -> McNemar:
    """McNemar's test of two lists of predictions; it takes the cases as independent, one participant one case."""
    truth = np.asarray(label)
    right_a, right_b = np.asarray(prediction_a) == truth, np.asarray(prediction_b) == truth
    return McNemar(b=int((right_a & ~right_b).sum()), c=int((~right_a & right_b).sum()))


def permutation_p(
    difference: Callable[[Floats], Floats],
    participant: Integers,
    permutations: int = 2000,
    seed: int | np.random.Generator = 0,
) -> float | None:
    """Two-sided p of swapping A and B of whole participants: all scans of one person change sides together.

    Args:
        difference: for weights (R, n) of "keep" (1: the scan keeps its side, 0: swapped) the differences (R,).
        participant: the participant of each scan (n,).
        permutations: how many random swaps where there are more than 12 participants.
        seed: whole number or generator.

    Returns:
        the share of swaps at least as far from 0 (exact), or (1 + count) / (1 + permutations); ``None`` where the
        difference is not defined.

    Raises:
        SettingError: fewer than one permutation.
    """
    if permutations < 1:
        raise SettingError("permutations", "a whole number of at least 1", permutations)
    people = int(participant.max(initial=-1)) + 1
    seen = float(difference(np.ones((1, len(participant))))[0])
    if not np.isfinite(seen):
        return None
    exact = people <= EXACT_UP_TO
    if exact:
        keep = (np.arange(2**people)[:, None] >> np.arange(people)) & 1
    else:
        keep = np.random.default_rng(seed).integers(2, size=(permutations, people))
    swapped = np.concatenate(
        [
            difference(keep[block][:, participant].astype(float))
            for block in blocks(len(keep), 2 * len(participant))
        ]
    )
    # A swap that gives the same number counts, whatever the last bit says; an undefined one cannot be dismissed.
    far = int((~(np.abs(swapped) < abs(seen) - 1e-12)).sum())
    return far / len(keep) if exact else (1 + far) / (1 + len(keep))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm 1979: step-down maximum of (k - rank + 1) p, capped at 1, in the order given.

    Raises:
        DataError: a p outside 0..1 or not a number.
    """
    p = np.asarray(p_values, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError(f"Holm: every p must lie in 0..1, got {list(p_values)}.")
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    adjusted = np.empty(len(p))
    adjusted[order] = stepped
    return [float(value) for value in adjusted]
