"""When a person's diagnosis changed for good after a scan, from visits with or without a scan: the two columns of an event and the rule.

Months are counted from the scan, in this order, and every row says which numbers were used:

1. Only a scan at which the diagnosis is ``event_from`` (MCI) is at risk; the others have n/a.
2. A scan after a visit with ``event_to`` (AD) has n/a: the event came before it.
3. A visit within ``event_tolerance`` of the scan is the scan's own: it is neither follow-up nor event. Where it says ``event_to`` the scan
   has n/a, since nobody knows which of the two came first.
4. The event is at the first later visit with ``event_to``. Where any visit after that is without it again, the scan has n/a: it was not for good.
5. A visit with a third diagnosis (CN) before the event is a reversion. By ``event_reverters`` people stay at risk (``stay``), their risk ends
   there (``end``, status 2), or they have n/a (``drop``).
6. Without an event the person was last seen at the last visit that has a diagnosis, and status is 0. Nothing is assumed of the time after it,
   and a person whose last visit is the scan's own has n/a.
7. Two visits of one day that disagree, and a visit with ``event_to`` whose time nobody knows, make n/a: nothing is guessed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from voxtune.cohorts.reading import Reading
from voxtune.errors import DataError
from voxtune.types.event import CENSORED, COMPETING, HAPPENED, VISIT_YEARS
from voxtune.types.settings import Settings

NAME = "conversion"
LONGEST = 480.0
"""Months that nobody is followed after a scan: beyond them times are in other units, such as days."""
Reverters = Literal["stay", "end", "drop"]


class ConversionSettings(Settings):
    """The settings of every cohort whose visits have a diagnosis."""

    event: Literal["conversion"] | None = Field(
        None,
        description="conversion: columns that say when the diagnosis changed for good, or how long it had not",
    )
    event_from: str = Field("MCI", description="the diagnosis of who is at risk, for event=conversion")
    event_to: str = Field("AD", description="the diagnosis that is the event, or several as A+B")
    event_tolerance: float = Field(
        3, ge=0, le=12, description="months within which a visit is the scan's own, for event=conversion"
    )
    event_reverters: Reverters = Field(
        "stay",
        description="a third diagnosis before the event: people stay at risk, end it (status 2), or drop",
    )

    @property
    def targets(self) -> frozenset[str]:
        """The diagnoses that are the event."""
        return frozenset(part.strip() for part in self.event_to.split("+"))

    @property
    def rule(self) -> str:
        """The rule in words, as ``conversion_rule`` holds it."""
        back = {
            "stay": "stays at risk",
            "end": "ends the risk (status 2)",
            "drop": "is left out",
        }[self.event_reverters]
        return (
            f"{self.event_from} at the scan; event: the first visit more than {self.event_tolerance:g} months after it with "
            f"{' or '.join(sorted(self.targets))} and none without it later; a person with another diagnosis before it {back}; without the event: "
            "the last visit with a diagnosis"
        )


@dataclass(frozen=True)
class Course:
    """The visits of a scan's person, as the scan sees them."""

    state: str | None
    """The diagnosis at the scan's own visit."""
    visits: Sequence[tuple[float, str]]
    """Months from the scan (negative: before it) and diagnosis, in any order."""
    since: float | None
    """Months from the person's first visit to the scan; ``None`` where nobody knows."""
    unplaced: Sequence[str] = ()
    """Diagnoses of visits whose time nobody knows."""


@dataclass(frozen=True)
class Outcome:
    """How long a scan was followed and how that ended, or why nobody can say."""

    months: float | None
    status: int | None
    reason: str = ""


def outcome(course: Course, settings: ConversionSettings) -> Outcome:
    """What the rules say of a scan."""
    own, targets = settings.event_tolerance, settings.targets
    later = sorted((months, name) for months, name in course.visits if months > own)
    event = next((months for months, name in later if name in targets), None)
    stays = {settings.event_from, *targets}
    back = next(
        (months for months, name in later if name not in stays and (event is None or months < event)), None
    )
    reason = _not_at_risk(course, settings) or _unclear(later, event, back, settings)
    if reason:
        return Outcome(None, None, reason)
    if back is not None and settings.event_reverters == "end":
        return Outcome(back, COMPETING)
    return Outcome(later[-1][0], CENSORED) if event is None else Outcome(event, HAPPENED)


def _not_at_risk(course: Course, settings: ConversionSettings) -> str:
    """Why nothing can be said of what came after a scan; empty where it can."""
    own, targets = settings.event_tolerance, settings.targets
    by_month: dict[float, set[str]] = defaultdict(set)
    for months, name in course.visits:
        by_month[months].add(name)
    if course.state != settings.event_from:
        return f"not {settings.event_from} at the scan"
    if any(len(names) > 1 for names in by_month.values()):
        return "two visits of one day disagree"
    if targets & set(course.unplaced):
        return "a visit with the event has no date"
    if any(name in targets for months, name in course.visits if months < -own):
        return "the event came before the scan"
    if any(name in targets for months, name in course.visits if abs(months) <= own):
        return f"the event within {own:g} months of the scan"
    return ""


def _unclear(
    later: Sequence[tuple[float, str]], event: float | None, back: float | None, settings: ConversionSettings
) -> str:
    """Why what came later is no outcome; empty where it is one."""
    if not later:
        return "never seen after the scan"
    if event is not None and any(name not in settings.targets for months, name in later if months > event):
        return "the event was seen and later lost again"
    if back is not None and settings.event_reverters == "drop":
        return "a third diagnosis before the event (event_reverters=drop)"
    return ""


def add_event(reading: Reading, courses: Mapping[str, Course], settings: ConversionSettings) -> None:
    """Give every row the columns of the event, and say how many scans have it and why the others have not.

    Args:
        reading: its rows are replaced.
        courses: by scan_id.
        settings: of the cohort; without an event nothing is done.

    Raises:
        DataError: no scan is at risk and was followed, or one for longer than anybody is.
    """
    if settings.event is None:
        return
    found = {row.scan_id: outcome(courses[row.scan_id], settings) for row in reading.rows}
    known = [one for one in found.values() if one.status is not None]
    reasons = Counter(one.reason for one in found.values() if one.reason)
    said = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if not known:
        raise DataError(
            f"event={settings.event}: no scan is at risk and was followed: {said}. The settings are event_from={settings.event_from}, "
            f"event_to={settings.event_to}, event_tolerance={settings.event_tolerance:g}."
        )
    far = max(found, key=lambda name: found[name].months or 0.0)
    if (months := found[far].months or 0.0) > LONGEST:
        raise DataError(
            f"event={settings.event}: scan '{far}' would be followed for {months:g} months, {months / 12:.0f} years. Times are in months; days are 30.4 to one."
        )
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


def _columns(one: Outcome, course: Course, settings: ConversionSettings) -> dict[str, object]:
    since = None if course.since is None else round(course.since / 12, 4)
    return {
        f"{NAME}_years": None if one.months is None else round(one.months / 12, 4),
        f"{NAME}_status": one.status,
        f"{NAME}_rule": settings.rule if one.status is not None else None,
        VISIT_YEARS: since,
    }


def course_of(
    state: str | None,
    here: float | None,
    visits: Iterable[tuple[float | None, str | None]],
    first: float | None,
) -> Course:
    """The course of a scan from moments on one clock of months.

    Args:
        state: the diagnosis at the scan's own visit.
        here: when the scan was; ``None``: nobody knows, and no visit can be placed.
        visits: when each visit of the person was, and its diagnosis; those without a diagnosis say nothing.
        first: when the person's first visit was.
    """
    known = [(when, name) for when, name in visits if name is not None]
    placed = [(when - here, name) for when, name in known if when is not None and here is not None]
    unplaced = [name for when, name in known if when is None or here is None]
    return Course(state, placed, None if here is None or first is None else here - first, unplaced)
