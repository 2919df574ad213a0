"""What a file is that holds no scan as it stands: a packed or foreign form, named by its first bytes, so that a person knows what to do.

Source of the marks: https://www.iana.org/assignments/media-types and the formats' own specifications.
"""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from voxtune.errors import ScanError
from voxtune.storage.zips import open_zip

START = 512
"""Bytes that tell a kind: a tar says so at its 257th."""
MOST_MEMBERS = 200
"""Members of an archive that are looked at."""
UNPACK = "Unpack it first; a DICOM series is given as its folder or a zip of it."
FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x05\x06", "this zip is empty", "Copy or download it again."),
    (b"BZh", "this is packed with bzip2, which is not read", UNPACK),
    (b"\xfd7zXZ", "this is packed with xz, which is not read", UNPACK),
    (b"\x28\xb5\x2f\xfd", "this is packed with Zstandard, which is not read", UNPACK),
    (b"7z\xbc\xaf", "this is a 7-Zip archive, which is not read", UNPACK),
    (b"Rar!", "this is a RAR archive, which is not read", UNPACK),
    (b"\x89HDF", "this is HDF5 (MINC 2?), which is not read", "Convert it to NIfTI."),
    (b"CDF", "this is netCDF (MINC 1?), which is not read", "Convert it to NIfTI."),
    (b"\x89PNG", "this is not a NIfTI file: it is a PNG picture", ""),
    (b"\xff\xd8\xff", "this is not a NIfTI file: it is a JPEG picture", ""),
    (b"%PDF", "this is not a NIfTI file: it is a PDF", ""),
    (
        b"<!DOCTYPE",
        "this is not a NIfTI file: it is a web page, so the download went wrong",
        "Download it again.",
    ),
    (
        b"<html",
        "this is not a NIfTI file: it is a web page, so the download went wrong",
        "Download it again.",
    ),
    (
        b"version https://git-lfs",
        "its content is not here (a Git LFS pointer)",
        "Get it with 'git lfs pull'.",
    ),
    (
        b"/annex/objects",
        "its content is not here (a DataLad or git-annex pointer)",
        "Get it with 'datalad get' or 'git annex get'.",
    ),
)
"""First bytes, what they are of, and what to do."""

TEXT_HEADERS = (b"NRRD", b"ObjectType", b"NDims", b"Comment")
"""First words of a .nrrd and of a .mha."""


def looks_like_dicom(start: bytes) -> bool:
    """Whether the first 132 bytes of a file are those of DICOM, with or without the preamble."""
    if start[128:132] == b"DICM":
        return True
    # A bare data set starts with group 0002 or 0008, element below 0x0020, and then a value representation or a length.
    if len(start) < 16 or start[:2] not in (b"\x02\x00", b"\x08\x00") or start[3] != 0 or start[2] > 0x20:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return explicit or int.from_bytes(start[4:8], "little") < 256


def refuse_foreign(path: Path) -> None:
    """Refuse a file whose first bytes are those of a packed DICOM file, an archive, a picture, a page or a pointer.

    Raises:
        ScanError: it says which.
    """
    with path.open("rb") as file:
        start = file.read(START)
    inside = _unpacked_start(path) if start[:2] == b"\x1f\x8b" else start
    if inside is not start and looks_like_dicom(inside):
        raise ScanError(path, "this is a DICOM file packed with gzip, which is not read", UNPACK)
    if inside is not start and inside[:2] == b"\x1f\x8b":
        raise ScanError(path, "it is packed with gzip twice", "Unpack it once.")
    if inside is not start and inside.lstrip().startswith(TEXT_HEADERS):
        raise ScanError(
            path, "this is a .nrrd or .mha file packed with gzip, which is not read", "Unpack it first."
        )
    if inside[257:262] == b"ustar":
        raise ScanError(path, "this is a tar archive, which is not read", UNPACK)
    for mark, what, todo in FOREIGN:
        if start.lstrip().startswith(mark):
            raise ScanError(path, what, todo)


def holds_dicom(file: Path) -> bool:
    """Whether a file is DICOM packed with gzip, or a zip or tar with DICOM files in it."""
    try:
        with file.open("rb") as opened:
            start = opened.read(START)
        if start[:4] == b"PK\x03\x04":
            return any(map(looks_like_dicom, _in_zip(file)))
        inside = _unpacked_start(file)
        if inside[257:262] == b"ustar":
            return any(map(looks_like_dicom, _in_tar(file)))
        return inside != start and looks_like_dicom(inside)
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        zlib.error,
        lzma.LZMAError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ):
        return False


def _unpacked_start(file: Path) -> bytes:
    for opener in (gzip.open, bz2.open, lzma.open):
        try:
            with opener(file) as unpacked:
                return bytes(unpacked.read(START))
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            continue
    with file.open("rb") as plain:
        return plain.read(START)


def _in_zip(file: Path) -> Iterator[bytes]:
    with open_zip(file) as archive:
        for info in [one for one in archive.infolist() if not one.is_dir() and not one.flag_bits & 1][
            :MOST_MEMBERS
        ]:
            with archive.open(info) as member:
                yield member.read(132)


def _in_tar(file: Path) -> Iterator[bytes]:
    with tarfile.open(file) as archive:
        for count, info in enumerate(archive):
            if count == MOST_MEMBERS:
                return
            member = archive.extractfile(info) if info.isfile() else None
            if member is not None:
                yield member.read(132)
