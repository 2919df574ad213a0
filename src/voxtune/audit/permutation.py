"""Do features tell the classes? One permutation test for any number of features at once, over participants.

The statistic of a feature is the share of its variance (of ranks) that lies between classes; the largest over all features is set
against the largest under labels that are drawn again for whole participants, so that many features make no false alarm
(Westfall and Young, 'Resampling-based multiple testing', 1993).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 499
MOST_CELLS = 3_000_000
"""Participants times features from which fewer draws are made."""


@dataclass(frozen=True)
class Told:
    """What features tell of the classes."""

    shares: NDArray[np.float64]
    """Share of each feature's variance between classes (M,)."""
    p: NDArray[np.float64]
    """For each feature, the share of draws whose best feature tells as much (M,)."""


def told(features: NDArray[np.float64], labels: NDArray[np.int64], seed: int = 0) -> Told:
    """Test all features together.

    Args:
        features: one row a participant (P, M); ranked here.
        labels: class of each participant (P,).
        seed: of the draws.
    """
    from scipy.stats import rankdata

    if not features.size:
        return Told(np.zeros(features.shape[1]), np.ones(features.shape[1]))
    ranks = np.apply_along_axis(rankdata, 0, features)
    ranks -= ranks.mean(axis=0)
    total = (ranks**2).sum(axis=0)
    ranks = (ranks / np.sqrt(np.where(total > 0, total, 1))).astype(np.float32)
    generator = np.random.default_rng(seed)
    draws = DRAWS if features.size <= MOST_CELLS else 199
    observed = _between(ranks, labels)
    best = np.array([_between(ranks, generator.permutation(labels)).max() for _ in range(draws)])
    reached = (best[:, None] >= observed[None, :] - 1e-6).sum(axis=0)
    return Told(observed, (1 + reached) / (draws + 1))


def _between(ranks: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    members = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    counts = np.maximum(members.sum(axis=0), 1)
    sums = members.T @ ranks
    return np.asarray((sums**2 / counts[:, None]).sum(axis=0), dtype=np.float64)
