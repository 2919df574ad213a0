"""The DICOM files of a folder, and what one of them says before its pixels: found and opened within limits."""

import io
import logging
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.packed import holds_dicom, looks_like_dicom

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

DEFLATED = "1.2.840.10008.1.2.1.99"
LARGE_ELEMENT = 2**20
"""An element of more bytes is left on disk until it is asked for."""
IGNORED = ("._", "__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What Macs and Windows leave beside files; none of it is a scan."""


def dicom_files(path: Path, called: Path) -> list[Path]:
    """Every file below a folder that begins as DICOM does, in the order of their names; links to folders are not followed.

    Raises:
        ScanError: there are too many files, some are links to nothing, or a folder or file of slices is left out.
    """
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    lost, packed = 0, 0
    for file in _files(path, called):
        if file.is_symlink() and not file.exists():
            lost += 1
        elif file.is_file() and is_dicom(file):
            found.append(file)
        elif file.is_file() and holds_dicom(file):
            packed += 1
    if packed:
        raise ScanError(
            called,
            f"{packed} of its files {'are' if packed > 1 else 'is'} DICOM packed with gzip, or an archive of DICOM files",
            "Unpack them, or move them elsewhere.",
        )
    if lost:
        raise ScanError(
            called,
            f"{lost} of its files are links to content that is not here",
            "Get the content first (datalad get, git annex get).",
        )
    return found


def _files(path: Path, called: Path) -> Iterator[Path]:
    count = 0
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith(IGNORED))
        for name in below:
            _refuse_link(Path(folder) / name, path, called)
        count += len(names)
        if count > limits.MAX_MEMBERS:
            raise ScanError(called, f"the folder holds more than {limits.MAX_MEMBERS} files")
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith(IGNORED))


def _refuse_link(folder: Path, path: Path, called: Path) -> None:
    """Refuse a study of which a folder with slices is a link to somewhere else: it is not followed, and would be missing."""
    if not folder.is_symlink() or not folder.is_dir() or folder.resolve().is_relative_to(path.resolve()):
        return
    if any(file.is_file() and is_dicom(file) for file in folder.iterdir()):
        raise ScanError(
            called,
            "a folder with DICOM files in it is a link, and links to folders are not followed",
            "Copy it, or give the folder that it leads to.",
        )


def is_dicom(file: Path) -> bool:
    """Whether a file begins as DICOM does: with its preamble, or at once with a tag of group 2 or 8."""
    with file.open("rb") as opened:
        start = opened.read(132)
    return looks_like_dicom(start)


def read_header(file: Path, called: Path, *, pixels: bool = False) -> "Dataset":
    """The data set of a file, without its pixel data unless they are asked for.

    Raises:
        ScanError: it is larger than the limits allow, or cannot be parsed.
    """
    import pydicom

    # Its log quotes the file, and goes to the terminal where nobody has set it up.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    if file.stat().st_size > limits.MAX_FILE_BYTES:
        raise ScanError(
            called, f"one of its files has {file.stat().st_size / 2**30:.1f} GB, more than the limit"
        )
    with warnings.catch_warnings():
        # pydicom warns of odd values; what matters of them is checked here.
        warnings.simplefilter("ignore")
        try:
            start = pydicom.filereader.read_file_meta_info(file) if _has_preamble(file) else None
            if start is not None and start.get("TransferSyntaxUID") == DEFLATED:
                return _inflated(file, called, start)
            defer = None if pixels else LARGE_ELEMENT
            found = pydicom.dcmread(file, force=True, stop_before_pixels=not pixels, defer_size=defer)
        except ScanError:
            raise
        except Exception as error:
            raise ScanError(
                called,
                f"a DICOM file in it is damaged or cut short ({type(error).__name__})",
                "Copy it again.",
            ) from error
    if "TransferSyntaxUID" not in found.file_meta:
        found.file_meta.TransferSyntaxUID = _guessed(found)
    return found


def _has_preamble(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def _guessed(found: "Dataset") -> "UID":
    """The transfer syntax of a bare data set, by how it was parsed."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = found.original_encoding
    if not little:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _inflated(file: Path, called: Path, meta: "Dataset") -> "Dataset":
    """A deflated data set, unpacked within limits: pydicom alone would unpack whatever it holds."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian

    raw = file.read_bytes()
    start = 132 + 12 + int(meta.FileMetaInformationGroupLength)
    most = max(limits.BIG_BYTES, limits.MAX_RATIO * len(raw))
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
        raw[start:], min(most, limits.MAX_ARCHIVE_BYTES)
    )
    if len(unpacked) >= most:
        raise ScanError(
            called, "a deflated DICOM file unpacks to more than the limit; it looks like a zip bomb"
        )
    found = pydicom.dcmread(io.BytesIO(unpacked), force=True)
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return found
