"""When the sessions of a BIDS tree were and what their diagnosis was, those without an image too."""

from collections.abc import Mapping
from dataclasses import dataclass

from voxtune.cohorts.conversion import Course, course_of
from voxtune.cohorts.labels import cell_class, is_rule, parse_rule
from voxtune.cohorts.quantities import number
from voxtune.cohorts.sessions import SessionTables
from voxtune.cohorts.table import plain
from voxtune.cohorts.visits import visit_month
from voxtune.errors import SettingError


@dataclass(frozen=True)
class SessionClock:
    """The tables of a tree with the settings that say what a diagnosis and a time are."""

    tables: SessionTables
    diagnosis: str | None
    classes: Mapping[str, str]
    time: str | None

    def course(self, person: str, session: str | None) -> Course:
        """The visits of a scan's person, in months of the clock of its sessions.

        Raises:
            SettingError: ``event_time`` is no column of the tables, or a cell of it is no number.
        """
        known = {
            one: (self._month(person, one), self._state(person, one))
            for one in self._sessions(person, session)
        }
        here, state = known[session or ""]
        first = min((when for when, _ in known.values() if when is not None), default=None)
        return course_of(state, here, known.values(), first)

    def _sessions(self, person: str, session: str | None) -> list[str]:
        """The sessions that any table or the image has of a person."""
        tables = self.tables
        named = [row.cells.get("session_id") for row in tables.sessions.get(person, ())]
        if tables.visit_column:
            named += [row.cells.get(tables.visit_column) for row in tables.people.get(person, ())]
        bare = dict.fromkeys(one if one.startswith("ses-") else f"ses-{one}" for one in named if one)
        return list(bare | {session or "": None})

    def _month(self, person: str, session: str) -> float | None:
        if self.time is None:
            month = visit_month(session)
            return None if month is None else float(month)
        if plain(self.time) not in self.tables.columns:
            raise SettingError(
                "event_time", f"a column of the tables: {', '.join(self.tables.columns)}", self.time
            )
        cell = self.tables.find(person, session or None).cells.get(plain(self.time))
        try:
            return None if cell is None else number(cell)
        except ValueError:
            raise SettingError(
                "event_time", f"months, a number in every session ({person}, {session})", cell
            ) from None

    def _state(self, person: str, session: str) -> str | None:
        found = self.tables.find(person, session or None)
        if self.diagnosis and is_rule(self.diagnosis):
            return parse_rule(self.diagnosis).label(lambda name: found.cells.get(plain(name)))
        column = plain(self.diagnosis) if self.diagnosis else self.tables.column_of("diagnosis")
        cell = found.cells.get(column) if column else None
        return None if cell is None else cell_class(cell, self.classes)
