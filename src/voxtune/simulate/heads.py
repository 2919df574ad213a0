"""Raw heads for the preprocessing path: a simulated brain at full resolution in a skull, as a scanner would give it.

The brain is the 1 mm template bent by the participant's own deformation; around it lie fluid, skull with marrow, scalp,
and a muscular base towards the neck, all drawn from the distance to the brain. Then bias field, noise, a rotated head,
voxels longer along one axis, and any axis order.
"""

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.blas import one_blas_thread
from voxtune.imaging.template import FIELD_OF_VIEW_MM, field_of_view
from voxtune.simulate.anatomy import Anatomy, smooth_grid
from voxtune.simulate.atlas import SIZE, VOXEL_MM3, atlas, full_template
from voxtune.types.volume import Volume

EXTENT_MM = np.array([190.0, 230.0, 220.0])
"""Field of view of the head, native mm."""
FLUID, BONE, MARROW, SCALP, MUSCLE = 0.18, 0.06, 0.35, 0.85, 0.4
"""T1 brightness of what is not brain, white matter being about 0.9."""


@one_blas_thread()
def raw_head(anatomy: Anatomy, head_scale: float, rng: np.random.Generator) -> Volume:
    """A raw T1 head around the brain of ``anatomy`` (built without a pose).

    Args:
        anatomy: the brain in template space.
        head_scale: native volume over volume in template space.
        rng: pose, thickness, bias, noise and storage.
    """
    from scipy.ndimage import map_coordinates

    voxel_mm = np.array([1.3, 1.3, 1.3])
    voxel_mm[int(rng.integers(3))] = rng.uniform(1.3, 2.4)  # one axis is coarser
    shape = np.ceil(EXTENT_MM / voxel_mm).astype(int)
    native = np.diag([*voxel_mm, 1.0])
    native[:3, 3] = -(shape - 1) / 2 * voxel_mm + rng.uniform(-4, 4, 3)

    # native voxel -> native mm -> (turned, scaled) template mm -> grid voxel
    to_template = np.eye(4)
    to_template[:3, :3] = _rotation(np.radians(rng.normal(0, 6, 3))) / head_scale ** (1 / 3)
    to_template[:3, 3] = field_of_view(SIZE)[:3] @ np.array([31.5, 31.5, 29.0, 1.0])
    matrix = np.linalg.inv(atlas().affine) @ to_template @ native
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij"))
    at = np.tensordot(matrix[:3, :3].astype(np.float32), grid, axes=1) + matrix[
        :3, 3, None, None, None
    ].astype(np.float32)

    near = np.clip(at, 0, SIZE - 1)
    beyond = np.sqrt(((at - near) ** 2).sum(axis=0)) * np.float32(VOXEL_MM3 ** (1 / 3))
    distance = map_coordinates(_distance(anatomy), near, order=1) + beyond
    tissue = _around(distance, at, rng)
    inside = distance < 2.0
    source = _source(anatomy, at[:, inside])
    template, template_affine = full_template()
    fine = np.linalg.inv(template_affine) @ atlas().affine
    where = fine[:3, :3] @ source + fine[:3, 3, None]
    brain = map_coordinates(template, where, order=1, output=np.float32, mode="constant")
    tissue[inside] = np.maximum(brain, np.where(brain < 0.1, tissue[inside], 0))

    bias = map_coordinates(smooth_grid(rng.normal(0, 1, (5, 5, 5))), near, order=1, output=np.float32)
    tissue = tissue * np.exp(0.15 * bias / (bias.std() + 1e-6))
    sd = np.float32(rng.uniform(0.015, 0.035))
    real, imaginary = sd * rng.standard_normal((2, *tissue.shape), dtype=np.float32)
    voxels = np.hypot(tissue + real, imaginary) * np.float32(rng.uniform(300, 1200))
    return _stored(voxels.astype(np.float32), native, rng)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z = angles
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _distance(anatomy: Anatomy) -> NDArray[np.float32]:
    """Signed distance to the brain's surface on the grid, mm: negative inside."""
    from scipy.ndimage import binary_closing, binary_fill_holes, distance_transform_edt, gaussian_filter

    brain = atlas().volume(anatomy.map("t1")).voxels > 0.12
    solid = binary_fill_holes(binary_closing(brain, iterations=2))
    step = VOXEL_MM3 ** (1 / 3)
    outside = distance_transform_edt(~solid) - distance_transform_edt(solid)
    return np.asarray(gaussian_filter(outside * step, 1.0), dtype=np.float32)


def _around(
    distance: NDArray[np.float32], at: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Brightness of what surrounds the brain, from the distance to it (mm) and the place (grid voxels)."""
    from scipy.ndimage import map_coordinates

    fluid, skull, scalp = rng.uniform(1.5, 3.0), rng.uniform(5, 8), rng.uniform(4, 7)
    ends = np.cumsum([fluid, skull * 0.35, skull * 0.3, skull * 0.35, scalp])
    layers = np.array([FLUID, BONE, MARROW, BONE, SCALP, 0.0], dtype=np.float32)
    tissue = layers[np.searchsorted(ends, distance)]
    # Below the brain: muscle and fat down to the edge of the field of view, within an oval neck and jaw.
    x, y, z = ((at[axis] - SIZE / 2) * (FIELD_OF_VIEW_MM / SIZE) for axis in range(3))
    oval = (x / 68) ** 2 + ((y - 8) / 88) ** 2
    base = (z < -32) & (oval < 1) & (distance > ends[0] + skull)
    controls = rng.uniform(0.4, 1.6, (12, 12, 12)).astype(np.float32)
    tissue[base] = MUSCLE * map_coordinates(
        controls, at[:, base] * (11 / (SIZE - 1)), order=1, mode="nearest"
    )
    rim = (z < -32) & (oval >= 0.9) & (oval < 1) & (distance > ends[0] + skull)
    tissue[rim] = SCALP
    return tissue


def _source(anatomy: Anatomy, at: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where in the template (grid voxels, (3, n)) the places ``at`` (grid voxels, (3, n)) came from."""
    from scipy.ndimage import map_coordinates

    base = atlas()
    out = np.empty_like(at)
    for axis in range(3):
        moved = base.volume(anatomy.source[:, axis] - base.points[:, axis]).voxels
        out[axis] = at[axis] + map_coordinates(moved, at, order=1, mode="nearest", output=np.float32)
    return out


def _stored(voxels: NDArray[np.float32], affine: NDArray[np.float64], rng: np.random.Generator) -> Volume:
    """The same head with its axes in another order and direction; the affine says which."""
    order = tuple(int(axis) for axis in rng.permutation(3))
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    out = np.transpose(voxels, order)
    for new, old in enumerate(order):
        sign = int(rng.choice([-1, 1]))
        turn[old, new] = sign
        if sign < 0:
            out = np.flip(out, axis=new)
            turn[old, 3] = voxels.shape[old] - 1
    return Volume(np.ascontiguousarray(out), affine @ turn)
