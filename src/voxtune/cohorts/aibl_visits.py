"""The tables of AIBL joined by participant (RID) and visit (VISCODE); ``-4`` in any spelling means missing and wipes nothing out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from voxtune.cohorts.dates import DateStyle, ambiguous, date_style
from voxtune.cohorts.labels import code, missing_code
from voxtune.cohorts.table import SourceTable
from voxtune.errors import TableError

TABLES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "aibl_ptdemog": ("RID", "VISCODE", "PTGENDER", "PTDOB"),
    "aibl_pdxconv": ("RID", "VISCODE", "DXCURREN"),
    "aibl_mmse": ("RID", "VISCODE", "MMSCORE"),
    "aibl_cdr": ("RID", "VISCODE", "CDGLOBAL"),
    "aibl_neurobat": ("RID", "VISCODE", "EXAMDATE"),
    "aibl_mri3meta": ("RID", "VISCODE"),
    "aibl_mrimeta": ("RID", "VISCODE"),
})  # fmt: skip
"""Table -> columns it must have. Any of them may also have EXAMDATE."""
PERSONAL_TABLE = "aibl_ptdemog"
DATES = ("aibl_neurobat", "aibl_mmse", "aibl_cdr", "aibl_mri3meta", "aibl_mrimeta", "aibl_pdxconv")
"""Where the day of a visit is looked for, in this order; a later table fills what an earlier one lacks."""
CODES = frozenset({"DXCURREN", "PTGENDER"})
MISSING_CODES = (-4,)
TODO = (
    "Download the AIBL non-imaging data (Data_extract_*.zip) and unpack its tables here, headers as they are."
)


@dataclass
class Visit:
    """What the tables say of one visit."""

    cells: dict[str, str] = field(default_factory=dict)
    day: date | None = None
    day_from: str = ""
    disagree: set[str] = field(default_factory=set)
    """Columns of which two rows of the visit have different values; they count as missing."""


@dataclass(frozen=True)
class Visits:
    """The visits of every participant, by RID without leading zeros and by visit code in lower case."""

    by_person: Mapping[str, Mapping[str, Visit]]
    fixed: Mapping[str, Visit]
    """Sex, year of birth and site, which stand at any visit."""
    notes: tuple[str, ...]


def read_visits(tables: Mapping[str, SourceTable]) -> Visits:
    """Join the tables by RID and VISCODE.

    Raises:
        TableError: a column is missing or a value is not what it should be; the message has the line and the column.
    """
    by_person: dict[str, dict[str, Visit]] = {}
    fixed: dict[str, Visit] = {}
    days, notes = _days(tables)
    for name, table in tables.items():
        table.require(TABLES[name], TODO)
        columns = {column: table.column(column) for column in TABLES[name]}
        if name == PERSONAL_TABLE and (site := table.find("SITEID")) is not None:
            columns["SITEID"] = site
        for line, row in zip(table.lines, table.rows, strict=True):
            key = _key(table, line, row[columns["RID"]], row[columns["VISCODE"]])
            if key is None:
                continue
            person, visit = key
            own = (
                fixed.setdefault(person, Visit())
                if name == PERSONAL_TABLE
                else by_person.setdefault(person, {}).setdefault(visit, Visit())
            )
            for column, where in columns.items():
                if column not in {"RID", "VISCODE", "EXAMDATE"}:
                    _add(own, column, row[where])
    for name in DATES:
        for (person, visit), day in days.get(name, {}).items():
            own = by_person.setdefault(person, {}).setdefault(visit, Visit())
            if own.day is None:
                own.day, own.day_from = day, name
    told = [
        f"RID {person}{f', {visit}' if visit else ''}: two rows have different values of {', '.join(sorted(one.disagree))}; left out."
        for person, visits in [*by_person.items(), *((person, {"": one}) for person, one in fixed.items())]
        for visit, one in visits.items()
        if one.disagree
    ]
    return Visits(
        by_person,
        fixed,
        (*notes, *told[:5], *([f"and {len(told) - 5} more such visits."] if len(told) > 5 else [])),
    )


def _add(own: Visit, column: str, text: str | None) -> None:
    """Take a value where there is none yet; a second, different one makes the column unknown."""
    value = missing_code(code(text) if column in CODES else text, MISSING_CODES)
    if value is None or column in own.disagree:
        return
    known = own.cells.setdefault(column, value)
    if known != value and not _same_number(known, value):
        del own.cells[column]
        own.disagree.add(column)


def _same_number(first: str, second: str) -> bool:
    try:
        return float(first) == float(second)
    except ValueError:
        return False


def _key(table: SourceTable, line: int, person: str | None, visit: str | None) -> tuple[str, str] | None:
    person, visit = missing_code(code(person), MISSING_CODES), missing_code(visit, MISSING_CODES)
    if person is None or visit is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", person.strip()):
        raise TableError(table.path, f"line {line}, column 'RID': expected a number, got '{person}'")
    name = visit.strip().lower()
    found = re.fullmatch(r"bl|m([0-9]{1,3})", name)
    if not found:
        raise TableError(table.path, f"line {line}, column 'VISCODE': expected bl or m18, got '{visit}'")
    month = int(found[1] or 0)
    return str(int(person)), f"m{month}" if month else "bl"


def _days(tables: Mapping[str, SourceTable]) -> tuple[dict[str, dict[tuple[str, str], date]], list[str]]:
    """The days of visits each table has, all read by one order of day and month where a table alone does not tell it."""
    columns = {name: found for name in DATES if name in tables and (found := tables[name].find("EXAMDATE"))}
    styles: dict[str, DateStyle] = {}
    for name, column in columns.items():
        try:
            styles[name] = date_style((row[column] for row in tables[name].rows), "month")
        except ValueError as error:
            raise TableError(tables[name].path, f"column 'EXAMDATE': {error}") from None
    certain = {style.order for style in styles.values() if style.certain}
    usual = DateStyle(next(iter(certain)) if len(certain) == 1 else "month", certain=False)
    notes = []
    days: dict[str, dict[tuple[str, str], date]] = {}
    for name, column in columns.items():
        table, style = tables[name], styles[name] if styles[name].certain else usual
        rows = zip(table.lines, table.rows, strict=True)
        for line, row in rows:
            key = _key(table, line, row[table.column("RID")], row[table.column("VISCODE")])
            try:
                day = style.read(missing_code(row[column], MISSING_CODES))
            except ValueError as error:
                raise TableError(table.path, f"line {line}, column 'EXAMDATE': {error}") from None
            if key is not None and day is not None:
                days.setdefault(name, {}).setdefault(key, day)
        if not style.certain and ambiguous(row[column] for row in table.rows):
            basis = (
                "as another table of the extract has it" if certain else "as AIBL writes; no cell shows it"
            )
            notes.append(
                f"{table.path.name}: dates of EXAMDATE like 03/04/2007 were read with the {style.order} first, {basis}."
            )
    return days, notes
