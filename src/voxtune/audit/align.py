"""Where a brain lies in the standard space, found fast enough for thousands of scans: whole, in a skull, cropped or halved.

Coarse grids find the outline; then the inside of the brain alone decides, so that a head with its skull and the same brain stripped
end at the same place. Places of the template that lie beyond a cut of the scan are not compared (``voxtune.audit.frame``), and a cut
brain is tried with several shares of it missing.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.frame import DARK, Framed, framed, turned
from voxtune.imaging import register as registration
from voxtune.imaging import template
from voxtune.imaging.register import Level, sample
from voxtune.imaging.resample import isotropic
from voxtune.types.volume import Volume

Matrix = NDArray[np.float64]
OUTLINE = ((8, 8.0, 2, 1), (4, 4.0, 8, 2))
"""Grid (mm), Gaussian (mm), stride between the points that are compared, and the margin (points) around the brain."""
INSIDE = ((4, 3.0, 6), (3, 1.5, 9))
"""Grid, Gaussian and stride for the inside of the brain."""
MISSING = (0.1, 0.25, 0.4)
"""Shares of a brain that are tried as missing beyond a cut."""
FEW_CUTS = 2
"""Cuts that are also tried one by one: more of them are a head or a body."""
WHOLE = 0.65
"""Correlation with the template's inside below which a cut that leans is looked for (brains, whole or cut straight: from 0.65)."""
BRAIN = 0.3
"""Correlation with the template's inside below which a scan is no brain (measured: brains and heads from 0.39)."""
LARGEST = 1.1
"""Size of an outline, times the template, above which it may be a head's (brains, SIMULATED and real: up to 1.0)."""
SKEW = 1.8
"""Longest over shortest stretch of the template above which a scan is no brain (SIMULATED brains: up to 1.1)."""
ENOUGH_MM = 0.2
"""A step that moves the edge of the brain less ends the search; what is left, ``voxtune.audit.displacement`` mends."""
FEWEST_POINTS = 300
BLURRED = 1.5
"""Standard deviations of the smoothing beside a cut within which a smoothed scan is not what it was."""


@dataclass(frozen=True)
class Alignment:
    """Where a scan lies, and how well its inside fits."""

    transform: Matrix
    """Template world to scan world, mm (4, 4)."""
    inside: float
    """Correlation of scan and template inside the brain; negative contrast counts as positive."""
    sign: int = 1
    """-1 where grey and white are exchanged (T2, FLAIR)."""
    cut: bool = False
    """Whether the field of view ends in what the scan shows."""


def align(volume: Volume) -> Alignment | None:
    """The place of a brain, whole or cut; ``None`` where the scan shows no brain.

    Args:
        volume: axes nearest to R, A, S, any grid; background zero or dark.
    """
    if not (volume.voxels > 0).any():
        return None
    fine = volume if min(volume.spacing) >= 2 else isotropic(volume, 2.0)
    shown = framed(fine)
    found = _placed(shown)
    if found.inside < WHOLE and not shown.cuts and (leaning := turned(fine)) is not None:
        found = max(found, _placed(leaning), key=lambda one: one.inside)
    stretch = np.linalg.svd(found.transform[:3, :3], compute_uv=False)
    return found if found.inside >= BRAIN and stretch[0] <= SKEW * stretch[-1] else None


def _placed(shown: Framed) -> Alignment:
    """The place by the outline; where scalp was taken for the brain's edge, also at the template's own size."""
    outline = _outline(shown)
    found = _inside(shown, outline)
    size = float(np.cbrt(abs(np.linalg.det(outline[:3, :3]))))
    if found.inside < WHOLE and size > LARGEST:
        left, _, right = np.linalg.svd(outline[:3, :3])
        smaller = np.eye(4)  # turned alike, its middle in the same place
        smaller[:3, :3] = left @ right
        smaller[:3, 3] = (outline - smaller)[:3, :3] @ registration.CENTRE + outline[:3, 3]
        found = max(found, _inside(shown, smaller), key=lambda one: one.inside)
    return found


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


@dataclass(frozen=True)
class _Stage:
    """One resolution: all points, and how far (voxels) from each face of the scan its smoothing reaches over a cut (3, 2)."""

    level: Level
    reach: NDArray[np.float64]

    def seen(self, transform: Matrix) -> Level | None:
        """The level's points that lie in what is known of the scan; ``None`` where hardly any does."""
        level = self.level
        matrix = level.to_voxel @ transform
        where = matrix[:3, :3] @ level.points.T + matrix[:3, 3:]
        last = np.array(level.scan.shape) - 1 - self.reach[:, 1]
        kept = ((where >= self.reach[:, :1]) & (where <= last[:, None])).all(axis=0)
        if kept.all():
            return level
        if kept.sum() < FEWEST_POINTS:
            return None
        values = level.values[kept] - level.values[kept].mean()
        return replace(level, points=level.points[kept], values=values / np.linalg.norm(values))

    def climbed(self, transform: Matrix, *steps: int, affine: bool) -> tuple[Matrix, float]:
        """The place after some steps, then after some more, each with the points that are seen by then."""
        correlation = 0.0
        for some in steps:
            seen = self.seen(transform)
            if seen is None:
                return transform, 0.0
            transform, correlation = climb(seen, transform, some, ENOUGH_MM, affine=affine)
        return transform, correlation


def _stage(shown: Framed, grid: int, blur: float, stride: int, margin: int) -> _Stage:
    from scipy.ndimage import gaussian_filter

    points, values = _points(grid, blur, stride, margin)
    scan = shown.on(grid)
    smooth = gaussian_filter(scan.voxels, blur / np.array(scan.spacing), truncate=3)
    centred = values - values.mean()
    level = Level(
        points=points,
        values=centred / np.linalg.norm(centred),
        scan=smooth,
        slopes=_slopes(smooth),
        to_voxel=np.asarray(np.linalg.inv(scan.affine), dtype=np.float64),
    )
    reach = np.zeros((3, 2))
    for axis, low in shown.cuts:
        reach[axis, 0 if low else 1] = min(BLURRED * blur / scan.spacing[axis], scan.shape[axis] / 6)
    return _Stage(level, reach)


def _slopes(scan: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    return tuple(np.asarray(slope, dtype=np.float32) for slope in np.gradient(scan))


def climb(
    level: Level, transform: Matrix, steps: int, tolerance: float, *, affine: bool
) -> tuple[Matrix, float]:
    """As ``voxtune.imaging.register.climb``; where the scan has nothing to climb on, the start and a correlation of 0."""
    try:
        return registration.climb(level, transform, steps, tolerance, affine=affine)
    except np.linalg.LinAlgError:
        return transform, 0.0


def _outline(shown: Framed) -> Matrix:
    """Where the outline lies: turned, moved and scaled; of a whole brain also stretched along each axis."""
    coarse, fine = (_stage(shown, *how) for how in OUTLINE)
    tried = [coarse.climbed(start, 4, 4, 4, affine=False) for start in _starts(shown, coarse.level)]
    transform = max(tried, key=lambda one: one[1])[0]
    if not shown.cuts:
        transform, _ = coarse.climbed(transform, 12, affine=True)
    return fine.climbed(transform, 4, 8, affine=not shown.cuts)[0]


def _starts(shown: Framed, level: Level) -> Iterator[Matrix]:
    """The template's centre of mass on the scan's, of the whole brain and without what may be missing beyond the cuts."""
    scan = shown.on(OUTLINE[0][0])
    places = np.argwhere(scan.voxels > DARK)
    centre = scan.affine[:3, :3] @ places.mean(axis=0) + scan.affine[:3, 3]
    brain = level.points[level.values > 0]
    together = [shown.cuts, *([(cut,) for cut in shown.cuts] if 1 < len(shown.cuts) <= FEW_CUTS else [])]
    for share in (0.0, *(MISSING if shown.cuts else ())):
        for cuts in together[: 1 if share == 0 else None]:
            there = np.ones(len(brain), bool)
            for axis, low in cuts:
                along = brain[:, axis] if low else -brain[:, axis]
                there &= along >= np.quantile(along, share)
            start = np.eye(4)
            start[:3, 3] = centre - brain[there].mean(axis=0)
            yield start


def _inside(shown: Framed, transform: Matrix) -> Alignment:
    """Climb on what lies inside the brain alone; an inverted contrast is turned round first."""
    correlation, sign = 0.0, 1
    for number, how in enumerate(INSIDE):
        stage = _stage(shown, *how, 0)
        seen = stage.seen(transform)
        if seen is None:
            return Alignment(transform, 0.0)
        bright = sample(seen, transform)[0]
        # Vessels and scalp must not steer the fit; what inverts T1 (T2, FLAIR's fluid) is turned round.
        high = max(float(np.percentile(bright, 98)) * 1.1, 1e-6)
        sign = -1 if float(seen.values @ (bright - bright.mean())) < 0 else 1
        clipped = np.clip(stage.level.scan, 0, high)
        scan = high - clipped if sign < 0 else clipped
        turned = replace(stage, level=replace(stage.level, scan=scan, slopes=_slopes(scan)))
        if shown.cuts and number == 0:
            transform, _ = turned.climbed(transform, 4, 8, affine=False)
        transform, correlation = turned.climbed(transform, 4, 8, affine=True)
    return Alignment(transform, correlation, sign, cut=bool(shown.cuts))
