"""The numbers of frames: decoded, scaled frame by frame with their own slope and intercept, and put on an even upright grid.

Plain and run-length data are read by pydicom, which is Python and checks lengths. JPEG in all its kinds goes to GDCM, C++, in
a process of its own with limits on time and memory (``gdcm.py``).
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging.dicom.cut import PIXELS
from voxtune.imaging.dicom.frames import Frame
from voxtune.imaging.dicom.headers import read_header
from voxtune.imaging.dicom.stack import Stack

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RLE = "1.2.840.10008.1.2.5"


def volume_of(stack: Stack, called: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Voxels (column, row, slice), float32, on an even upright grid, and its affine to LPS, mm.

    Raises:
        ScanError: a frame cannot be decoded, or contradicts its header.
    """
    first = stack.frames[0]
    out = np.empty((first.columns, first.rows, len(stack.frames)), dtype=np.float32)
    places = {(frame.file, frame.index): k for k, frame in enumerate(stack.frames)}
    padding: list[tuple[float, float] | None] = [None] * len(stack.frames)
    for frame, stored in stored_values(stack.frames, called):
        k = places[frame.file, frame.index]
        out[:, :, k] = (stored * frame.slope + frame.intercept).T
        if frame.padding is not None:
            ends = sorted(float(np.float32(one * frame.slope + frame.intercept)) for one in frame.padding)
            padding[k] = (ends[0], ends[1])
    _unpad(out, padding)
    affine = stack.affine.copy()
    if stack.tilt:
        out, corner = _upright(out, stack)
        affine[:3, 3] += affine[:3, :2] @ corner
    return (out if stack.even else _evenly(out, stack)), affine


def _unpad(voxels: NDArray[np.float32], padding: Sequence[tuple[float, float] | None]) -> None:
    """Padding that lies outside the picture's own numbers becomes the darkest of them, in place."""
    if all(ends is None for ends in padding):
        return
    inside = [
        voxels[:, :, k][(voxels[:, :, k] < ends[0]) | (voxels[:, :, k] > ends[1])]
        if ends is not None
        else voxels[:, :, k]
        for k, ends in enumerate(padding)
    ]
    filled = [part for part in inside if part.size]
    if not filled:
        return
    low, high = min(float(part.min()) for part in filled), max(float(part.max()) for part in filled)
    for k, ends in enumerate(padding):
        if ends is not None and (ends[1] < low or ends[0] > high):
            voxels[:, :, k][(voxels[:, :, k] >= ends[0]) & (voxels[:, :, k] <= ends[1])] = low


def inverted(voxels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brightness turned over, within the same range: MONOCHROME1 shows small numbers white."""
    turned: NDArray[np.float32] = voxels.max() + voxels.min() - voxels
    return turned


def identical(frames: Sequence[Frame], called: Path) -> bool:
    """Whether frames hold the same numbers, scaled alike."""
    if len({(one.slope, one.intercept, one.rows, one.columns) for one in frames}) > 1:
        return False
    (_, first), *rest = stored_values(frames, called)
    return all(np.array_equal(first, other) for _, other in rest)


def stored_values(frames: Sequence[Frame], called: Path) -> Iterator[tuple[Frame, NDArray[np.float64]]]:
    """Each frame with its numbers as stored (row, column), file by file."""
    files: dict[Path, list[Frame]] = {}
    for frame in frames:
        files.setdefault(frame.file, []).append(frame)
    packed: list[tuple[Frame, Dataset]] = []
    for file, mine in files.items():
        header = read_header(file, called, pixels=True)
        if not any(name in header for name in PIXELS):
            raise ScanError(called, "a slice of it has no pixel data")
        syntax = header.file_meta.TransferSyntaxUID
        if syntax.is_encapsulated and str(syntax) != RLE:
            packed += [(frame, header) for frame in mine]
            continue
        if not syntax.is_encapsulated:
            _refuse_more(header, called)
        for frame in mine:
            yield frame, _decoded(header, frame, called)
    if packed:
        from voxtune.imaging.dicom.gdcm import decoded

        for (frame, header), values in zip(packed, decoded(packed, called), strict=True):
            yield frame, _meant(values, header, called)


def _refuse_more(header: "Dataset", called: Path) -> None:
    """Refuse pixel data that hold whole frames more than the header describes: one of the two is wrong."""
    frame = (
        int(header.Rows)
        * int(header.Columns)
        * int(header.get("SamplesPerPixel", 1))
        * int(header.BitsAllocated)
        // 8
    )
    count = int(header.get("NumberOfFrames", None) or 1)
    name = next(name for name in PIXELS if name in header)
    if frame and len(header[name].value or b"") >= (count + 1) * frame:
        raise ScanError(
            called,
            f"a DICOM file in it says {count} frame{'s' * (count > 1)} and holds more pixels than that",
        )


def _decoded(header: "Dataset", frame: Frame, called: Path) -> NDArray[np.float64]:
    from pydicom.pixels.utils import pixel_array

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plugin = "pydicom" if str(header.file_meta.TransferSyntaxUID) == RLE else ""
        try:
            values = pixel_array(
                header, index=frame.index, raw=True, decoding_plugin=plugin, correct_unused_bits=False
            )
        except Exception as error:
            raise ScanError(
                called,
                f"the pixel data of a slice are damaged or end too soon ({type(error).__name__})",
                "Copy it again.",
            ) from error
    if values.shape != (frame.rows, frame.columns):
        raise ScanError(
            called, f"a slice of it decodes to {values.shape}, its header says {frame.rows} x {frame.columns}"
        )
    return _meant(values, header, called)


def _meant(values: NDArray[Any], header: "Dataset", called: Path) -> NDArray[np.float64]:
    """Stored numbers by their bits: a sign inside fewer bits than are allocated, and what else stands beside them."""
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    bits, allocated = int(header.BitsStored), int(header.BitsAllocated)
    low = int(header.get("HighBit", bits - 1)) + 1 - bits
    signed = int(header.PixelRepresentation) == 1
    if not 1 <= bits <= allocated or not 0 <= low <= allocated - bits:
        raise ScanError(called, f"a slice of it stores {bits} bits in {allocated}, which makes no sense")
    if bits == allocated:
        return values.astype(np.float64)
    whole = values.astype(np.int64)
    found = (whole >> low) & ((1 << bits) - 1)
    if signed:
        found = np.where(found >= 1 << (bits - 1), found - (1 << bits), found)
    beside = whole != (found << low)
    if signed:
        beside &= whole != ((found & ((1 << bits) - 1)) << low)
    if beside.any() and not _overlay_inside(header):
        raise ScanError(called, f"a slice of it says {bits} bits and holds larger numbers")
    return found.astype(np.float64)


def _overlay_inside(header: "Dataset") -> bool:
    """Whether graphics are drawn in the unused bits of the pixels, as older scanners did."""
    return any(
        (0x6000 + 2 * n, 0x0102) in header and int(header[0x6000 + 2 * n, 0x0102].value or 0)
        for n in range(16)
    )


# ------------------------------------------------------------------------------------------- grid
def _upright(voxels: NDArray[np.float32], stack: Stack) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Every slice moved in its plane to where it lies, on a grid wide enough for all, filled with the darkest number.

    With it the grid's first corner, in columns and rows from that of the first slice.
    """
    from scipy import ndimage

    low, high = np.floor(stack.aside.min(axis=0)).astype(int), np.ceil(stack.aside.max(axis=0)).astype(int)
    columns, rows, slices = voxels.shape
    darkest = float(voxels.min())
    out = np.empty((columns + high[0] - low[0], rows + high[1] - low[1], slices), dtype=np.float32)
    wide = np.empty(out.shape[:2], dtype=np.float32)
    for k in range(slices):
        wide.fill(darkest)
        wide[:columns, :rows] = voxels[:, :, k]
        out[:, :, k] = ndimage.shift(wide, stack.aside[k] - low, order=1, mode="constant", cval=darkest)
    return out, low


def _evenly(voxels: NDArray[np.float32], stack: Stack) -> NDArray[np.float32]:
    """Slices at even steps between the true ones, linearly."""
    wanted = np.linspace(0, stack.along[-1], stack.count)
    below = np.clip(np.searchsorted(stack.along, wanted, side="right") - 1, 0, len(stack.along) - 2)
    part = ((wanted - stack.along[below]) / np.diff(stack.along)[below]).astype(np.float32)
    out: NDArray[np.float32] = voxels[:, :, below] * (1 - part) + voxels[:, :, below + 1] * part
    return out
