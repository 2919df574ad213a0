"""The frames of a DICOM file: where each lies, how large it is and how its numbers are scaled, by its own tags.

A classic file is one frame. In a multi-frame file each frame has functional groups of its own, and what they do not say
stands in the shared groups (PS3.3 C.7.6.16). Nothing is taken over from another frame.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxtune.errors import ScanError
from voxtune.imaging import limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.dataset import Dataset

MADE = (
    ("echo time", "MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("inversion time", "MRModifierSequence", "InversionTimes", "InversionTime"),
    ("flip angle", "MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("reconstruction kernel", "CTReconstructionSequence", "ConvolutionKernel", "ConvolutionKernel"),
    ("tube voltage", "CTXRayDetailsSequence", "KVP", "KVP"),
    ("kind of image", "MRImageFrameTypeSequence", "FrameType", "ImageType"),
)
"""What the slices of one volume share: its name, and where it stands in a multi-frame and in a classic file."""
COMPONENTS = {
    "M",
    "P",
    "R",
    "I",
    "MAGNITUDE",
    "PHASE",
    "REAL",
    "IMAGINARY",
    "PHASE MAP",
    "WATER",
    "FAT",
    "IN_PHASE",
    "OUT_PHASE",
}
"""Words of ImageType for a part of one signal."""


@dataclass(frozen=True)
class Frame:
    """One plane of pixels."""

    file: Path
    index: int
    """Which frame of its file."""
    rows: int
    columns: int
    position: tuple[float, ...] | None
    """Of the first pixel, mm, LPS."""
    directions: tuple[float, ...] | None
    """Of a row and of a column, LPS."""
    spacing: tuple[float, ...] | None
    """Between rows and between columns, mm."""
    slope: float
    intercept: float
    rescaled: bool
    """Whether slope and intercept stand in the file; otherwise 1 and 0."""
    photometric: str
    samples: int
    padding: tuple[float, float] | None
    """Stored numbers that fill what lies outside the picture, from and to (PixelPaddingValue, PixelPaddingRangeLimit)."""
    acquisition: str
    between: float | None
    """Distance of slices as the header says it (SpacingBetweenSlices); positions win."""
    thickness: float | None
    number: float | None
    """Instance number of a file of one frame."""
    tilt: float
    """Degrees by which the header says that the gantry was tilted."""
    reference: str
    """Frame of reference: positions in two of them cannot be compared."""
    made: tuple[str, ...]
    """How it was made, for each of ``MADE``; empty where the header does not say."""
    bits: tuple[int, int, int]
    """BitsAllocated, BitsStored and PixelRepresentation."""


def frames_of(header: "Dataset", file: Path, called: Path) -> list[Frame]:
    """The frames of a file in stored order.

    Raises:
        ScanError: the file contradicts itself, holds words for numbers, or its numbers are scaled by a table.
    """
    try:
        return _frames(header, file, called)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ScanError(called, "a DICOM header in it holds something that is no number") from error


def _frames(header: "Dataset", file: Path, called: Path) -> list[Frame]:
    count = int(header.get("NumberOfFrames", None) or 1)
    if not 1 <= count <= limits.MAX_MEMBERS:
        raise ScanError(called, f"a DICOM file in it says that it holds {count} frames")
    groups = header.get("PerFrameFunctionalGroupsSequence")
    if groups and len(groups) != count:
        raise ScanError(called, f"a DICOM file in it holds {count} frames and describes {len(groups)}")
    if header.get("ModalityLUTSequence"):
        raise ScanError(called, "its numbers are scaled by a table (Modality LUT), which is not read")
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    found = []
    for index in range(count):
        # A multi-frame file without functional groups says of its first frame alone where it lies.
        own: list[Any] = [groups[index], shared] if groups else [header if count == 1 else None]
        found.append(_frame(header, file, called, index, own))
    return found


def _frame(header: "Dataset", file: Path, called: Path, index: int, own: "Sequence[Any]") -> Frame:
    place = _item(own, "PlanePositionSequence", "ImagePositionPatient")
    turned = _item(own, "PlaneOrientationSequence", "ImageOrientationPatient")
    measures = _item(own, "PixelMeasuresSequence", "PixelSpacing")
    # A file without functional groups has one slope for all its frames.
    scaling = _item(own, "PixelValueTransformationSequence", "RescaleSlope")
    scaling = scaling if scaling is not None else header
    slope, intercept = scaling.get("RescaleSlope"), scaling.get("RescaleIntercept")
    rescaled = slope is not None or intercept is not None
    scale = 1.0 if slope is None else float(slope)
    shift = 0.0 if intercept is None else float(intercept)
    if not np.isfinite([scale, shift]).all() or scale == 0:
        raise ScanError(
            called, f"the rescale slope {scale:g} and intercept {shift:g} of a slice make no sense"
        )
    return Frame(
        file=file,
        index=index,
        rows=int(header.get("Rows", None) or 0),
        columns=int(header.get("Columns", None) or 0),
        position=_numbers(place, "ImagePositionPatient", 3),
        directions=_numbers(turned, "ImageOrientationPatient", 6),
        spacing=_numbers(measures, "PixelSpacing", 2),
        slope=scale,
        intercept=shift,
        rescaled=rescaled,
        photometric=str(header.get("PhotometricInterpretation", "")).strip().upper(),
        samples=int(header.get("SamplesPerPixel", None) or 1),
        padding=_padding(header),
        acquisition=str(header.get("AcquisitionNumber", "") or ""),
        between=_one(measures, "SpacingBetweenSlices"),
        thickness=_one(measures, "SliceThickness"),
        number=_one(header, "InstanceNumber") if len(own) == 1 else None,
        tilt=_one(header, "GantryDetectorTilt") or 0.0,
        reference=str(header.get("FrameOfReferenceUID", "") or "").strip(),
        made=tuple(_made(own, header, *names) for _, *names in MADE),
        bits=(
            int(header.get("BitsAllocated", None) or 0),
            int(header.get("BitsStored", None) or 0),
            int(header.get("PixelRepresentation", None) or 0),
        ),
    )


def _made(own: "Sequence[Any]", header: "Dataset", sequence: str, name: str, classic: str) -> str:
    """A fact of how a frame was made, in one way of writing; empty where it is not said."""
    item = next(
        (group[sequence].value[0] for group in own if group is not None and group.get(sequence)), None
    )
    value = header.get(classic) if item is None else item.get(name)
    if value is None or value == "":
        return ""
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    if classic == "ImageType":
        return " ".join(sorted(COMPONENTS & {str(one).upper() for one in values}))
    try:
        return " ".join(f"{float(one):.3g}" for one in values)
    except (TypeError, ValueError):
        return " ".join(str(one).strip() for one in values)


def _padding(header: "Dataset") -> tuple[float, float] | None:
    value, end = header.get("PixelPaddingValue"), header.get("PixelPaddingRangeLimit")
    if not isinstance(value, int | float):
        return None
    first = _signed(header, value)
    last = _signed(header, end) if isinstance(end, int | float) else first
    return min(first, last), max(first, last)


def _signed(header: "Dataset", value: float) -> float:
    # Some writers give a negative number as if it had no sign.
    bits = int(header.get("BitsAllocated", None) or 16)
    signed = int(header.get("PixelRepresentation", None) or 0) == 1
    return float(value) - 2**bits if signed and value >= 2 ** (bits - 1) else float(value)


def _item(own: "Sequence[Any]", sequence: str, name: str) -> Any:
    """The data set that holds a tag: an item of a functional group, of the frame's own before the shared, or the file itself."""
    for group in own:
        if group is None:
            continue
        if group.get(sequence):
            return group[sequence].value[0]
        if name in group:
            return group
    return None


def _one(item: Any, name: str) -> float | None:
    return (_numbers(item, name, 1) or (None,))[0]


def _numbers(item: Any, name: str, count: int) -> tuple[float, ...] | None:
    """So many finite numbers of a tag; ``None`` where they are not all there."""
    value = None if item is None else item.get(name)
    if value is None or value == "":
        return None
    try:
        values = [float(value)] if count == 1 else [float(part) for part in value]
    except (TypeError, ValueError):
        return None
    return tuple(values) if len(values) == count and bool(np.isfinite(values).all()) else None
