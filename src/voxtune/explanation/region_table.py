"""How the heat of a map divides over the regions of the atlas, against what the same map gives when it is put elsewhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.explanation.regions import Atlas, brain_atlas
from voxtune.imaging.resample import resample
from voxtune.imaging.template import brain_mask, field_of_view
from voxtune.types.volume import Volume

SIZE = 64
"""Voxels along the cube on which shares are counted (3 mm)."""
DRAWS = 1000


@dataclass(frozen=True)
class RegionShare:
    """The share of the (positive) heat inside the brain that one region holds."""

    label: int
    region: str
    share: float
    volume_share: float
    """The share an even map would give it."""
    null_low: float
    null_high: float
    """The middle 95% of its shares when the map is shifted and mirrored at random."""
    p: float
    """One-sided: how often the moved map gives it at least as much."""
    q: float
    """``p`` after Benjamini and Hochberg over all regions."""


def on_cube(heat: Volume) -> NDArray[np.float32]:
    """Heat in template space on the cube of the table (SIZE, SIZE, SIZE)."""
    grid = field_of_view(SIZE)
    if heat.shape == (SIZE,) * 3 and np.allclose(heat.affine, grid, atol=1e-3):
        return heat.voxels
    return resample(heat, (SIZE, SIZE, SIZE), grid).voxels


def region_table(whole: Volume, seed: int, draws: int = DRAWS) -> list[RegionShare]:
    """Every region's share of the heat, with its null distribution, the largest share first.

    The null keeps the map's own smoothness: it is mirrored along random axes and shifted around the cube, then cut to the
    brain again. A region that is large or in the middle gains as much by chance as it does there.

    Args:
        whole: a map in template space before it is cut to the brain; its positive part counts.
        seed: of the draws.
        draws: of the null.
    """
    atlas, brain = brain_atlas(SIZE), brain_mask(SIZE)
    heat = np.clip(on_cube(whole), 0, None)
    ids = np.array(list(atlas.names))
    x, y, z = np.nonzero(brain)
    labels = atlas.labels[brain].astype(np.int64)
    flat = heat.ravel().astype(np.float64)
    along = np.tile(np.arange(SIZE), (3, 1))

    def shares(moved: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of heat found at ``moved[axis, i]`` for the voxel at i: a table for each axis is quicker than every voxel by itself."""
        values = flat[(moved[0] * SIZE**2)[x] + (moved[1] * SIZE)[y] + moved[2][z]]
        total = values.sum()
        counted = np.bincount(labels, weights=values, minlength=int(ids.max()) + 1)[ids]
        return np.asarray(counted / total if total > 0 else np.zeros(len(ids)), dtype=np.float64)

    rng = np.random.default_rng(seed)
    observed = shares(along)
    null = np.empty((draws, len(ids)))
    for draw in range(draws):
        mirrored = np.where(rng.random((3, 1)) < 0.5, SIZE - 1 - along, along)
        null[draw] = shares((mirrored + rng.integers(0, SIZE, (3, 1))) % SIZE)
    p = (1 + (null >= observed - 1e-12).sum(axis=0)) / (1 + draws)
    q = benjamini_hochberg(p)
    low, high = np.percentile(null, [2.5, 97.5], axis=0)
    volume = np.bincount(labels, minlength=int(ids.max()) + 1)[ids] / len(labels)
    order = np.lexsort((ids, -observed))
    return [
        RegionShare(
            int(ids[i]), atlas.names[int(ids[i])], float(observed[i]), float(volume[i]), float(low[i]), float(high[i]),
            float(p[i]), float(q[i]),
        )
        for i in order
    ]  # fmt: skip


def share_in(heat: NDArray[np.float32], labels: tuple[int, ...], atlas: Atlas | None = None) -> float:
    """The share of the positive heat inside the brain (on the cube) that lies in some labels; NaN without heat."""
    found, brain = (atlas or brain_atlas(SIZE)).labels, brain_mask(SIZE)
    positive = np.clip(heat, 0, None) * brain
    total = float(positive.sum())
    return float(positive[np.isin(found, labels)].sum()) / total if total > 0 else float("nan")


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values adjusted so that calling those below q false discoveries are at most a share q."""
    order = np.argsort(p)
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.minimum.accumulate(ranked[::-1])[::-1]
    out = np.empty_like(p)
    out[order] = np.minimum(adjusted, 1.0)
    return out
