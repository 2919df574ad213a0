"""FreeSurfer's and FastSurfer's text statistics (``aseg.stats``, ``lh.aparc.stats``) as one table, a row for each subject."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from voxtune.cohorts.cells import decoded
from voxtune.cohorts.table import WORDS, SourceTable
from voxtune.errors import TableError

NAMES = (
    "aseg.stats", "aseg+DKT.VINN.stats", "aseg+DKT.stats", "aseg.VINN.stats", "lh.aparc.stats", "rh.aparc.stats",
    "lh.aparc.DKTatlas.mapped.stats", "rh.aparc.DKTatlas.mapped.stats",
)  # fmt: skip
"""Files of a subject's ``stats`` folder that are read; of several with one column the earlier counts."""


def find_stats(folder: Path) -> list[Path]:
    """The folders named ``stats`` at or below a folder that hold such files."""
    own = [folder] if folder.name == "stats" else []
    found = {path.parent for name in ("*aseg*.stats", "*aparc*.stats") for path in folder.rglob(name)}
    return sorted({*own, *found})


def read_stats(folders: Iterable[Path], root: Path, name: str) -> SourceTable:
    """The statistics of subjects as a table with the column ``subject``: the path of its folder below ``root``.

    Raises:
        TableError: a file is none of FreeSurfer's statistics.
    """
    rows: list[dict[str, str]] = []
    digest = hashlib.sha256()
    for folder in folders:
        files = [folder / file for file in NAMES if (folder / file).is_file()]
        subject = (
            folder.parent.relative_to(root).as_posix()
            if folder.parent.is_relative_to(root)
            else folder.parent.name
        )
        row = {"subject": folder.parent.name if subject == "." else subject}
        for path in files:
            raw = path.read_bytes()
            digest.update(raw)
            row = {**_cells(path, decoded(raw)), **row}
        if len(row) > 1:
            rows.append(row)
    columns = list(dict.fromkeys(["subject", *(column for row in rows for column in row)]))
    lines = [
        (1, columns),
        *((number, [row.get(column, "") for column in columns]) for number, row in enumerate(rows, start=2)),
    ]
    return SourceTable.of_cells(Path(name), lines, digest.hexdigest(), WORDS)


def _cells(path: Path, text: str) -> dict[str, str]:
    """Volumes in mm^3 by structure, and the measures of the header by both of their names."""
    found: dict[str, str] = {}
    side = path.name[:2] if re.match(r"[lr]h\.", path.name) else ""
    headers: list[str] = []
    for line in text.splitlines():
        if line.startswith("# Measure "):
            parts = [part.strip() for part in line.removeprefix("# Measure ").split(",")]
            if len(parts) >= 5 and parts[-1].replace("^", "") == "mm3":
                found |= dict.fromkeys(parts[:2], parts[-2])
        elif line.startswith("# ColHeaders"):
            headers = line.split()[2:]
        elif line.strip() and not line.startswith("#"):
            cells = dict(zip(headers, line.split(), strict=False))
            volume = cells.get("GrayVol" if side else "Volume_mm3")
            if volume is None or "StructName" not in cells:
                raise TableError(
                    path,
                    "no column 'StructName' with a volume",
                    "Expected the statistics of FreeSurfer or FastSurfer.",
                )
            found[f"{side}_{cells['StructName']}_volume" if side else cells["StructName"]] = volume
    return found
