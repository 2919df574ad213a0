"""Whether slices lie on one scale of brightness: a slope or intercept that is wrong in some of them makes their numbers jump.

A body changes little from one slice to the next, so what differs between two neighbouring slices is small for most of their voxels. Each
step is measured by a median over the voxels that hold something in both, which edges and vessels do not move.
"""

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.brightness import background
from voxtune.imaging.wrapped import own_range
from voxtune.types.volume import Volume

Array = NDArray[np.float32]

SAMPLES = 64
"""About so many voxels of a slice along each edge are looked at."""
FEWEST, LEAST_SHARE = 60, 0.3
"""Voxels that hold something in both of two slices, from which a median tells: so many, and so many of those in the fullest slices."""
EMPTY = 0.1
"""Of the range of brightness: what is darker is background."""
JUMP = 0.2
"""Of the range of brightness."""
BODY, JUMP_HU = -500.0, 40.0
"""Of a CT: what is lighter is air or lung; a change that no neighbouring slices of a body have."""


def slice_levels(volume: Volume) -> tuple[str, ...]:
    """A sentence where the brightness of an MR scan jumps from one slice to the next."""
    low, high = own_range(volume.voxels)
    level = background(volume.voxels)[0]
    top = float(np.percentile(volume.voxels, 99)) if high > low else high
    return _jumps(volume, level + EMPTY * (top - level), JUMP * (top - level), "")


def slice_hounsfield(volume: Volume) -> tuple[str, ...]:
    """A sentence where the numbers of a CT jump from one slice to the next by more than a body has."""
    return _jumps(volume, BODY, JUMP_HU, " Hounsfield units")


def _jumps(volume: Volume, least: float, most: float, unit: str) -> tuple[str, ...]:
    found: list[tuple[float, int]] = []
    for axis in range(3):
        found = max(found, [one for one in steps(volume.voxels, axis, least) if abs(one[0]) > most], key=len)
    if not found:
        return ()
    change, where = max(found, key=lambda one: abs(one[0]))
    return (
        f"its brightness jumps by {abs(change):.4g}{unit} from slice {where} to {where + 1} ({len(found)} such "
        f"step{'s' * (len(found) > 1)}): a slope or intercept may be wrong in some slices",
    )


def steps(voxels: Array, axis: int, least: float) -> list[tuple[float, int]]:
    """The median change from each slice to the next, over what is brighter than ``least`` in one of them and both its sides."""
    slices = np.moveaxis(voxels, axis, 0)
    strides = [max(1, size // SAMPLES) for size in slices.shape[1:]]
    some = slices[:, :: strides[0], :: strides[1]]
    filled = some > least
    both = filled[:-1] & filled[1:]
    counts = np.count_nonzero(both, axis=(1, 2))
    enough = np.flatnonzero(counts >= max(FEWEST, LEAST_SHARE * counts.max(initial=0)))
    return [(float(np.median((some[k + 1] - some[k])[both[k]])), int(k)) for k in enough]
