"""Whether the sizes in a header are those of its picture: voxels repeat from row to row and from slice to slice.

A file is one long line of numbers, cut into rows and slices by its header alone. Neighbouring rows look alike, so that line
looks most like itself when it is moved by the length of a row, and the line of rows by the number of rows in a slice. Sizes that
are exchanged or mistaken leave their product, and so the length of the file, as it was; where the line repeats they do not fit.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.types.volume import Volume

Array = NDArray[np.float32]

VOXELS, LINES, PARTS = 2**20, 2**16, 16
"""From the middle of the file: how many voxels and rows are looked at, and into how many parts a row is averaged."""
LEAST_LAG, LONGEST_LAG = 8, 4096
ALIKE = 0.3
"""Correlation from which a repeat is one: noise has none."""
CLEARER = 0.02
"""By how much another repeat is clearer than that of the header's size; in nineteen real scans none is, with exchanged sizes 0.1 to 1."""
ROW_SLACK, SLICE_SLACK, LEAN = 2, 3, 12
"""Rows may be sheared by so many voxels; slices by so many rows without a word (a tilted gantry), and by so many as a reason not to pass."""
NEIGHBOURS = 0.2
"""Correlation of voxels beside each other; 0.9 and more in real scans, 0.5 where much noise lies on them."""
SMALLEST = 8
"""Sizes below are not judged."""


def check_grid_sizes(scan: str | Path, volume: Volume) -> tuple[str, ...]:
    """Refuse a picture whose rows or slices have another length than its header says; what is only doubtful comes back as sentences.

    Args:
        scan: names itself in messages.
        volume: voxels in the order of the file: the first axis runs fastest.

    Raises:
        ScanError: it says which length fits.
    """
    columns, rows, slices = volume.shape
    if min(columns, rows) < SMALLEST or slices < 3:
        return ()
    across, down = _shear(volume.affine, 1, 0), _shear(volume.affine, 2, 1)
    alike = _repeats(_middle(volume.voxels, VOXELS)[None])
    if alike[1:3].max() < NEIGHBOURS:
        raise ScanError(
            scan,
            "its neighbouring voxels have nothing in common: it is noise, or its numbers are stored otherwise than its header says",
        )
    found = _clearer(alike, columns, columns + across, ROW_SLACK)
    if found is not None:
        raise ScanError(
            scan,
            f"its rows have {found} voxels, and its header says {columns}: sizes in the header are exchanged or wrong",
        )
    found = _clearer(_repeats(_lines(volume.voxels)), rows, rows + down, SLICE_SLACK)
    if found is None:
        return ()
    if abs(found - rows - down) > LEAN:
        raise ScanError(
            scan,
            f"its slices have {found} rows, and its header says {rows}: sizes in the header are exchanged or wrong",
        )
    return (
        f"each slice is moved by {abs(round(found - rows - down))} rows against the one before: a tilt that its header does not say, or wrong sizes",
    )


def _shear(affine: NDArray[np.float64], of: int, along: int) -> float:
    """By how many voxels along one axis a step along another moves, as the affine has it."""
    step, axis = affine[:3, of], affine[:3, along]
    return float(step @ axis / (axis @ axis))


def _middle(voxels: Array, most: int) -> Array:
    """Whole slices from the middle in the order of the file, at most about so many voxels (flat)."""
    columns, rows, slices = voxels.shape
    count = max(3, min(slices, most // (columns * rows)))
    first = (slices - count) // 2
    return voxels[:, :, first : first + count].ravel(order="F")[: 4 * most]


def _lines(voxels: Array) -> Array:
    """Rows from the middle of the file, each averaged into parts (parts, rows)."""
    columns, rows, slices = voxels.shape
    count = max(3, min(slices, LINES // rows))
    first = (slices - count) // 2
    flat = voxels[:, :, first : first + count].reshape(columns, rows * count, order="F")
    starts = np.unique(np.linspace(0, columns, PARTS, endpoint=False).astype(int))
    sums = np.add.reduceat(flat, starts, axis=0, dtype=np.float64)
    means: Array = (sums / np.diff([*starts, columns])[:, None]).astype(np.float32)
    return means


def _repeats(lines: Array) -> NDArray[np.float64]:
    """Correlation of a line (parts, n) with itself, moved by 0 to n - 1."""
    from scipy import fft

    count = lines.shape[1]
    size = fft.next_fast_len(2 * count, real=True)
    spectrum = fft.rfft(lines - lines.mean(dtype=np.float64), size, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0)
    alike = fft.irfft(power, size)[:count] / (count - np.arange(count))
    return np.asarray(alike / alike[0] if alike[0] > 0 else np.zeros(count), dtype=np.float64)


def _clearer(alike: NDArray[np.float64], size: int, expected: float, slack: int) -> int | None:
    """The lag at which a line repeats more clearly than at the size in the header; ``None`` where that is the clearest."""
    last = min(len(alike) // 2, max(LONGEST_LAG, 3 * size)) - 1
    inner = alike[LEAST_LAG:last]
    if inner.size < 3 or size >= len(alike):
        return None
    tops = LEAST_LAG + 1 + np.flatnonzero((inner[1:-1] >= inner[:-2]) & (inner[1:-1] > inner[2:]))
    # Where slices are nearer to each other than rows, the size of a slice repeats more clearly; it is a multiple.
    tops = tops[np.abs(tops - size * np.round(tops / size)) > slack]
    if not tops.size:
        return None
    best = int(tops[np.argmax(alike[tops])])
    near = alike[max(0, round(expected) - slack) : round(expected) + slack + 1].max(initial=0.0)
    if abs(best - expected) <= slack or alike[best] < ALIKE or alike[best] - near < CLEARER:
        return None
    return best
