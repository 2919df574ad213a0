"""Tables of 0 and 1 by volume, several of which may speak of one volume, and the volumes themselves (CT-RATE, RAD-ChestCT)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voxtune.cohorts.image_files import NO_CONTENT, find_image_files, find_tables
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.sequence import natural
from voxtune.cohorts.table import SourceTable
from voxtune.errors import TableError

_MASK = re.compile(r"(?:^|[/_-])(?:segs?|segmentations?|masks?)(?=[/_.-]|$)", re.IGNORECASE)
"""Folders and names of masks; the hub's ``ts_seg`` has a mask under the name of each volume."""


@dataclass
class Labelled:
    """The labels of one volume, ``0``, ``1`` or ``None``, and the first row that gives them."""

    table: SourceTable
    line: int
    labels: dict[str, str | None]
    others: list[str] = field(default_factory=list)
    """Tables with other labels for the volume; then nobody knows which hold."""

    @property
    def problem(self) -> str:
        """Why the labels cannot be used, empty where they can."""
        names = sorted({self.table.path.name, *self.others})
        if not self.others:
            return ""
        return f"its labels stand twice and disagree ({' and '.join(names)}; keep one table here)"


def read_tables(root: Path) -> tuple[list[SourceTable], list[str]]:
    """Every csv below a folder that is a table, and a sentence on each that is none; manifests of this program are no source."""
    tables, unread = [], []
    for path in find_tables(root):
        try:
            table = SourceTable.read(path)
        except TableError as error:
            unread.append(f"not read: {error}")
            continue
        if not {"diagnosis_rule", "source_sha256"} <= set(table.columns):
            tables.append(table)
    return tables, unread


def volume_name(text: str | None) -> str:
    """The name of a volume without folders and endings."""
    return re.sub(r"(\.nii)?(\.gz)?$|\.npz$", "", (text or "").strip().rpartition("/")[2])


def read_labels(
    tables: Iterable[SourceTable], names: Sequence[str], findings: Sequence[str], todo: str
) -> tuple[dict[str, Labelled], list[tuple[SourceTable, int]]]:
    """The labels of each volume over all tables, and the rows that name none.

    Raises:
        TableError: a column is missing or a label is neither 0 nor 1; the message has the line and the column.
    """
    known: dict[str, Labelled] = {}
    nameless = []
    for table in tables:
        table.require(findings, todo)
        column = table.column(*names)
        columns = {finding: table.column(finding) for finding in findings}
        for line, row in zip(table.lines, table.rows, strict=True):
            volume = volume_name(row[column])
            labels = {finding: _label(table, row[place], finding, line) for finding, place in columns.items()}
            if not volume:
                nameless.append((table, line))
            elif volume not in known:
                known[volume] = Labelled(table, line, labels)
            elif known[volume].labels != labels:
                known[volume].others.append(table.path.name)
    return known, nameless


def _label(table: SourceTable, value: str | None, finding: str, line: int) -> str | None:
    if value is None:
        return None
    if not re.fullmatch(r"[01](\.0+)?", value):
        raise TableError(table.path, f"line {line}, column '{finding}': expected 0 or 1, got '{value}'")
    return value[0]


def read_facts(
    tables: Iterable[SourceTable], key: Sequence[str], names: Sequence[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Other columns by volume; a cell that two rows give differently is left out, and a sentence says so."""
    found: dict[str, dict[str, str]] = {}
    unsure: set[tuple[str, str]] = set()
    for table in tables:
        column = table.column(*key)
        columns = {name: place for name in names if (place := table.find(name))}
        for row in table.rows:
            volume = volume_name(row[column])
            own = found.setdefault(volume, {})
            for name, place in columns.items():
                value = row[place]
                if value is not None and own.setdefault(name, value) != value:
                    unsure.add((volume, name))
    for volume, name in unsure:
        del found[volume][name]
    volumes = sorted({volume for volume, _ in unsure}, key=natural)
    told = f"{len(volumes)} volumes have two different values of {', '.join(sorted({name for _, name in unsure}))}, which are left out ({', '.join(volumes[:3])}...)."
    return found, [told] if volumes else []


def volume_files(root: Path, reading: Reading) -> dict[str, Path]:
    """The file of each volume by name; of several the one in a folder of fixed headers (``valid_fixed``), never a segmentation.

    What is not taken is dropped with its reason.
    """
    files = find_image_files(root)
    if files.note:
        reading.note(files.note)
    for path in files.broken:
        reading.drop(path.name, NO_CONTENT)
    candidates: dict[str, list[Path]] = {}
    for path in files.images:
        if _MASK.search(path.relative_to(root).as_posix()):
            reading.drop(path.relative_to(root).as_posix(), "a mask or labels, not a volume")
        elif path.is_file():
            candidates.setdefault(volume_name(path.name), []).append(path)
    chosen: dict[str, Path] = {}
    for name, paths in candidates.items():
        first, *others = sorted(paths, key=lambda path: (not is_fixed(path), natural(path.as_posix())))
        chosen[name] = first
        for path in others:
            reading.drop(
                path.relative_to(root).as_posix(),
                f"another file of the volume was taken ({first.relative_to(root).parent.as_posix()})",
            )
    return chosen


def is_fixed(path: Path) -> bool:
    """Whether a CT-RATE volume is one of those whose headers were corrected: its values are Hounsfield units."""
    return any(part.endswith("_fixed") for part in path.parts)


def drop_unlisted(reading: Reading, files: Mapping[str, Path], known: Iterable[str]) -> None:
    """List the volumes that no row of a label table names."""
    listed = set(known)
    for name in sorted(set(files) - listed, key=natural):
        reading.drop(name, "the volume is in no label table")
