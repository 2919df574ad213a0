"""Tables that come as a workbook (.xlsx), as OASIS gives them; read like any other table, never computed or followed."""

import hashlib
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

from voxtune.cohorts.image_files import find_tables
from voxtune.cohorts.table import MISSING, SourceTable, plain
from voxtune.errors import DataError, TableError

MOST_BYTES = 200 * 2**20
"""A workbook that is larger than this when unpacked is refused: a table of visits has less than a thousandth of it."""
MOST_ROWS = 200_000


def read_any(path: Path, column: str = "", missing: Iterable[str] = MISSING) -> SourceTable:
    """A csv, tsv or xlsx table; of a workbook the first sheet that has this column.

    Raises:
        TableError: no such file, no table, or a workbook that cannot be read.
    """
    if path.suffix.lower() != ".xlsx":
        return SourceTable.read(path, missing)
    if not path.is_file():
        raise TableError(path, "no such table", f"Expected it in the folder '{path.parent.name}'.")
    raw = path.read_bytes()
    _check_size(path)
    sheets = _sheets(path)
    filled = [lines for lines in sheets if lines]
    fitting = [lines for lines in filled if plain(column) in map(plain, lines[0][1])]
    if not filled:
        raise TableError(
            path, "the workbook has no filled sheet", "The first line of a sheet must name the columns."
        )
    return SourceTable.of_cells(path, (fitting or filled)[0], hashlib.sha256(raw).hexdigest(), missing)


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
        with zipfile.ZipFile(path) as file:
            size = sum(one.file_size for one in file.infolist())
    except (OSError, zipfile.BadZipFile):
        raise TableError(path, "not an xlsx workbook", "Save the sheet as csv.") from None
    if size > MOST_BYTES:
        raise TableError(
            path,
            f"the workbook has {size // 2**20} MB when unpacked, more than any table of visits",
            "Save the sheet as csv.",
        )


def _sheets(path: Path) -> list[list[tuple[int, list[str]]]]:
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that say nothing of the cells
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
            try:
                return [list(_lines(sheet.iter_rows(values_only=True))) for sheet in book.worksheets]
            finally:
                book.close()
    except Exception as error:  # noqa: BLE001 - a broken workbook may raise anything; it is one bad table
        raise TableError(
            path, f"the workbook cannot be read ({type(error).__name__})", "Save the sheet as csv."
        ) from None


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
    return value.isoformat() if isinstance(value, date) else str(value).strip()
