"""Scans that stay where they were scanned: a CT, checked for Hounsfield units, and a raw head, on the grid of their preset.

A brain that was registered elsewhere is looked at and taken as it is.
"""

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging import patches
from voxtune.imaging.affine import crookedness
from voxtune.imaging.brightness import background, from_zero, refuse_labels
from voxtune.imaging.hounsfield import check_hounsfield
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.orient import axis_codes, orient
from voxtune.imaging.presets import Preset, RawHead, Registered, fits
from voxtune.imaging.qc import Qc, template_contents
from voxtune.imaging.record import Step, read_step
from voxtune.imaging.resample import upright
from voxtune.imaging.scan import Scan
from voxtune.imaging.skull import looks_stripped
from voxtune.imaging.tensor import fit_own_space
from voxtune.types.volume import Volume

CROOKED_DEGREES = 0.5
"""A CT turned or sheared further is resampled along the world's axes first: its presets cut straight boxes."""
SMALLEST_MM, WIDEST_MM = 80.0, 1000.0
"""Longest edge of the field of view of a heart or an infant, and an edge across the body that no scanner's bore has."""
LEAST_CONTENTS = 0.25
"""Of a brain that was laid on a template elsewhere: 0.5 and more where that is the adult one, and 0.1 where it shows no brain."""
LEAST_KEPT_ML = 600.0
"""Patches without background of a head hold more: 1500 ml and more in real ones, 900 in stripped brains."""


def prepare_ct(
    scan: Scan, preset: Preset, settings: Hounsfield, orientation: str | None = None
) -> tuple[Volume, list[Step], Qc]:
    """The volume that is stored, the steps as they ran, and the figures of quality; the scan's voxels may be clipped in place.

    Raises:
        ScanError: it is not in Hounsfield units, or a mask.
    """
    refuse_labels(scan.volume.voxels)
    if settings.policy == "refuse" and scan.kind.units is not None:
        raise ScanError(
            "scan", f"its header says that its numbers are {scan.kind.units}, not Hounsfield units"
        )
    notes = (*check_hounsfield(scan.volume, settings.policy), *_size(scan.volume))
    voxels = scan.volume.voxels
    clipped = float(np.mean(voxels > settings.high))
    darkest = round(float(voxels.min()), 1)
    stored: str | None = scan.stored
    if preset.fit == "crop_pad":  # others clip what they resampled, as their authors do
        np.clip(voxels, settings.low, settings.high, out=voxels)  # in place: a long CT fills a gigabyte
    record = [read_step(scan, orientation), Step(name="check", parameters={"policy": settings.policy})]
    straight = scan.volume
    shear, turn = crookedness(straight.affine)
    # COLIPRI and NeuroVFM cut along the scan's own axes, so only a sheared one must be straightened.
    if (max(shear, turn) if preset.fit == "crop_pad" else shear) > CROOKED_DEGREES:
        straight, stored = upright(straight, settings.low), None
        record.append(
            Step(name="upright", result={"shear_degrees": round(shear, 2), "turn_degrees": round(turn, 2)})
        )
    volume = fit_own_space(straight, preset, stored)
    record.append(
        Step(
            name="fit",
            parameters={
                "spacing_mm": preset.spacing,
                "size": preset.size,
                "low": settings.low,
                "high": settings.high,
            },
            result={"from": axis_codes(scan.volume.affine), "to": axis_codes(volume.affine)},
        )
    )
    if preset.fit == "patches":
        notes += _kept(volume, preset, record)
    figures = Qc(
        darkest_hu=darkest,
        clipped=round(clipped, 5),
        slice_mm=round(max(scan.volume.spacing), 3),
        nonfinite=scan.nonfinite,
        notes=(*scan.notes, *notes),
    )
    return volume, record, figures


def prepare_head(
    scan: Scan, preset: Preset, settings: RawHead, orientation: str | None = None
) -> tuple[Volume, list[Step], Qc]:
    """A raw MRI of the head on the grid of its preset: what is stored, the steps as they ran, the figures of quality.

    Raises:
        ScanError: a mask, a negative, or nothing of it is left without background.
    """
    # Percentiles take care of any scale; what is asked is whether the background is the darkest.
    rebased = from_zero(scan.volume)
    record = [read_step(scan, orientation)]
    straight, stored = scan.volume, scan.stored
    if (
        rebased.scaled != 1.0
    ):  # upstream adds 1e-8 to the range of brightness, which is nothing beside any usual one
        straight, stored = rebased.volume, "float32"
        record.append(Step(name="brightness", result={"scaled": rebased.scaled}))
    shear, turn = crookedness(straight.affine)
    if shear > CROOKED_DEGREES:
        straight, stored = upright(straight, float(straight.voxels.min())), "float32"
        record.append(
            Step(name="upright", result={"shear_degrees": round(shear, 2), "turn_degrees": round(turn, 2)})
        )
    volume = fit_own_space(straight, preset, stored)
    record.append(
        Step(
            name="fit",
            parameters={"spacing_mm": preset.spacing, "size": preset.size} | settings.model_dump(mode="json"),
            result={"from": axis_codes(scan.volume.affine), "to": axis_codes(volume.affine)},
        )
    )
    notes = (*rebased.notes, *_kept(volume, preset, record))
    if looks_stripped(scan.volume):
        notes += (
            "it is stripped: the model learned from raw heads, and of this one every patch at the edge of the brain is dropped",
        )
    figures = Qc(
        slice_mm=round(max(scan.volume.spacing), 3), nonfinite=scan.nonfinite, notes=(*scan.notes, *notes)
    )
    return volume, record, figures


def prepare_registered(
    scan: Scan, preset: Preset, settings: Registered, orientation: str | None = None
) -> tuple[Volume, list[Step], Qc]:
    """A brain that lies on a template already, its axes turned as the preset's and its background 0; nothing else is done.

    Raises:
        ScanError: it does not lie on that template, still has its skull, or is a mask or a negative.
    """
    from_zero(scan.volume)  # refuses what shows none
    level = background(scan.volume.voxels)[0]
    # Only what is not exactly 0 counts; how bright it is does not, because it is standardised.
    volume = scan.volume if level == 0.0 else scan.volume.with_voxels(scan.volume.voxels - np.float32(level))
    turned = orient(volume, preset.axes)
    if not fits(turned, preset):
        raise ScanError(
            "scan",
            f"it does not lie on {settings.template}: that is {' x '.join(str(n) for n in settings.shape)} voxels of 1 mm, this has "
            f"{' x '.join(str(n) for n in turned.shape)} at {', '.join(f'{step:.3g}' for step in turned.spacing)} mm or another origin; run "
            "BrainIAC's own preprocessing first, or take preset 'brainiac' (adult template), which does all of it",
        )
    if not looks_stripped(turned):
        raise ScanError(
            "scan",
            f"its skull is still there, or its background is no single value; preset '{preset.name}' takes a stripped brain",
        )
    record = [
        read_step(scan, orientation),
        Step(name="registered", parameters=settings.model_dump(mode="json")),
    ]
    if level != 0.0:
        record.append(Step(name="brightness", result={"background": round(level, 6)}))
    figures = Qc(
        slice_mm=round(max(scan.volume.spacing), 3),
        nonfinite=scan.nonfinite,
        notes=(*scan.notes, *_contents(turned)),
    )
    return turned, record, figures


def _contents(brain: Volume) -> tuple[str, ...]:
    """A sentence where the inside of a brain on another template is unlike that of the adult one, which lies nearly there."""
    contents = template_contents(orient(brain, "RAS"))
    if contents >= LEAST_CONTENTS:
        return ()
    return (
        f"its inside is unlike a T1 brain's (correlation of detail with the adult template {contents:.2f})",
    )


def _kept(volume: Volume, preset: Preset, record: list[Step]) -> tuple[str, ...]:
    """Write down how many patches the model will read; a sentence where they are few."""
    gone = patches.dropped(volume.voxels == np.float32(preset.absent))
    kept = int(gone.size - np.count_nonzero(gone))
    record.append(Step(name="patches", result={"kept": kept, "all": int(gone.size)}))
    ml = kept * np.prod(patches.PATCH) * patches.SLICE_MM * patches.PLANE_MM**2 / 1e3
    if ml >= LEAST_KEPT_ML:
        return ()
    return (
        f"only {kept} of {gone.size} patches ({ml:.0f} ml) hold no background: a stripped head, or one that fills its picture",
    )


def _size(volume: Volume) -> tuple[str, ...]:
    """A sentence where the header's voxel size makes the picture too small or too wide for a body."""
    edges = np.asarray(volume.shape) * volume.spacing
    # The body's long axis may be as long as a person.
    across = sorted(edges)[:2]
    if edges.max() >= SMALLEST_MM and max(across) <= WIDEST_MM:
        return ()
    extent = " x ".join(f"{edge:.0f}" for edge in edges)
    return (f"its field of view is {extent} mm: the voxel size of its header may be wrong",)
