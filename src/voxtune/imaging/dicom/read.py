"""A DICOM folder or file to a volume: which series, which frames, which numbers; what was left aside is told."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging.affine import check_affine
from voxtune.imaging.dicom.pixels import identical, inverted, volume_of
from voxtune.imaging.dicom.series import (
    FEWEST_SLICES,
    Series,
    choose,
    read_study,
    refuse_part,
    refuse_studies,
)
from voxtune.imaging.dicom.stack import stacked
from voxtune.imaging.kind import Wanted
from voxtune.imaging.scan import Scan
from voxtune.types.volume import Volume

ENDINGS = (".nii", ".nii.gz", ".img", ".mgz", ".mgh", ".nrrd", ".mha")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_dicom(
    path: Path, series: str | None = None, wanted: Wanted | None = None, name: Path | None = None
) -> Scan:
    """The volume of a DICOM study (a folder, at any depth) or of one multi-frame file.

    Args:
        path: the folder or file.
        series: UID, number or description of a series; otherwise the rules of ``series.py`` choose.
        wanted: what the preset takes, which the rules look at.
        name: what messages call it, where that is not ``path``.

    Raises:
        ScanError: there is no such series, or it is no regular volume; the sentence names the other series.
    """
    called = name or path
    study = read_study(path, called)
    if path.is_dir() and not (study.series or study.others or study.cut):
        _refuse_other_volumes(path, called)
    chosen = choose(called, study, series, wanted or Wanted())
    refuse_part(called, study, chosen)
    if "MOSAIC" in chosen.image_type:
        raise ScanError(
            called,
            f"{chosen.label} holds Siemens mosaics: each image is all slices of one volume, tiled",
            "Convert it with dcm2niix.",
        )
    if path.is_file() and len(chosen.frames) == 1:
        raise ScanError(called, "this DICOM file holds one slice", "Give the folder of its series.")
    others = tuple(one.label for one in study.series if one is not chosen)
    try:
        scan = _read(called, chosen, others)
    except ScanError as error:
        volumes = [one.label for one in study.series if one is not chosen and one.slices >= FEWEST_SLICES]
        todo = f"Other series: {'; '.join(volumes)}; name one with --series." if volumes else ""
        raise ScanError(called, error.cause, todo) from error
    refuse_studies(called, chosen)
    notes = []
    if study.unreadable:
        notes.append(
            f"{study.unreadable} file{'s' * (study.unreadable > 1)} beside the slices cannot be read and may be slices too"
        )
    # Whether the rules would have taken these cannot be told for sure.
    rivals = [one for one in study.series if one.fault and series is None and one.may_be_read(chosen)]
    notes += [f"a series beside it cannot be read: {one.label}: {one.fault}" for one in rivals]
    return replace(scan, notes=(*scan.notes, *notes))


def _refuse_other_volumes(folder: Path, called: Path) -> None:
    """Say so where a folder without DICOM holds volumes of another kind, which are given one by one."""
    held = sum(file.name.lower().endswith(ENDINGS) for file in folder.iterdir())
    if held:
        raise ScanError(
            called,
            f"the folder holds no DICOM series, and {held} volume{'s' * (held > 1)} of another kind (NIfTI or the like)",
            "Give the file itself.",
        )


def _read(called: Path, chosen: Series, others: tuple[str, ...]) -> Scan:
    _check_rescale(chosen)
    stack = stacked(chosen, lambda frames: identical(frames, called))
    voxels, lps = volume_of(stack, called)
    remarks, notes = list(stack.remarks), list(stack.notes)
    if chosen.localizer:
        notes.append("its header says that it is a localizer (a scout)")
    elif chosen.computed:
        notes.append(f"its header says that it is a {chosen.computed}, not a picture as it was acquired")
    photometric = {frame.photometric for frame in stack.frames}
    if len(photometric) > 1:
        raise ScanError(called, f"the slices of {chosen.label} differ in photometric interpretation")
    if photometric == {"MONOCHROME1"} and chosen.kind.modality != "CT":
        # Of a CT it says how to show Hounsfield units; elsewhere brightness is all there is.
        voxels = inverted(voxels)
        remarks.append("MONOCHROME1 (small numbers are white): brightness inverted")
    if chosen.lossy:
        remarks.append("its pixels were compressed with loss")
    if chosen.acquired is not None and len(stack.frames) < chosen.acquired:
        notes.append(
            f"its header says that {chosen.acquired} images were acquired; {len(stack.frames)} are here"
        )
    elif chosen.first_number is not None and chosen.first_number > 1:
        remarks.append(
            f"its instance numbers begin at {chosen.first_number}: slices may be missing at an end"
        )
    affine = LPS_TO_RAS @ lps
    i, j, k = voxels.shape
    check_affine(called, affine, (i, j, k), "DICOM")
    return Scan(
        Volume(voxels, affine),
        "dicom",
        series=chosen.label,
        modality=chosen.kind.modality,
        others=others,
        kind=chosen.kind,
        remarks=tuple(remarks),
        notes=tuple(notes),
    )


def _check_rescale(chosen: Series) -> None:
    """Slices without rescale tags among slices that are rescaled: nobody can know whether theirs were forgotten or applied."""
    without = sum(not frame.rescaled for frame in chosen.frames)
    if without and any((frame.slope, frame.intercept) != (1, 0) for frame in chosen.frames):
        raise ScanError(
            "scan",
            f"{without} of {len(chosen.frames)} slices of {chosen.label} lack the rescale slope and intercept",
        )
