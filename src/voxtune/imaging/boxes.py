"""The box around what is not zero: outside it there is nothing to compute."""

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def box_of(voxels: NDArray[np.generic], margin: tuple[int, int, int] = (0, 0, 0)) -> Box | None:
    """The smallest box that holds every voxel that is not zero, grown by ``margin`` voxels to both sides of each axis.

    Args:
        voxels: (X, Y, Z).
        margin: how many voxels to add along each axis; the box ends where the volume does.

    Returns:
        Slices into ``voxels``; ``None`` where all is zero.
    """
    some = voxels.astype(bool, copy=False)
    plane = some.any(axis=2)  # (X, Y)
    sides = (np.any(plane, axis=1), np.any(plane, axis=0), np.any(some, axis=(0, 1)))
    if not sides[0].any():
        return None
    found = []
    for side, grown in zip(sides, margin, strict=True):
        first, last = np.flatnonzero(side)[[0, -1]]
        found.append(slice(max(0, int(first) - grown), int(last) + 1 + grown))
    return found[0], found[1], found[2]


def filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask (X, Y, Z) with its holes filled: background that no path through faces joins to the border of the volume."""
    from scipy.ndimage import binary_fill_holes

    out = np.zeros_like(mask)
    box = box_of(mask)
    if box is not None:
        # Whatever leaves the box is outside: beyond it there is background up to the border.
        out[box] = binary_fill_holes(mask[box])
    return out


Extent = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""First index and number of voxels along each axis; both may lie outside a volume."""


def take_box(voxels: NDArray[np.float32], extent: Extent) -> NDArray[np.float32]:
    """The voxels of a box, zero where it reaches out of the volume."""
    out = np.zeros([count for _, count in extent], dtype=np.float32)
    inside, there = _overlap(voxels.shape, extent)
    out[there] = voxels[inside]
    return out


def put_box(part: NDArray[np.float32], extent: Extent, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A box back in a volume of this shape, zero elsewhere: what ``take_box`` took."""
    out = np.zeros(shape, dtype=np.float32)
    inside, there = _overlap(shape, extent)
    out[inside] = part[there]
    return out


def _overlap(shape: tuple[int, ...], extent: Extent) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What box and volume share, as slices of the volume and of the box."""
    inside, there = [], []
    for size, (first, count) in zip(shape, extent, strict=True):
        start, stop = max(first, 0), min(first + count, size)
        inside.append(slice(start, stop))
        there.append(slice(start - first, stop - first))
    return tuple(inside), tuple(there)
