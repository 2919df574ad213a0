"""Tables in every separator, quoting and number style: each cell and each number comes back, or the table is refused; no row is lost."""

import csv
import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxtune.cohorts.cells import grid
from voxtune.cohorts.quantities import NumberStyle, number
from voxtune.cohorts.table import SourceTable
from voxtune.errors import TableError

MARKS = {
    "1234.5": (".", ""), "1,234.5": (".", ","), "1'234.5": (".", "'"), "1 234.5": (".", " "), "1234,5": (",", ""), "1.234,5": (",", "."),
    "1 234,5": (",", " "),
}  # fmt: skip
LETTERS = st.text("abcXYZ019 .'-äé", max_size=6).map(str.strip)
HEADER = ["id", "Größe", "note", "last col"]


def table(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    """Rows of four cells of which the first is never empty."""
    row = st.tuples(st.text("abc123", min_size=1, max_size=4), cells, cells, cells).map(list)
    return st.lists(row, min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(rows=table(st.text("abc1,;|.\"' -", max_size=7).map(str.strip)), separator=st.sampled_from(",;|\t"))
def test_a_table_written_by_the_rules_comes_back_cell_by_cell(rows: list[list[str]], separator: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows([HEADER, *rows])
    path = Path("t.tsv" if separator == "\t" else "t.csv")
    read = grid(path, text.getvalue())
    assert [cells for _, cells in read] == [HEADER, *rows]
    assert [line for line, _ in read] == list(range(1, len(rows) + 2))


@settings(max_examples=60, deadline=None)
@given(rows=table(st.text('ab1"', max_size=5)))
def test_quotes_of_a_tsv_are_letters_and_swallow_no_row(rows: list[list[str]]) -> None:
    text = "\n".join("\t".join(cells) for cells in [HEADER, *rows]) + "\n"
    read = [cells for _, cells in grid(Path("t.tsv"), text)][1:]
    assert [cells[0] for cells in read] == [cells[0] for cells in rows]
    for found, written in zip(read, rows, strict=True):
        for one, other in zip(found, written, strict=True):
            assert one.replace('"', "") == other.replace('"', "")  # wrapping quotes may go, letters may not


@settings(max_examples=120, deadline=None)
@given(rows=table(LETTERS), place=st.integers(0, 200), separator=st.sampled_from(",;"))
def test_a_stray_quote_in_a_csv_loses_no_row_in_silence(
    rows: list[list[str]], place: int, separator: str
) -> None:
    body = "\n".join(separator.join(cells) for cells in rows) + "\n"
    at = place % len(body)
    text = separator.join(HEADER) + "\n" + body[:at] + '"' + body[at:]
    with suppress(TableError):
        assert len(grid(Path("t.csv"), text)[1:]) == len(rows)


@settings(max_examples=150, deadline=None)
@given(
    value=st.integers(-2_000_000, 2_000_000), decimals=st.integers(0, 3), fraction=st.integers(0, 999),
    style=st.sampled_from(sorted(MARKS)), other=st.sampled_from(sorted(MARKS)),
)  # fmt: skip
def test_a_number_is_read_in_its_style_and_in_another_refused_or_right(
    value: int, decimals: int, fraction: int, style: NumberStyle, other: NumberStyle
) -> None:
    decimal, thousands = MARKS[style]
    tail = f"{decimal}{str(fraction).zfill(3)[:decimals]}" if decimals else ""
    text = f"{value:,}".replace(",", thousands) + tail
    true = float(f"{value}.{str(fraction).zfill(3)[:decimals] or 0}")
    assert number(text, style) == true
    try:
        read = number(text, other)
    except ValueError:
        return
    lone = sum(text.count(mark) for mark in ".,") == 1 and len(text.replace(",", ".").split(".")[-1]) == 3
    assert read == true or lone  # '7.323' is a number in both styles: plausible ranges tell them apart


@pytest.mark.parametrize("header", [["id", "dx", "dx"], ["id", "dx", "age", "dx "]])
def test_a_header_that_stands_twice_is_refused_with_its_places(tmp_path: Path, header: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",".join(header) + "\n" + ",".join("x" for _ in header) + "\n")
    with pytest.raises(TableError, match=r"'dx' \(columns 2 and \d\) stands twice"):
        SourceTable.read(path)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=table(LETTERS),
    blank=st.integers(0, 3),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)
def test_lines_are_those_of_the_file_in_any_encoding(
    tmp_path: Path, rows: list[list[str]], blank: int, encoding: str
) -> None:
    path = tmp_path / "t.csv"
    lines = [";".join(HEADER), *[""] * blank, *(";".join(cells) for cells in rows)]
    path.write_bytes("\r\n".join(lines).encode(encoding))
    read = SourceTable.read(path, missing=())
    assert read.columns == tuple(HEADER)
    assert [[cell or "" for cell in row.values()] for row in read.rows] == rows
    assert read.lines == tuple(range(2 + blank, 2 + blank + len(rows)))
