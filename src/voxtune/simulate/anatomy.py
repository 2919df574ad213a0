"""One brain: regional rates and a smooth random warp bend the labelled template, and volumes are counted in the result."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.template import brain_mask
from voxtune.simulate.atlas import LABELS, MAPS, REGIONS, SIZE, VOXEL_MM3, Atlas, atlas

CONTROL_POINTS = 9
"""Control points of the smooth warp along an axis, one every 24 mm."""
STEPS = 2
"""Midpoint steps of the integration: one folds the walls of large ventricles, two those of the largest."""


@dataclass(frozen=True)
class Shape:
    """What makes one brain's shape, before anything is computed."""

    rates: NDArray[np.float64]
    """Wanted log volume change (len(REGIONS), 2) of the left and right part of each region."""
    warp: NDArray[np.float64]
    """Displacement of the control points (P, P, P, 3) in voxels."""
    pose: NDArray[np.float64]
    """Scanner voxel -> template voxel (3, 4): what an affine registration leaves behind."""
    steps: int = STEPS
    """Of the integration."""

    def plus(self, rates: NDArray[np.float64]) -> Self:
        """The same brain with more change in its regions: (len(REGIONS),) or (len(REGIONS), 2)."""
        return replace(self, rates=self.rates + (rates[:, None] if rates.ndim == 1 else rates))

    def warped(self, warp: NDArray[np.float64]) -> Self:
        """The same brain with another smooth warp (P, P, P, 3) added to its own, in voxels."""
        return replace(self, warp=self.warp + warp)

    def posed(self, pose: NDArray[np.float64]) -> Self:
        """The same brain lying differently."""
        return replace(self, pose=pose)


@dataclass(frozen=True)
class Anatomy:
    """A bent template at the N points of the atlas."""

    maps: NDArray[np.float32]
    """Fractions (N, len(MAPS))."""
    source: NDArray[np.float32]
    """Where in the template each point came from (N, 3), voxels."""

    def map(self, name: str) -> NDArray[np.float32]:
        """One map (N,)."""
        return self.maps[:, MAPS.index(name)]

    def volumes(self) -> dict[str, float]:
        """Volumes in template space, mm^3: ``brain`` and every labelled region, both sides together."""
        total = self.maps.sum(axis=0, dtype=np.float64) * VOXEL_MM3
        return {name: float(total[MAPS.index(name)]) for name in ("brain", *LABELS)}


def random_shape(
    rng: np.random.Generator, rate_sd: NDArray[np.float64], asymmetry: float, warp_mm: float
) -> Shape:
    """A healthy brain: regional rates with these spreads, left-right difference, and a smooth warp.

    Args:
        rng: the participant's stream.
        rate_sd: standard deviation of the log volume of each region (len(REGIONS),).
        asymmetry: standard deviation of half the difference between left and right, log volume.
        warp_mm: standard deviation of the control points, mm.
    """
    both = rng.normal(0.0, rate_sd)
    half = rng.normal(0.0, asymmetry, len(REGIONS))
    warp = rng.normal(0.0, warp_mm * SIZE / 192.0, (CONTROL_POINTS,) * 3 + (3,))
    return Shape(np.stack([both + half, both - half], axis=1), warp, np.eye(3, 4))


def random_pose(rng: np.random.Generator, degrees: float, shift_mm: float) -> NDArray[np.float64]:
    """A small rotation about the middle of the grid and a shift (3, 4): the rest an affine registration leaves."""
    x, y, z = np.radians(rng.normal(0.0, degrees, 3))
    turn = np.array([[1, -z, y], [z, 1, -x], [-y, x, 1]])
    rotation, _ = np.linalg.qr(turn)
    rotation *= np.sign(np.diag(rotation))  # QR leaves the signs of the axes open
    middle = np.full(3, (SIZE - 1) / 2)
    shift = rng.normal(0.0, shift_mm * SIZE / 192.0, 3)
    return np.column_stack([rotation, middle + shift - rotation @ middle])


def build(shape: Shape) -> Anatomy:
    """Bend the template: integrate the velocity backwards for one unit of time (midpoint rule), then look up the maps."""
    base = atlas()
    velocity = np.tensordot(shape.rates.astype(np.float32), base.fields, axes=2).reshape(-1, 3)
    source = _carried(velocity + _spread(shape.warp).reshape(-1, 3), shape.pose, shape.steps)
    return Anatomy(np.asarray(_lookup(source) @ base.maps, dtype=np.float32), source)


def outline(shape: Shape) -> NDArray[np.float32]:
    """What of each point (N,) lies within the skull: it follows the warp and the pose, and no tissue that grows or is lost."""
    source = _carried(_spread(shape.warp).reshape(-1, 3), shape.pose, STEPS)
    return np.asarray(_lookup(source) @ brain_mask(SIZE).reshape(-1).astype(np.float32), dtype=np.float32)


def carried(shape: Shape) -> NDArray[np.float32]:
    """The template's maps (N, len(MAPS)) under the warp and the pose alone, whatever the rates."""
    source = _carried(_spread(shape.warp).reshape(-1, 3), shape.pose, shape.steps)
    return np.asarray(_lookup(source) @ atlas().maps, dtype=np.float32)


def _carried(velocity: NDArray[np.float32], pose: NDArray[np.float64], steps: int) -> NDArray[np.float32]:
    """Where in the template each point comes from (N, 3) after one unit of time with this velocity (M, 3), backwards."""
    source = atlas().points.astype(np.float32)
    if not np.array_equal(pose, np.eye(3, 4)):
        source = (source @ pose[:, :3].T + pose[:, 3]).astype(np.float32)
    step = np.float32(1 / steps)
    for _ in range(steps):
        halfway = source - 0.5 * step * (_lookup(source) @ velocity)
        source = source - step * (_lookup(halfway) @ velocity)
    return source


def sample(anatomy: Anatomy, template_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """A template map (M,) carried along with the anatomy (N,)."""
    return np.asarray(_lookup(anatomy.source) @ template_map.reshape(-1), dtype=np.float32)


def points() -> Atlas:
    """The atlas whose points every anatomy shares."""
    return atlas()


def _lookup(at: NDArray[np.float32]):  # type: ignore[no-untyped-def]  # scipy ships no types
    """Trilinear interpolation at voxel coordinates (N, 3) as a sparse matrix (N, M): one product looks up every map."""
    from scipy.sparse import csr_array

    at = np.clip(at, 0.0, SIZE - 1.001)
    low = at.astype(np.int32)
    part = (at - low).astype(np.float32)
    n = len(at)
    columns = np.empty((n, 8), dtype=np.int32)
    weights = np.empty((n, 8), dtype=np.float32)
    origin = (low[:, 0] * SIZE + low[:, 1]) * SIZE + low[:, 2]
    for corner, (i, j, k) in enumerate(np.ndindex(2, 2, 2)):
        columns[:, corner] = origin + (i * SIZE + j) * SIZE + k
        x, y, z = (part[:, axis] if bit else 1 - part[:, axis] for axis, bit in enumerate((i, j, k)))
        weights[:, corner] = x * y * z
    rows = np.arange(0, 8 * n + 1, 8, dtype=np.int32)
    return csr_array((weights.reshape(-1), columns.reshape(-1), rows), shape=(n, SIZE**3))


def _basis(count: int) -> NDArray[np.float32]:
    """Cubic B-splines (SIZE, count) with knots evenly over the grid and two beyond it."""
    knots = np.linspace(-1, SIZE, count)
    distance = np.abs(np.arange(SIZE)[:, None] - knots[None]) / (knots[1] - knots[0])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def _spread(control: NDArray[np.float64]) -> NDArray[np.float32]:
    """Control points (P, P, P, C) to a smooth field on the grid (SIZE, SIZE, SIZE, C)."""
    basis = _basis(control.shape[0])
    out = control.astype(np.float32)
    for _ in range(3):  # the axis just spread goes last, so three turns bring x, y, z back to the front
        out = np.tensordot(out, basis, axes=(0, 1))
    return np.moveaxis(out, 0, -1)


def smooth_grid(control: NDArray[np.float64]) -> NDArray[np.float32]:
    """Control values (P, P, P) to a smooth field on the grid (SIZE, SIZE, SIZE)."""
    return _spread(control[..., None])[..., 0]


def smooth_field(control: NDArray[np.float64]) -> NDArray[np.float32]:
    """Control values (P, P, P) to a smooth field at the atlas points (N,): bias fields."""
    return smooth_grid(control).reshape(-1)[atlas().flat]
