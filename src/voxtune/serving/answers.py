"""A folder of answers: ``predictions.tsv``, ``failed.tsv`` and a page for each scan. What earlier calls wrote stays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from voxtune.data.manifest import MISSING, read_table, write_table
from voxtune.errors import TableError
from voxtune.evaluation.tables import CONTENT, FILE, SET, VERDICT
from voxtune.model.adapter import AdapterFacts
from voxtune.model.questions import question_of
from voxtune.serving.answer import Answer, columns, plain_cell
from voxtune.storage.lock import waited

TABLE, FAILED, LOCK = "predictions.tsv", "failed.tsv", "predictions"
FAILED_COLUMNS = ("scan", "error", "file")
SHORT = 12
"""Hexadecimal digits of ``adapter_sha256`` that tell adapters apart."""
ADDED = (VERDICT, FILE, CONTENT, SET)
"""Columns that tables of before have not."""
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Failure:
    """A scan without an answer, and why."""

    scan: str
    error: str
    file: str = ""

    def row(self) -> dict[str, str]:
        """Of ``failed.tsv``."""
        return {"scan": plain_cell(self.scan), "error": plain_cell(self.error), "file": plain_cell(self.file)}


@dataclass(frozen=True)
class Written:
    """The table, its rows, the failures that stand beside it, and one line about what was in it before; empty where nothing was."""

    table: Path
    rows: list[dict[str, str]]
    failures: Rows
    note: str


class AnswerFolder:
    """The folder as it was found, and how new answers join what is in it.

    A scan is its content and its path: an answer replaces one to the same content at the same path, and nothing else. Answers of another
    adapter never share a table with ours; theirs is set aside under another name.
    """

    def __init__(self, root: Path, facts: AdapterFacts) -> None:
        self.root = root
        self.adapter = facts.adapter_sha256[:SHORT]
        self.header = columns(facts.classes, facts.targets, question_of(facts).choice)
        self.table = root / TABLE

    def names(self) -> dict[str, str]:
        """The names of the scans in the table, each with the key that the name of its page ends in."""
        earlier, _ = self._found()
        return {
            row["scan_id"].removeprefix("'"): Path(row["page"]).stem.rpartition("-")[2] for row in earlier
        }

    def write(
        self,
        answers: Sequence[Answer],
        failed: Sequence[Failure],
        asked: Mapping[str, str | None] | None = None,
        then: Callable[[Written], None] = lambda _: None,
    ) -> Written:
        """Add the answers of a call and the scans that failed in it; each table is whole or not changed.

        Args:
            answers: given.
            failed: without an answer.
            asked: file and content of the scans that failed, of which an earlier answer would be of the same bytes.
            then: what else is made of the whole table, before another call may add to it.
        """
        with waited(self.root, LOCK, every=0.1):
            written = self._write(answers, failed, asked or {})
            then(written)
            return written

    def _write(
        self, answers: Sequence[Answer], failed: Sequence[Failure], asked: Mapping[str, str | None]
    ) -> Written:
        earlier, foreign = self._found()
        note = ""
        if foreign is not None:
            aside = self._aside()
            self.table.replace(aside)
            note = f"The answers of another adapter that were there are in {aside} now."
        new = [one.row() | {"adapter": self.adapter} for one in answers]
        mine = {(row[FILE], row[CONTENT]) for row in new}
        mine |= {(plain_cell(file), content) for file, content in asked.items()}
        kept = [row for row in earlier if (row[FILE], row[CONTENT]) not in mine]
        gone = [row for row in earlier if (row[FILE], row[CONTENT]) in mine]
        _different(kept, new)
        write_table(self.table, self.header, [*kept, *new])
        failures = [] if foreign is not None else _failures(self.root / FAILED)
        lost = [one.row() for one in failed]
        answered = {row[FILE] for row in new} | {row["file"] for row in lost}
        failures = [row for row in failures if row["file"] not in answered] + lost
        if failures:
            write_table(self.root / FAILED, FAILED_COLUMNS, failures)
        else:
            (self.root / FAILED).unlink(missing_ok=True)
        stay = {row["page"] for row in kept} | {str(row["page"]) for row in new}
        self._forget({row["page"] for row in gone} - stay)
        if earlier:
            note = f"Earlier answers there: {len(kept)} kept, {len(gone)} replaced."
        return Written(self.table, read_table(self.table), failures, note)

    def _found(self) -> tuple[Rows, Rows | None]:
        """The rows of an earlier table that are ours to go on with, or those that are not."""
        if not self.table.is_file():
            return [], None
        rows = _rows(self.table, ("scan_id", "page"))
        before = tuple(name for name in self.header if name not in ADDED)
        ours = all(tuple(row) in {self.header, before} and row["adapter"] == self.adapter for row in rows)
        if not rows or not ours:
            return [], rows
        return [dict.fromkeys(ADDED, MISSING) | row for row in rows], None

    def _aside(self) -> Path:
        tries = (self.root / f"predictions-{number}.tsv" for number in count(1))
        return next(one for one in tries if not one.exists())

    def _forget(self, pages: set[str]) -> None:
        """Remove pages whose answer is gone; a table may have been edited, so nothing but a page of this folder."""
        for name in pages:
            if name.endswith(".html") and Path(name).name == name:
                (self.root / name).unlink(missing_ok=True)


def _different(kept: Rows, new: list[dict[str, object]]) -> None:
    """A name that another call gave to another scan meanwhile is told apart by content: every name stands once."""
    used = {row["scan_id"] for row in kept}
    for row in new:
        if row["scan_id"] in used:
            row["scan_id"] = f"{row['scan_id']} ({str(row['page']).removesuffix('.html')[-6:]})"
        used.add(str(row["scan_id"]))


def _failures(path: Path) -> Rows:
    """Earlier failures; of a table without files each stands for itself."""
    rows = [row for row in _rows(path, FAILED_COLUMNS[:2]) if row["scan"]]
    return [{"file": row["scan"]} | row for row in rows]


def _rows(path: Path, needed: Sequence[str]) -> Rows:
    """The rows of an earlier table; of one that cannot be read a single row that fits nothing."""
    if not path.is_file():
        return []
    try:
        return read_table(path, needed)
    except TableError:
        return [dict.fromkeys(needed, "")]
