"""Tables of a BIDS tree: ``participants.tsv``, ``sub-*_sessions.tsv`` or one merged table, looked up by person and session.

A column that tables of sessions have is of the visit: its value comes from the row of the scan's session, or is missing. Other
columns are of the person. A person or session is found as it is written, else by the one name that differs only in zeros, case or
prefix. What the value of a label came from stands in its rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from voxtune.cohorts.codebook import Codebook
from voxtune.cohorts.joins import VISITS
from voxtune.cohorts.labels import cell_class, is_rule, parse_rule
from voxtune.cohorts.quantities import number
from voxtune.cohorts.reading import SEXES
from voxtune.cohorts.spellings import bare, by_bare, matched
from voxtune.cohorts.supplement import Supplement
from voxtune.cohorts.table import PERSONAL, WORDS, SourceTable, plain
from voxtune.errors import SettingError
from voxtune.types.records import MANIFEST_COLUMNS

ALIASES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "diagnosis": (("diagnosis", "dx", "dx1", "diagnostic"), ("diagnosis_bl", "dx_bl", "group")),
    "age": (("age", "age_at_scan", "age_at_session", "age_years"), ("age_bl", "age_at_baseline")),
    "sex": (("sex", "gender", "sex_m_f", "gender_m_f", "m_f"),),
    "mmse": (("mmse", "mms", "mmse_total", "mmscore"), ("mmse_bl",)),
    "cdr": (("cdr", "cdr_global", "cdglobal"), ("cdr_bl",)),
    "site": (("site", "site_id", "institution", "center"),),
    "scanner": (("scanner", "scanner_model", "manufacturers_model_name"),),
    "field_strength": (("field_strength", "magnetic_field_strength", "magnet"),),
    **{name: ((name,),) for name in MANIFEST_COLUMNS if name.endswith("_mm3")},
}
"""Names a column may go by; a later group only where no table has one of an earlier."""
PEOPLE = ("participant_id", "participant", "subject_id", "subject", "sub")
_KEYS = {"participant_id", "session_id", "scan_id", "image", "source", "source_sha256", "diagnosis_rule"}


@dataclass(frozen=True)
class Row:
    """One row of a table with its place; cells by plain name."""

    table: str
    cells: dict[str, str | None]
    line: int


@dataclass
class Found:
    """What the tables say of a scan: cells by plain name with the table each is from, and why something is lacking."""

    cells: dict[str, str | None] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    of_visit: bool = False
    """Whether the row of the participants' table is of the session itself."""
    rows: tuple[Row, ...] = ()
    """The row of the participants' table and that of the person's own table, as far as there are such."""
    why: str = ""

    def of_person(self, column: str) -> bool:
        """Whether a value that is known comes from a row of the person, whatever the visit."""
        return (
            self.cells.get(column) is not None
            and not self.of_visit
            and not self.sources[column].endswith("_sessions.tsv")
        )

    @property
    def where(self) -> str:
        """The lines that were used, in words."""
        return " and ".join(f"line {row.line} of {row.table}" for row in self.rows)


@dataclass
class SessionTables:
    """The tables of a tree; ``main`` is ``None`` for a tree without ``participants.tsv``."""

    main: SourceTable | None
    people: dict[str, list[Row]]
    """Rows of the main table by the name of the person, ``sub-`` in front."""
    sessions: dict[str, list[Row]]
    """Rows of a person's own table of sessions."""
    visit_column: str | None
    """The plain name of the column of the main table that names the visit."""
    columns: tuple[str, ...]
    """Plain names of all columns of all tables."""
    of_visits: frozenset[str]
    """Those that the tables of sessions have."""
    codebooks: Mapping[str, Codebook]
    used: set[tuple[str, int]] = field(default_factory=set)
    """Table and line of each row that a scan was found for."""
    _known: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, main: Path | None, session_tables: Sequence[Path]) -> Self:
        """Read the participants' table and the tables of single participants.

        Raises:
            TableError: a table cannot be read or has no column for the person or the session.
        """
        table = SourceTable.read(main, WORDS) if main else None
        people: dict[str, list[Row]] = {}
        visits, columns = None, dict[str, None]()
        books = {main.name: Codebook.read(main.with_suffix(".json"))} if main else {}
        if table is not None:
            person = table.column(*PEOPLE, todo="BIDS names the people there.")
            columns |= dict.fromkeys(map(plain, table.columns))
            for row in _rows(table):
                if row.cells[plain(person)] is not None:
                    people.setdefault(_named(row.cells[plain(person)] or "", "sub-"), []).append(row)
            repeated = any(len(rows) > 1 for rows in people.values())
            visits = table.find(VISITS[0]) or (table.find(*VISITS[1:]) if repeated else None)
        sessions: dict[str, list[Row]] = {}
        for path in session_tables:
            own = SourceTable.read(path, WORDS)
            column = plain(own.column(*VISITS, todo="BIDS names the sessions there."))
            rows = [
                Row(row.table, row.cells | {"session_id": row.cells[column]}, row.line) for row in _rows(own)
            ]
            sessions[path.name.removesuffix("_sessions.tsv")] = rows
            books[path.name] = Codebook.read(path.with_suffix(".json"), path.parent.parent / "sessions.json")
        of_visits = dict.fromkeys(
            name for rows in sessions.values() for row in rows[:1] for name in row.cells
        )
        return cls(
            table, people, sessions, plain(visits) if visits else None, tuple(columns | of_visits), frozenset(of_visits), books,
            _known=by_bare(people),
        )  # fmt: skip

    # ---- which rows
    def find(self, person: str, session: str | None) -> Found:
        """The rows of a scan; ``why`` says what is lacking."""
        main, why = self._person(person, session)
        own = self.sessions.get(person)
        visit, lacking = _visit(own, "session_id", session) if own else (None, "")
        why = lacking or why
        if main is None and visit is None:
            nothing: dict[str, str | None] = dict.fromkeys(self.columns)
            return Found(
                nothing, dict.fromkeys(self.columns, ""), why=why or f"participant {person} is in no table"
            )
        dated = bool(main and self.visit_column and main.cells[self.visit_column] is not None)
        found = Found(of_visit=dated, rows=tuple(row for row in (main, visit) if row is not None), why=why)
        self.used |= {(row.table, row.line) for row in found.rows}
        for column in self.columns:
            row = visit if own and column in self.of_visits else main
            found.cells[column] = row.cells.get(column) if row else None
            found.sources[column] = row.table if row else ""
        return found

    def _person(self, person: str, session: str | None) -> tuple[Row | None, str]:
        if self.main is None:
            return None, ""
        table = self.main.path.name
        name = matched(person, self._known)
        if name is None:
            same = self._known.get(bare(person), ())
            also = f", or under several spellings ({', '.join(same)})" if same else ""
            return None, f"participant is not in {table}{also}"
        rows, why = self.people[name], ""
        if self.visit_column:
            dated = [row for row in rows if row.cells[self.visit_column] is not None]
            if dated:
                row, why = _visit(dated, self.visit_column, session)
                if row is not None:
                    return row, ""
                rows = [row for row in rows if row.cells[self.visit_column] is None]
        if any(row.cells != rows[0].cells for row in rows[1:]):
            lines = ", ".join(str(row.line) for row in rows)
            return None, (
                f"{table} has several rows of the participant (lines {lines}) and no session_id: which of them is meant cannot be told"
            )
        return (rows[0] if rows else None), why

    # ---- which columns
    def column_of(self, field_name: str) -> str | None:
        """The plain name of the one column that a manifest column is taken from, in all rows of the tree."""
        for group in ALIASES[field_name]:
            for known in (self.of_visits, self.columns):
                found = next((plain(name) for name in group if plain(name) in known), None)
                if found:
                    return found
        return None

    # ---- values
    def values(
        self, found: Found, diagnosis: str | None, classes: Mapping[str, str], more: Supplement, place: int
    ) -> tuple[dict[str, Any], str | None]:
        """Manifest values of a scan, and why there is no label (``None`` where there is one).

        Raises:
            SettingError: the diagnosis setting names a column that no table has.
            DataError: a unit of the tables' JSON file is not known.
            ValueError: a rule compares a number in another style.
        """
        values: dict[str, Any] = {
            name: value
            for name, value in found.cells.items()
            if not PERSONAL.search(name) and name not in _KEYS
        }
        values |= more.measured(place, filter(self.column_of, ALIASES))
        elsewhere = {}
        for name, groups in ALIASES.items():
            column = self.column_of(name)
            if column:
                values[name] = self._quantity(found, column, name, more)
            else:
                elsewhere[name] = [alias for group in groups for alias in group]
        values |= more.named(place, elsewhere) | more.renamed(place)
        if diagnosis and is_rule(diagnosis):
            rule = parse_rule(diagnosis)
            self._require(rule.columns, more)
            values |= {
                "diagnosis": rule.label(lambda name: self._cell(found, name, more, place)),
                "diagnosis_rule": f"rule: {rule.text}",
            }
        elif "diagnosis" in more.wanted.rename.values():
            values["diagnosis_rule"] = "column: " + next(
                one for one, two in more.wanted.rename.items() if two == "diagnosis"
            )
        else:
            if diagnosis:
                self._require((diagnosis,), more)
            column = plain(diagnosis) if diagnosis else self.column_of("diagnosis")
            if column is not None and column not in found.cells:
                cell = more.cell(place, diagnosis or column)
                values["diagnosis"] = cell_class(cell, classes) if cell is not None else None
                values["diagnosis_rule"] = f"column: {diagnosis} of {', '.join(more.wanted.also)}"
            elif column is not None:
                values |= self._label(found, column, classes, more)
            elif values.get("diagnosis") is not None:
                values["diagnosis"] = cell_class(str(values["diagnosis"]), classes)
                values["diagnosis_rule"] = f"column: diagnosis of {', '.join(more.wanted.also)}"
        if values.get("diagnosis") is None:
            values |= {"diagnosis": None, "diagnosis_rule": None}
            return values, f"no label ({found.why})" if found.why else self._no_label(diagnosis, more)
        return values, None

    def _no_label(self, diagnosis: str | None, more: Supplement) -> str:
        if diagnosis or self.column_of("diagnosis") or self.main is None or more.more:
            return "no label"
        listed = ", ".join(column for column in self.columns if not PERSONAL.search(column))
        return (
            f"no label: {self.main.path.name} has no column such as diagnosis or group; it has {listed[:300]}"
        )

    def _cell(self, found: Found, name: str, more: Supplement, place: int) -> str | None:
        """A cell that a rule asks for, of the tree's tables or of a further one."""
        return found.cells[plain(name)] if plain(name) in found.cells else more.cell(place, name)

    def _label(
        self, found: Found, column: str, classes: Mapping[str, str], more: Supplement
    ) -> dict[str, str | None]:
        """The class of a cell and the rule that gave it, which names the column and the table that were really used."""
        table, code = found.sources[column], found.cells[column]
        book = self.codebooks.get(table)
        word = more.word(column, code)
        if word == code and book and book.is_coded(column):
            word = book.word(column, code)
        if word == code and book and (said := book.explained(column)):
            more.reading.note(said)
        label = None
        if code is not None and word is not None:
            label = cell_class(code, classes)
            label = label if label != code else cell_class(word, classes)
        rule = f"column: {column} of {'sub-*_sessions.tsv' if table.endswith('_sessions.tsv') else table}"
        if column.endswith("_bl"):
            rule += " (of the baseline)"
        if word != code and book is not None and column in book.levels:
            rule += f", named by Levels of {book.path.name}"
        if classes and label is not None and label not in classes.values():
            more.reading.note(
                f"column '{column}': '{code}' is not named in 'classes' and stays a class of its own."
            )
        return {
            "diagnosis": label,
            "diagnosis_rule": rule + (f", named by {dict(classes)}" if classes else ""),
        }

    def _quantity(self, found: Found, column: str, name: str, more: Supplement) -> str | float | None:
        """A cell in the words and the unit of a manifest column."""
        cell = more.word(column, found.cells[column])
        book = self.codebooks.get(found.sources[column])
        if cell is None:
            return None
        if {name, column} & set(more.wanted.units):
            row = next(row for row in found.rows if row.table == found.sources[column])
            table = SourceTable(Path(row.table), (column,), (), "")
            return more.in_unit(name, column, cell, table, row.line)
        if name == "sex" or book is None:
            word = book.word(column, cell) if book else cell
            return word if word is not None and word.lower() in SEXES else cell
        return self._in_unit(book, column, name, cell, more)

    def _in_unit(
        self, book: Codebook, column: str, name: str, cell: str, more: Supplement
    ) -> str | float | None:
        """A cell in the unit of its manifest column, by the Units of the table's JSON file."""
        by = book.factor(column, name) if name == "age" or name.endswith("_mm3") else None
        if by is None or by == 1:
            return cell
        try:
            value = number(cell, more.wanted.numbers) * by
        except ValueError:
            more.reading.note(
                f"column '{column}': '{cell}' is no number of {book.units[plain(column)]} and is left out."
            )
            return None
        if plain(column) in book.guessed:
            more.reading.note(
                f"'{column}' is read in {book.units[plain(column)]}, as its description in {book.path.name} says."
            )
        return value

    def _require(self, names: Iterable[str], more: Supplement) -> None:
        for name in names:
            if plain(name) not in self.columns and not more.has(name):
                known = [column for column in self.columns if column not in MANIFEST_COLUMNS[:1]]
                raise SettingError("diagnosis", f"columns among {', '.join(known[:40])}", name)

    def without_image(self) -> list[tuple[str, Row]]:
        """Rows that no scan was found for, with the name of the person."""
        tables = (self.people, self.sessions)
        rows = [(name, row) for table in tables for name, own in table.items() for row in own]
        return [(name, row) for name, row in rows if (row.table, row.line) not in self.used]


def _rows(table: SourceTable) -> list[Row]:
    table.refuse_alike()
    return [
        Row(table.path.name, {plain(name): cell for name, cell in cells.items()}, line)
        for line, cells in zip(table.lines, table.rows, strict=True)
    ]


def _visit(rows: Sequence[Row], column: str, session: str | None) -> tuple[Row | None, str]:
    """The row of a session, or why there is none to be had."""
    table = rows[0].table
    known = by_bare(row.cells[column] or "" for row in rows if row.cells[column])
    listed = ", ".join(_named(name, "ses-") for names in known.values() for name in names) or "none"
    if session is None:
        if all(row.cells == rows[0].cells for row in rows):
            return rows[0], ""
        return None, f"the image names no session and {table} has several ({listed})"
    written = {row.cells[column] for row in rows}
    exact = next((name for name in (session, session.removeprefix("ses-")) if name in written), None)
    name = exact or matched(session, known)
    own = [row for row in rows if name is not None and row.cells[column] == name]
    if not own:
        several = " (several may be meant)" if known.get(bare(session)) else ""
        return None, f"session {session} is not in {table}, which has {listed}{several}"
    if any(row.cells != own[0].cells for row in own[1:]):
        lines = ", ".join(str(row.line) for row in own)
        return None, f"{table} has several rows of session {session} that disagree (lines {lines})"
    return own[0], ""


def _named(text: str, prefix: str) -> str:
    return text if text.startswith(prefix) else f"{prefix}{text}"
