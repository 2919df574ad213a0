"""Which scans of a call are visits of one person, and when each was: the earlier ones are read beside the one that is answered, never a later one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from voxtune.cohorts.person_names import session_in_name, two_people
from voxtune.cohorts.visits import session_years
from voxtune.commands.predict.inputs import Input, patient_of
from voxtune.data.follow_up import LONGEST, check_times, earlier_scans, when_made
from voxtune.errors import SettingError
from voxtune.reports.change import change_sentence, changes
from voxtune.types.decimals import decimal
from voxtune.types.event import VISIT_YEARS
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow
from voxtune.types.visits import VolumeChange

_COMPACT = re.compile(r"^(?:19|20)\d{6}$")
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
        SettingError: not so, not one for each scan, or two scans of the last moment; scans of different people or in another order by their
            names; a manifest or a folder, which has no order of its own.
    """
    if len(inputs) != given or any(one.row is not None for one in inputs):
        raise SettingError("when", f"scans given one by one; a manifest says it by {VISIT_YEARS}", text)
    if len({one.path.resolve() for one in inputs}) < len(inputs):
        raise SettingError("when", "each scan once", text)
    parts = [part.strip() for part in text.split(",")]
    try:
        # Eight digits are a day, not twenty million years.
        years = [_day(part) if _COMPACT.match(part) else decimal(part) for part in parts]
    except ValueError:
        years = [_day(part) for part in parts]
    if len({bool(_COMPACT.match(part)) for part in parts}) > 1:
        raise SettingError("when", "years alone or days alone", text)
    if not np.isfinite(years).all():
        raise SettingError("when", "numbers of years, or days such as 2016-09-12", text)
    if len(years) != len(inputs):
        raise SettingError("when", f"one moment for each scan, {len(inputs)}", text)
    if max(years) - min(years) > LONGEST:
        raise SettingError("when", f"years, at most {LONGEST:g} apart (12 months are 1)", text)
    if sum(one == max(years) for one in years) > 1:
        raise SettingError("when", "one scan of the last moment, which is the one that is answered", text)
    _check_names(inputs, years, text)
    first = min(years)
    return [
        replace(one, row=ManifestRow.model_validate({
            "participant_id": ONE, "scan_id": f"{place}", "image": "n/a", VISIT_YEARS: round(when - first, 6),
        }))
        for place, (one, when) in enumerate(zip(inputs, years, strict=True))
    ]  # fmt: skip


def _check_names(inputs: Sequence[Input], years: Sequence[float], text: str) -> None:
    """See that nothing the files say of themselves contradicts that they are visits of one person at these moments.

    Raises:
        SettingError: names or headers of two people, or names that say another order.
    """
    two = two_people({one.name: one.path.as_posix() for one in inputs})
    patients = {one.name: patient for one in inputs if (patient := patient_of(one.path))}
    if two is None and len(set(patients.values())) > 1:
        names = list(patients)
        two = names[0], next(name for name in names if patients[name] != patients[names[0]])
    if two is not None:
        raise SettingError(
            "when",
            f"visits of one person, and '{two[0]}' and '{two[1]}' say that they are of two; where they are not, a manifest says so by participant_id",
            text,
        )
    sessions = {one.name: session_in_name(one.path.as_posix()) for one in inputs}
    told = session_years(sessions.values())
    known = [(when, one.name, said) for one, when in zip(inputs, years, strict=True) if (said := told[sessions[one.name]]) is not None]  # fmt: skip
    for when, name, said in known:
        for then, other, before in known:
            if said > before and when < then:
                raise SettingError("when", f"moments in the order of the sessions: by its name '{name}' is later than '{other}'", text)  # fmt: skip


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
