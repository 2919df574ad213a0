"""When the sessions of a BIDS tree were and what their diagnosis was, those without an image too."""

import re
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from voxtune.cohorts.conversion import ONCE, TWO_ROWS, Course, course_of
from voxtune.cohorts.dates import DAYS_A_MONTH, DateStyle, ambiguous, date_style
from voxtune.cohorts.joins import Scan
from voxtune.cohorts.labels import is_rule, parse_rule
from voxtune.cohorts.quantities import factor, number
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.sessions import SessionTables
from voxtune.cohorts.supplement import Supplement
from voxtune.cohorts.table import plain
from voxtune.cohorts.table_settings import TableSettings
from voxtune.cohorts.visits import session_years
from voxtune.errors import SettingError

ACQUIRED = "acq_time"
"""The column of sub-*_sessions.tsv in which BIDS has the moment of a session."""
FARTHEST = 1500.0
"""Months beyond which a number is the time since nothing in a life: days, or the serial number of a date."""
_UNIT = re.compile(r"(?:^|_)(day|week|month|year|yr|mo)s?(?=_|$)")


@dataclass
class SessionClock:
    """The tables of a tree with the settings that say what a diagnosis and a time are."""

    tables: SessionTables
    wanted: TableSettings
    diagnosis: str | None
    classes: dict[str, str]
    time: str | None
    """A column with the time of a session: numbers, months where neither the tables nor the settings say another unit, or dates."""
    reading: Reading
    """Hears in which unit times are read."""
    _states: dict[tuple[str, str], tuple[str | None, str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        lacking = [name for name in self._label_columns() if plain(name) not in self.tables.columns]
        if "diagnosis" in set(self.wanted.rename.values()) - set(self.tables.renamed):
            lacking = [one for one, target in self.wanted.rename.items() if target == "diagnosis"]
        if lacking:
            raise SettingError(
                "event",
                "the diagnosis of each visit in the tree's own tables, sub-*_sessions.tsv or a table by participant_id and session_id "
                "(--set table=FILE); visits without an image stand in no other",
                lacking[0],
            )

    def course(self, person: str, session: str | None) -> Course:
        """The visits of a scan's person, in months of the clock of its sessions.

        Raises:
            SettingError: ``event_time`` is no column of the tables, or a cell of it is no time.
        """
        names = self._sessions(person, session)
        months = self._months(person, names)
        states = {one: self._state(person, one) for one in names}
        doubts = {why for _, why in states.values()}
        doubt = states[session or ""][1] or (TWO_ROWS if TWO_ROWS in doubts else "")
        first = min((when for when in months.values() if when is not None), default=None)
        visits = [(months[one], state) for one, (state, _) in states.items()]
        return course_of(states[session or ""][0], months[session or ""], visits, first, doubt)

    def _sessions(self, person: str, session: str | None) -> list[str]:
        """The sessions that any table or the image has of a person."""
        tables = self.tables
        named = [row.cells.get("session_id") for row in tables.sessions.get(person, ())]
        if tables.visit_column:
            named += [row.cells.get(tables.visit_column) for row in tables.people.get(person, ())]
        bare = dict.fromkeys(one if one.startswith("ses-") else f"ses-{one}" for one in named if one)
        return list(bare | {session or "": None})

    # ---- what
    def _label_columns(self) -> list[str]:
        """The columns that a label is made of."""
        if self.diagnosis:
            return list(parse_rule(self.diagnosis).columns) if is_rule(self.diagnosis) else [self.diagnosis]
        return [self.tables.column_of("diagnosis") or "diagnosis"]

    def _state(self, person: str, session: str) -> tuple[str | None, str]:
        """The class of a session, by the same rules as that of a scan, and why it says nothing of its moment."""
        if (person, session) not in self._states:
            self._states[person, session] = self._read(person, session)
        return self._states[person, session]

    def _read(self, person: str, session: str) -> tuple[str | None, str]:
        found = self.tables.find(person, session or None)
        alone = Supplement(
            self.wanted, [Scan(session, person, session or None)], [[]], Reading(), (), ()
        )  # no further table, and nobody hears twice what was said of the scans
        values, _ = self.tables.values(found, self.diagnosis, self.classes, alone, 0)
        label = values.get("diagnosis")
        if "disagree" in found.why:
            return label, TWO_ROWS
        known = [name for name in map(plain, self._label_columns()) if found.cells.get(name) is not None]
        return label, ONCE if known and all(map(found.of_person, known)) else ""

    # ---- when
    def _months(self, person: str, sessions: list[str]) -> dict[str, float | None]:
        if self.time is None:
            named = session_years(sessions)
            if any(years is not None for years in named.values()) or ACQUIRED not in self.tables.of_visits:
                return {one: None if (years := named[one]) is None else 12 * years for one in sessions}
            self.reading.note(
                f"Sessions whose names say no time are dated by '{ACQUIRED}' of sub-*_sessions.tsv."
            )
        return {one: self._month(person, one) for one in sessions}

    @property
    def _column(self) -> str:
        """The plain name of the column of times."""
        name = plain(self.time or ACQUIRED)
        if name not in self.tables.columns:
            raise SettingError(
                "event_time", f"a column of the tables: {', '.join(self.tables.columns)}", name
            )
        return name

    def _month(self, person: str, session: str) -> float | None:
        cell = self.tables.find(person, session or None).cells.get(self._column)
        if cell is None:
            return None
        day = self._day(cell)
        if day is not None:
            return day.toordinal() / DAYS_A_MONTH
        try:
            months = number(cell, self.wanted.numbers) * self._unit
        except ValueError:
            months = float("inf")
        if abs(months) > FARTHEST:
            expected = "numbers or dates in every session, numbers in months or in the unit that is said"
            raise SettingError("event_time", f"{expected} ({person}, {session})", cell)
        return months

    @cached_property
    def _style(self) -> DateStyle | None:
        """How the dates of the column are written; ``None`` where its cells are numbers.

        Raises:
            SettingError: the order of day and month cannot be told.
        """
        name = self._column
        rows = (*self.tables.people.values(), *self.tables.sessions.values())
        cells = [cell for own in rows for row in own if (cell := row.cells.get(name)) is not None]
        try:
            for cell in cells:
                number(cell, self.wanted.numbers)
        except ValueError:
            try:
                style = date_style(cells, "month")
            except ValueError as error:
                raise SettingError("event_time", "dates of one style", f"{name}: {error}") from None
            if not style.certain and ambiguous(cells):
                raise SettingError(
                    "event_time", "dates like 2006-01-31, whose order is known", name
                ) from None
            return style
        return None

    def _day(self, cell: str) -> date | None:
        try:
            return None if self._style is None else self._style.read(cell.replace("T", " "))
        except ValueError:
            return None

    @cached_property
    def _unit(self) -> float:
        """Months of a unit of the column: by ``units``, by the Units of a table's JSON file, by its name, else a month.

        Raises:
            SettingError: a unit that is no time.
        """
        name = self._column
        books = [book.units[name] for book in self.tables.codebooks.values() if name in book.units]
        named = _UNIT.search(name)
        said = self.wanted.unit(name) or next(iter(books), None) or (f"{named[1]}s" if named else None)
        if said is None and name in {"age", "age_at_scan", "age_at_session"}:
            said = "years"
        years = factor(said, "age") if said else 1 / 12
        if years is None:
            raise SettingError("event_time", "a column in days, weeks, months or years", f"{name} in {said}")
        if said:
            self.reading.note(f"event_time: the times of '{name}' are read in {said}.")
        return 12 * years
