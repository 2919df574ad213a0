"""The parts of a report a person would name: each biomarker with its value, or each sentence of a report without values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from voxtune.errors import UsageError

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "hippocampus": "Hippocampal volume",
        "ventricles": "Ventricular size",
        "whole_brain": "Whole brain volume",
        "entorhinal": "Entorhinal cortex volume",
        "fusiform": "Fusiform gyrus volume",
        "middle_temporal": "Middle temporal gyrus volume",
    }
)
"""A manifest column without ``_mm3`` -> the name that template ``deft`` gives it."""
_VALUE = re.compile(
    r"([A-Z][A-Za-z ]*?): (?:-?\d+(?:\.\d+)?(?: (?:mm\^3|cm\^3|years|points))?|[Dd]ata unavailable)"
)
_SENTENCE = re.compile(r"[^.!?\s][^.!?]*[.!?]?")


@dataclass(frozen=True)
class Part:
    """A named part of a report: characters ``start`` to ``end`` of its text."""

    name: str
    start: int
    end: int


def report_parts(text: str) -> list[Part]:
    """The biomarkers of a report (``Name: value unit``), or its sentences where it names none."""
    found = [Part(one.group(1), one.start(), one.end()) for one in _VALUE.finditer(text)]
    return found or [Part(one.group().strip(), one.start(), one.end()) for one in _SENTENCE.finditer(text)]


def find_part(parts: Sequence[Part], wanted: str) -> Part:
    """The part a person means: its name in the report, its manifest column (``hippocampus_mm3``), or the start of either.

    Raises:
        UsageError: no such part, or several.
    """
    asked = _plain(wanted.removesuffix("_mm3"))
    keys = {asked, _plain(NAMES.get(wanted.removesuffix("_mm3"), wanted))}
    # 'Hippocampal Vol' and 'Hippocampal volume' are one biomarker: the first six letters decide.
    found = [part for part in parts if _plain(part.name) in keys] or [
        part for part in parts if any(_plain(part.name)[:6] == key[:6] for key in keys if key)
    ]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"No single biomarker '{wanted}' in the report. It has: {', '.join(part.name for part in parts) or 'none'}."
    )


def biomarker_text(label: str | None, biomarker: str) -> str:
    """A report of one biomarker without its value: what is asked of a scan that comes without a table."""
    name = NAMES.get(biomarker.removesuffix("_mm3"), biomarker)
    opening = f"A photo of {label}. " if label else ""
    return f"{opening}The MRI scan reveals the following biomarkers: {name}."


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
