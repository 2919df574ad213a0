"""The steps of a CT: checked for Hounsfield units, clipped, laid along the world's axes, at the spacing and size of its preset."""

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging.affine import crookedness
from voxtune.imaging.brightness import refuse_labels
from voxtune.imaging.hounsfield import check_hounsfield
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.orient import axis_codes
from voxtune.imaging.presets import Preset
from voxtune.imaging.qc import Qc
from voxtune.imaging.record import Step, read_step
from voxtune.imaging.resample import upright
from voxtune.imaging.scan import Scan
from voxtune.imaging.tensor import fit_hounsfield
from voxtune.types.volume import Volume

CROOKED_DEGREES = 0.5
"""A CT turned or sheared further is resampled along the world's axes first: its presets cut straight boxes."""
SMALLEST_MM, WIDEST_MM = 80.0, 1000.0
"""Longest edge of the field of view of a heart or an infant, and an edge across the body that no scanner's bore has."""


def prepare_ct(
    scan: Scan, preset: Preset, settings: Hounsfield, orientation: str | None = None
) -> tuple[Volume, list[Step], Qc]:
    """The volume that is stored, the steps as they ran, and the figures of quality; the scan's voxels are clipped in place.

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
    np.clip(voxels, settings.low, settings.high, out=voxels)  # in place: a long CT fills a gigabyte
    record = [read_step(scan, orientation), Step(name="check", parameters={"policy": settings.policy})]
    straight = scan.volume
    shear, turn = crookedness(straight.affine)
    if max(shear, turn) > CROOKED_DEGREES:
        straight = upright(straight, settings.low)
        record.append(
            Step(name="upright", result={"shear_degrees": round(shear, 2), "turn_degrees": round(turn, 2)})
        )
    volume = fit_hounsfield(straight, preset)
    record.append(
        Step(
            name="fit",
            parameters={
                "spacing_mm": preset.spacing,
                "size": preset.size,
                "low": settings.low,
                "high": settings.high,
            },
            result={"from": axis_codes(scan.volume.affine), "to": preset.axes},
        )
    )
    figures = Qc(
        darkest_hu=darkest,
        clipped=round(clipped, 5),
        slice_mm=round(max(scan.volume.spacing), 3),
        nonfinite=scan.nonfinite,
        notes=(*scan.notes, *notes),
    )
    return volume, record, figures


def _size(volume: Volume) -> tuple[str, ...]:
    """A sentence where the header's voxel size makes the picture too small or too wide for a body."""
    edges = np.asarray(volume.shape) * volume.spacing
    # The body's long axis may be as long as a person.
    across = sorted(edges)[:2]
    if edges.max() >= SMALLEST_MM and max(across) <= WIDEST_MM:
        return ()
    extent = " x ".join(f"{edge:.0f}" for edge in edges)
    return (f"its field of view is {extent} mm: the voxel size of its header may be wrong",)
