"""A file to a volume: the one door through which every scan enters."""

import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.boundary import one_sentence
from voxtune.imaging.formats import read_other
from voxtune.imaging.kind import Wanted, kind_of_file
from voxtune.imaging.nifti import read_nifti
from voxtune.imaging.packed import looks_like_dicom, refuse_foreign
from voxtune.imaging.scan import Scan
from voxtune.types.volume import Volume

WELL_FILLED = 0.05
"""Share of a slice that differs from a blank one; specks of noise at the border fill less."""
MOST_BLANK = 0.25
"""Share of the slices inside a scan that may be blank; of one with more, too much was never there to say anything of it."""


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


def read_map(path: Path) -> Volume:
    """A NIfTI volume that is no scan: a mask, a map of truth. It may be blank in parts, or everywhere.

    Raises:
        ScanError: one sentence that names the file and the cause.
    """
    with one_sentence(path):
        return read_nifti(path, None).volume


def open_scan(
    path: str | Path,
    series: str | None = None,
    orientation: str | None = None,
    wanted: Wanted | None = None,
) -> Scan:
    """As ``read_scan``, with what reading taught.

    Args:
        path: the scan.
        series: a DICOM series by its UID, number or description; ``None``: the rules of ``dicom/series.py`` choose.
        orientation: where the voxel axes point (``RAS``), for files whose header does not say or contradicts itself.
        wanted: what the preset takes, which those rules look at.

    Raises:
        ScanError: one sentence that names the file and the cause.
    """
    path = Path(path)
    with one_sentence(path):
        return _sound(path, _opened(path, path, series, orientation, wanted))


def _opened(
    path: Path, called: Path, series: str | None, orientation: str | None, wanted: Wanted | None
) -> Scan:
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
        return _in_zip(path, called, series, orientation, wanted)
    if looks_like_dicom(start):
        from voxtune.imaging.dicom.read import read_dicom

        return read_dicom(path, series, wanted, called)
    return _of_file(path, called, start, series, orientation)


def _of_file(path: Path, called: Path, start: bytes, series: str | None, orientation: str | None) -> Scan:
    """A volume that is neither DICOM nor packed in a zip."""
    found = read_other(path, start, orientation)
    if found is None:
        refuse_foreign(path)
        found = read_nifti(path, orientation)
    if series is not None:
        raise ScanError(
            called, f"it is no DICOM, so no series '{series}' can be chosen in it", "Leave out --series."
        )
    kind = kind_of_file(path)
    kind = replace(kind, modality=kind.modality or found.modality)
    return Scan(found.volume, found.stored, modality=kind.modality, kind=kind, notes=found.notes)


def _in_zip(
    path: Path, called: Path, series: str | None, orientation: str | None, wanted: Wanted | None
) -> Scan:
    from voxtune.imaging.archive import unpacked
    from voxtune.imaging.dicom.read import read_dicom

    with unpacked(path, called) as inside:
        if inside.path.is_dir():
            return read_dicom(inside.path, series, wanted, called)
        try:
            scan = _opened(inside.path, called, series, orientation, wanted)
        except ScanError as error:
            raise ScanError(called, error.cause, error.todo) from error
        if scan.series is not None:
            return scan
        kind = kind_of_file(inside.path, inside.stem)
        return replace(scan, kind=replace(kind, modality=kind.modality or scan.modality))


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
    levels = (high - low) / float(np.spacing(np.float32(max(abs(low), abs(high)))))
    if levels < limits.FEWEST_LEVELS:
        raise ScanError(
            path,
            f"its numbers, {low:g} to {high:g}, lie so far from 0 that single precision keeps {levels:.0f} steps of them",
            "Subtract their smallest first.",
        )
    blank, inside = _blank_slices(voxels)
    if blank > MOST_BLANK * inside:
        raise ScanError(path, f"{blank} of the {inside} slices inside it are blank: a part of it is missing")
    notes = (f"{blank} slices inside it are blank",) if blank else ()
    return replace(scan, nonfinite=bad, notes=(*scan.notes, *notes))


def _blank_slices(voxels: NDArray[np.float32]) -> tuple[int, int]:
    """How many slices, along the axis with most, hold one value only and lie between others that are well filled; and of how many."""
    most = (0, 1)
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        low = voxels.min(axis=others)
        blank = low == voxels.max(axis=others)
        if blank.any():
            differ = np.mean(voxels != low[blank][0], axis=others)
            filled = np.flatnonzero(differ > WELL_FILLED)
            if filled.size:
                between = blank[filled[0] : filled[-1] + 1]
                most = max(most, (int(np.count_nonzero(between)), between.size))
    return most
