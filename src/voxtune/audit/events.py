"""Audit of events: scans from after the moment, people who had to survive to be chosen, visits that give the outcome away.

An event is found by its two columns, ``<event>_years`` and ``<event>_status``; ``visit_years`` says when a scan was.

- *After the moment.* The years of a person's scans must end at one moment. A scan at or after the end of that person's follow-up is labelled by
  what was known before it was made.
- *Two ends.* Scans of one person that place the event differently are labelled by different knowledge.
- *Units.* Where half of the people were followed for decades, or ages say another time between two scans than ``visit_years``, the columns are
  hardly in years.
- *Immortal time.* Where nobody is lost and nobody has the event soon after the scan, people were chosen because they were seen later, or visits
  are so far apart: the first years then seem without risk, and every score is of survivors.
- *Visits.* Whoever converts early is scanned less. A model that can tell how many scans a person has, or that reads several, can tell the outcome
  by their number: compared by participant, against outcomes dealt out at random.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.permutation import told
from voxtune.audit.report import Finding, named
from voxtune.data.follow_up import AGES_APART, Floats, follow_up
from voxtune.data.splits import Split
from voxtune.errors import TableError
from voxtune.types.event import HAPPENED, VISIT_YEARS, Event
from voxtune.types.records import ManifestRow

CHECK = "event"
APART = 0.1
"""Years by which the ends of one person's scans may differ: dates are rounded, and codes of visits stand for months."""
LONG = 20.0
"""Years of follow-up that half of a cohort does not have."""
FEW = 20
"""Followed participants below which nothing is said of how they were chosen."""
EARLY = 0.25
"""Of the median follow-up, within which somebody is lost or has the event unless people were chosen by it."""
ALPHA = 0.01
STRONG = 0.1
"""Share of the variance of a number of visits that lies between outcomes, from which it is worth a warning."""


def event_names(rows: Sequence[ManifestRow]) -> list[str]:
    """The events that some rows have both columns of."""
    columns = {name for row in rows for name in (row.model_extra or {})}
    found = (name.removesuffix("_status") for name in columns if name.endswith("_status"))
    return sorted(name for name in found if name and f"{name}_years" in columns)


def check_events(rows: Sequence[ManifestRow], split: Split) -> list[Finding]:
    """Everything that an event's columns say of leakage and of how people were chosen.

    Args:
        rows: the manifest.
        split: whose train side is looked at for how people were chosen; every row is looked at for scans after the moment.
    """
    findings: list[Finding] = []
    train = set(split.train)
    for name in event_names(rows):
        event = Event(name=name)
        try:
            years, status = follow_up(rows, event)
        except TableError as error:  # of another thing than an event; a run that asks for them is refused
            message = f"Columns '{event.years_column}' and '{event.status_column}' are no event and were not looked at: {error}"
            findings.append(Finding(check=CHECK, level="note", message=message))
            continue
        findings += _moments(event, rows, years)
        findings += _units(event, rows, years)
        mine = np.array([row.scan_id in train for row in rows]) & np.isfinite(years)
        own = [row for row, yes in zip(rows, mine, strict=True) if yes]
        findings += _immortal(event, own, years[mine])
        findings += _visits(event, own, status[mine])
    return findings


def _when(row: ManifestRow) -> float:
    try:
        return float(str((row.model_extra or {}).get(VISIT_YEARS)))
    except ValueError:
        return float("nan")


def _moments(event: Event, rows: Sequence[ManifestRow], years: Floats) -> Iterator[Finding]:
    """Scans at or after the end of their person's follow-up, and people with two ends."""
    ends: dict[str, list[float]] = {}
    for row, left in zip(rows, years, strict=True):
        if np.isfinite(left + _when(row)):
            ends.setdefault(row.participant_id, []).append(_when(row) + float(left))
    first = {person: min(some) for person, some in ends.items()}
    late = [
        row.scan_id
        for row, left in zip(rows, years, strict=True)
        if row.participant_id in first
        and np.isfinite(left)
        and _when(row) >= first[row.participant_id] - 1e-9
    ]
    if late:
        message = (
            f"{len(late)} scans were made at or after the end of their person's follow-up of '{event.name}' and are counted as at risk: {named(late)}. "
            "They are labelled by what came before them; leave them out."
        )
        yield Finding(check=CHECK, level="refuse", message=message, scans=tuple(late))
    two = {person for person, some in ends.items() if max(some) - min(some) > APART} - {
        row.participant_id for row in rows if row.scan_id in late
    }
    if two:
        scans = tuple(row.scan_id for row in rows if row.participant_id in two)
        message = (
            f"The scans of {len(two)} participants place the end of '{event.name}' more than {APART:g} years apart ({named(scans)}): one of them is "
            "labelled by other visits than the others."
        )
        yield Finding(check=CHECK, level="warn", message=message, scans=scans)


def _units(event: Event, rows: Sequence[ManifestRow], years: Floats) -> Iterator[Finding]:
    """Times that are hardly in years."""
    if np.isfinite(years).any() and (usual := float(np.nanmedian(years))) > LONG:
        message = f"Half of the scans were followed more than {usual:.3g} years by '{event.years_column}': it is in years, and months or days are refused by nobody but a reader."
        yield Finding(check=CHECK, level="warn", message=message, figures={"median_years": usual})
    first: dict[str, tuple[float, float]] = {}
    odd = []
    for row in rows:
        when = _when(row)
        if row.age is None or not np.isfinite(when):
            continue
        age, then = first.setdefault(row.participant_id, (row.age, when))
        if abs((row.age - age) - (when - then)) > AGES_APART:
            odd.append(row.scan_id)
    if odd:
        message = (
            f"{len(odd)} scans lie more than {AGES_APART:g} years elsewhere by age than by {VISIT_YEARS} from another scan of their person: {named(odd)}. "
            f"{VISIT_YEARS} is in years since the first visit."
        )
        yield Finding(check=CHECK, level="warn", message=message, scans=tuple(odd))


def _immortal(event: Event, rows: Sequence[ManifestRow], years: Floats) -> Iterator[Finding]:
    """A stretch after the first scans in which nothing happens to anybody."""
    first: dict[str, float] = {}
    for row, left in zip(rows, years, strict=True):
        first[row.participant_id] = max(first.get(row.participant_id, 0.0), float(left))
    if len(first) < FEW:
        return
    spans = np.array(list(first.values()))
    quiet, usual = float(spans.min()), float(np.median(spans))
    # Of n people whose ends are spread evenly over twice the median the first comes so late with a chance below 1 in 1,000.
    chance = (1 - min(quiet / (2 * usual), 1.0)) ** len(spans)
    if quiet >= EARLY * usual and chance < 0.001:
        message = (
            f"Immortal time: of {len(spans)} training participants nobody is lost and nobody has '{event.name}' within {quiet:.2g} years of the first scan, "
            f"while half of them are within {usual:.2g}. Either people were chosen because they were seen later, or their visits are so far apart; whoever was not "
            "seen again is missing in both cases, and every risk is that of survivors."
        )
        yield Finding(
            check=CHECK, level="warn", message=message, figures={"quiet_years": quiet, "median_years": usual}
        )


def _visits(event: Event, rows: Sequence[ManifestRow], status: NDArray[np.float64]) -> Iterator[Finding]:
    """Whether the number of a person's scans tells the outcome."""
    scans: dict[str, int] = {}
    outcome: dict[str, int] = {}
    for row, one in zip(rows, status, strict=True):
        scans[row.participant_id] = scans.get(row.participant_id, 0) + 1
        outcome[row.participant_id] = max(outcome.get(row.participant_id, 0), int(one == HAPPENED))
    people = list(scans)
    labels = np.array([outcome[person] for person in people], dtype=np.int64)
    counts = np.array([scans[person] for person in people], dtype=float)
    if len(people) < FEW or len(set(labels.tolist())) < 2 or len(set(counts.tolist())) < 2:
        return
    found = told(counts[:, None], labels)
    share, p = float(found.shares[0]), float(found.p[0])
    if share < STRONG or p > ALPHA:
        return
    with_it, without = (float(counts[labels == one].mean()) for one in (1, 0))
    message = (
        f"The number of scans goes with '{event.name}' (participants with it have {with_it:.1f} scans, the others {without:.1f}; p {p:.3f}): a model that can "
        "tell how many scans a person has tells the outcome by it. Each scan is scored by itself and sees no later one; with event.visits above 1 "
        "compare with one visit."
    )
    yield Finding(check=CHECK, level="warn", message=message, figures={"share": share, "p": p})
