"""The columns of an event in the rows of a cohort, what is said of them, and settings or times that cannot be."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median_low

from voxtune.cohorts.conversion import NAME, ConversionSettings, Course, Outcome, outcome
from voxtune.cohorts.reading import Reading
from voxtune.errors import DataError
from voxtune.types.event import CENSORED, COMPETING, HAPPENED, VISIT_YEARS
from voxtune.types.records import ManifestRow

LONGEST = 480.0
"""Months that nobody is followed after a scan: beyond them a date or the unit is wrong."""
USUAL = 240.0
"""Months of follow-up that half of a cohort does not have: beyond them times are in other units, such as days."""
NAMES = frozenset({"NC", "CN", "MCI", "AD"})
"""Diagnoses that a cohort may have nobody of."""


def add_event(reading: Reading, courses: Mapping[str, Course], settings: ConversionSettings) -> None:
    """Give every row the columns of the event, and say how many scans have it and why the others have not.

    Args:
        reading: its rows are replaced.
        courses: by scan_id.
        settings: of the cohort; without an event nothing is done.

    Raises:
        DataError: no scan is at risk and was followed, or half of them for longer than anybody is; a diagnosis of the settings that no
            visit has.
    """
    if settings.event is None:
        return
    _check_names(courses.values(), settings)
    found = {row.scan_id: outcome(courses[row.scan_id], settings) for row in reading.rows}
    _check_units(found, settings)
    for name, one in found.items():
        if one.months is not None and one.months > LONGEST:
            found[name] = Outcome(
                None, None, f"followed for more than {LONGEST / 12:g} years: a date is wrong"
            )
    known = [one for one in found.values() if one.status is not None]
    reasons = Counter(one.reason for one in found.values() if one.reason)
    said = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if not known:
        raise DataError(
            f"event={settings.event}: no scan is at risk and was followed: {said}. The settings are event_from={settings.event_from}, "
            f"event_to={settings.event_to}, event_tolerance={settings.event_tolerance:g}; the visits have {_listed(courses.values())}."
        )
    courses = _since_the_first(reading.rows, courses)
    reading.rows = [
        row.model_copy(update=_columns(found[row.scan_id], courses[row.scan_id], settings))
        for row in reading.rows
    ]
    counts = Counter(one.status for one in known)
    people = len({row.participant_id for row in reading.rows if found[row.scan_id].status is not None})
    reading.note(
        f"{settings.event}: {len(known)} scans of {people} participants are followed, {counts[HAPPENED]} to the event, {counts[CENSORED]} to the last "
        f"visit without it{f', {counts[COMPETING]} to a third diagnosis' if counts[COMPETING] else ''}; n/a for {said or 'none'}"
    )


def _listed(courses: Iterable[Course]) -> str:
    return ", ".join(sorted(set().union(*(course.names for course in courses)))) or "no diagnosis"


def _check_names(courses: Iterable[Course], settings: ConversionSettings) -> None:
    """See that the event is a diagnosis the visits have: of a word nobody has, everybody would seem to stay free.

    Raises:
        DataError: it is not.
    """
    courses = list(courses)
    seen = set().union(*(course.names for course in courses))
    lost = sorted(settings.targets - seen)
    if lost and courses and not (set(lost) <= NAMES and seen <= NAMES):
        others = sorted(seen - {settings.event_from, "NC", "CN"})
        raise DataError(
            f"event={settings.event}: no visit has the diagnosis '{lost[0]}' (event_to={settings.event_to}); the visits have {_listed(courses)}. "
            f"Name the event by one of them, as --set event_to={others[0] if len(others) == 1 else 'NAME'}."
        )


def _check_units(found: Mapping[str, Outcome], settings: ConversionSettings) -> None:
    """See that the times are those of people.

    Raises:
        DataError: half of the scans would be followed for decades.
    """
    times = {name: one.months for name, one in found.items() if one.months is not None}
    if times and median_low(times.values()) > USUAL:
        far = max(times, key=lambda name: times[name])
        raise DataError(
            f"event={settings.event}: scan '{far}' would be followed for {times[far]:g} months, {times[far] / 12:.0f} years, and half of the scans for "
            f"more than {USUAL / 12:g} years. Times are in months; days are 30.4 to one."
        )


def _since_the_first(rows: Sequence[ManifestRow], courses: Mapping[str, Course]) -> dict[str, Course]:
    """Courses on a clock of each person that starts with the first visit or scan, whichever was earlier: no time is below 0."""
    first: dict[str, float] = {}
    for row in rows:
        first[row.participant_id] = min(courses[row.scan_id].since or 0.0, first.get(row.participant_id, 0.0))
    found = {}
    for row in rows:
        since, start = courses[row.scan_id].since, first[row.participant_id]
        found[row.scan_id] = replace(
            courses[row.scan_id], since=None if since is None else abs(since - start)
        )
    return found


def _columns(one: Outcome, course: Course, settings: ConversionSettings) -> dict[str, object]:
    since = None if course.since is None else round(course.since / 12, 4)
    return {
        f"{NAME}_years": None if one.months is None else round(one.months / 12, 4),
        f"{NAME}_status": one.status,
        f"{NAME}_rule": settings.rule if one.status is not None else None,
        VISIT_YEARS: since,
    }
