"""Rows of a tree's tables, and the one row of a session among those of a person."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from voxtune.cohorts.spellings import bare, by_bare, matched
from voxtune.cohorts.table import SourceTable, plain


@dataclass(frozen=True)
class Row:
    """One row of a table with its place; cells by plain name."""

    table: str
    cells: dict[str, str | None]
    line: int


@dataclass
class Found:
    """What the tables say of a scan: cells by plain name with the table each is from, and why something is lacking."""

    cells: dict[str, str | None] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    of_visit: bool = False
    """Whether the row of the participants' table is of the session itself."""
    rows: tuple[Row, ...] = ()
    """The row of the participants' table and that of the person's own table, as far as there are such."""
    why: str = ""

    def of_person(self, column: str) -> bool:
        """Whether a value that is known comes from a row of the person, whatever the visit."""
        return (
            self.cells.get(column) is not None
            and not self.of_visit
            and not self.sources[column].endswith("_sessions.tsv")
        )

    @property
    def where(self) -> str:
        """The lines that were used, in words."""
        return " and ".join(f"line {row.line} of {row.table}" for row in self.rows)


def rows_of(table: SourceTable) -> list[Row]:
    """The rows of a table, cells by plain name.

    Raises:
        TableError: columns that differ in case or punctuation alone have other values.
    """
    table.refuse_alike()
    return [
        Row(table.path.name, {plain(name): cell for name, cell in cells.items()}, line)
        for line, cells in zip(table.lines, table.rows, strict=True)
    ]


def row_of(rows: Sequence[Row], column: str, session: str | None) -> tuple[Row | None, str]:
    """The row of a session, or why there is none to be had."""
    table = rows[0].table
    known = by_bare(row.cells[column] or "" for row in rows if row.cells[column])
    listed = ", ".join(named(name, "ses-") for names in known.values() for name in names) or "none"
    if session is None:
        if all(row.cells == rows[0].cells for row in rows):
            return rows[0], ""
        return None, f"the image names no session and {table} has several ({listed})"
    written = {row.cells[column] for row in rows}
    exact = next((name for name in (session, session.removeprefix("ses-")) if name in written), None)
    name = exact or matched(session, known)
    own = [row for row in rows if name is not None and row.cells[column] == name]
    if not own:
        several = " (several may be meant)" if known.get(bare(session)) else ""
        return None, f"session {session} is not in {table}, which has {listed}{several}"
    if any(row.cells != own[0].cells for row in own[1:]):
        lines = ", ".join(str(row.line) for row in own)
        return None, f"{table} has several rows of session {session} that disagree (lines {lines})"
    return own[0], ""


def named(text: str, prefix: str) -> str:
    """A name with the prefix of BIDS in front."""
    return text if text.startswith(prefix) else f"{prefix}{text}"
