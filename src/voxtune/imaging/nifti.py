"""NIfTI-1 and NIfTI-2, plain or gzip, read in slabs: the header is judged first, then bytes stream into float32.

nibabel would allocate what a header asks for and unpack what a gzip holds; both are the sender's choice. Here the size is
known and bounded before the first voxel is read, and no float64 copy of the whole scan is ever made.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.affine import forms, placement
from voxtune.types.volume import Volume

CHUNK = 4 * 2**20
NUMBER_KINDS = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
"""NIfTI data type codes that hold one real number a voxel."""
INTENTS = {
    1001: "an estimate",
    1002: "labels",
    1003: "labels",
    1004: "matrices",
    1005: "matrices",
    1006: "displacements",
    1007: "vectors",
}
STATISTICS = range(2, 25)
"""Intent codes of what is no picture, and of statistics (t, F, z, p ...).
Source: https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/nifti1fields_pages/group__NIFTI1__INTENT__CODES.html."""
HEADER_BYTES = {348: 352, 540: 544}
"""sizeof_hdr -> bytes up to and including the extension flag."""


@dataclass(frozen=True)
class Header:
    """The parts of a NIfTI header that matter here, checked."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    dtype: np.dtype[np.generic]
    offset: int
    slope: float
    intercept: float
    notes: tuple[str, ...] = ()
    most_after: int = limits.MAX_TRAILING_BYTES
    """Bytes that may follow the last voxel."""

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]


class Contents(NamedTuple):
    """What a file holds."""

    volume: Volume
    stored: str
    """Name of the number type in the file."""
    notes: tuple[str, ...] = ()
    """What had to be assumed, for the person who reads the result."""
    modality: str | None = None
    """CT, MR or PT, where the file says so itself."""


def read_nifti(path: Path, orientation: str | None = None) -> Contents:
    """The volume of a NIfTI file; non-finite voxels are left as they are.

    A pair (.hdr beside .img or .img.gz) is read by the name of either half.

    Args:
        path: the file.
        orientation: where the voxel axes point, for a header that does not say or contradicts itself.

    Raises:
        ScanError: the file is not NIfTI, is cut short, asks for more than ``limits`` allow, or does not say where left is.
    """
    head, data = nifti_files(path)
    pair = head != data
    with head.open("rb") as file:
        stream = byte_stream(path, file)
        header = _header(path, stream, orientation, pair=pair)
        if not pair:
            return contents(path, header, stream)
    with data.open("rb") as file:
        return contents(path, header, byte_stream(path, file), data)


def nifti_files(path: Path) -> tuple[Path, Path]:
    """The files that hold header and voxels: the same one, or the two halves of a pair.

    Raises:
        ScanError: the other half of a pair is not there.
    """
    name = path.name.lower()
    if not name.endswith((".hdr", ".img", ".img.gz")):
        return path, path
    stem = path.name[: name.rindex(".hdr" if name.endswith(".hdr") else ".img")]
    head = path.with_name(stem + ".hdr")
    data = next(
        (path.with_name(stem + end) for end in (".img", ".img.gz") if path.with_name(stem + end).is_file()),
        None,
    )
    if data is None or not head.is_file():
        raise ScanError(path, "the other half of this .hdr/.img pair is not beside it")
    return head, data


def byte_stream(path: Path, file: BinaryIO) -> "Stream":
    """The bytes of an open file, unpacked where it is a gzip."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return Stream(path, _unpacked(path, file) if packed else _pieces(file), packed=packed)


def contents(path: Path, header: Header, stream: "Stream", data: Path | None = None) -> Contents:
    """The voxels that a header describes, from a stream that has not passed them.

    Args:
        path: names the scan in messages.
        header: what the file says of itself.
        stream: its bytes.
        data: the file that they come from, where that is not ``path``.

    Raises:
        ScanError: the file is cut short, damaged or a zip bomb.
    """
    size = (data or path).stat().st_size
    wanted = header.offset + header.voxels * header.dtype.itemsize
    if stream.packed and wanted > limits.BIG_BYTES and wanted > limits.MAX_RATIO * size:
        raise ScanError(
            path,
            f"the header asks for {wanted / 2**20:.0f} MB out of {size / 2**10:.0f} kB packed, more than {limits.MAX_RATIO} times; it looks like a zip bomb",
        )
    if not stream.packed and wanted > size:
        raise ScanError(
            path, f"the file is cut short: the header asks for {wanted} bytes, the file has {size}"
        )
    stream.skip(header.offset - stream.position)
    voxels = _voxels(header, stream)
    stream.finish(header.most_after)
    return Contents(
        Volume(voxels.reshape(header.shape, order="F"), header.affine), header.dtype.name, header.notes
    )


class Stream:
    """Bytes in order, with a sentence when they end too soon."""

    def __init__(self, path: Path, pieces: Iterator[bytes], *, packed: bool) -> None:
        self.path = path
        self.packed = packed
        self.pieces = pieces
        self.rest = b""
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        parts, missing = [], count
        while missing > 0:
            if not self.rest:
                self.rest = next(self.pieces, b"")
                if not self.rest:
                    raise ScanError(
                        self.path,
                        "the file is cut short: it ends before the last voxel",
                        "Copy or download it again.",
                    )
            part, self.rest = self.rest[:missing], self.rest[missing:]
            parts.append(part)
            missing -= len(part)
        self.position += count
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes."""
        while count > 0:
            count -= len(self.take(min(count, CHUNK)))

    def finish(self, most: int) -> None:
        """Read to the end (gzip checks its checksum there); a long tail is refused."""
        tail = len(self.rest)
        for piece in self.pieces:
            tail += len(piece)
            if tail > most:
                break
        if tail > most:
            raise ScanError(
                self.path,
                f"the file holds more than {most // 1024} kB beyond the voxels that its header describes: "
                "its sizes, number type or first byte are not those of its voxels",
            )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


def _unpacked(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """The unpacked bytes of a gzip, at most ``CHUNK`` at a time whatever it holds."""
    with gzip.GzipFile(fileobj=file) as unpacked:
        while True:
            try:
                piece = unpacked.read(CHUNK)
            except EOFError as error:
                raise ScanError(path, "the gzip is cut short", "Copy or download it again.") from error
            except (zlib.error, gzip.BadGzipFile, OSError) as error:
                raise ScanError(
                    path, f"the gzip is damaged ({error})", "Copy or download it again."
                ) from error
            if not piece:
                return
            yield piece


def _header(path: Path, stream: Stream, orientation: str | None, *, pair: bool) -> Header:
    import nibabel
    from nibabel.spatialimages import HeaderDataError

    start = stream.take(4)
    sizes = {order: int.from_bytes(start, order) for order in ("little", "big")}
    known = [(order, size) for order, size in sizes.items() if size in HEADER_BYTES]
    if not known:
        raise ScanError(
            path,
            "this is not a NIfTI file (its first four bytes are not a NIfTI header size)",
            "Give a .nii or .nii.gz, a DICOM folder or a zip of one.",
        )
    order, size = known[0]
    block = start + stream.take(size - 4)
    kind = nibabel.Nifti1Header if size == 348 else nibabel.Nifti2Header
    try:
        raw = kind(block, endianness="<" if order == "little" else ">", check=False)
        return _checked(path, raw, orientation, least_offset=0 if pair else HEADER_BYTES[size])
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise ScanError(path, f"the NIfTI header is damaged ({error})") from error


def _checked(path: Path, raw, orientation: str | None, least_offset: int) -> Header:  # type: ignore[no-untyped-def]  # no types
    magic = bytes(raw["magic"].tobytes())[:3]
    if magic not in ({b"n+1", b"n+2"} if least_offset else {b"ni1", b"ni2"}):
        raise ScanError(
            path,
            "this is not NIfTI (its magic is missing); an Analyze file does not say where left is",
            "Convert it to .nii.gz with a tool that knows the study's orientation.",
        )
    shape = checked_shape(path, [int(n) for n in raw["dim"]])
    code = int(raw["datatype"])
    if code not in NUMBER_KINDS:
        raise ScanError(
            path,
            f"data type {code} is not one real number a voxel (RGB, complex and long double are not read)",
        )
    dtype = np.dtype(NUMBER_KINDS[code]).newbyteorder(raw.endianness)
    offset = float(raw["vox_offset"])
    # Some writers leave 0, which means 'right after the header'.
    if not np.isfinite(offset) or not (offset == 0 or max(least_offset - 4, 0) <= offset <= limits.BIG_BYTES):
        raise ScanError(path, f"the voxels are said to begin at byte {offset:g}")
    placed = placement(path, forms(raw), shape, orientation)
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        slope, intercept = 1.0, 0.0
    if not np.isfinite(intercept):
        raise ScanError(
            path, f"its header scales voxels by {slope:g} and adds {intercept:g} (scl_slope, scl_inter)"
        )
    return Header(
        shape=shape,
        affine=placed.affine,
        notes=(*placed.notes, *_intent(int(raw["intent_code"]))),
        dtype=dtype,
        offset=int(offset) or least_offset,
        slope=slope,
        intercept=intercept,
        most_after=limits.MAX_TRAILING_NIFTI_BYTES,
    )


def _intent(code: int) -> tuple[str, ...]:
    said = INTENTS.get(code) or ("a statistic" if code in STATISTICS else None)
    return (
        () if said is None else (f"its header says that it holds {said} (intent code {code}), not a picture",)
    )


def checked_shape(path: Path, dim: list[int]) -> tuple[int, int, int]:
    """The three sizes of ``dim`` (number of axes, then their sizes).

    Raises:
        ScanError: it is no single 3D volume, or larger than the limits.
    """
    axes = dim[0]
    if not 1 <= axes <= 7 or min(dim[1 : axes + 1]) < 1:
        raise ScanError(path, f"the header gives impossible dimensions {dim}")
    sizes = dim[1 : axes + 1]
    if axes > 3 and max(sizes[3:]) > 1:
        raise ScanError(
            path,
            f"this is a {axes}D image with {int(np.prod(sizes[3:], dtype=object))} volumes; one 3D volume is needed",
            "Extract the one you want.",
        )
    if axes < 3 or min(sizes[:3]) < 2:
        raise ScanError(
            path, f"this is a 2D image ({' x '.join(map(str, sizes[:3]))}); a 3D volume is needed"
        )
    i, j, k = sizes[:3]
    if max(i, j, k) > limits.MAX_AXIS or i * j * k > limits.MAX_VOXELS:
        raise ScanError(path, f"{i} x {j} x {k} voxels are more than the limit of {limits.MAX_VOXELS:,}")
    return i, j, k


def _voxels(header: Header, stream: Stream) -> NDArray[np.float32]:
    """The voxels as float32, scaled slab by slab in float64 (flat, first axis fastest)."""
    out = np.empty(header.voxels, dtype=np.float32)
    at_once = CHUNK // header.dtype.itemsize
    scaled = (header.slope, header.intercept) != (1.0, 0.0)
    for start in range(0, header.voxels, at_once):
        count = min(at_once, header.voxels - start)
        slab = np.frombuffer(stream.take(count * header.dtype.itemsize), dtype=header.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            out[start : start + count] = slab * header.slope + header.intercept if scaled else slab
    return out
