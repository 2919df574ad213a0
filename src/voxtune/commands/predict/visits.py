"""Which scans of a call are visits of one person, and when each was: the earlier ones are read beside the one that is answered, never a later one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from voxtune.commands.predict.inputs import Input
from voxtune.data.follow_up import LONGEST, check_times, earlier_scans, when_made
from voxtune.errors import SettingError
from voxtune.reports.change import change_sentence, changes
from voxtune.types.event import VISIT_YEARS
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow
from voxtune.types.visits import VolumeChange

DAYS = 365.25
"""Of a year."""
ONE = "one person"
"""Whose scans those of ``--when`` are."""


@dataclass(frozen=True)
class Before:
    """An earlier scan of the person."""

    scan: Input
    years: float


def moments(text: str, inputs: Sequence[Input], given: int) -> list[Input]:
    """The scans of one person, each with its row that says when it was made.

    Args:
        text: years since any moment or days (2016-09-12), by commas, one for each scan in its order.
        inputs: the scans.
        given: arguments that they came of.

    Raises:
        SettingError: not so, not one for each scan, or two scans of the last moment; a manifest or a folder, which has no order of its own.
    """
    if len(inputs) != given or any(one.row is not None for one in inputs):
        raise SettingError("when", f"scans given one by one; a manifest says it by {VISIT_YEARS}", text)
    if len({one.path.resolve() for one in inputs}) < len(inputs):
        raise SettingError("when", "each scan once", text)
    parts = [part.strip() for part in text.split(",")]
    try:
        years = [float(part) for part in parts]
    except ValueError:
        years = [_day(part) for part in parts]
    if not np.isfinite(years).all():
        raise SettingError("when", "numbers of years, or days such as 2016-09-12", text)
    if len(years) != len(inputs):
        raise SettingError("when", f"one moment for each scan, {len(inputs)}", text)
    if max(years) - min(years) > LONGEST:
        raise SettingError("when", f"years, at most {LONGEST:g} apart (12 months are 1)", text)
    if sum(one == max(years) for one in years) > 1:
        raise SettingError("when", "one scan of the last moment, which is the one that is answered", text)
    first = min(years)
    return [
        replace(one, row=ManifestRow.model_validate({
            "participant_id": ONE, "scan_id": f"{place}", "image": "n/a", VISIT_YEARS: round(when - first, 6),
        }))
        for place, (one, when) in enumerate(zip(inputs, years, strict=True))
    ]  # fmt: skip


def _day(text: str) -> float:
    try:
        return date.fromisoformat(text).toordinal() / DAYS
    except ValueError:
        raise SettingError("when", "numbers of years, or days such as 2016-09-12", text) from None


def histories(inputs: Sequence[Input], most: int) -> dict[int, tuple[Before, ...]]:
    """Of each scan, by its place, the earlier scans of its person in the same call, the nearest first.

    Args:
        inputs: with the rows of their manifest; a scan without one is read alone.
        most: scans that are read together, the one that is answered among them.

    Raises:
        DataError: of a person with several scans one has no time, or times that no person's visits have.
    """
    known = [(place, one.row) for place, one in enumerate(inputs) if one.row is not None]
    people: dict[tuple[str, str], list[tuple[int, ManifestRow]]] = {}
    for place, row in known:
        people.setdefault((inputs[place].of, row.participant_id), []).append((place, row))
    found: dict[int, tuple[Before, ...]] = {}
    for scans in people.values():
        check_times([row for _, row in scans])
        places = {row.scan_id: place for place, row in scans}
        rows = [row for _, row in scans]
        for name, some in earlier_scans(rows, rows, most).items():
            found[places[name]] = tuple(Before(inputs[places[one.row.scan_id]], one.years) for one in some)
    return found


def last_of_person(inputs: Sequence[Input]) -> int | None:
    """The place of the last scan, where all scans of a call are visits of one person; ``None`` where they are not, or two were last."""
    rows = [one.row for one in inputs]
    people = {(one.of, row.participant_id) for one, row in zip(inputs, rows, strict=True) if row is not None}
    if len(people) != 1 or any(row is None for row in rows):
        return None
    times = [when_made(row) for row in rows if row is not None]
    last = int(np.argmax(times)) if np.isfinite(times).all() else -1
    return last if last >= 0 and times.count(times[last]) == 1 else None


def volume_changes(now: Input, before: Sequence[Before], profile: Profile) -> tuple[VolumeChange, ...]:
    """How the volumes of a person's regions changed, where the manifest has them."""
    rows = [one.scan.row for one in before if one.scan.row is not None]
    known: Mapping[str, float] = {} if now.row is None else changes(now.row, rows, profile)
    return tuple(
        VolumeChange(
            name=profile.regions[column].name,
            percent=round(percent, 6),
            sentence=change_sentence(profile.regions[column].name, percent),
        )
        for column, percent in known.items()
    )
