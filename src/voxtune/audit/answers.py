"""What a model of this cohort is asked: the diagnosis, findings, numbers, events; each as groups of participants that a leak would tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxtune.audit.events import event_names
from voxtune.data.follow_up import follow_up
from voxtune.data.splits import column_value
from voxtune.errors import TableError
from voxtune.types.event import HAPPENED, Event
from voxtune.types.records import ManifestRow

DIAGNOSIS = "diagnosis"
GROUPS = 3
"""Groups of a number: low, middle and high."""
LEAST_OF_NUMBER = 9
"""Participants with a number below which it makes no groups."""
_YES_NO = frozenset({"0", "1"})


@dataclass(frozen=True)
class Answer:
    """One question and the group of each participant of whom the answer is known."""

    name: str
    said: str
    """As a sentence says it: ``the diagnosis``, ``finding 'nodule'``, ``target 'age'``, ``event 'dementia'``."""
    groups: Mapping[str, str]
    """By participant."""


def answers_of(
    rows: Sequence[ManifestRow], targets: Sequence[str] = (), findings: Sequence[str] = ()
) -> list[Answer]:
    """Everything that is asked beside the diagnosis, where it tells participants apart.

    Args:
        rows: of the cohort.
        targets: columns of numbers that are predicted.
        findings: columns of findings; none, in a cohort without a diagnosis: every column of 0 and 1.
    """
    if not findings and not any(row.diagnosis for row in rows):
        findings = yes_no_columns(rows)
    own = {end for name in event_names(rows) for end in (f"{name}_years", f"{name}_status")}
    found = [Answer(name, f"finding '{name}'", _present(rows, name)) for name in findings if name not in own]
    found += [Answer(name, f"target '{name}'", _thirds(rows, name)) for name in targets if name not in own]
    found += [Answer(name, f"event '{name}'", _outcomes(rows, name)) for name in event_names(rows)]
    return [one for one in found if len(set(one.groups.values())) > 1]


def yes_no_columns(rows: Sequence[ManifestRow]) -> list[str]:
    """Extra columns that hold 0 and 1 alone."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for name in row.model_extra or {}:
            if (value := column_value(row, name)) is not None:
                seen.setdefault(name, set()).add(_whole(value))
    return sorted(name for name, values in seen.items() if values == _YES_NO and not name.endswith("_status"))


def _whole(value: str) -> str:
    return value.removesuffix(".0")


def _present(rows: Sequence[ManifestRow], name: str) -> dict[str, str]:
    """Whether any scan of a participant has the finding."""
    found: dict[str, str] = {}
    for row in rows:
        value = _whole(column_value(row, name) or "")
        if value in _YES_NO:
            found[row.participant_id] = max(found.get(row.participant_id, "0"), value)
    return found


def _thirds(rows: Sequence[ManifestRow], name: str) -> dict[str, str]:
    values: dict[str, float] = {}
    for row in rows:
        try:
            number = float(str(column_value(row, name)))
        except ValueError:
            continue
        if np.isfinite(number):
            values.setdefault(row.participant_id, number)
    if len(values) < LEAST_OF_NUMBER:
        return {}
    edges = np.quantile(list(values.values()), np.arange(1, GROUPS) / GROUPS)
    return {person: str(int(np.searchsorted(edges, value))) for person, value in values.items()}


def _outcomes(rows: Sequence[ManifestRow], name: str) -> dict[str, str]:
    """Whether the event was seen in a participant; groups by the outcome that a model is taught."""
    try:
        years, status = follow_up(rows, Event(name=name))
    except TableError:
        return {}
    found: dict[str, str] = {}
    for row, left, ended in zip(rows, years, status, strict=True):
        if np.isfinite(left):
            found[row.participant_id] = max(found.get(row.participant_id, "0"), str(int(ended == HAPPENED)))
    return found
