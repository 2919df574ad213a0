"""Whether slices lie on one scale of brightness: a slope or intercept that is wrong in some of them makes their numbers jump.

From one slice of a body to the next some voxels grow brighter and others darker; where those that hold something in both do the same by
much, the numbers were scaled otherwise.
"""

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.brightness import background
from voxtune.types.volume import Volume

Array = NDArray[np.float32]

SAMPLES = 64
"""About so many voxels of a slice along each edge are looked at."""
FEWEST, LEAST_SHARE = 60, 0.6
"""Voxels that hold something in both of two slices, from which a change tells: so many, and so many of those in the fullest slices."""
FEW = 10.0
"""Percent of them that may change otherwise along an axis that slices are hardly stacked along: a slice there may touch a wall of the
body. Along the other half may, as edges move (7 HU and 0.044 at most in fifteen real scans): in a CT the body's long axis, else the last."""
EMPTY = 0.1
"""Of the brightness of tissue: what is darker is background."""
JUMP = 0.12
"""Of the brightness of tissue."""
LARGE = 6.0
"""Times that: a step by which so little is left of a body below its limits, or so much beyond them, that slices seem fuller than they are."""
BODY, JUMP_HU = -500.0, 40.0
"""Of a CT: what is lighter is air or lung; a change that no neighbouring slices of a body have."""


def slice_levels(volume: Volume) -> tuple[str, ...]:
    """A sentence where the brightness of an MR scan jumps from one slice to the next."""
    level = background(volume.voxels)[0]
    top = float(np.percentile(volume.voxels, 99)) - level
    return _jumps(volume, level + EMPTY * top, JUMP * top, "", through=2)


def slice_hounsfield(volume: Volume) -> tuple[str, ...]:
    """A sentence where the numbers of a CT jump from one slice to the next by more than those of a body do."""
    along_body = int(np.argmax(np.abs(volume.affine[2, :3])))
    return _jumps(volume, BODY, JUMP_HU, " Hounsfield units", through=along_body)


def _jumps(volume: Volume, least: float, most: float, unit: str, through: int) -> tuple[str, ...]:
    found: list[tuple[float, int]] = []
    for axis in range(3):
        changes = steps(volume.voxels, axis, least, stacked=axis == through)
        found = max(
            found, [(by, k) for by, k, full in changes if abs(by) > (1 if full else LARGE) * most], key=len
        )
    if not found:
        return ()
    change, where = max(found, key=lambda one: abs(one[0]))
    return (
        f"its brightness jumps by {abs(change):.4g}{unit} from slice {where} to {where + 1} ({len(found)} such "
        f"step{'s' * (len(found) > 1)}): a slope or intercept may be wrong in some slices",
    )


def steps(voxels: Array, axis: int, least: float, *, stacked: bool) -> list[tuple[float, int, bool]]:
    """By how much the voxels brighter than ``least`` in two neighbouring slices change together, the place of each step, and whether both are full."""
    slices = np.moveaxis(voxels, axis, 0)
    strides = [max(1, size // SAMPLES) for size in slices.shape[1:]]
    some = slices[:, :: strides[0], :: strides[1]]
    filled = some > least
    both = filled[:-1] & filled[1:]
    counts, each = (np.count_nonzero(one, axis=(1, 2)) for one in (both, filled))
    full = counts >= LEAST_SHARE * counts.max(initial=0)
    alike = stacked & (counts >= LEAST_SHARE * np.minimum(each[:-1], each[1:]))
    few = 50.0 if stacked else FEW
    return [
        (_together((some[k + 1] - some[k])[both[k]], few), int(k), bool(full[k]))
        for k in np.flatnonzero((counts >= FEWEST) & (full | alike))
    ]


def _together(changes: Array, few: float) -> float:
    """The least change of all but a few percent, 0 where some grow brighter and others darker."""
    low, high = np.percentile(changes, (few, 100.0 - few))
    return float(max(low, min(high, 0.0)))
