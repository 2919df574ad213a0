"""Has the mix of classes changed? An estimate from the answers alone and how often they were wrong on validation, with an interval.

If only the shares of the classes differ and not how each class looks, the answers are a mixture of the rows of the validation table
"class by answer" (Lipton et al. 2018, arXiv 1802.03916, "black box shift estimation"); the shares with the greatest likelihood are found
by expectation maximisation (Saerens et al. 2002). The interval draws both sides: answers of the new people, and the table, by its counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxtune.evaluation.weighted_metrics import Floats

DRAWS = 1000
STEPS = 150
FEWEST = 5
"""Validation participants of each class, and new people, below whom there is no estimate."""
LEAST_TOLD = 0.15
"""Smallest singular value of the table of shares: below it the answers do not tell the classes."""
LEVEL = 0.05


@dataclass(frozen=True)
class ClassMix:
    """Shares of the classes in the validation scans and, estimated, in the new ones."""

    shares: Mapping[str, tuple[float, float, float]]
    """Estimate with the ends of its 95% interval, by class."""
    validation: Mapping[str, float]
    answers: Mapping[str, int]
    """New people by what was said of them."""
    shifted: tuple[str, ...]
    """Classes whose share differs, corrected over the classes."""

    @property
    def sentence(self) -> str:
        """For people."""
        parts = ", ".join(
            f"{name} {share:.0%} ({low:.0%} to {high:.0%}; validation {self.validation[name]:.0%})"
            for name, (share, low, high) in self.shares.items()
        )
        said = (
            f"The mix of classes differs in {', '.join(self.shifted)}"
            if self.shifted
            else "No other mix of classes was found"
        )
        return f"{said}: estimated {parts}."


def class_mix(
    said: ArrayLike, classes: Sequence[str], answers: ArrayLike, seed: int = 0
) -> tuple[ClassMix | None, str]:
    """The estimate, or why there is none.

    Args:
        said: validation participants by true class and answer (k, k).
        classes: names of the k classes.
        answers: new people by answer (k,).
        seed: of the draws.
    """
    table, counts = np.asarray(said, dtype=float), np.asarray(answers, dtype=float)
    if table.shape != (len(classes), len(classes)):
        return None, "the adapter keeps no table of its validation answers"
    rows = table.sum(axis=1)
    if few := [name for name, some in zip(classes, rows.tolist(), strict=True) if some < FEWEST]:
        return None, f"validation had fewer than {FEWEST} participants of {', '.join(few)}"
    if counts.sum() < FEWEST:
        return None, f"there are {counts.sum():.0f} people, {FEWEST} are needed"
    told = float(np.linalg.svd(table / rows[:, None], compute_uv=False)[-1])
    if told < LEAST_TOLD:
        return None, "the answers hardly tell the classes apart, so no mix can be read from them"
    rng = np.random.default_rng(seed)
    tables = np.stack([rng.dirichlet(row + 0.5 / len(classes), DRAWS) for row in table], axis=1)
    new = rng.multinomial(int(counts.sum()), (counts + 0.5 / len(classes)) / (counts.sum() + 0.5), DRAWS)
    drawn = shares(tables, new.astype(float))
    own = shares((table / rows[:, None])[None], counts[None])[0]
    before = rng.dirichlet(rows + 0.5, DRAWS)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    tail = 50 * LEVEL / len(classes)
    lowest, highest = np.percentile(drawn - before, [tail, 100 - tail], axis=0)
    ends = {
        name: (float(own[place]), float(min(low[place], own[place])), float(max(high[place], own[place])))
        for place, name in enumerate(classes)
    }
    shifted = tuple(name for place, name in enumerate(classes) if lowest[place] > 0 or highest[place] < 0)
    validation = dict(zip(classes, (rows / rows.sum()).tolist(), strict=True))
    return ClassMix(
        ends, validation, dict(zip(classes, counts.astype(int).tolist(), strict=True)), shifted
    ), ""


def shares(tables: Floats, counts: NDArray[np.float64]) -> Floats:
    """The shares of the classes with the greatest likelihood (draws, k).

    Args:
        tables: share of each answer given the class (draws, k, k).
        counts: of each answer (draws, k).
    """
    tables = np.maximum(tables, 1e-9)
    found = np.full(counts.shape, 1 / counts.shape[1])
    total = counts.sum(axis=1, keepdims=True)
    for _ in range(STEPS):
        mixed = np.einsum("dy,dya->da", found, tables)
        found = found * np.einsum("dya,da->dy", tables, counts / mixed) / total
    return found
