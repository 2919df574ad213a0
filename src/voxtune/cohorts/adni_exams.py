"""The exams of ADNIMERGE: one row each, by column name, with ADNI's own words for missing (blank, -1, -4)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from voxtune.cohorts.adni_images import person_in
from voxtune.cohorts.dates import DateStyle, ambiguous, date_style
from voxtune.cohorts.labels import code, missing_code
from voxtune.cohorts.table import SourceTable
from voxtune.cohorts.visits import visit_month
from voxtune.errors import TableError

NEEDED = ("PTID", "VISCODE", "EXAMDATE", "DX", "DX_bl", "AGE", "PTGENDER", "SITE", "MMSE")
OPTIONAL = ("VISCODE2", "M", "Month", "IMAGEUID", "FLDSTRENG", "Years_bl")
VOLUMES: Mapping[str, str] = MappingProxyType({
    "Hippocampus": "hippocampus_mm3", "Ventricles": "ventricles_mm3", "WholeBrain": "whole_brain_mm3",
    "Entorhinal": "entorhinal_mm3", "Fusiform": "fusiform_mm3", "MidTemp": "middle_temporal_mm3", "ICV": "icv_mm3",
})  # fmt: skip
TODO = (
    "Download ADNIMERGE.csv (Study Data > Data & Database > Key ADNI tables merged into one table) and leave its header as it "
    "is; the order of columns does not matter."
)
VISIT_DX = MappingProxyType({"cn": "NC", "nl": "NC", "mci": "MCI", "dementia": "AD", "ad": "AD"})
MISSING_CODES = (-1, -4)


@dataclass(frozen=True)
class Exam:
    """One row of the table."""

    line: int
    cells: Mapping[str, str | None]
    day: date | None
    month: int | None
    """Months since baseline as VISCODE, VISCODE2 or the column ``M`` says, ``None`` where none does (``nv``, ``v06``, ``y1``)."""
    diagnosis: str | None
    uid: str | None
    """The number of the image the volumes were measured in."""

    @property
    def visit(self) -> str:
        """The visit code as the table writes it."""
        return self.cells["VISCODE"] or "no visit code"

    @property
    def measured(self) -> bool:
        """Whether the row has any volume."""
        return any(self.cells[name] for name in VOLUMES)

    @property
    def filled(self) -> int:
        """How many of its cells have a value."""
        return sum(value is not None for value in self.cells.values())


def is_merged(header: str) -> bool:
    """Whether a header line is that of the merged table, not of its dictionary or another table beside it."""
    names = {name.strip().strip('"').upper() for name in re.split(r"[,;\t]", header)}
    return {"PTID", "VISCODE"} <= names and bool({"DX", "DX_BL"} & names)


def read_exams(table: SourceTable) -> tuple[dict[str, list[Exam]], list[str]]:
    """The exams of each participant, and notes a person should see.

    Raises:
        TableError: a column is missing or a value is not what it should be.
    """
    table.require((*NEEDED, *VOLUMES), TODO)
    names = {name: table.column(name) for name in (*NEEDED, *VOLUMES)}
    names |= {name: found for name in OPTIONAL if (found := table.find(name)) is not None}
    days = [row[names["EXAMDATE"]] for row in table.rows]
    try:
        style = date_style(days, "month")
    except ValueError as error:
        raise TableError(table.path, f"column 'EXAMDATE': {error}") from None
    notes = []
    if not style.certain and ambiguous(days):
        notes.append(
            f"{table.path.name}: dates of EXAMDATE like 03/04/2007 were read with the month first, as the archive writes; no cell shows it."
        )
    exams: dict[str, list[Exam]] = {}
    for number, row in zip(table.lines, table.rows, strict=True):
        cells = {name: missing_code(row[column], MISSING_CODES) for name, column in names.items()}
        if cells["PTID"] is not None:
            exam = _exam(table, number, row, cells, style, names)
            exams.setdefault(person_in(cells["PTID"]) or cells["PTID"].strip(), []).append(exam)
    return exams, notes


def _exam(
    table: SourceTable,
    number: int,
    row: Mapping[str, str | None],
    cells: dict[str, str | None],
    style: DateStyle,
    names: Mapping[str, str],
) -> Exam:
    try:
        day = style.read(cells["EXAMDATE"])
    except ValueError as error:
        raise TableError(table.path, f"line {number}, column 'EXAMDATE': {error}") from None
    for name in ("AGE", "Years_bl"):
        if cells.get(name) is not None:
            table.number(row, names[name], number)
    raw = (cells["DX"] or "").lower().rpartition(" to ")[2].strip()
    if raw and raw not in VISIT_DX:
        raise TableError(
            table.path,
            f"line {number}, column 'DX': expected CN, MCI or Dementia, got {cells['DX']!r}",
            "Is it another release?",
        )
    uid = code(cells.get("IMAGEUID"))
    return Exam(number, cells, day, _months(cells), VISIT_DX.get(raw), uid.lstrip("Ii") if uid else None)


def _months(cells: Mapping[str, str | None]) -> int | None:
    """Months since baseline, by the first of the columns that says them."""
    codes = (visit_month(cells["VISCODE"]), visit_month(cells.get("VISCODE2")))
    counted = [code(cells.get(name)) for name in ("M", "Month")]
    numbers = [int(text) for text in counted if text and re.fullmatch(r"[0-9]{1,3}", text)]
    return next((month for month in (*codes, *numbers) if month is not None), None)
