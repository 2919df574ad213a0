"""Whether the slices of a series were taken in one go: their places alone may fit together where their pictures do not."""

from collections.abc import Sequence

from voxtune.errors import ScanError
from voxtune.imaging.dicom.frames import MADE, Frame
from voxtune.imaging.dicom.series import Series


def of_one_kind(series: Series, frames: Sequence[Frame], notes: list[str]) -> None:
    """Refuse slices of several frames of reference, echoes, kernels and the like; other number types are noted.

    Args:
        series: names itself in messages.
        frames: those that make the stack.
        notes: what a person should look at is added to it.

    Raises:
        ScanError: it says what differs. What a slice does not say is taken to be as in the others.
    """
    references = {one.reference for one in frames} - {""}
    if len(references) > 1:
        raise ScanError(
            "scan",
            f"the slices of {series.label} have several frames of reference ({len(references)}): their positions cannot be compared",
        )
    for (name, *_), values in zip(MADE, zip(*(one.made for one in frames), strict=True), strict=True):
        several = sorted(set(values) - {""})
        if len(several) > 1:
            shown = ", ".join(several[:3]) + (", ..." if len(several) > 3 else "")
            raise ScanError("scan", f"the slices of {series.label} differ in {name} ({shown})")
    if len({one.bits for one in frames}) > 1:
        notes.append("its slices are stored as different number types")
