"""A table of a download, read by column name: csv, tsv or semicolons, with the sha256 of its bytes."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

from voxtune.cohorts.cells import decoded, grid
from voxtune.errors import TableError

WORDS = frozenset({
    "", "n/a", "na", "nan", "none", "null", ".", "<na>", "nat", "#n/a", "#na", "#null!", "#div/0!", "#ref!", "#value!", "#name?", "#num!",
})  # fmt: skip
"""Words for 'missing' in any table, those of pandas and the errors of spreadsheets with them."""
MISSING = WORDS | {"-4", "-4.0"}
"""The same in the tables of ADNI and AIBL, which write -4; elsewhere -4 may be a value."""

PERSONAL = re.compile(
    r"(^|_)(first|last|family|given|sur|full|patient|participant|subject)_?name($|_)|^name$|^initials$"
    r"|birth|(^|_)dob($|_)|ptdob|address|phone|e_?mail|post_?code|zip_?code|(^|_)(ssn|nhs|mrn|insurance)($|_)|medical_record"
)
"""Column names (plain, see ``plain``) that hold who a person is; never copied into a manifest."""


_LETTER = re.compile(r"[^\W\d_]")
_NUMBER = re.compile(r"[+-]?\d[\d.,' \u00a0]*(?:[eE][+-]?\d+)?$")


@lru_cache(maxsize=20_000)
def plain(name: str) -> str:
    """A column name without case, spaces and punctuation: ``MR Delay`` and ``mr_delay`` are the same."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def second_header(path: Path, lines: Sequence[tuple[int, list[str]]]) -> None:
    """Refuse a line of units or sub-headings below the header: what it says would be lost, and a merged cell names one column of two.

    Raises:
        TableError: the line after the header begins with an empty cell and has words where all other lines have numbers.
    """
    if len(lines) < 3 or lines[1][1][0].lower() not in WORDS:
        return
    number, second = lines[1]
    rest = [cells for _, cells in lines[2:]]
    filled = [place for place, cell in enumerate(second) if cell.lower() not in WORDS]
    words = [place for place in filled if not _NUMBER.match(second[place])]
    below = [[cells[place] for cells in rest if cells[place]] for place in words]
    numbers = [cells for cells in below if cells and all(_NUMBER.match(cell) for cell in cells)]
    if numbers and words == filled:
        raise TableError(
            path,
            f"line {number} looks like a second line of the header ({', '.join(repr(second[place]) for place in words[:4])})",
            "Write one line of column names, each column with its own, and set 'units' if there are others than years and mm^3.",
        )


@dataclass(frozen=True)
class SourceTable:
    """The rows of a table as texts; missing is ``None``. ``lines[i]`` is the line of the file on which row ``i`` begins."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str | None], ...]
    sha256: str
    lines: tuple[int, ...] = ()

    @classmethod
    def read(cls, path: Path, missing: Iterable[str] = MISSING) -> Self:
        """Read a csv, tsv or semicolon table; columns without a name are left out.

        Raises:
            TableError: no such file, no table, rows of other lengths than the header, or a column name that stands twice.
        """
        if not path.is_file():
            raise TableError(path, "no such table", f"Expected it in the folder '{path.parent.name}'.")
        raw = path.read_bytes()
        lines = grid(path, decoded(raw))
        if not lines or not raw.splitlines()[0].strip(b" ,;|\t\xef\xbb\xbf"):
            raise TableError(path, "the table is empty", "The first line must name the columns.")
        return cls.of_cells(path, lines, hashlib.sha256(raw).hexdigest(), missing)

    @classmethod
    def of_cells(
        cls, path: Path, lines: Sequence[tuple[int, list[str]]], sha256: str, missing: Iterable[str] = MISSING
    ) -> Self:
        """A table of lines that were read already, the header first.

        Raises:
            TableError: a column name stands twice, or the header has a second line.
        """
        header = [name.strip() for name in lines[0][1]]
        first = [cells[0] for _, cells in lines[1:]] if not header[0] else []
        if (
            "row" not in header
            and len(set(first)) == len(first)
            and first
            and all(map(_LETTER.search, first))
        ):
            header[0] = "row"  # R writes the names of rows without a name above them
        twice = sorted({name for name in header if name and header.count(name) > 1})
        if twice:
            where = ", ".join(
                f"'{name}' (columns {' and '.join(str(place + 1) for place, other in enumerate(header) if other == name)})"
                for name in twice
            )
            raise TableError(path, f"column {where} stands twice in the header", "Rename or remove one.")
        second_header(path, lines)
        absent = frozenset(word.lower() for word in missing)
        rows = tuple(
            {
                name: None if cell.lower() in absent else cell
                for name, cell in zip(header, cells, strict=True)
                if name
            }
            for _, cells in lines[1:]
        )
        return cls(path, tuple(filter(None, header)), rows, sha256, tuple(number for number, _ in lines[1:]))

    def find(self, *names: str) -> str | None:
        """The first column that goes by one of these names (case, spaces and punctuation aside), or ``None``.

        Raises:
            TableError: two columns go by a name and neither is written just so.
        """
        for name in names:
            if name in self.columns:
                return name
            alike = [column for column in self.columns if plain(column) == plain(name)]
            if len(alike) > 1:
                raise TableError(
                    self.path,
                    f"columns {' and '.join(map(repr, alike))} are both '{name}'",
                    "Rename or remove one.",
                )
            if alike:
                return alike[0]
        return None

    def refuse_alike(self) -> None:
        """Refuse columns that differ only in case, spaces or punctuation and have other values.

        Raises:
            TableError: there are such; the message names them.
        """
        first: dict[str, str] = {}
        for column in self.columns:
            other = first.setdefault(plain(column) or column, column)
            if any(row[other] != row[column] for row in self.rows):
                raise TableError(
                    self.path,
                    f"columns '{other}' and '{column}' are both '{plain(column)}'",
                    "Rename or remove one.",
                )

    def column(self, *names: str, todo: str = "") -> str:
        """The first column that goes by one of these names.

        Raises:
            TableError: there is none; the message names the file, the column and the columns it has.
        """
        found = self.find(*names)
        if found is None:
            other = f" (or {', '.join(repr(name) for name in names[1:])})" if len(names) > 1 else ""
            listed = ", ".join(self.columns[:30]) + (", ..." if len(self.columns) > 30 else "")
            raise TableError(
                self.path,
                f"column '{names[0]}'{other} is missing",
                f"{todo} Its columns are: {listed}.".strip(),
            )
        return found

    def require(self, names: Sequence[str], todo: str) -> None:
        """Refuse a table that lacks one of these columns, naming all that it lacks."""
        absent = [name for name in names if self.find(name) is None]
        if absent:
            listed = ", ".join(f"'{name}'" for name in absent)
            raise TableError(self.path, f"column {listed} is missing or was renamed", todo)

    def number(self, cells: Mapping[str, str | None], column: str, line: int) -> float | None:
        """A cell as a number, ``None`` where it is missing.

        Raises:
            TableError: it is something else; the message names the line and the column.
        """
        text = cells[column]
        try:
            return float(text) if text is not None else None
        except ValueError:
            raise TableError(
                self.path, f"line {line}, column '{column}': expected a number, got '{text}'"
            ) from None
