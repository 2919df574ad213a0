"""A table of a download, read by column name: csv, tsv or semicolons, with the sha256 of its bytes."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from voxtune.errors import TableError

MISSING = frozenset({"", "n/a", "na", "nan", "none", "null", ".", "-4", "-4.0"})
"""Words for 'missing' in the tables of the field; -4 is what ADNI and AIBL write."""

PERSONAL = re.compile(
    r"(^|_)(first|last|family|given|sur|full|patient|participant|subject)_?name($|_)|^name$|^initials$"
    r"|birth|(^|_)dob($|_)|ptdob|address|phone|e_?mail|post_?code|zip_?code|(^|_)(ssn|nhs|mrn|insurance)($|_)|medical_record"
)
"""Column names (plain, see ``plain``) that hold who a person is; never copied into a manifest."""


def plain(name: str) -> str:
    """A column name without case, spaces and punctuation: ``MR Delay`` and ``mr_delay`` are the same."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


@dataclass(frozen=True)
class SourceTable:
    """The rows of a table as texts; missing is ``None``. Row ``i`` stands on line ``i + 2`` of the file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str | None], ...]
    sha256: str

    @classmethod
    def read(cls, path: Path, missing: Iterable[str] = MISSING) -> Self:
        """Read a csv, tsv or semicolon table.

        Raises:
            TableError: no such file, not text, or rows with more cells than the header.
        """
        if not path.is_file():
            raise TableError(path, "no such table", f"Expected it in the folder '{path.parent.name}'.")
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        first_line = text.split("\n", 1)[0]
        delimiter = "\t" if path.suffix == ".tsv" else max(",\t;", key=first_line.count)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        if not lines or not any(lines[0]):
            raise TableError(path, "the table is empty", "The first line must name the columns.")
        columns = tuple(name.strip() for name in lines[0])
        absent = frozenset(word.lower() for word in missing)
        rows = []
        for number, cells in enumerate(lines[1:], start=2):
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise TableError(path, f"line {number} has {len(cells)} cells, the header has {len(columns)}")
            stripped = (cell.strip() for cell in cells)
            rows.append(
                {
                    name: None if cell.lower() in absent else cell
                    for name, cell in zip(columns, stripped, strict=True)
                }
            )
        return cls(path, columns, tuple(rows), hashlib.sha256(raw).hexdigest())

    def find(self, *names: str) -> str | None:
        """The first column that goes by one of these names (case, spaces and punctuation aside), or ``None``."""
        by_plain = {plain(column): column for column in reversed(self.columns)}
        return next((by_plain[plain(name)] for name in names if plain(name) in by_plain), None)

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
