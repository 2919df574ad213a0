"""What the header of a DICOM file says of its series: texts, numbers, the person, and what it is a scan of.

A tag that cannot be read as what it should be says nothing here; where a number is needed, ``frames.py`` refuses the file.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from voxtune.imaging.dicom.frames import MADE, Frame
from voxtune.imaging.kind import Kind

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

HOUNSFIELD = {"HU", "HU_MOD", "US", "UNSPECIFIED"}
"""Values of RescaleType for Hounsfield units, and for nothing said (PS3.3 C.11.1.1.2)."""
MADE_NAMES = [name for name, *_ in MADE]


def kind_of(header: "Dataset", frames: "Sequence[Frame]", modality: str) -> Kind:
    """What a file says that it is a scan of.

    Args:
        header: of one file of the series.
        frames: of the series; in a multi-frame file they alone say how they were made.
        modality: by the class of the file, where the header names none.
    """
    modality = text_of(header, "Modality").upper() or modality
    words = [text_of(header, name) for name in ("SeriesDescription", "ProtocolName", "SequenceName")]
    if "EP" in words_of(header, "ScanningSequence") or text_of(header, "EchoPlanarPulseSequence") == "YES":
        words.append("EPI")
    return Kind(
        modality=modality or None,
        region=text_of(header, "BodyPartExamined") or _anatomy(header) or None,
        words=" ".join(words),
        echo_ms=_made(header, frames, "EchoTime", "echo time"),
        repetition_ms=number_of(header, "RepetitionTime"),
        inversion_ms=_made(header, frames, "InversionTime", "inversion time"),
        units=_units(header) if modality == "CT" else None,
    )


def person_of(header: "Dataset") -> str:
    """Whose scan it is: the ID, or the name where there is no ID."""
    return text_of(header, "PatientID") or text_of(header, "PatientName")


def text_of(header: "Dataset", name: str) -> str:
    """A tag as text in single spaces; empty where it is not there."""
    return " ".join(str(_get(header, name) or "").split())


def words_of(header: "Dataset", name: str) -> tuple[str, ...]:
    """The values of a tag in capitals."""
    value = _get(header, name) or ()
    return tuple(str(one).strip().upper() for one in ([value] if isinstance(value, str) else value))


def number_of(header: "Dataset", name: str) -> float | None:
    """A number; ``None`` where it is not there, or none."""
    try:
        value = _get(header, name)
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return None


def whole_of(header: "Dataset", name: str) -> int | None:
    """A whole number; ``None`` where it is not there, or none."""
    number = number_of(header, name)
    return None if number is None or not np.isfinite(number) else int(number)


def _get(header: "Dataset", name: str) -> Any:
    try:
        return header.get(name)
    except Exception:  # noqa: BLE001  (pydicom reads a value when it is asked for, and raises many kinds)
        return None


def _made(header: "Dataset", frames: "Sequence[Frame]", name: str, made: str) -> float | None:
    number = number_of(header, name)
    if number is not None or not frames:
        return number
    try:
        return float(frames[len(frames) // 2].made[MADE_NAMES.index(made)].split()[0])
    except (IndexError, ValueError):
        return None


def _groups(header: "Dataset") -> "list[Dataset]":
    """The functional groups of the first frame and of all, in the order in which they count."""
    found = []
    for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        found += list(_get(header, name) or [])[:1]
    return found


def _anatomy(header: "Dataset") -> str:
    """The region that a multi-frame file names by a code."""
    for group in (*_groups(header), header):
        for item in (*(_get(group, "FrameAnatomySequence") or ()), group):
            for code in _get(item, "AnatomicRegionSequence") or ():
                if said := text_of(code, "CodeMeaning"):
                    return said
    return ""


def _units(header: "Dataset") -> str | None:
    for group in _groups(header):
        item = (_get(group, "PixelValueTransformationSequence") or [None])[0]
        if item is not None:
            header = item
            break
    said = text_of(header, "RescaleType").upper()
    return None if not said or said in HOUNSFIELD else said
