"""Affine registration of a brain to ICBM 2009a: the enhanced correlation coefficient, coarse to fine.

Each step solves for the affine change that maximises the correlation between template and scan, linearised in the scan
(forward compositional). The correlation does not care about brightness and contrast, and its maximum is found with a dozen
Gauss-Newton steps instead of hundreds of evaluations of mutual information. Points lie in the template's brain and a
margin around it, where template and stripped scan are zero, so the outline counts as well as the inside.

Source: Evangelidis and Psarakis, 'Parametric image alignment using enhanced correlation coefficient maximization',
IEEE PAMI 30 (2008).
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging import template
from voxtune.imaging.resample import isotropic
from voxtune.types.settings import Settings
from voxtune.types.volume import Volume

Matrix = NDArray[np.float64]
CENTRE = np.asarray(template.CENTRE_MM)
BRAIN_RADIUS_MM = 70.0
"""Turns a change of angle or scale into millimetres at the brain's edge."""


class Register(Settings):
    """Affine registration, coarse to fine."""

    grids_mm: tuple[int, ...] = (8, 4, 2)
    blurs_mm: tuple[float, ...] = (8.0, 4.0, 0.0)
    """Gaussian standard deviation at each grid."""
    margin_mm: float = 8.0
    """How far around the template's brain the two images are compared."""
    start_degrees: tuple[int, ...] = (-30, 0, 30)
    """Turns about each axis that are tried first, all combinations."""
    steps: int = 30
    """Most Gauss-Newton steps at each grid."""
    tolerance_mm: float = 0.02
    """A step that moves the brain's edge less ends the search."""


@dataclass(frozen=True)
class Registration:
    """Where a scan lies in template space."""

    transform: Matrix
    """Template world to scan world, mm (4, 4)."""
    correlation: float
    """With the template at the finest grid, brain and margin."""


def register(brain: Volume, settings: Register) -> Registration:
    """The affine that lays the template over a skull-stripped brain (zero outside the brain).

    Args:
        brain: stripped, any grid and orientation of axes.
        settings: grids and tolerances.
    """
    fine = isotropic(brain, float(settings.grids_mm[-1]))
    # Vessels and scalp remnants are brighter than any tissue of the template and would steer the fit.
    bright = np.percentile(fine.voxels[fine.voxels > 0], 95)
    fine = fine.with_voxels(np.clip(fine.voxels / bright, 0.0, 1.2).astype(np.float32))
    levels = [
        _level(fine, grid, blur, settings.margin_mm)
        for grid, blur in zip(settings.grids_mm, settings.blurs_mm, strict=True)
    ]
    transform, correlation = _start(levels[0], fine, settings), 0.0
    for level in levels:
        transform, correlation = climb(level, transform, settings.steps, settings.tolerance_mm, affine=True)
    return Registration(transform, correlation)


@dataclass(frozen=True)
class Level:
    """One resolution: template values at points, the scan and its gradient."""

    points: Matrix
    """World of the template, mm (N, 3)."""
    values: NDArray[np.float64]
    """Template at the points, mean removed, length 1 (N)."""
    scan: NDArray[np.float32]
    slopes: tuple[NDArray[np.float32], ...]
    """Differences of the scan along its voxel axes."""
    to_voxel: Matrix


def _level(fine: Volume, grid: int, blur: float, margin: float) -> Level:
    from scipy.ndimage import binary_dilation, gaussian_filter

    size = round(template.FIELD_OF_VIEW_MM / grid)
    near = binary_dilation(template.brain_mask(size), iterations=max(1, round(margin / grid)))
    affine = template.field_of_view(size)
    coarse = isotropic(fine, float(grid)) if grid > fine.spacing[0] else fine
    still, scan = template.template(size).voxels, coarse.voxels
    if blur > 0:
        still, scan = gaussian_filter(still, blur / grid), gaussian_filter(scan, blur / grid)
    values = still[near].astype(np.float64)
    values -= values.mean()
    slopes = tuple(np.asarray(slope, dtype=np.float32) for slope in np.gradient(scan))
    return Level(
        points=np.argwhere(near) @ affine[:3, :3].T + affine[:3, 3],
        values=values / np.linalg.norm(values),
        scan=scan,
        slopes=slopes,
        to_voxel=np.asarray(np.linalg.inv(coarse.affine), dtype=np.float64),
    )


def _start(level: Level, fine: Volume, settings: Register) -> Matrix:
    """The best of a few turns about the centre of mass, each climbed a little with rotation, shift and one scale."""
    from scipy.spatial.transform import Rotation

    weight = fine.voxels > 0.1
    centre_scan = fine.affine[:3, :3] @ np.argwhere(weight).mean(axis=0) + fine.affine[:3, 3]
    mass = level.points[level.values > 0].mean(axis=0)
    best, best_correlation = np.eye(4), -np.inf
    for turn in itertools.product(settings.start_degrees, repeat=3):
        first = np.eye(4)
        first[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
        first[:3, 3] = centre_scan - first[:3, :3] @ mass
        transform, correlation = climb(level, first, 8, 0.5, affine=False)
        if correlation > best_correlation:
            best, best_correlation = transform, correlation
    return best


def climb(
    level: Level, transform: Matrix, steps: int, tolerance: float, *, affine: bool
) -> tuple[Matrix, float]:
    """Gauss-Newton steps until one moves less than ``tolerance`` mm; the best transform met and its correlation."""
    best, best_correlation = transform, -np.inf
    for _ in range(steps):
        values, slopes = sample(level, transform)
        centred = values - values.mean()
        correlation = float(level.values @ centred / max(float(np.linalg.norm(centred)), 1e-12))
        if correlation > best_correlation:
            best, best_correlation = transform, correlation
        change = _step(level, centred, _jacobian(level, slopes, affine=affine))
        moved = float(np.linalg.norm(change[:3]) + BRAIN_RADIUS_MM * np.linalg.norm(change[3:]))
        if moved > 150.0 or moved < tolerance:
            break
        transform = transform @ _matrix(change, affine=affine)
    return best, best_correlation


def sample(level: Level, transform: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scan at the moved points (N,) and its slope against a shift in template space (N, 3)."""
    from scipy.ndimage import map_coordinates

    matrix = level.to_voxel @ transform
    where = matrix[:3, :3] @ level.points.T + matrix[:3, 3:]
    values = map_coordinates(level.scan, where, order=1, output=np.float64)
    slopes = np.stack([map_coordinates(s, where, order=1, output=np.float64) for s in level.slopes], axis=1)
    return values, np.asarray(slopes @ matrix[:3, :3], dtype=np.float64)


def _jacobian(level: Level, slopes: NDArray[np.float64], *, affine: bool) -> NDArray[np.float64]:
    """Change of each sample with each parameter, mean removed: shift and matrix (N, 12), or shift, turn, scale (N, 7)."""
    from_centre = level.points - CENTRE
    if affine:
        rest = [slopes * from_centre[:, [axis]] for axis in range(3)]
    else:
        rest = [np.cross(from_centre, slopes), (slopes * from_centre).sum(axis=1, keepdims=True)]
    jacobian: NDArray[np.float64] = np.concatenate([slopes, *rest], axis=1)
    jacobian -= jacobian.mean(axis=0)
    return jacobian


def _step(level: Level, centred: NDArray[np.float64], jacobian: NDArray[np.float64]) -> NDArray[np.float64]:
    """The parameters' change that maximises the linearised correlation (Evangelidis and Psarakis, eq. 17-20)."""
    scale = np.abs(jacobian).max(axis=0) + 1e-12
    scaled = jacobian / scale
    hessian = scaled.T @ scaled
    hessian += np.eye(len(hessian)) * 1e-6 * np.trace(hessian) / len(hessian)
    on_scan, on_template = scaled.T @ centred, scaled.T @ level.values
    solved = np.linalg.solve(hessian, on_scan)
    denominator = float(level.values @ centred - on_template @ solved)
    numerator = float(centred @ centred - on_scan @ solved)
    if denominator > 0:
        gain = numerator / denominator
    else:
        gain = float(
            np.sqrt(
                (on_scan @ solved) / max(float(on_template @ np.linalg.solve(hessian, on_template)), 1e-12)
            )
        )
    return np.asarray(np.linalg.solve(hessian, gain * on_template - on_scan) / scale)


def _matrix(change: NDArray[np.float64], *, affine: bool) -> Matrix:
    """The 4x4 matrix of a change about the centre of the template."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    if affine:
        matrix[:3, :3] += change[3:].reshape(3, 3).T
    else:
        matrix[:3, :3] = Rotation.from_rotvec(change[3:6]).as_matrix() * np.exp(np.clip(change[6], -0.2, 0.2))
    matrix[:3, 3] = change[:3] + CENTRE - matrix[:3, :3] @ CENTRE
    return matrix
