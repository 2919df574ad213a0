"""A file to a volume: the one door through which every scan enters."""

import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging import limits
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


def open_scan(path: str | Path, series: str | None = None) -> Scan:
    """As ``read_scan``, with what reading taught; ``series`` picks a DICOM series by its UID, number or description.

    Raises:
        ScanError: one sentence that names the file and the cause.
    """
    path = Path(path)
    try:
        scan = _opened(path, series)
    except OSError as error:
        raise ScanError(path, f"it cannot be read ({error.strerror or type(error).__name__})") from error
    except MemoryError as error:
        raise ScanError(path, "it needs more memory than there is") from error
    return _sound(path, scan)


def _opened(path: Path, series: str | None) -> Scan:
    try:
        facts = path.stat()
    except FileNotFoundError as error:
        cause = "it is a link to a file that does not exist" if path.is_symlink() else "there is no such file"
        raise ScanError(path, cause) from error
    if stat.S_ISDIR(facts.st_mode):
        from voxtune.imaging.dicom import read_dicom_folder

        return read_dicom_folder(path, series)
    if not stat.S_ISREG(facts.st_mode):
        raise ScanError(path, "it is neither a file nor a folder (a device, a pipe or a socket)")
    if facts.st_size == 0:
        raise ScanError(path, "the file is empty")
    if facts.st_size > limits.MAX_FILE_BYTES:
        raise ScanError(
            path,
            f"the file has {facts.st_size / 2**30:.1f} GB, more than the limit of {limits.MAX_FILE_BYTES / 2**30:.0f}",
        )
    with path.open("rb") as file:
        start = file.read(132)
    if start[:4] == b"PK\x03\x04":
        from voxtune.imaging.dicom import read_dicom_zip

        return read_dicom_zip(path, series)
    if start[128:] == b"DICM":
        from voxtune.imaging.dicom import read_dicom_file

        return read_dicom_file(path)
    volume, stored = read_nifti(path)
    return Scan(volume, stored)


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
    return Scan(scan.volume, scan.stored, bad, scan.series, scan.modality, scan.others)
