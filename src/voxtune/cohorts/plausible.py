"""What does not go together in a cohort, though each value could be: said with the scans, never mended.

A control with an MMSE of 0, a brain larger than its skull, a person whose sex changes, an age that falls from visit to visit, one
person or one class under several spellings.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median

from voxtune.cohorts.spellings import alike, letters
from voxtune.types.records import ManifestRow

CONTROLS = frozenset({
    "nc", "cn", "hc", "cu", "smc", "control", "controls", "healthy", "healthycontrol", "healthycontrols", "normal", "normalcontrol",
    "nondemented", "cognitivelynormal", "cognitivelyunimpaired", "norm",
})  # fmt: skip
"""Names of the class of healthy people, by ``letters``."""
LOWEST_OF_A_CONTROL = 15
"""MMSE points; published cut-offs for dementia are 23 to 25."""
LARGER = (
    ("icv_mm3", "whole_brain_mm3"),
    ("icv_mm3", "hippocampus_mm3"),
    ("whole_brain_mm3", "hippocampus_mm3"),
    ("icv_mm3", "ventricles_mm3"),
)
"""The first is larger than the second in every head."""
_MOST = 3

Where = Callable[[ManifestRow], str]


def doubtful(rows: Sequence[ManifestRow], where: Where) -> list[str]:
    """Sentences on what does not go together, each with the scans, the values and where they stand."""
    return [*_pairs(rows, where), *_people(rows, where), *_spellings(rows)]


def _pairs(rows: Iterable[ManifestRow], where: Where) -> Iterator[str]:
    rows = list(rows)
    scores: dict[str | None, list[float]] = {}
    for row in rows:
        if row.mmse is not None:
            scores.setdefault(row.diagnosis, []).append(row.mmse)
    low = [
        row for row in rows if row.mmse is not None and row.mmse < LOWEST_OF_A_CONTROL and _is_control(row)
    ]
    low += [
        row
        for row in rows
        if row.mmse == 0 and row not in low and median(scores[row.diagnosis]) >= LOWEST_OF_A_CONTROL
    ]
    if low:
        zero = "; 0 often stands for missing" if any(row.mmse == 0 for row in low) else ""
        listed = _listed(low, lambda row: f"mmse {row.mmse:g} in class '{row.diagnosis}' ({where(row)})")
        yield f"{_count(low)} with an MMSE that is not plausible beside the others of their class{zero}: {listed}."
    for greater, lesser in LARGER:
        wrong = [
            (row, large, small)
            for row in rows
            if (large := getattr(row, greater)) is not None
            and (small := getattr(row, lesser)) is not None
            and small >= large
        ]
        if wrong:
            text = {
                row.scan_id: f"{lesser} {small:g} exceeds {greater} {large:g} ({where(row)})"
                for row, large, small in wrong
            }
            scans = [row for row, _, _ in wrong]
            listed = _listed(scans, lambda row, text=text: text[row.scan_id])  # type: ignore[misc]
            yield f"{_count(scans)} where {lesser} is larger than {greater}, which cannot be: {listed}."
    ages = [row for row in rows if row.age == 0]
    if ages and any((row.age or 0) >= 18 for row in rows):
        yield f"{_count(ages)} of age 0 among adults; 0 often stands for missing: {_listed(ages, where)}."


def _people(rows: Iterable[ManifestRow], where: Where) -> Iterator[str]:
    people: dict[str, list[ManifestRow]] = {}
    for row in rows:
        people.setdefault(row.participant_id, []).append(row)
    changed = [own for own in people.values() if len({row.sex for row in own if row.sex}) > 1]
    if changed:
        listed = "; ".join(
            f"{own[0].participant_id}: " + ", ".join(f"{row.sex} ({where(row)})" for row in own if row.sex)
            for own in changed[:_MOST]
        )
        yield f"the sex of {len(changed)} participants changes from scan to scan: {listed}."
    younger: list[tuple[ManifestRow, ManifestRow]] = []
    for own in people.values():
        dated = sorted(
            (
                row
                for row in own
                if row.session_id and row.age is not None and _month(row.session_id) is not None
            ),
            key=lambda row: _month(row.session_id or "") or 0,
        )
        younger += [(one, two) for one, two in pairwise(dated) if (two.age or 0) < (one.age or 0) - 1]
    if younger:
        listed = "; ".join(
            f"{two.participant_id} is {one.age:g} in {one.session_id} and {two.age:g} in {two.session_id} ({where(two)})"
            for one, two in younger[:_MOST]
        )
        yield f"{len(younger)} participants are younger at a later session, as if their year of birth changed: {listed}."


def _spellings(rows: Iterable[ManifestRow]) -> Iterator[str]:
    rows = list(rows)
    people = alike(row.participant_id for row in rows)
    if people:
        listed = "; ".join(", ".join(repr(name) for name in group) for group in people[:_MOST])
        yield (
            f"{len(people)} participants may stand under several spellings, and a split would tear one person apart: {listed}. "
            "If they are the same person, write the name in one way."
        )
    classes: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.diagnosis:
            classes.setdefault(letters(row.diagnosis), {})[row.diagnosis] = None
    same = [tuple(group) for group in classes.values() if len(group) > 1]
    if same:
        listed = "; ".join(", ".join(repr(name) for name in group) for group in same[:_MOST])
        yield f"classes that differ only in upper or lower case or punctuation count as different classes: {listed}."


def _is_control(row: ManifestRow) -> bool:
    return row.diagnosis is not None and letters(row.diagnosis) in CONTROLS


def _month(session: str) -> int | None:
    """The number in a session's name, by which sessions are put in order; ``None`` without one."""
    found = re.search(r"\d+", session)
    return int(found.group()) if found else None


def _count(rows: Sequence[ManifestRow]) -> str:
    return f"{len(rows)} scan{'s' if len(rows) > 1 else ''}"


def _listed(rows: Sequence[ManifestRow], text: Where) -> str:
    more = f"; and {len(rows) - _MOST} more" if len(rows) > _MOST else ""
    return "; ".join(text(row) for row in rows[:_MOST]) + more
