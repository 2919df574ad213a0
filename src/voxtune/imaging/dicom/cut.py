"""Files of a series that broke off while they were copied: without them a shorter volume would be read as if it were whole."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from voxtune.imaging.dicom.headers import IGNORED, is_dicom

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PREAMBLE_BYTES = 132
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True)
class Cut:
    """A file that ends before its pixels do."""

    file: Path
    series: str
    """Its series' UID as far as it is there; empty where it ends before that."""

    def may_belong(self, uid: str, folders: Iterable[Path]) -> bool:
        """Whether it is of that series, or lies beside its files and does not say."""
        return self.series == uid or (uid.startswith(self.series) and self.file.parent in set(folders))


def ends_early(file: Path, header: "Dataset") -> bool:
    """Whether a file is shorter than the pixels that its header describes, or ends before it describes them."""
    if any(name in header for name in PIXELS):
        return False
    try:
        frames = int(header.get("NumberOfFrames", None) or 1)
        pixels = int(header.Rows) * int(header.Columns) * int(header.SamplesPerPixel) * frames
        least = pixels * int(header.BitsAllocated) // 8
    except Exception:  # noqa: BLE001  (absent, or a number that breaks off: pydicom raises many kinds)
        return True
    return not header.file_meta.TransferSyntaxUID.is_compressed and file.stat().st_size < least


def stubs(files: Iterable[Path]) -> list[Path]:
    """Files named as the slices beside them of which only an empty beginning is there."""
    keys: dict[Path, set[str]] = {}
    for file in files:
        keys.setdefault(file.parent, set()).update(alike(file.name))
    return [
        file
        for folder in sorted(keys)
        for file in sorted(folder.iterdir())
        if not file.name.startswith(IGNORED)
        and keys[folder] & alike(file.name)
        and file.is_file()
        and not is_dicom(file)
        and file.stat().st_size < PREAMBLE_BYTES
        and _only_begun(file.read_bytes())
    ]


def _only_begun(start: bytes) -> bool:
    """Whether fewer bytes than a preamble and its four letters are nothing but their beginning."""
    preamble, letters = start[: PREAMBLE_BYTES - 4], start[PREAMBLE_BYTES - 4 :]
    return not preamble.strip(b"\0") and b"DICM".startswith(letters)


def alike(name: str) -> set[str]:
    """What a file's name shares with those of its series: all but its numbers, and its ending if it has one."""
    lower = name.lower()
    end = PurePath(lower).suffix
    return {re.sub(r"\d+", "#", lower), *([end] if end and not re.fullmatch(r"\.\d*", end) else [])}
