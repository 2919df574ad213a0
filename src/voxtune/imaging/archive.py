"""A zip unpacked: to the folder of the DICOM study in it, or the one scan in another form; one zip inside a zip is opened too.

Members are unpacked under numbers, never under their own names, and counted while they unpack: what a zip says of their
sizes is its sender's word.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from voxtune.errors import ScanError, StorageError
from voxtune.imaging import limits
from voxtune.imaging.dicom.cut import alike
from voxtune.imaging.dicom.headers import IGNORED, is_dicom
from voxtune.imaging.packed import holds_dicom
from voxtune.storage.failures import disk_first
from voxtune.storage.scratch import scratch
from voxtune.storage.zips import CrowdedZipError, open_zip

VOLUMES = (".nii.gz", ".nii", ".img", ".img.gz", ".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd")
"""Endings of files that hold a volume each; the second half of a pair comes with the first."""
PARTNERS = (".hdr", ".raw", ".raw.gz", ".zraw", ".json")
DEEPEST = 1
"""Zips inside the zip that are opened."""


@dataclass(frozen=True)
class _Member:
    info: zipfile.ZipInfo
    path: PurePosixPath

    @property
    def ending(self) -> str:
        lower = self.path.name.lower()
        return next(
            (
                end
                for end in sorted((*VOLUMES, *PARTNERS, ".zip"), key=len, reverse=True)
                if lower.endswith(end)
            ),
            ".dcm",
        )

    @property
    def stem(self) -> str:
        return self.path.name[: -len(self.ending)] if self.ending in VOLUMES else self.path.name


class Inside(NamedTuple):
    """What a zip holds."""

    path: Path
    """The file of the volume, or the folder of the DICOM study."""
    stem: str
    """What the file was called, without its ending."""


@contextmanager
def unpacked(path: Path, called: Path, depth: int = 0) -> Iterator[Inside]:
    """The file of the volume in a zip, or the folder of its DICOM study; gone afterwards.

    Args:
        path: the zip.
        called: what messages call it.
        depth: how many zips it lies in.

    Raises:
        ScanError: the zip is damaged, too large, holds links or names that leave its folder, or more than one scan.
    """
    with scratch("zip") as folder:
        try:
            with disk_first(), open_zip(path) as archive:
                members = _members(called, archive)
                files = _unpack(called, archive, members, folder)
        except (ScanError, StorageError):
            raise
        except CrowdedZipError as error:
            raise ScanError(called, f"the zip is no scan: {error}") from error
        except (
            zipfile.BadZipFile,
            zlib.error,
            NotImplementedError,
            RuntimeError,
            EOFError,
            OSError,
            ValueError,
            LookupError,
        ) as error:
            raise ScanError(called, f"the zip is damaged or encrypted ({type(error).__name__})") from error
        # Slices of DICOM may be called .img or .raw too: what a file is, its first bytes say.
        slices = {file for _, file in files if is_dicom(file)}
        volumes = [
            Inside(file, member.stem)
            for member, file in files
            if member.ending in VOLUMES and file not in slices
        ]
        inner = [file for member, file in files if member.ending == ".zip"]
        if len(volumes) > 1:
            raise ScanError(
                called,
                f"the zip holds {len(volumes)} volumes (NIfTI or the like), expected one scan or a DICOM study",
            )
        if volumes and (slices or any(map(holds_dicom, inner))):
            raise ScanError(
                called,
                "the zip holds a volume (NIfTI or the like) and DICOM files: which of them is the scan is not said",
            )
        if volumes:
            yield volumes[0]
        elif slices:
            yield Inside(folder, "")
        elif len(inner) == 1 and depth < DEEPEST:
            with unpacked(inner[0], called, depth + 1) as deeper:
                yield deeper
        elif inner:
            why = f"holds {len(inner)} zips" if len(inner) > 1 else "holds zips inside a zip"
            raise ScanError(called, f"the zip {why}", "Unpack it first.")
        else:
            yield Inside(folder, "")


def _members(called: Path, archive: zipfile.ZipFile) -> list[_Member]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > limits.MAX_MEMBERS:
        raise ScanError(
            called, f"the zip holds {len(infos)} files, more than the limit of {limits.MAX_MEMBERS}"
        )
    members = []
    for info in infos:
        parts = PurePosixPath(info.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in info.filename[:3]:
            raise ScanError(called, "the zip holds a name that leads out of its folder")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ScanError(called, "the zip holds a link")
        if info.flag_bits & 0x1:
            raise ScanError(called, "the zip is encrypted")
        if not any(part.startswith(IGNORED) for part in parts.parts):
            members.append(_Member(info, parts))
    total, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if total > limits.MAX_ARCHIVE_BYTES or (
        total > limits.BIG_BYTES and total > limits.MAX_RATIO * max(packed, 1)
    ):
        raise ScanError(
            called,
            f"the zip would unpack to {total / 2**20:.0f} MB from {packed / 2**10:.0f} kB; it looks like a zip bomb",
        )
    return members


def _unpack(
    called: Path, archive: zipfile.ZipFile, members: Sequence[_Member], folder: Path
) -> list[tuple[_Member, Path]]:
    left = min(limits.MAX_ARCHIVE_BYTES, sum(member.info.file_size for member in members))
    # Halves of a pair, and a volume and its sidecar, keep one number: they find each other by it.
    numbers: dict[str, int] = {}
    written = []
    named: set[tuple[PurePosixPath, str]] = set()
    for count, member in sorted(enumerate(members), key=lambda one: not one[1].info.file_size):
        # Under its number an empty file is named as a slice: it stays only where its own name is that of one.
        mine = {(member.path.parent, key) for key in alike(member.path.name)}
        if not member.info.file_size and not mine & named:
            continue
        key = str(member.path)[: -len(member.ending)].lower() if member.ending != ".dcm" else f"\0{count}"
        number = numbers.setdefault(key, count)
        target = folder / f"{number:05d}{member.ending}"
        if target.exists():
            raise ScanError(called, "the zip holds two files of one name")
        with archive.open(member.info) as packed, target.open("wb") as file:
            while piece := packed.read(2**20):
                left -= len(piece)
                if left < 0:
                    raise ScanError(called, "the zip unpacks to more than it says")
                file.write(piece)
        written.append((member, target))
        if is_dicom(target):
            named |= mine
    return written
