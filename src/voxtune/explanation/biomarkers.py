"""The parts of a report a person would name: each biomarker with its value, or each sentence of a report without values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from voxtune.errors import UsageError
from voxtune.types.profile import Profile

_UNITS = ("mm^3", "cm^3", "years", "points")
_SENTENCE = re.compile(r"[^.!?\s](?:[^.!?]|[.!?](?=\S))*[.!?]?")
"""A full stop inside a number or name ends none."""
_CLAUSE = re.compile(r"[^\s,](?:(?!percentile, z -?\d+\.\d+\), ).)*?(?:percentile, z -?\d+\.\d+\)|$)")
"""Of a sentence that lists regions with their percentiles, each region."""
_LIKE = r"(?:age \d+|sex [FM]|head size)"
_OPENING = re.compile(rf"For {_LIKE}(?:(?:, | and ){_LIKE})*, ")
"""Whom the percentiles of a sentence are for: no word of the first region."""


@dataclass(frozen=True)
class Part:
    """A named part of a report: characters ``start`` to ``end`` of its text."""

    name: str
    start: int
    end: int


def report_parts(text: str, profile: Profile) -> list[Part]:
    """The biomarkers of a report (``Name: value unit``, with its percentile), or its sentences where it names none.

    Args:
        text: a report.
        profile: its names and units are known beside plain ones (letters and spaces; mm^3, cm^3, years, points).
    """
    found = [Part(one.group(1), one.start(), one.end()) for one in _named_values(profile).finditer(text)]
    return found or [part for one in _SENTENCE.finditer(text) for part in _clauses(one)]


def _clauses(sentence: re.Match[str]) -> list[Part]:
    """A sentence, or its clauses where they state percentiles."""
    start, words = sentence.start(), sentence.group()
    opening = _OPENING.match(words)
    found = [
        one for one in _CLAUSE.finditer(words, opening.end() if opening else 0) if "percentile" in one.group()
    ]
    if not found:
        return [Part(words.strip(), start, sentence.end())]
    return [Part(one.group().strip(), start + one.start(), start + one.end()) for one in found]


def _named_values(profile: Profile) -> re.Pattern[str]:
    fields = profile.columns.values()
    units = sorted({*_UNITS, *(one.unit for one in fields if one.unit)}, key=len, reverse=True)
    names = sorted({one.name for one in fields}, key=len, reverse=True)
    name = "|".join([*map(re.escape, names), "[A-Z][A-Za-z ]*?"])
    unit = "|".join(map(re.escape, units))
    return re.compile(
        rf"(?<!\w)({name}): (?:-?\d+(?:\.\d+)?(?: (?:{unit}))?(?: \([^()]*percentile, z -?\d+\.\d+\))?|[Dd]ata unavailable)"
    )


def find_part(parts: Sequence[Part], wanted: str, profile: Profile) -> Part:
    """The part a person means: its name in the report, its manifest column (``hippocampus_mm3``), or the start of either.

    Raises:
        UsageError: no such part, or several.
    """
    asked = _plain(wanted.removesuffix("_mm3"))
    keys = {asked, _plain(profile.biomarkers.get(wanted.removesuffix("_mm3"), wanted))}
    # 'Hippocampal Vol' and 'Hippocampal volume' are one biomarker: the first six letters decide.
    found = [part for part in parts if _plain(part.name) in keys] or [
        part for part in parts if any(_plain(part.name)[:6] == key[:6] for key in keys if key)
    ]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"No single biomarker '{wanted}' in the report. It has: {', '.join(part.name for part in parts) or 'none'}."
    )


def biomarker_text(label: str | None, biomarker: str, profile: Profile) -> str:
    """A report of one biomarker without its value: what is asked of a scan that comes without a table."""
    name = profile.biomarkers.get(biomarker.removesuffix("_mm3"), biomarker)
    opening = f"{profile.class_text(label)}. " if label else ""
    return f"{opening}{profile.opening}: {name}."


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
