"""Axis order: which way the voxel axes point, and volumes turned so without touching a value."""

import numpy as np
from numpy.typing import NDArray

from voxtune.types.volume import Volume

WORLD = ("LR", "PA", "IS")
"""Letters for the negative and positive end of each world axis (RAS+)."""


def axis_codes(affine: NDArray[np.float64]) -> str:
    """Where each voxel axis points, as letters: ``RAS`` means right, anterior, superior."""
    return "".join(WORLD[axis][int(sign > 0)] for axis, sign in _closest(affine))


def orient(volume: Volume, axes: str = "RAS") -> Volume:
    """The volume with its axes permuted and flipped so that they point as ``axes`` says; voxel values stay as they are.

    Args:
        volume: any axis order, oblique or not.
        axes: three letters, one of R/L, A/P and S/I each, in any order.
    """
    closest = _closest(volume.affine)
    order, flips = [], []
    for letter in axes:
        world = next(i for i, ends in enumerate(WORLD) if letter in ends)
        source = next(i for i, (axis, _) in enumerate(closest) if axis == world)
        order.append(source)
        flips.append((closest[source][1] > 0) != (letter == WORLD[world][1]))
    affine = volume.affine.copy()
    affine[:, :3] = volume.affine[:, order]
    voxels = volume.voxels.transpose(order)
    for axis, flip in enumerate(flips):
        if flip:
            voxels = np.flip(voxels, axis)
            affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(voxels), affine)


def _closest(affine: NDArray[np.float64]) -> list[tuple[int, float]]:
    """For each voxel axis the world axis it follows most closely, each world axis once, and its sign."""
    from nibabel.orientations import io_orientation

    return [(int(axis), float(sign)) for axis, sign in io_orientation(affine)]
