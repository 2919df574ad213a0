"""A folder of answers: ``predictions.tsv``, ``failed.tsv`` and a page for each scan. What earlier calls wrote stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from voxtune.data.manifest import read_table, write_table
from voxtune.errors import TableError
from voxtune.model.adapter import AdapterFacts
from voxtune.model.questions import question_of
from voxtune.serving.answer import Answer, columns, plain_cell

TABLE, FAILED = "predictions.tsv", "failed.tsv"
FAILED_COLUMNS = ("scan", "error")
SHORT = 12
"""Hexadecimal digits of ``adapter_sha256`` that tell adapters apart."""
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Written:
    """The table, and one line about what was in it before; empty where nothing was."""

    table: Path
    note: str


class AnswerFolder:
    """The folder as it was found, and how new answers join what is in it.

    By scan the newest word counts: an answer, or the reason why there is none. Answers of another adapter never share a
    table with ours; theirs is set aside under another name.
    """

    def __init__(self, root: Path, facts: AdapterFacts) -> None:
        self.root = root
        self.adapter = facts.adapter_sha256[:SHORT]
        self.header = columns(facts.classes, facts.targets, each=question_of(facts).choice == "each")
        self.table = root / TABLE
        self.earlier: Rows = []
        self.foreign: Rows | None = None
        """Rows of a table that is not ours to go on with."""
        if self.table.is_file():
            rows = _rows(self.table, ("scan_id", "page"))
            ours = all(tuple(row) == self.header and row["adapter"] == self.adapter for row in rows)
            self.earlier, self.foreign = (rows, None) if rows and ours else ([], rows)

    def pages(self, scans: Sequence[str], names: Sequence[str]) -> list[Path]:
        """A page for each scan: by its name, with a number where another scan has that page already."""
        asked = {plain_cell(scan) for scan in scans}
        taken = {row["page"] for row in self.foreign or []}
        taken |= {row["page"] for row in self.earlier if row["scan_id"] not in asked}
        found = []
        for name in names:
            tries = (f"{name}{'' if number == 1 else f'-{number}'}.html" for number in count(1))
            page = next(one for one in tries if one not in taken)
            taken.add(page)
            found.append(self.root / page)
        return found

    def write(self, answers: Sequence[Answer], failed: Sequence[tuple[str, str]]) -> Written:
        """Add the answers of a call and the scans that failed in it; each table is whole or not changed."""
        note = ""
        if self.foreign:
            aside = self._aside()
            self.table.replace(aside)
            note = f"The answers of another adapter that were there are in {aside} now."
        new: list[dict[str, object]] = [one.row() | {"adapter": self.adapter} for one in answers]
        lost = [(plain_cell(name), plain_cell(why)) for name, why in failed]
        asked = {str(row["scan_id"]) for row in new} | {name for name, _ in lost}
        kept = [row for row in self.earlier if row["scan_id"] not in asked]
        gone = [row for row in self.earlier if row["scan_id"] in asked]
        write_table(self.table, self.header, [*kept, *new])
        failures = [] if self.foreign else _rows(self.root / FAILED, FAILED_COLUMNS)
        failures = [row for row in failures if row["scan"] not in {"", *asked}]
        failures += [dict(zip(FAILED_COLUMNS, one, strict=True)) for one in lost]
        if failures:
            write_table(self.root / FAILED, FAILED_COLUMNS, failures)
        else:
            (self.root / FAILED).unlink(missing_ok=True)
        stay = {row["page"] for row in kept} | {str(row["page"]) for row in new}
        self._forget({row["page"] for row in gone} - stay)
        if self.earlier:
            note = f"Earlier answers there: {len(kept)} kept, {len(gone)} replaced."
        return Written(self.table, note)

    def _aside(self) -> Path:
        tries = (self.root / f"predictions-{number}.tsv" for number in count(1))
        return next(one for one in tries if not one.exists())

    def _forget(self, pages: set[str]) -> None:
        """Remove pages whose answer is gone; a table may have been edited, so nothing but a page of this folder."""
        for name in pages:
            if name.endswith(".html") and Path(name).name == name:
                (self.root / name).unlink(missing_ok=True)


def _rows(path: Path, needed: Sequence[str]) -> Rows:
    """The rows of an earlier table; of one that cannot be read a single row that fits nothing."""
    if not path.is_file():
        return []
    try:
        return read_table(path, needed)
    except TableError:
        return [dict.fromkeys(needed, "")]
