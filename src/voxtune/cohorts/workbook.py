"""Tables that come as a workbook (.xlsx), as OASIS gives them; read like any other table, never computed or followed."""

import hashlib
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path

from voxtune.cohorts.cells import INVISIBLE
from voxtune.cohorts.image_files import find_tables
from voxtune.cohorts.table import MISSING, SourceTable, plain
from voxtune.errors import DataError, TableError
from voxtune.storage.read import OddFileError, check_plain
from voxtune.storage.zips import open_zip

MOST_BYTES = 200 * 2**20
"""A workbook that is larger than this when unpacked is refused: a table of visits has less than a thousandth of it."""
MOST_ROWS = 200_000


NAMING = frozenset({
    "participant_id", "participant", "subject_id", "subject", "sub", "subj", "ptid", "patient_id", "patient", "rid", "id", "scan_id", "mri_id",
    "mrid", "image_id", "imageuid", "scan", "filename", "image",
})  # fmt: skip
"""Plain names of columns by which a sheet names people or scans."""


def read_any(path: Path, column: str = "", missing: Iterable[str] = MISSING) -> SourceTable:
    """A csv, tsv or xlsx table; of a workbook the one filled sheet, or the one that has this column (without one: that names people or scans).

    Raises:
        TableError: no such file, no table, a workbook that cannot be read, or several sheets that may be meant.
    """
    if path.suffix.lower() != ".xlsx":
        return SourceTable.read(path, missing)
    if not path.is_file():
        raise TableError(path, "no such table", f"Expected it in the folder '{path.parent.name}'.")
    raw = path.read_bytes()
    _check_size(path)
    filled = {name: lines for name, lines in _sheets(path).items() if lines}
    if not filled:
        raise TableError(
            path, "the workbook has no filled sheet", "The first line of a sheet must name the columns."
        )
    wanted = {plain(column)} if column else NAMING
    fitting = [name for name, lines in filled.items() if wanted & set(map(plain, lines[0][1]))]
    if len(fitting) != 1 and len(filled) > 1 and not (column and not fitting):
        raise TableError(
            path,
            f"the workbook has {len(filled)} filled sheets ({', '.join(map(repr, filled))}), and which of them is meant cannot be told",
            "Save each sheet that is needed as a csv, and take the workbook away.",
        )
    lines = filled[fitting[0]] if fitting else next(iter(filled.values()))
    return SourceTable.of_cells(path, lines, hashlib.sha256(raw).hexdigest(), missing)


def all_columns(path: Path, most: int) -> list[list[str]]:
    """For each filled sheet of a workbook its columns and the cells of some rows, as lines of one length.

    Raises:
        TableError: a workbook that cannot be read.
    """
    _check_size(path)
    sheets = [[cells for _, cells in lines[: most + 1]] for lines in _sheets(path).values() if lines]
    longest = max(map(len, sheets), default=0)
    padded = [lines + [[""] * len(lines[0])] * (longest - len(lines)) for lines in sheets]
    return [[cell for cells in row for cell in cells] for row in zip(*padded, strict=True)]


def one_table(root: Path, column: str, todo: str, setting: str = "table=") -> Path:
    """The one csv or xlsx table below a folder that has a column; copies of the same rows are one.

    Raises:
        DataError: there is none, or several with other rows.
    """
    found, unread = [], []
    for path in find_tables(root, (".csv", ".xlsx")):
        try:
            table = read_any(path, column)
        except TableError as error:
            unread.append(str(error))
            continue
        if table.find(column):
            found.append(table)
    if not found:
        also = f" Not read: {'; '.join(unread)}" if unread else ""
        raise DataError(f"{root.name}: no csv or xlsx table with a column '{column}'. {todo}{also}")
    first = found[0]
    others = [table.path.name for table in found[1:] if _content(table) != _content(first)]
    if others:
        raise DataError(
            f"{root.name}: {first.path.name} and {', '.join(others)} have other rows. Keep one of them, or set {setting}."
        )
    return first.path


def _content(table: SourceTable) -> list[tuple[tuple[str, str], ...]]:
    """The rows as texts that do not depend on the order of columns and the form of numbers."""
    return [
        tuple(sorted((plain(name), _number(value)) for name, value in row.items() if value is not None))
        for row in table.rows
    ]


def _number(text: str) -> str:
    try:
        return repr(float(text))
    except ValueError:
        return text


def _check_size(path: Path) -> None:
    try:
        check_plain(path)
        with open_zip(path) as file:
            size = sum(one.file_size for one in file.infolist())
    except (OSError, OddFileError, zipfile.BadZipFile):
        raise TableError(path, "not an xlsx workbook", "Save the sheet as csv.") from None
    if size > MOST_BYTES:
        raise TableError(
            path,
            f"the workbook has {size // 2**20} MB when unpacked, more than any table of visits",
            "Save the sheet as csv.",
        )


def _sheets(path: Path) -> dict[str, list[tuple[int, list[str]]]]:
    try:
        values, formulas = _read(path, values=True), _read(path, values=False)
        sheets = {name: list(_lines(iter(rows))) for name, rows in values.items()}
        unknown = [
            f"'{name}', row {number}"
            for name, rows in formulas.items()
            for number, (row, known) in enumerate(zip(rows, values[name], strict=True), start=1)
            if any(
                isinstance(one, str) and one.startswith("=") and two is None
                for one, two in zip(row, known, strict=True)
            )
        ]
    except Exception as error:  # noqa: BLE001 - a broken workbook may raise anything; it is one bad table
        raise TableError(
            path, f"the workbook cannot be read ({type(error).__name__})", "Save the sheet as csv."
        ) from None
    if unknown:
        raise TableError(
            path,
            f"the workbook has formulas without their values (sheet {unknown[0]})",
            "Open it in a spreadsheet and save it, or save the sheet as csv.",
        )
    return sheets


def _read(path: Path, *, values: bool) -> dict[str, list[tuple[object, ...]]]:
    """The cells of each sheet: what they show, or the formulas that they hold."""
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that say nothing of the cells
        book = openpyxl.load_workbook(path, read_only=True, data_only=values, keep_links=False)
        try:
            return {
                sheet.title: list(islice(sheet.iter_rows(values_only=True), MOST_ROWS + 1))
                for sheet in book.worksheets
            }
        finally:
            book.close()


def _lines(rows: Iterator[Sequence[object]]) -> Iterator[tuple[int, list[str]]]:
    """Filled rows with their numbers, all as wide as the header."""
    width = 0
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise ValueError("too many rows")
        cells = [_text(value) for value in row]
        if not any(cells):
            continue
        if not width:
            width = max(place for place, text in enumerate(cells, start=1) if text)
        if any(cells[width:]):
            raise ValueError(f"row {number} is wider than the header")
        yield number, (cells + [""] * width)[:width]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ") if value.time() != value.min.time() else value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else INVISIBLE.sub("", str(value)).strip()
