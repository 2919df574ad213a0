"""What further tables add to the scans of a cohort: columns under new names, words for codes, sums, units, volumes of known tools."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxtune.cohorts.joins import Joined, Scan, join, read_also
from voxtune.cohorts.measured import common_names, lacking, tool_of, volumes
from voxtune.cohorts.missing_numbers import MissingCodes
from voxtune.cohorts.quantities import NumberStyle, factor, finite, number, same_value
from voxtune.cohorts.reading import Doubt, Origin, Reading
from voxtune.cohorts.table import SourceTable, plain
from voxtune.cohorts.table_settings import TableSettings, parts_of
from voxtune.errors import SettingError, TableError
from voxtune.types.records import MANIFEST_COLUMNS

OF_A_VISIT = frozenset(
    {
        "age",
        "mmse",
        "cdr",
        "scanner",
        "field_strength",
        *(name for name in MANIFEST_COLUMNS if name.endswith("_mm3")),
    }
)
"""Manifest columns that are of one scan: a row that names the person alone does not give them to several scans."""


@dataclass(frozen=True)
class _Cell:
    """A cell with its place."""

    table: SourceTable
    line: int
    column: str
    text: str | None
    of_person: bool


@dataclass
class Supplement:
    """The rows of all tables for each scan."""

    wanted: TableSettings
    scans: Sequence[Scan]
    rows: Sequence[Sequence[Joined]]
    """For each scan its row of the cohort's own table (where there is one) and of each further table that has one."""
    reading: Reading
    own: Sequence[SourceTable]
    more: Sequence[SourceTable]
    origins: dict[int, dict[str, Origin]] = field(default_factory=dict)
    """Where the values that a scan gained stand."""
    _columns: dict[tuple[int, str], str | None] = field(default_factory=dict, repr=False)
    _counts: Counter[str] = field(default_factory=Counter, repr=False)
    _tools: dict[int, str | None] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.missing = MissingCodes(self.wanted, self.reading)

    @property
    def tables(self) -> tuple[SourceTable, ...]:
        """The cohort's own tables and the further ones."""
        return (*self.own, *self.more)

    @classmethod
    def of(
        cls,
        root: Path,
        wanted: TableSettings,
        scans: Sequence[Scan],
        own: Sequence[Joined | None],
        reading: Reading,
        known: Iterable[str] = (),
    ) -> "Supplement":
        """Read the further tables and find the row of each scan; ``known`` are columns that settings may also name.

        Raises:
            DataError: no such table.
            TableError: a table has no row for any scan, or two that disagree.
            SettingError: a setting names a column that no table has.
        """
        more = read_also(root, wanted.also)
        for name in wanted.on:
            if name not in {table.path.name for table in more} | set(wanted.also):
                raise SettingError(
                    "on", f"tables of 'also': {', '.join(wanted.also) or 'none is given'}", name
                )
        rows: list[list[Joined]] = [[row] if row is not None else [] for row in own]
        for name, table in zip(_labels(wanted.also, more), more, strict=True):
            found = join(scans, table, wanted.on.get(table.path.name) or wanted.on.get(name), reading)
            for place, row in found.items():
                rows[place].append(row)
        first = {id(row.table): row.table for row in own if row is not None}
        supplement = cls(wanted, scans, rows, reading, tuple(first.values()), tuple(more))
        supplement._check(set(known))
        return supplement

    def _check(self, known: set[str]) -> None:
        columns = known | {
            name for table in self.tables for name in (*table.columns, *map(plain, table.columns))
        }
        columns |= {f"{table.path.name}/{name}" for table in self.tables for name in table.columns}
        listed = ", ".join(dict.fromkeys(name for table in self.tables for name in table.columns[:40]))
        for setting, names in (
            ("rename", [part for source in self.wanted.rename for part in parts_of(source, columns)]),
            ("values", list(self.wanted.values)),
            (
                "units",
                [
                    name
                    for name in self.wanted.units
                    if plain(name)
                    not in {plain(one) for one in (*MANIFEST_COLUMNS, *self.wanted.rename.values())}
                ],
            ),
        ):
            for name in names:
                if name not in columns and plain(name) not in columns:
                    raise SettingError(setting, f"columns among {listed[:600]}", name)
        targets = list(self.wanted.rename.values())
        for target in targets:
            if targets.count(target) > 1:
                raise SettingError("rename", f"one source for '{target}'", ";".join(self.wanted.rename))
        for name, unit in self.wanted.units.items():
            field = "age" if name == "age" or self.wanted.rename.get(name) == "age" else "x_mm3"
            if factor(unit, field) is None and factor(unit, "age") is None:
                raise SettingError(
                    "units", "a unit of volume (mm3, cm3, ml) or of age (years, months, days)", unit
                )

    # ---- cells
    def tool(self, table: SourceTable) -> str | None:
        """The tool that made a further table; the cohort's own tables are of none."""
        if id(table) not in self._tools:
            self._tools[id(table)] = tool_of(table) if any(table is one for one in self.more) else None
        return self._tools[id(table)]

    def column(self, table: SourceTable, name: str) -> str | None:
        """The column of a table that goes by a name."""
        key = (id(table), name)
        if key not in self._columns:
            self._columns[key] = table.find(name)
        return self._columns[key]

    def has(self, name: str) -> bool:
        """Whether any table has a column of that name."""
        return any(self.column(table, name) for table in self.tables)

    def cell(self, number: int, name: str) -> str | None:
        """The cell of a scan's rows in a column, in words where ``values`` has words for its code.

        Raises:
            TableError: two tables have the column and disagree on the scan.
        """
        found = self._cell(number, name)
        return found.text if found else None

    def _cell(self, number: int, name: str) -> _Cell | None:
        place, _, column = name.partition("/")
        lone = place in {table.path.name for table in self.tables}
        cells = []
        for row in self.rows[number]:
            if lone and row.table.path.name != place:
                continue
            found = self.column(row.table, column if lone else name)
            if found is not None and row.cells.get(found) is not None:
                cells.append(
                    _Cell(row.table, row.line, found, self.word(found, row.cells[found]), row.of_person)
                )
        for other in cells[1:]:
            if not same_value(other.text, cells[0].text):
                raise TableError(
                    other.table.path,
                    f"line {other.line}, column '{other.column}' has '{other.text}' where {cells[0].table.path.name}, line "
                    f"{cells[0].line} has '{cells[0].text}' for the scan '{self.scans[number].name}'",
                    f"Say which is meant, as in --set rename={other.table.path.name}/{other.column}:NAME, or take one away.",
                )
        return cells[0] if cells else None

    def word(self, column: str, text: str | None) -> str | None:
        """A cell in the words of ``values``."""
        codes = next(
            (codes for name, codes in self.wanted.values.items() if plain(name) == plain(column)), None
        )
        if codes is None or text is None:
            return text
        code = text if text in codes else re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)
        if code not in codes and text not in codes.values():
            self.reading.note(f"column '{column}': '{text}' has no word in 'values' and stays as it is.")
        return codes.get(code, text)

    def cells_of(self, name: str) -> list[str | None]:
        """All cells that the tables have in a column of that name."""
        return [
            row[column] for table in self.tables if (column := self.column(table, name)) for row in table.rows
        ]

    def in_unit(
        self, target: str, column: str, text: str | float | None, table: SourceTable, line: int
    ) -> str | float | None:
        """A cell of the cohort's own table in the unit of its manifest column, where ``units`` names one."""
        if not isinstance(text, str) or self.wanted.unit(target, column) is None:
            return text
        return self._number(_Cell(table, line, column, text, of_person=False), self.wanted.numbers, target)

    def _number(self, cell: _Cell, style: NumberStyle, target: str) -> float:
        unit = self.wanted.unit(cell.column) or self.wanted.unit(target)
        try:
            value = number(cell.text or "", style)
        except ValueError as error:
            raise TableError(
                cell.table.path, f"line {cell.line}, column '{cell.column}' for '{target}': {error}",
                "Say how the table writes numbers: --set 'numbers=1234,5', '1.234,5' or '1,234.5'.",
            ) from None  # fmt: skip
        return value * _factor(unit, target)

    def sum_of(self, target: str, parts: Sequence[tuple[str, int, str, str | float | None]]) -> float | None:
        """The sum of cells of the cohort's own tables (table, line, column, value), ``None`` where one is missing.

        Raises:
            TableError: a cell is no number.
        """
        cells = []
        for table, line, column, value in parts:
            if value is None:
                return None
            cell = _Cell(
                SourceTable(Path(table), (column,), (), ""), line, column, str(value), of_person=False
            )
            size = self._number(cell, self.wanted.numbers, "") if isinstance(value, str) else value
            cells.append((cell, size))
        return self._sum(target, cells)

    def _sum(self, target: str, parts: Sequence[tuple[_Cell, float]]) -> float | None:
        """The sum of the parts of a volume, ``None`` with a doubt where a part is no volume: a code for missing, or nothing was found."""
        for cell, value in parts:
            if target.endswith("_mm3") and (value < 0 or (value == 0 and target != "ventricles_mm3")):
                why = f"{value:g} is no volume: a code for missing, or a segmentation that failed"
                self.reading.doubt(Doubt(cell.table.path, target, cell.column, f"line {cell.line}", why))
                return None
        return sum(value for _, value in parts)

    # ---- what a scan gains
    def renamed(self, number: int, but: Iterable[str] = ()) -> dict[str, Any]:
        """The columns of ``rename`` under their new names but those; sums are numbers, missing where a part is missing."""
        gained: dict[str, Any] = {}
        for source, target in self.wanted.rename.items():
            if target in but:
                continue
            columns = {name for table in self.tables for name in table.columns}
            cells = [self._cell(number, part) for part in parts_of(source, columns)]
            known = [cell for cell in cells if cell is not None]
            self._came(number, target, known)
            if len(known) < len(cells) or self._of_one_scan(number, target, known):
                gained[target] = None
            elif len(known) == 1 and self.wanted.unit(known[0].column, target) is None:
                gained[target] = known[0].text
            else:
                parts = [(cell, self._number(cell, self._style(cell.table), target)) for cell in known]
                gained[target] = self._sum(target, parts)
        return gained

    def named(self, number: int, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Manifest columns that a further table has under one of their known names.

        Args:
            number: the scan's place.
            names: manifest column -> names it may go by.
        """
        gained: dict[str, Any] = {}
        for target, aliases in names.items():
            for alias in aliases:
                if any(self.column(table, alias) for table in self.more if self.tool(table) is None):
                    cell = self._cell(number, alias)
                    lone = cell is not None and not self._of_one_scan(number, target, [cell])
                    self._came(number, target, [cell] if cell else [])
                    gained[target] = cell.text if cell is not None and lone else None
                    break
        return gained

    def measured(self, number: int, but: Iterable[str] = ()) -> dict[str, float | None]:
        """Volumes in mm^3 that the tables of known tools give; what each is the sum of is noted once.

        Args:
            number: the scan's place.
            but: manifest columns that come from elsewhere.
        """
        taken = {*but, *self.wanted.rename.values()}
        gained: dict[str, float | None] = {}
        tools: dict[str, list[Joined]] = {}
        for row in self.rows[number]:
            if tool := self.tool(row.table):
                tools.setdefault(tool, []).append(row)
        for tool, rows in tools.items():
            cells = self._by_common_name(tool, rows)
            numbers = {name: finite(own[0].text) for name, own in cells.items()}
            sources = ", ".join(dict.fromkeys(row.table.path.name for row in rows))
            for target, (value, parts) in volumes(tool, numbers).items():
                used = [cell for part in parts for cell in cells.get(part, ())]
                if (
                    target in gained
                    or target in taken
                    or self._of_one_scan(number, target, used or next(iter(cells.values())))
                ):
                    continue
                self._one_number(number, [cells[part] for part in parts if part in cells])
                named = (target, *(cell.column for cell in used))
                self._came(number, target, used)
                unit = self.wanted.unit(*named)
                by = _factor(unit, target)
                numbered = [(cell, size) for cell in used if (size := finite(cell.text)) is not None]
                usable = value is not None and self._sum(target, numbered) is not None
                gained[target] = value * by if value is not None and usable else None
                said = " + ".join(
                    cells[part][0].column if part in cells else "all structures but ventricles and csf"
                    for part in parts
                )
                tables = ", ".join(dict.fromkeys(cell.table.path.name for cell in used)) or sources
                self.reading.note(f"{target} is {said} of {tables} ({tool}).")
            for target, missing in lacking(cells).items():
                if target not in gained and target not in taken:
                    self.reading.note(
                        f"{target} is not taken from {sources} ({tool}): it lacks {', '.join(missing)}."
                    )
        return gained

    def _came(self, number: int, target: str, cells: Sequence[_Cell]) -> None:
        if cells:
            place = Origin(cells[0].table.path, cells[0].column, cells[0].line)
            self.origins.setdefault(number, {})[target] = place

    @staticmethod
    def _by_common_name(tool: str, rows: Sequence[Joined]) -> dict[str, list[_Cell]]:
        """The cells of a tool's rows that are not missing, or one that is where all are, by the names of ``SUMS``."""
        name_of = common_names(tool)
        cells: dict[str, list[_Cell]] = {}
        for row in rows:
            for column, text in row.cells.items():
                own = cells.setdefault(name_of(column), [])
                cell = _Cell(row.table, row.line, column, text, row.of_person)
                if text is not None and own and own[0].text is None:
                    own[0] = cell
                elif text is not None or not own:
                    own.append(cell)
        return cells

    def _one_number(self, number: int, parts: Sequence[Sequence[_Cell]]) -> None:
        """Refuse cells that are no numbers, and tables of one tool that disagree."""
        for own in parts:
            for cell in own:
                value = finite(cell.text)
                if cell.text is not None and (value is None or value != finite(own[0].text)):
                    why = (
                        f"has '{own[0].text}' in {own[0].table.path.name}, line {own[0].line}"
                        if value is not None
                        else "is no number"
                    )
                    raise TableError(
                        cell.table.path,
                        f"line {cell.line}, column '{cell.column}': '{cell.text}' {why}, for the scan '{self.scans[number].name}'",
                        "Take one of the tables away, or correct the cell.",
                    )

    def _style(self, table: SourceTable) -> NumberStyle:
        """Tools write numbers with a point, whatever the tables made by hand do."""
        return "1234.5" if self.tool(table) else self.wanted.numbers

    def _of_one_scan(self, number: int, target: str, cells: Iterable[_Cell]) -> bool:
        """Whether a value of one scan would be given to several scans of a person."""
        if target not in OF_A_VISIT or not any(cell.of_person for cell in cells):
            return False
        person = self.scans[number].person
        if not self._counts:
            self._counts.update(scan.person for scan in self.scans)
        if self._counts[person] == 1:
            return False
        table = next(cell.table for cell in cells if cell.of_person).path.name
        self.reading.note(
            f"{table} names participants and not scans: '{target}' is of one scan and is left out where a participant has several."
        )
        return True


def _labels(also: Sequence[str], tables: Sequence[SourceTable]) -> list[str]:
    return [
        next((name for name in also if Path(name).name == table.path.name), table.path.name)
        for table in tables
    ]


def _factor(unit: str | None, target: str) -> float:
    by = factor(unit, target if target == "age" else "x_mm3") if unit else 1.0
    if by is None:
        kind = "age (years, months, days)" if target == "age" else "volume (mm3, cm3, ml)"
        raise SettingError("units", f"a unit of {kind} for '{target}'", unit)
    return by
