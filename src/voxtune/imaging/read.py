"""A file to a volume: the one door through which every scan enters."""

import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.kind import Kind, Wanted, kind_of_file
from voxtune.imaging.nifti import read_nifti
from voxtune.types.volume import Volume


@dataclass(frozen=True)
class Scan:
    """A volume and what reading it taught."""

    volume: Volume
    stored: str
    """Number type in the file."""
    nonfinite: int = 0
    """NaN and infinite voxels that became 0."""
    series: str | None = None
    """Description of the DICOM series that was read."""
    modality: str | None = None
    """DICOM modality (CT, MR), where known."""
    others: tuple[str, ...] = ()
    """Descriptions of the DICOM series that were left aside."""
    kind: Kind = field(default_factory=Kind)
    """What its header says it is of."""
    notes: tuple[str, ...] = ()
    """What reading had to assume or leave aside; the verdict of the scan is then never 'pass'."""
    remarks: tuple[str, ...] = ()
    """What was left out or changed and loses nothing: copies, a localizer, the lean of a tilted gantry."""


def read_scan(path: str | Path) -> Volume:
    """The volume of a NIfTI file (.nii, .nii.gz), a DICOM folder, a zip of one, or a DICOM file.

    Args:
        path: the scan.

    Returns:
        float32 voxels in the file's own axis order, scaled as the header says, and the affine to RAS+ millimetres.

    Raises:
        ScanError: one sentence that names the file and the cause.
    """
    return open_scan(path).volume


def open_scan(path: str | Path, series: str | None = None, wanted: Wanted | None = None) -> Scan:
    """As ``read_scan``, with what reading taught.

    Args:
        path: the scan.
        series: a DICOM series by its UID, number or description; ``None``: the rules of ``dicom/series.py`` choose.
        wanted: what the preset takes, which those rules look at.

    Raises:
        ScanError: one sentence that names the file and the cause.
    """
    path = Path(path)
    with one_sentence(path):
        return _sound(path, _opened(path, path, series, wanted))


def open_inside(path: Path, called: Path) -> Scan:
    """A scan that lies in an archive, by the archive's name.

    Raises:
        ScanError: one sentence that names the archive and the cause.
    """
    try:
        return _opened(path, called, None, None)
    except ScanError as error:
        raise ScanError(called, error.cause) from error


def _opened(path: Path, called: Path, series: str | None, wanted: Wanted | None) -> Scan:
    try:
        facts = path.stat()
    except FileNotFoundError as error:
        raise ScanError(called, *_absent(path)) from error
    if stat.S_ISDIR(facts.st_mode):
        from voxtune.imaging.dicom.read import read_dicom

        return read_dicom(path, series, wanted)
    if not stat.S_ISREG(facts.st_mode):
        raise ScanError(called, "it is neither a file nor a folder (a device, a pipe or a socket)")
    if facts.st_size == 0:
        raise ScanError(called, "the file is empty")
    if facts.st_size > limits.MAX_FILE_BYTES:
        raise ScanError(
            called,
            f"the file has {facts.st_size / 2**30:.1f} GB, more than the limit of {limits.MAX_FILE_BYTES / 2**30:.0f}",
        )
    with path.open("rb") as file:
        start = file.read(132)
    if start[:4] == b"PK\x03\x04":
        from voxtune.imaging.archive import read_zip

        return read_zip(path, series, wanted, called)
    from voxtune.imaging.dicom.headers import looks_like_dicom

    if looks_like_dicom(start):
        from voxtune.imaging.dicom.read import read_dicom

        return read_dicom(path, series, wanted, called)
    volume, stored = read_nifti(path)
    kind = kind_of_file(path)
    return Scan(volume, stored, modality=kind.modality, kind=kind)


def _absent(path: Path) -> tuple[str, str]:
    if not path.is_symlink():
        return "there is no such file", ""
    if ".git/annex" in path.readlink().as_posix():
        return (
            "its content is not here (a DataLad or git-annex link)",
            "Get it with 'datalad get' or 'git annex get'.",
        )
    return "it is a link to a file that does not exist", ""


def _sound(path: Path, scan: Scan) -> Scan:
    """Non-finite voxels become 0 where they are few; a scan without any content is refused."""
    voxels = scan.volume.voxels
    finite = np.isfinite(voxels)
    bad = voxels.size - int(np.count_nonzero(finite))
    if bad > limits.MAX_NONFINITE * voxels.size:
        raise ScanError(
            path,
            "every voxel is NaN or infinite"
            if bad == voxels.size
            else f"{bad / voxels.size:.0%} of the voxels are NaN or infinite",
        )
    if bad:
        voxels[~finite] = 0.0
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise ScanError(path, f"it is constant: every voxel is {low:g}")
    return replace(scan, nonfinite=bad)
