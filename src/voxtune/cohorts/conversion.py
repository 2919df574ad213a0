"""When a person's diagnosis changed for good after a scan, from visits with or without a scan: the rule.

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
7. Two visits of one day that disagree, rows of one visit that do, a visit whose code and date are more than a year apart, and a visit with
   ``event_to`` (or a reversion that is not to stay) whose time nobody knows, make n/a: nothing is guessed.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from voxtune.types.event import CENSORED, COMPETING, HAPPENED
from voxtune.types.settings import Settings

NAME = "conversion"
OFF = 12.0
"""Months by which the code of a visit and its date may differ: a visit comes late or early, but not by a year."""
UNSEEN = "never seen after the scan"
TWO_ROWS = "two rows of one visit disagree"
ONCE = "the diagnosis stands once for a person and not for each visit"
Reverters = Literal["stay", "end", "drop"]


class ConversionSettings(Settings):
    """The settings of every cohort whose visits have a diagnosis."""

    event: Literal["conversion"] | None = Field(
        None,
        description="conversion: columns that say when the diagnosis changed for good, or how long it had not",
    )
    event_from: str = Field("MCI", description="the diagnosis of who is at risk, for event=conversion")
    event_to: str = Field(
        "AD", validate_default=True, description="the diagnosis that is the event, or several as A+B"
    )
    event_tolerance: float = Field(
        3, ge=0, le=12, description="months within which a visit is the scan's own, for event=conversion"
    )
    event_reverters: Reverters = Field(
        "stay",
        description="a third diagnosis before the event: people stay at risk, end it (status 2), or drop",
    )

    @field_validator("event_to")
    @classmethod
    def _other_state(cls, value: str, info: ValidationInfo) -> str:
        names = [part.strip() for part in value.split("+")]
        if "" in names:
            raise ValueError("a diagnosis, or several as A+B")
        if info.data.get("event_from") in names:
            raise ValueError(f"other diagnoses than event_from, '{info.data['event_from']}'")
        return value

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
    doubt: str = ""
    """Why the visits say nothing, whatever they are; empty where they do."""

    @property
    def names(self) -> set[str]:
        """Every diagnosis that was seen."""
        return {*(name for _, name in self.visits), *self.unplaced} | ({self.state} if self.state else set())


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
    if reason == UNSEEN and course.unplaced:
        reason = "nobody knows when its visits were"
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
    known = {*course.unplaced}
    third = known - targets - {settings.event_from} if settings.event_reverters != "stay" else set()
    reasons = (
        (course.state != settings.event_from, f"not {settings.event_from} at the scan"),
        (bool(course.doubt), course.doubt),
        (any(len(names) > 1 for names in by_month.values()), "two visits of one day disagree"),
        (bool(targets & known), "a visit with the event has no date"),
        (bool(third), "a visit with a third diagnosis has no date"),
        (
            _seen(course, targets, -math.inf, math.nextafter(-own, -math.inf)),
            "the event came before the scan",
        ),
        (_seen(course, targets, -own, own), f"the event within {own:g} months of the scan"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _seen(course: Course, targets: frozenset[str], start: float, end: float) -> bool:
    return any(name in targets and start <= months <= end for months, name in course.visits)


def _unclear(
    later: Sequence[tuple[float, str]], event: float | None, back: float | None, settings: ConversionSettings
) -> str:
    """Why what came later is no outcome; empty where it is one."""
    if not later:
        return UNSEEN
    if event is not None and any(name not in settings.targets for months, name in later if months > event):
        return "the event was seen and later lost again"
    if back is not None and settings.event_reverters == "drop":
        return "a third diagnosis before the event (event_reverters=drop)"
    return ""


def off_the_clock(visits: Iterable[tuple[float | None, float | None]]) -> str:
    """Why visits cannot be placed in time, empty where they can: one whose code and date are too far apart.

    Args:
        visits: months since the first visit as the code of each says, and as its date does.
    """
    for coded, dated in visits:
        if coded is not None and dated is not None and abs(coded - dated) > OFF:
            return "the code and the date of a visit are more than a year apart"
    return ""


def course_of(
    state: str | None,
    here: float | None,
    visits: Iterable[tuple[float | None, str | None]],
    first: float | None,
    doubt: str = "",
) -> Course:
    """The course of a scan from moments on one clock of months.

    Args:
        state: the diagnosis at the scan's own visit.
        here: when the scan was; ``None``: nobody knows, and no visit can be placed.
        visits: when each visit of the person was, and its diagnosis; those without a diagnosis say nothing.
        first: when the person's first visit was.
        doubt: why the visits say nothing; empty where they do.
    """
    known = [(when, name) for when, name in visits if name is not None]
    placed = [(when - here, name) for when, name in known if when is not None and here is not None]
    unplaced = [name for when, name in known if when is None or here is None]
    return Course(state, placed, None if here is None or first is None else here - first, unplaced, doubt)
