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
from voxtune.cohorts.ranges import why_not
from voxtune.cohorts.reading import SEXES
from voxtune.cohorts.spellings import bare, by_bare, matched
from voxtune.cohorts.supplement import Supplement
from voxtune.cohorts.table import PERSONAL, WORDS, SourceTable, plain
from voxtune.cohorts.table_settings import parts_of
from voxtune.cohorts.visit_rows import Found, Row, named, row_of, rows_of
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
    renamed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Plain names of the tree's columns that ``rename`` takes for a manifest column."""
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
            for row in rows_of(table):
                if row.cells[plain(person)] is not None:
                    people.setdefault(named(row.cells[plain(person)] or "", "sub-"), []).append(row)
            repeated = any(len(rows) > 1 for rows in people.values())
            visits = table.find(VISITS[0]) or (table.find(*VISITS[1:]) if repeated else None)
        sessions: dict[str, list[Row]] = {}
        for path in session_tables:
            own = SourceTable.read(path, WORDS)
            column = plain(own.column(*VISITS, todo="BIDS names the sessions there."))
            rows = [
                Row(row.table, row.cells | {"session_id": row.cells[column]}, row.line)
                for row in rows_of(own)
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
        visit, lacking = row_of(own, "session_id", session) if own else (None, "")
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
                row, why = row_of(dated, self.visit_column, session)
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
    def rename(self, more: Supplement) -> None:
        """Take the columns of ``rename`` that the tree's own tables have; further tables give the others.

        Raises:
            SettingError: a column is in the tree and in a further table, or a sum has columns of both.
        """
        place = f"{self.main.path.name}/" if self.main else "/"
        for source, target in more.wanted.rename.items():
            known = {source} if plain(source) in self.columns else set()
            parts = parts_of(source, known)
            bare_parts = tuple(plain(part.removeprefix(place)) for part in parts)
            own = [part in self.columns for part in bare_parts]
            elsewhere = [more.has(part) for part in parts]
            if any(own) and (any(elsewhere) or not all(own)):
                raise SettingError(
                    "rename",
                    f"columns of one table, as TABLE/COLUMN where {place[:-1]} and another have it",
                    source,
                )
            if any(own):
                self.renamed[target] = bare_parts

    def _taken(self, found: Found, target: str, more: Supplement) -> str | float | None:
        """What ``rename`` gives a scan from the tree's own tables."""
        columns = self.renamed[target]
        cells = [self._quantity(found, column, target, more) for column in columns]
        if len(columns) == 1:
            return cells[0]
        rows = {row.table: row.line for row in found.rows}
        parts = [
            (found.sources[column], rows.get(found.sources[column], 0), column, cell)
            for column, cell in zip(columns, cells, strict=True)
        ]
        return more.sum_of(target, parts)

    def column_of(self, field_name: str) -> str | None:
        """The plain name of the one column that a manifest column is taken from, in all rows of the tree."""
        if field_name in self.renamed:
            return self.renamed[field_name][0]
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
        values |= self._gained(found, more, place)
        if diagnosis and is_rule(diagnosis):
            rule = parse_rule(diagnosis)
            self._require(rule.columns, more)
            values |= {
                "diagnosis": rule.label(lambda name: self._cell(found, name, more, place, values)),
                "diagnosis_rule": f"rule: {rule.text}",
            }
        elif "diagnosis" in set(more.wanted.rename.values()) - set(self.renamed):
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

    def _gained(self, found: Found, more: Supplement, place: int) -> dict[str, Any]:
        """Manifest columns from the tree's own columns, from those of further tables, and under new names."""
        values: dict[str, Any] = {}
        elsewhere = {}
        for name, groups in ALIASES.items():
            column = self.column_of(name)
            if name in self.renamed:
                values[name] = self._taken(found, name, more)
            elif column:
                values[name] = self._quantity(found, column, name, more)
            else:
                elsewhere[name] = [alias for group in groups for alias in group]
        values |= more.named(place, elsewhere) | more.renamed(place, self.renamed)
        return values | {name: self._taken(found, name, more) for name in self.renamed if name not in ALIASES}

    def _no_label(self, diagnosis: str | None, more: Supplement) -> str:
        if diagnosis or self.column_of("diagnosis") or self.main is None or more.more:
            return "no label"
        listed = ", ".join(column for column in self.columns if not PERSONAL.search(column))
        return (
            f"no label: {self.main.path.name} has no column such as diagnosis or group; it has {listed[:300]}"
        )

    def _cell(
        self, found: Found, name: str, more: Supplement, place: int, values: Mapping[str, Any]
    ) -> str | None:
        """A cell that a rule asks for, of the tree's tables or of a further one; a manifest column in its unit."""
        column = plain(name)
        value = values.get(column) if column in ALIASES and column != "diagnosis" else None
        if isinstance(value, float):
            return None if why_not(column, value) else str(value)
        if column not in found.cells:
            return more.missing.comparable(name, more.cell(place, name), lambda: more.cells_of(name))
        text = value if isinstance(value, str) else more.word(name, found.cells[column])
        return more.missing.comparable(name, text, lambda: self._cells_of(column))

    def _cells_of(self, column: str) -> list[str | None]:
        return [
            row.cells.get(column) for own in (*self.people.values(), *self.sessions.values()) for row in own
        ]

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
            if label == code and more.missing.of_class(column, code, self._cells_of(column)):
                return {"diagnosis": None, "diagnosis_rule": None}
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
        if more.wanted.unit(name, column) is not None:
            row = next(row for row in found.rows if row.table == found.sources[column])
            table = SourceTable(Path(row.table), (column,), (), "")
            return more.in_unit(name, column, cell, table, row.line)
        if name == "sex" or book is None:
            word = book.word(column, cell) if book else cell
            told = book.word(column, found.cells[column]) if book and name == "sex" else None
            one, two = (SEXES.get((text or "").lower()) for text in (cell, told))
            if book and one and two and one != two:
                raise SettingError(
                    "values",
                    f"words for '{column}' as Levels of {book.path.name} have them ('{found.cells[column]}' is {told})",
                    cell,
                )
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
