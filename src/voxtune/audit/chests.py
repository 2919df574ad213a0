"""Pictures of what lies about the lungs: reconstructions of one chest CT are told from other people's chests.

Reconstructions of a scan differ in kernel, slice thickness and field of view. A picture centred on all that is bright moves with the
field of view, and one of the finest structures is gone after a soft kernel. Here the lungs give the frame: the middle between their
sides, and along the body their middle, top or bottom, of which a shorter field of view leaves at least one. Structures of about 3 to 6 mm
are kept and brought to one strength everywhere, so that the border of the lungs, alike in everybody, does not drown the rest.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

GRID_MM = 6.0
GRID = 44
"""Points along each axis: 264 mm."""
FINE, COARSE, LOCAL = 0.5, 1.0, 2.0
"""Widths, in points, of the band that is kept and of the neighbourhood whose strength is brought to one."""
WEAKEST = 0.15
"""Of the usual strength, what is added so that noise in even regions stays small."""
LEAST_LUNGS_MM3 = 3e5
"""Air inside the body below which a picture shows no lungs (a child's at full breath are above)."""
LEAST_PART = 0.15
"""Of the largest piece of air, what a piece has at least that belongs to the lungs."""
ANCHORS: Mapping[str, float] = {"chest middle": 0.5, "chest top": 0.97, "chest bottom": 0.03}
"""Views, and the share of the lungs below the point that is their frame's along the body."""
_AHEAD = 0.2
"""Of the picture, what lies beyond the top or the bottom of the lungs."""

Floats = NDArray[np.float32]


def chest_pictures(voxels: Floats, affine: NDArray[np.float64]) -> dict[str, Floats]:
    """The views of ``ANCHORS``, (GRID, GRID, GRID) each of unit norm; none where no lungs are seen.

    Args:
        voxels: RAS axes, air at or near the lowest value.
        affine: their affine.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    tissue = voxels > _between_air_and_tissue(voxels)
    lungs = _lungs(~tissue)
    if np.count_nonzero(lungs) * float(spacing.prod()) < LEAST_LUNGS_MM3:
        return {}
    along = [lungs.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    middle = [(_place(along[axis], 0.05) + _place(along[axis], 0.95)) / 2 for axis in range(2)]
    smooth = ndimage.gaussian_filter(voxels, 0.45 * GRID_MM / spacing, truncate=3)
    filled = (tissue | lungs).astype(np.float32)
    found = {}
    for name, share in ANCHORS.items():
        centre = np.array([*middle, _place(along[2], share)])
        points = np.stack(np.meshgrid(*_points(share, spacing, centre), indexing="ij")).astype(np.float32)
        seen = ndimage.map_coordinates(smooth, points, order=1)
        inside = ndimage.map_coordinates(filled, points, order=1) > 0.5
        found[name] = _picture(seen, inside)
    return found


def _between_air_and_tissue(voxels: Floats) -> float:
    """The threshold that parts the grey values best (Otsu, IEEE Trans. SMC 9, 1979)."""
    low, high = np.percentile(voxels, [1, 99])
    if high <= low:
        return float(high)
    counts, edges = np.histogram(np.clip(voxels, low, high), 128)
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below[:-1] * above[1:] * (sums[:-1] / below[:-1] - (sums[-1] - sums[:-1]) / above[1:]) ** 2
    return float(edges[1 + int(np.nanargmax(between))])


def _lungs(air: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The large pieces of air that do not reach the sides of the picture."""
    parts, count = ndimage.label(air)
    outside = np.unique(
        np.concatenate(
            [parts[side].ravel() for side in (0, -1)] + [parts[:, side].ravel() for side in (0, -1)]
        )
    )
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[outside] = 0
    sizes[0] = 0
    large = np.flatnonzero(sizes > LEAST_PART * max(1, int(sizes.max())))
    return np.isin(parts, large)


def _place(along: NDArray[np.int64], share: float) -> float:
    """Where that share of the lungs lies below, in voxels, between slices too."""
    reached = np.cumsum(along) / along.sum()
    place = int(np.searchsorted(reached, share))
    before = reached[place - 1] if place else 0.0
    return place - 0.5 + float((share - before) / max(reached[place] - before, 1e-9))


def _points(
    share: float, spacing: NDArray[np.float64], centre: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    steps = np.arange(GRID) * GRID_MM
    offsets = [steps - steps.mean()] * 3
    if share > 0.9:  # downwards from the top
        offsets[2] = _AHEAD * GRID * GRID_MM - steps
    elif share < 0.1:  # upwards from the bottom
        offsets[2] = steps - _AHEAD * GRID * GRID_MM
    return [offsets[axis] / spacing[axis] + centre[axis] for axis in range(3)]


def _picture(seen: Floats, inside: NDArray[np.bool_]) -> Floats:
    weight = inside.astype(np.float32)

    def blurred(values: Floats, width: float) -> Floats:
        below = ndimage.gaussian_filter(weight, width) + 1e-3
        blur: Floats = ndimage.gaussian_filter(values * weight, width) / below
        return blur

    band = np.where(inside, blurred(seen, FINE) - blurred(seen, COARSE), 0)
    usual = float(np.sqrt(np.mean(band[inside] ** 2))) if inside.any() else 0.0
    if usual == 0:
        return np.zeros_like(seen)
    even = np.where(inside, band / (np.sqrt(np.maximum(blurred(band**2, LOCAL), 0)) + WEAKEST * usual), 0)
    even = np.where(inside, even - even[inside].mean(), 0)
    return np.asarray(even / np.linalg.norm(even), dtype=np.float32)
