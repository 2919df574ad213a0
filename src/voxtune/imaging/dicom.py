"""DICOM to a volume: a folder, a zip or one multi-frame file; the series is chosen and named, the others are listed."""

import os
import stat
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.affine import check_affine
from voxtune.imaging.nifti import read_nifti
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from voxtune.imaging.read import Scan

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
TAGS = {
    "description": "0008|103e",
    "number": "0020|0011",
    "modality": "0008|0060",
    "position": "0020|0032",
    "directions": "0020|0037",
}
FEWEST_SLICES = 4
"""A series with fewer is a scout, not a volume."""
GAP = 1.5
"""A step between slices beyond this multiple of the usual one means a slice is missing."""
TILT_DEGREES = 0.5


@dataclass(frozen=True)
class Series:
    """One series of a DICOM folder."""

    uid: str
    description: str
    number: str
    modality: str
    files: tuple[str, ...]

    @property
    def label(self) -> str:
        """As a person would name it."""
        return f"{self.description or 'no description'} (series {self.number or '?'}, {self.modality or '?'}, {len(self.files)} files)"


def read_dicom_folder(path: Path, wanted: str | None = None, name: Path | None = None) -> "Scan":
    """The volume of a DICOM folder, at any depth: the wanted series, else the one with most slices.

    Args:
        path: the folder; links to folders are not followed.
        wanted: UID, number or description of a series.
        name: what messages call it, where that is not ``path``.

    Raises:
        ScanError: there is no series, not the wanted one, or it is no regular volume.
    """
    from voxtune.imaging.read import Scan

    called = name or path
    found = _series(path, called)
    if not found:
        raise ScanError(called, "this folder holds no DICOM series")
    chosen = _choose(called, found, wanted)
    volume = _volume(called, chosen)
    others = tuple(one.label for one in found if one is not chosen)
    return Scan(volume, "dicom", 0, chosen.label, chosen.modality or None, others)


def read_dicom_file(path: Path) -> "Scan":
    """The volume of one multi-frame DICOM file.

    Raises:
        ScanError: it holds one slice, or cannot be read.
    """
    import SimpleITK

    from voxtune.imaging.read import Scan

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        _check_size(path, size)
        if len(size) < 3 or size[2] < FEWEST_SLICES:
            raise ScanError(path, "this DICOM file holds one slice", "Give the folder of its series.")
        image = reader.Execute()
    except RuntimeError as error:
        raise ScanError(path, "this DICOM file cannot be read") from error
    return Scan(
        _from_image(path, image),
        "dicom",
        0,
        _tag(reader, "description") or None,
        _tag(reader, "modality") or None,
    )


def read_dicom_zip(path: Path, wanted: str | None = None) -> "Scan":
    """The volume of a zip: of its DICOM series, or of the one NIfTI file in it.

    Members are unpacked under numbers, never under their own names, and counted while they unpack.

    Raises:
        ScanError: the zip is damaged, too large, or holds links or names that leave its folder.
    """
    from voxtune.imaging.read import Scan

    with tempfile.TemporaryDirectory(prefix="voxtune-zip-") as scratch:
        folder = Path(scratch)
        try:
            with zipfile.ZipFile(path) as archive:
                members = _members(path, archive)
                _unpack(path, archive, members, folder)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise ScanError(path, f"the zip is damaged or encrypted ({type(error).__name__})") from error
        volumes = [file for file in folder.iterdir() if file.name.endswith((".nii", ".nii.gz"))]
        if len(volumes) == 1:
            found = read_nifti(volumes[0])
            return Scan(found.volume, found.stored, notes=found.notes)
        if volumes:
            raise ScanError(path, f"the zip holds {len(volumes)} NIfTI files, expected one or a DICOM series")
        return read_dicom_folder(folder, wanted, name=path)


# ------------------------------------------------------------------------------------------- zip
def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > limits.MAX_MEMBERS:
        raise ScanError(
            path, f"the zip holds {len(members)} files, more than the limit of {limits.MAX_MEMBERS}"
        )
    for member in members:
        parts = Path(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename[:3]:
            raise ScanError(path, "the zip holds a name that leads out of its folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ScanError(path, "the zip holds a link")
        if member.flag_bits & 0x1:
            raise ScanError(path, "the zip is encrypted")
    total, packed = (
        sum(member.file_size for member in members),
        sum(member.compress_size for member in members),
    )
    if total > limits.MAX_ARCHIVE_BYTES or (
        total > limits.BIG_BYTES and total > limits.MAX_RATIO * max(packed, 1)
    ):
        raise ScanError(
            path,
            f"the zip would unpack to {total / 2**20:.0f} MB from {packed / 2**10:.0f} kB; it looks like a zip bomb",
        )
    return members


def _unpack(path: Path, archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], folder: Path) -> None:
    # What a zip says of a member's size is its sender's word, so bytes are counted as they come.
    left = min(limits.MAX_ARCHIVE_BYTES, sum(member.file_size for member in members))
    for number, member in enumerate(members):
        lower = member.filename.lower()
        ending = next((e for e in (".nii.gz", ".nii") if lower.endswith(e)), ".dcm")
        with archive.open(member) as packed, (folder / f"{number:05d}{ending}").open("wb") as file:
            while piece := packed.read(2**20):
                left -= len(piece)
                if left < 0:
                    raise ScanError(path, "the zip unpacks to more than it says")
                file.write(piece)


# ----------------------------------------------------------------------------------------- series
def _series(path: Path, called: Path) -> list[Series]:
    """Every series at any depth, most slices first."""
    import SimpleITK

    SimpleITK.ProcessObject.GlobalWarningDisplayOff()
    folders, count = [], 0
    for folder, _, names in os.walk(path):
        count += len(names)
        if count > limits.MAX_MEMBERS:
            raise ScanError(called, f"the folder holds more than {limits.MAX_MEMBERS} files")
        if names:
            folders.append(str(folder))
    found = []
    for folder in sorted(folders):
        for uid in SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(folder):
            files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(folder, uid)
            reader = _information(files[0])
            if reader is not None:
                facts = (_tag(reader, "description"), _tag(reader, "number"), _tag(reader, "modality"))
                found.append(Series(uid, *facts, tuple(files)))
    return sorted(found, key=lambda one: (-len(one.files), one.uid))


def _choose(called: Path, found: Sequence[Series], wanted: str | None) -> Series:
    listed = "; ".join(one.label for one in found)
    if wanted is not None:
        matching = [one for one in found if wanted in (one.uid, one.number, one.description)]
        if len(matching) != 1:
            raise ScanError(called, f"{len(matching)} series are called '{wanted}'; there are: {listed}")
        return matching[0]
    return found[0]


def _volume(called: Path, series: Series) -> Volume:
    import SimpleITK

    readers = [reader for reader in map(_information, series.files) if reader is not None]
    if len(readers) == 1 and len(readers[0].GetSize()) == 3 and readers[0].GetSize()[2] >= FEWEST_SLICES:
        _check_size(called, readers[0].GetSize())
        return _from_image(called, readers[0].Execute())
    if len(readers) < FEWEST_SLICES:
        raise ScanError(
            called, f"its longest DICOM series has {len(readers)} slices, at least {FEWEST_SLICES} are needed"
        )
    sizes = {tuple(reader.GetSize()[:2]) for reader in readers}
    if len(sizes) > 1:
        raise ScanError(called, f"the slices of {series.label} differ in size")
    _check_size(called, (*next(iter(sizes)), len(readers)))
    order = _ordered(called, series, readers)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([series.files[i] for i in order])
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ScanError(called, f"{series.label} cannot be read") from error
    return _from_image(called, image)


def _ordered(called: Path, series: Series, readers: Sequence[Any]) -> list[int]:
    """The files along the normal of their slices; refused where they do not make a regular stack."""
    try:
        positions = np.array([_numbers(_tag(reader, "position"), 3) for reader in readers])
        rows_columns = np.array([_numbers(_tag(reader, "directions"), 6) for reader in readers])
    except ValueError as error:
        raise ScanError(called, f"slices of {series.label} lack a position or orientation") from error
    if np.abs(rows_columns - rows_columns[0]).max() > 1e-2:
        raise ScanError(called, f"the slices of {series.label} point in several directions (a scout)")
    normal = np.cross(rows_columns[0, :3], rows_columns[0, 3:])
    along = positions @ normal
    order = [int(i) for i in np.argsort(along, kind="stable")]
    steps = np.diff(along[order])
    usual = float(np.median(steps))
    if usual <= 0 or steps.min() < 0.01 * usual:
        raise ScanError(
            called, f"{series.label} has several images at one place: a 4D series; one 3D volume is needed"
        )
    if steps.max() > GAP * usual:
        raise ScanError(
            called,
            f"slices are missing in {series.label}: a gap of {steps.max():.1f} mm where {usual:.1f} mm is usual",
        )
    way = positions[order[-1]] - positions[order[0]]
    tilt = float(np.degrees(np.arccos(np.clip(way @ normal / np.linalg.norm(way), -1, 1))))
    if tilt > TILT_DEGREES:
        raise ScanError(
            called,
            f"{series.label} was taken with the gantry tilted by {tilt:.1f} degrees",
            "Convert it with dcm2niix, which corrects the tilt.",
        )
    return order


def _information(file: str) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(file)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return reader


def _tag(reader: Any, name: str) -> str:
    value = reader.GetMetaData(TAGS[name]) if reader.HasMetaDataKey(TAGS[name]) else ""
    return " ".join(value.encode("utf-8", "replace").decode("utf-8").split())


def _numbers(text: str, count: int) -> list[float]:
    values = [float(part) for part in text.split("\\")]
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(text)
    return values


def _check_size(called: Path, size: Iterable[int]) -> None:
    sizes = list(size)
    if max(sizes) > limits.MAX_AXIS or float(np.prod([float(n) for n in sizes])) > limits.MAX_VOXELS:
        raise ScanError(
            called, f"{' x '.join(map(str, sizes))} voxels are more than the limit of {limits.MAX_VOXELS:,}"
        )


def _from_image(called: Path, image: Any) -> Volume:
    import SimpleITK

    if image.GetNumberOfComponentsPerPixel() != 1:
        raise ScanError(called, "it holds colour images; a volume with one number a voxel is needed")
    voxels: NDArray[np.float32] = SimpleITK.GetArrayFromImage(image).astype(np.float32).transpose(2, 1, 0)
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine = LPS_TO_RAS @ affine
    i, j, k = voxels.shape
    check_affine(called, affine, (i, j, k), "DICOM")
    return Volume(voxels, affine)
