"""What a scan shows, and where its field of view ends: a brain that is cut is not a brain that is short.

A brain ends round, a cut ends flat. Beyond a cut nothing is known, beyond a round end there is nothing; a registration that takes the
one for the other draws what is left over the whole template.
"""

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.resample import isotropic, resample
from voxtune.types.volume import Volume

FLAT = 0.25
"""Area of the last slice over that of the largest from which a scan is cut there (round ends: up to 0.11; a tenth gone: 0.3)."""
END_MM = 2.0
"""Thickness of the last slice."""
AROUND_MM = 32.0
"""Empty space that is known to be empty around a round end."""
ASKEW = 0.35
TILTS = tuple(range(-20, 21, 5))
"""Degrees by which a cut may lean from an axis of the scan, in both directions."""
LEANING_MM = 5.0
"""Thickness of a leaning last slice, more than half a step of ``TILTS`` at the edge of a brain."""
LEANING_POINTS = 6000
DARK, BRIGHTEST = 0.1, 1.2
"""Times the bright tissue: below is nothing; vessels and scalp above must not steer a fit."""


@dataclass(frozen=True)
class Framed:
    """A scan as far as it shows something, bright tissue at 1, and the (axis, low end) where it is cut."""

    volume: Volume
    cuts: tuple[tuple[int, bool], ...]
    _grids: dict[int, Volume] = field(default_factory=dict)

    def on(self, grid: int) -> Volume:
        """The scan with voxels of ``grid`` mm, or its own where they are no smaller."""
        if grid <= min(self.volume.spacing):
            return self.volume
        if grid not in self._grids:
            self._grids[grid] = isotropic(self.volume, float(grid))
        return self._grids[grid]


def framed(scan: Volume, flat: tuple[int, bool] | None = None) -> Framed:
    """The scan without empty borders; round ends get space around them, cuts none.

    Args:
        scan: some voxel above zero.
        flat: an end (axis, low end) that is known to be flat though it may lie a little askew: it loses its thinnest slices.
    """
    high = float(np.percentile(scan.voxels[scan.voxels > 0], 95))
    bright = scan.voxels > DARK * high
    places = np.argwhere(bright)
    low, end = places.min(axis=0), places.max(axis=0) + 1
    if flat is not None:
        axis, at_low = flat
        area = bright.sum(axis=tuple(other for other in range(3) if other != axis))
        broad = np.flatnonzero(area > ASKEW * area.max())
        if at_low:
            low[axis] = broad[0]
        else:
            end[axis] = broad[-1] + 1
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, end, strict=True))
    cuts, around = [], []
    for axis, step in enumerate(scan.spacing):
        area = bright[box].sum(axis=tuple(other for other in range(3) if other != axis))
        thick = max(1, round(END_MM / step))
        ends = [float(part.mean()) > FLAT * float(area.max()) for part in (area[:thick], area[-thick:])]
        cuts += [(axis, side == 0) for side in range(2) if ends[side]]
        around.append([0 if cut else int(np.ceil(AROUND_MM / step)) for cut in ends])
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ (low - np.array(around)[:, 0])
    return Framed(Volume(np.pad(np.clip(scan.voxels[box] / high, 0, BRIGHTEST), around), affine), tuple(cuts))


@functools.lru_cache(maxsize=1)
def _turns() -> NDArray[np.float64]:
    """Turns (T, 3, 3) whose first column is a direction near an end of an axis."""
    from scipy.spatial.transform import Rotation

    lean = Rotation.from_euler("yz", [(a, b) for a in TILTS for b in TILTS], degrees=True).as_matrix()
    ends = [np.roll(np.eye(3), axis, axis=0) for axis in range(3)]
    return np.concatenate([end @ lean @ np.diag([side, side, 1.0]) for end in ends for side in (1.0, -1.0)])


def turned(scan: Volume) -> Framed | None:
    """The scan on a grid turned so that a flat end that leans is straight; ``None`` where no end is flat.

    Args:
        scan: some voxel above zero; axes nearest to R, A, S.
    """
    high = float(np.percentile(scan.voxels[scan.voxels > 0], 95))
    places = np.argwhere(scan.voxels > DARK * high)
    points = places[:: max(1, len(places) // LEANING_POINTS)] @ scan.affine[:3, :3].T
    best, flattest = None, FLAT
    for turn in _turns():
        along = points @ turn[:, 0]
        slices = np.bincount(((along.max() - along) / LEANING_MM).astype(int))
        if slices[0] > flattest * slices.max():
            best, flattest = turn, float(slices[0] / slices.max())
    if best is None:
        return None
    # The turned grid keeps the order of axes, so that its ends are those of the scan.
    order = np.argmax(np.abs(best), axis=1)
    columns = best[:, order] * np.sign(best[np.arange(3), order])
    step = min(scan.spacing)
    own = points @ columns
    low = own.min(axis=0) - step
    shape = np.ceil((own.max(axis=0) - low) / step).astype(int) + 2
    affine = np.eye(4)
    affine[:3, :3] = columns * step
    affine[:3, 3] = columns @ low + scan.affine[:3, 3]
    axis = int(np.argmax(np.abs(best[:, 0])))
    straight = resample(scan, (int(shape[0]), int(shape[1]), int(shape[2])), affine)
    return framed(straight, (axis, bool(best[axis, 0] < 0)))
