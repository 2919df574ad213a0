"""A file to a volume: the one door through which every scan enters."""

import stat
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.formats import read_other
from voxtune.imaging.nifti import read_nifti
from voxtune.types.volume import Volume

WELL_FILLED = 0.05
"""Share of a slice that differs from a blank one; specks of noise at the border fill less."""


@dataclass(frozen=True)
class Scan:
    """A volume and what reading it taught."""

    volume: Volume
    stored: str
    """Number type in the file."""
    nonfinite: int = 0
    """NaN and infinite voxels that became as dark as the darkest of the others."""
    series: str | None = None
    """Description of the DICOM series that was read."""
    modality: str | None = None
    """DICOM modality (CT, MR), where known."""
    others: tuple[str, ...] = ()
    """Descriptions of the DICOM series that were left aside."""
    notes: tuple[str, ...] = ()
    """What reading had to assume or leave aside; the verdict of the scan is then never 'pass'."""


def read_scan(path: str | Path) -> Volume:
    """The volume of a NIfTI file (.nii, .nii.gz), a DICOM folder, a zip of one, a DICOM file, a .mgz, .mgh, .nrrd or .mha.

    Args:
        path: the scan.

    Returns:
        float32 voxels in the file's own axis order, scaled as the header says, and the affine to RAS+ millimetres.

    Raises:
        ScanError: one sentence that names the file and the cause.
    """
    return open_scan(path).volume


def open_scan(path: str | Path, series: str | None = None, orientation: str | None = None) -> Scan:
    """As ``read_scan``, with what reading taught.

    Args:
        path: the scan.
        series: picks a DICOM series by its UID, number or description.
        orientation: where the voxel axes point (``RAS``), for files whose header does not say or contradicts itself.

    Raises:
        ScanError: one sentence that names the file and the cause.
    """
    path = Path(path)
    try:
        scan = _opened(path, series, orientation)
    except OSError as error:
        raise ScanError(path, f"it cannot be read ({error.strerror or type(error).__name__})") from error
    except MemoryError as error:
        raise ScanError(path, "it needs more memory than there is") from error
    return _sound(path, scan)


def _opened(path: Path, series: str | None, orientation: str | None) -> Scan:
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
    found = read_other(path, start, orientation) or read_nifti(path, orientation)
    return Scan(found.volume, found.stored, notes=found.notes)


def _sound(path: Path, scan: Scan) -> Scan:
    """Non-finite voxels become as dark as the darkest where they are few; a scan without any content is refused."""
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
        # Never 0, which is background in one scan, water in a CT and tissue in a standardised one.
        voxels[~finite] = voxels[finite].min()
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise ScanError(path, f"it is constant: every voxel is {low:g}")
    blank = _blank_slices(voxels)
    notes = (f"{blank} slices inside it are blank",) if blank else ()
    return replace(scan, nonfinite=bad, notes=(*scan.notes, *notes))


def _blank_slices(voxels: NDArray[np.float32]) -> int:
    """How many slices, along the axis with most, hold one value only and lie between others that are well filled."""
    most = 0
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        low = voxels.min(axis=others)
        blank = low == voxels.max(axis=others)
        if blank.any():
            differ = np.mean(voxels != low[blank][0], axis=others)
            filled = np.flatnonzero(differ > WELL_FILLED)
            if filled.size:
                most = max(most, int(np.count_nonzero(blank[filled[0] : filled[-1] + 1])))
    return most
