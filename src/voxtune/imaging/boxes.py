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
