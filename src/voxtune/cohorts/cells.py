"""The cells of a text table: separator found by agreement of the lines, quotes as the kind of file defines them.

In a csv file a quoted cell may hold separators and line breaks. In a tsv file as BIDS defines it a quote is a letter, unless a
cell is quoted because it holds a tab. Where both readings give whole rows and differ, the table is refused, never guessed.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from voxtune.errors import TableError

SEPARATORS = ",\t;|"
_LOOKED_AT = 50
"""Lines that the separator is judged by."""

INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\u061c\ufeff\u00ad]")
"""Letters nobody sees, and marks of direction; two names that differ in them alone look the same."""
_DECLARED = re.compile(r'"?sep=([,\t;|])"?$', re.IGNORECASE)
"""The first line of a table by which a spreadsheet is told the separator."""

Line = tuple[int, list[str]]
"""The number of a line in the file (from 1) and its cells, stripped."""


def decoded(raw: bytes) -> str:
    """The text of a table's bytes: UTF-8, UTF-16 (as spreadsheets save it), else Windows-1252; letters without a width are left out."""
    return INVISIBLE.sub("", _text(raw))


def _text(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    zeros = [raw[start:1000:2].count(0) for start in (0, 1)]
    if 4 * max(zeros) > len(raw[:1000]):
        return raw.decode("utf-16-be" if zeros[0] > zeros[1] else "utf-16-le", errors="replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def grid(path: Path, text: str) -> list[Line]:
    """The lines of a table that are not blank, the header first.

    Raises:
        TableError: a quote that never closes, or one that may or may not swallow lines; rows of other lengths than the header.
    """
    lines = (
        text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    )  # splitlines() also cuts at letters of old code pages
    declared = _DECLARED.match(lines[0].rstrip(" "))
    if declared:
        lines[0] = ""
    separator = declared[1] if declared else _separator(path, lines)
    tsv = path.suffix.lower() == ".tsv"
    header: list[str] = []
    found: list[Line] = []
    for number, given in _rows(path, lines, separator, tsv=tsv):
        if not any(given):
            continue
        header = header or given
        cells = given if any(given[len(header) :]) else given[: len(header)]
        if len(cells) != len(header):
            raise TableError(
                path,
                f"line {number} has {len(cells)} cells, the header has {len(header)}",
                f"Cells are separated by {_named(separator)}"
                f"{'; a decimal comma needs quotes, or semicolons between the cells' if separator == ',' else ''}.",
            )
        found.append((number, cells))
    return found


def _named(separator: str) -> str:
    return {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "spaces"}[separator]


def _separator(path: Path, lines: list[str]) -> str:
    """The separator that splits the lines most alike; a tab in a tsv file, wherever there is one; spaces where there is no other sign."""
    some = [line for line in lines if line.strip()][:_LOOKED_AT]
    widths = {len(line.split()) for line in some}
    if len(widths) == 1 and widths != {1} and not set(SEPARATORS) & set("".join(some)):
        return " "
    if not some or (path.suffix.lower() == ".tsv" and "\t" in some[0]):
        return "\t" if path.suffix.lower() == ".tsv" else ","

    def alike(separator: str) -> tuple[bool, float, int]:
        widths = [len(next(csv.reader([line], delimiter=separator), [])) for line in some]
        return widths[0] > 1, sum(width == widths[0] for width in widths) / len(widths), widths[0]

    return max(SEPARATORS, key=alike)


def _rows(path: Path, lines: list[str], separator: str, *, tsv: bool) -> Iterator[Line]:
    """Cells of each row with the number of its first line."""
    width = 0
    number = 0
    while number < len(lines):
        first = number
        text = lines[number]
        number += 1
        plainly = text.split() if separator == " " else text.split(separator)
        if not text.strip():
            continue
        if separator == " ":
            text, width = separator.join(plainly), width or len(plainly)
        if not width and (tsv or _quoted(text, separator) is not None):
            width = len(_quoted(text, separator) or plainly)
        if '"' not in text or (tsv and len(plainly) == width):
            yield first + 1, [_unwrapped(cell) if tsv else cell.strip() for cell in plainly]
            continue
        cells = _quoted(text, separator)
        while cells is None and number < len(lines) and number - first < 200:
            text = f"{text}\n{lines[number]}"
            number += 1
            cells = _quoted(text, separator)
            if cells is not None and width and len(cells) > width:
                cells = None
                break
        if cells is None:
            raise TableError(
                path,
                f'line {first + 1}: a quote (") opens and the cell is not closed before the end of its row',
                'Double a quote that is a letter (""), or remove it.',
            )
        if (
            number - first > 1
            and width
            and all(len(line.split(separator)) == width for line in lines[first:number])
        ):
            raise TableError(
                path,
                f'line {first + 1}: a quote (") opens and closes on line {number}, and each of these lines is a whole row by '
                "itself; whether it is a letter or holds them together cannot be told",
                "Remove the quotes, or the line break inside them.",
            )
        width = width or len(cells)
        yield first + 1, [cell.strip() for cell in cells]


def _quoted(text: str, separator: str) -> list[str] | None:
    """One row by the rules of csv; ``None`` where a quote does not close or closes inside a cell."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _unwrapped(cell: str) -> str:
    cell = cell.strip()
    whole = (
        len(cell) > 1 and cell[0] == cell[-1] == '"' and cell[1:-1].count('"') == cell[1:-1].count('""') * 2
    )
    return cell[1:-1].replace('""', '"').strip() if whole else cell
