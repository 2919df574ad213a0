"""How long each scan was followed and how that ended, from the two columns of an event; and the earlier scans of its person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.data.manifest import MISSING_WORDS
from voxtune.errors import DataError, TableError
from voxtune.types.decimals import decimal
from voxtune.types.event import CENSORED, COMPETING, HAPPENED, VISIT_YEARS, Event
from voxtune.types.records import ManifestRow

Floats = NDArray[np.float64]
LONGEST = 30.0
"""Years between the scans of a person beyond which they are other units, such as months."""
OLDEST = 120.0
"""Years of age that nobody is followed to: beyond them a time is in other units, such as months."""


AGES_APART = 2.0
"""Years by which ages and ``visit_years`` may differ on the time between two scans: ages are often whole numbers."""
CALENDAR = 3000.0
"""Beyond it a number is no year of any calendar."""


def follow_up(rows: Sequence[ManifestRow], event: Event) -> tuple[Floats, Floats]:
    """Years from each scan to the event or to the end of follow-up (n,), and its status (n,); NaN where a scan has neither.

    Raises:
        DataError: the manifest has no such columns.
        TableError: a cell is not what its column holds, or only one of the two is there; scan and column are named.
    """
    if rows and (absent := absent_columns(rows, event)):
        raise DataError(
            f"The manifest has no column '{absent[0]}'. An event has two: '{event.years_column}' (years from the scan to the event or to the last time "
            f"the person was seen) and '{event.status_column}' (1 seen, 0 not seen until then, 2 something else came first); "
            f"'voxtune ingest ... --set event={event.name}' makes them."
        )
    years, status = (np.array([_number(row, name) for row in rows], dtype=float) for name in event.columns)
    for place, row in enumerate(rows):
        _check(row, event, years[place], status[place])
    return years, status


def absent_columns(rows: Sequence[ManifestRow], event: Event) -> list[str]:
    """The columns of an event that some rows lack altogether, as those of scans to be predicted do."""
    known = {name for row in rows for name in (row.model_extra or {})}
    return [name for name in event.columns if name not in known]


def _number(row: ManifestRow, column: str) -> float:
    cell = str((row.model_extra or {}).get(column)).strip()
    if cell in MISSING_WORDS or cell == "None":
        return float("nan")
    try:
        return decimal(cell)
    except ValueError:
        raise _wrong(row, column, "a number or n/a", cell) from None


def _check(row: ManifestRow, event: Event, years: float, status: float) -> None:
    if np.isfinite(years) != np.isfinite(status):
        lost = event.status_column if np.isfinite(years) else event.years_column
        raise _wrong(row, lost, "a value where the other column of the event has one", "n/a")
    if np.isfinite(years) and not 0 < years <= 130:
        raise _wrong(
            row, event.years_column, "more than 0 years after the scan, and no more than a life", f"{years:g}"
        )
    if np.isfinite(years) and row.age is not None and row.age + years > OLDEST:
        raise _wrong(
            row,
            event.years_column,
            f"years (12 months are 1): a person of {row.age:g} would be {row.age + years:g} at their end",
            f"{years:g}",
        )
    if np.isfinite(status) and status not in {CENSORED, HAPPENED, COMPETING}:
        raise _wrong(row, event.status_column, "0, 1 or 2", f"{status:g}")


def _wrong(row: ManifestRow, column: str, expected: str, got: str) -> TableError:
    return TableError("manifest", f"scan '{row.scan_id}', column '{column}': expected {expected}, got {got}")


# ----------------------------------------------------------------------------------------------- earlier scans
def when_made(row: ManifestRow) -> float:
    """Years from the first visit of its person to a scan; NaN where nobody knows.

    Raises:
        TableError: the cell is no number, or one of days such as 20140912.
    """
    found = _number(row, VISIT_YEARS)
    if abs(found) > CALENDAR:
        raise _wrong(row, VISIT_YEARS, "years since the first visit", f"{found:.12g}")
    return found


def check_times(rows: Sequence[ManifestRow]) -> None:
    """See that it is known when each scan of a person with several was made, where they are read together.

    Raises:
        DataError: it is not, or their times or sexes are those of no one person.
        TableError: a cell is no number.
    """
    people: dict[str, list[ManifestRow]] = {}
    for row in rows:
        people.setdefault(row.participant_id, []).append(row)
    for person, some in people.items():
        times = [when_made(row) for row in some] if len(some) > 1 else []
        lost = next((row for row, when in zip(some, times, strict=False) if not np.isfinite(when)), None)
        if lost is not None:
            raise DataError(
                f"Scan '{lost.scan_id}' of participant '{person}' has no {VISIT_YEARS} (years since the first visit): the {len(some)} scans of this person are "
                "read together (event.visits), and it must be known when each was made. Add the column, or take one scan of each person."
            )
        if len(some) > 1:
            _check_one_person(person, some, times)
        if times and max(times) - min(times) > LONGEST:
            raise DataError(
                f"The scans of participant '{person}' are {max(times) - min(times):g} years apart by {VISIT_YEARS}: it is in years, so 12 months are 1."
            )


def _check_one_person(person: str, rows: Sequence[ManifestRow], times: Sequence[float]) -> None:
    """See that sexes and ages are those of one person at these times.

    Raises:
        DataError: they are not.
    """
    sexes = {row.sex for row in rows if row.sex is not None}
    if len(sexes) > 1:
        raise DataError(
            f"The scans of participant '{person}' are of {' and '.join(sorted(sexes))}: one of them is another person's, and they would be read together "
            "(event.visits). Correct participant_id or sex."
        )
    known = [(row, row.age, when) for row, when in zip(rows, times, strict=True) if row.age is not None]
    first = min(known, key=lambda one: one[2], default=None)
    for row, age, when in known:
        assert first is not None
        # One age for all scans is that of the baseline, and says nothing of the time between.
        if age != first[1] and abs((age - first[1]) - (when - first[2])) > AGES_APART:
            raise DataError(
                f"Scan '{row.scan_id}' of participant '{person}' lies {when - first[2]:g} years after '{first[0].scan_id}' by {VISIT_YEARS} and "
                f"{age - first[1]:g} by age: {VISIT_YEARS} is in years, so 12 months are 1, or one of the scans is another person's."
            )


@dataclass(frozen=True)
class Earlier:
    """A scan of the same person before the moment of prediction."""

    row: ManifestRow
    years: float
    """Between the two."""


def earlier_scans(
    rows: Sequence[ManifestRow], everyone: Sequence[ManifestRow], most: int
) -> Mapping[str, tuple[Earlier, ...]]:
    """The scans of the same person before each of some scans, the nearest first, at most ``most - 1``; of the same day none.

    A scan without a ``visit_years`` is before nothing and after nothing.

    Args:
        rows: at whose moments something is predicted.
        everyone: among whom the earlier scans are looked for.
        most: scans that are read together, the one at the moment among them.

    Raises:
        TableError: a ``visit_years`` is no number.
    """
    if most < 2:
        return {}
    visits: dict[str, list[tuple[float, ManifestRow]]] = {}
    for row in everyone:
        when = when_made(row)
        if np.isfinite(when):
            visits.setdefault(row.participant_id, []).append((when, row))
    found = {}
    for row in rows:
        now = when_made(row)
        before = [(now - when, other) for when, other in visits.get(row.participant_id, []) if when < now]
        nearest = sorted(before, key=lambda one: (one[0], one[1].scan_id))[: most - 1]
        if nearest:
            found[row.scan_id] = tuple(Earlier(other, round(gap, 6)) for gap, other in nearest)
    return found
