"""Where a brain lies in the standard space, found fast enough for thousands of scans: whole, in a skull, cropped or halved.

The registration of ``voxtune.imaging.register`` on coarse grids finds the outline; then the inside of the brain alone decides,
so that a head with its skull and the same brain stripped end at the same place. A scan that does not fit as a whole is tried
as a part of a brain: a hemisphere, or a field of view that ends inside it.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging import register as registration
from voxtune.imaging import template
from voxtune.imaging.register import Level, Register, register, sample
from voxtune.imaging.resample import isotropic
from voxtune.types.volume import Volume

Matrix = NDArray[np.float64]
OUTLINE = Register(grids_mm=(8, 4), blurs_mm=(8.0, 4.0), start_degrees=(0,), steps=15, tolerance_mm=0.2)
STAGES = ((4, 3.0, 3), (3, 1.5, 5))
"""Grid (mm), Gaussian (mm) and stride between the points of the inside of the brain that are compared."""
WHOLE = 0.6
"""Correlation with the template's inside from which nothing else is tried (stripped whole brains: 0.70 and above)."""
OUTLINE_FITS = 0.85
"""Correlation with the template's outline from which no part is tried (heads in their skulls 0.85 and above, halves and crops 0.80)."""
NO_PART = 0.7
"""Correlation with the template's outline below which no part is tried either (chests up to 0.62); it costs as much as all the rest."""
BRAIN = 0.3
"""Correlation with the template's inside below which a scan is no brain (measured: brains and heads from 0.39)."""
SKEW = 1.8
"""Longest over shortest stretch of the template above which a scan is no brain (SIMULATED brains: up to 1.1)."""
PARTS = ((0, 0.5), (0, 0.2), (1, 0.2), (2, 0.2))
"""Axis of the template and share of the brain that may be missing at either of its ends."""
TRIED = 3
"""Places as a part of a brain that are looked at closely."""
ENOUGH_MM = 0.2
"""A step that moves the edge of the brain less ends the search; what is left, ``voxtune.audit.displacement`` mends."""
FEWEST_POINTS = 500


@dataclass(frozen=True)
class Alignment:
    """Where a scan lies, and how well its inside fits."""

    transform: Matrix
    """Template world to scan world, mm (4, 4)."""
    inside: float
    """Correlation of scan and template inside the brain; negative contrast counts as positive."""
    sign: int = 1
    """-1 where grey and white are exchanged (T2, FLAIR)."""


def align(volume: Volume) -> Alignment | None:
    """The best of the whole and, where that fits badly, of parts; ``None`` where the scan shows no brain.

    Args:
        volume: any grid; background zero or dark.
    """
    if not (volume.voxels > 0).any():
        return None
    fine = volume if min(volume.spacing) >= 2 else isotropic(volume, 2.0)
    outline = register(fine, OUTLINE)
    found = _inside(fine, outline.transform)
    if found.inside < WHOLE and NO_PART <= outline.correlation < OUTLINE_FITS:
        boxed = _boxed(fine)
        found = max((found, *(_inside(boxed, start) for start in _parts(boxed))), key=lambda one: one.inside)
    stretch = np.linalg.svd(found.transform[:3, :3], compute_uv=False)
    return found if found.inside >= BRAIN and stretch[0] <= SKEW * stretch[-1] else None


@functools.lru_cache(maxsize=8)
def _points(grid: int, blur: float, stride: int, margin: int) -> tuple[Matrix, NDArray[np.float64]]:
    """Points of the template's brain (N, 3), shrunk by one voxel or widened by ``margin``, and its values there (N)."""
    from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

    size = round(template.FIELD_OF_VIEW_MM / grid)
    brain = template.brain_mask(size)
    near = binary_dilation(brain, iterations=margin) if margin else binary_erosion(brain)
    still = gaussian_filter(template.template(size).voxels, blur / grid)
    affine = template.field_of_view(size)
    places = np.argwhere(near)[::stride]
    return places @ affine[:3, :3].T + affine[:3, 3], still[tuple(places.T)].astype(np.float64)


def _level(scan: Volume, blur: float, points: Matrix, values: NDArray[np.float64]) -> Level:
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(scan.voxels, blur / np.array(scan.spacing))
    centred = values - values.mean()
    return Level(
        points=points,
        values=centred / np.linalg.norm(centred),
        scan=smooth,
        slopes=tuple(np.asarray(slope, dtype=np.float32) for slope in np.gradient(smooth)),
        to_voxel=np.asarray(np.linalg.inv(scan.affine), dtype=np.float64),
    )


def _seen(level: Level, transform: Matrix) -> Level | None:
    """The level's points that lie in the scan's box; ``None`` where hardly any does."""
    matrix = level.to_voxel @ transform
    where = matrix[:3, :3] @ level.points.T + matrix[:3, 3:]
    kept = ((where >= 0) & (where <= np.array(level.scan.shape)[:, None] - 1)).all(axis=0)
    if kept.all():
        return level
    if kept.sum() < FEWEST_POINTS:
        return None
    values = level.values[kept] - level.values[kept].mean()
    return replace(level, points=level.points[kept], values=values / np.linalg.norm(values))


def _inside(fine: Volume, transform: Matrix) -> Alignment:
    """Climb on what lies inside the brain alone; an inverted contrast is turned round first."""
    correlation, sign = 0.0, 1
    for grid, blur, stride in STAGES:
        points, values = _points(grid, blur, stride, 0)
        level = _level(
            isotropic(fine, float(grid)) if grid > min(fine.spacing) else fine, blur, points, values
        )
        seen = _seen(level, transform)
        if seen is None:
            return Alignment(transform, 0.0)
        bright = sample(seen, transform)[0]
        # Vessels and scalp must not steer the fit; what inverts T1 (T2, FLAIR's fluid) is turned round.
        high = max(float(np.percentile(bright, 98)) * 1.1, 1e-6)
        sign = -1 if float(seen.values @ (bright - bright.mean())) < 0 else 1
        clipped = np.clip(level.scan, 0, high)
        scan = high - clipped if sign < 0 else clipped
        slopes = tuple(np.asarray(slope, dtype=np.float32) for slope in np.gradient(scan))
        for steps in (4, 8):
            seen = _seen(replace(level, scan=scan, slopes=slopes), transform)
            if seen is None:
                return Alignment(transform, 0.0)
            transform, correlation = climb(seen, transform, steps, ENOUGH_MM, affine=True)
    return Alignment(transform, correlation, sign)


def climb(
    level: Level, transform: Matrix, steps: int, tolerance: float, *, affine: bool
) -> tuple[Matrix, float]:
    """As ``voxtune.imaging.register.climb``; where the scan has nothing to climb on, the start and a correlation of 0."""
    try:
        return registration.climb(level, transform, steps, tolerance, affine=affine)
    except np.linalg.LinAlgError:
        return transform, 0.0


def _boxed(fine: Volume) -> Volume:
    """The scan cut to what is not empty: what lies outside was not seen, and is not compared."""
    high = float(np.percentile(fine.voxels[fine.voxels > 0], 95))
    places = np.argwhere(fine.voxels > 0.1 * high)
    if not len(places):
        return fine
    low, end = places.min(axis=0), places.max(axis=0) + 1
    affine = fine.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low
    cut = fine.voxels[tuple(slice(int(a), int(b)) for a, b in zip(low, end, strict=True))]
    return Volume(np.ascontiguousarray(np.clip(cut / high, 0, 1.2)), affine)


def _parts(boxed: Volume) -> Iterator[Matrix]:
    """The best places of the scan as a part of a brain."""
    coarse = isotropic(boxed, 8.0) if min(boxed.spacing) < 8 else boxed
    points, values = _points(8, 8.0, 1, 1)
    whole = _level(coarse, 8.0, points, values)
    weight = coarse.voxels > 0.1
    if weight.sum() < 20:
        return
    centre = coarse.affine[:3, :3] @ np.argwhere(weight).mean(axis=0) + coarse.affine[:3, 3]
    tried = []
    for axis, missing in PARTS:
        for low in (True, False):
            border = np.quantile(points[:, axis], missing if low else 1 - missing)
            part = _part(whole, points[:, axis] >= border if low else points[:, axis] <= border)
            start = np.eye(4)
            start[:3, 3] = centre - part.points[part.values > 0].mean(axis=0)
            tried.append(climb(part, start, 12, 0.5, affine=False))
    for transform, _ in sorted(tried, key=lambda one: -one[1])[:TRIED]:
        yield transform


def _part(level: Level, kept: NDArray[np.bool_]) -> Level:
    values = level.values[kept] - level.values[kept].mean()
    return replace(level, points=level.points[kept], values=values / np.linalg.norm(values))
