"""Does a heat map find what changed? Only a simulated scan can say: its true atrophy map is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.explanation.region_table import SIZE
from voxtune.imaging.template import brain_mask

CHANGED = 2.0
"""How many times the brain's median change a voxel must have changed to count: the disease also thins the whole brain a little."""
ENOUGH = 0.01
"""The least median change (log volume) of a scan that has anything to find."""


@dataclass(frozen=True)
class Localisation:
    """How one map meets the truth of one scan; chance is 0.5 for ``auc``, ``changed_share`` for the two others."""

    auc: float
    """Probability that a changed voxel is hotter than an unchanged one (ties half)."""
    hit: float
    """Pointing game: 1 where the hottest voxel changed (shared where several are hottest)."""
    heat_share: float
    """The share of the positive heat that lies in changed voxels."""
    changed_share: float
    """The share of the brain that changed."""


def changed_voxels(atrophy: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Where the disease changed a simulated brain (SIZE, SIZE, SIZE), from its log volume change; ``None`` where it hardly did."""
    brain = brain_mask(SIZE)
    size = np.abs(atrophy)
    usual = float(np.median(size[brain]))
    if usual < ENOUGH:
        return None
    return np.asarray(brain & (size > CHANGED * usual), dtype=np.bool_)


def localise(heat: NDArray[np.float32], changed: NDArray[np.bool_]) -> Localisation:
    """How a map (SIZE, SIZE, SIZE) meets the changed voxels inside the brain."""
    from scipy.stats import rankdata

    brain = brain_mask(SIZE)
    values, truth = heat[brain].astype(np.float64), changed[brain]
    hits, rest = int(truth.sum()), int((~truth).sum())
    ranks = rankdata(values)
    auc = (float(ranks[truth].sum()) - hits * (hits + 1) / 2) / (hits * rest)
    hottest = values == values.max()
    positive = np.clip(values, 0, None)
    total = float(positive.sum())
    share = float(positive[truth].sum()) / total if total > 0 else hits / len(truth)
    return Localisation(auc, float(truth[hottest].mean()), share, hits / len(truth))
