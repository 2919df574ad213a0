"""The tables that hold a study: ``manifest.tsv`` (one row a scan) and ``reports.tsv`` (the text made for each)."""

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voxtune.errors import TableError
from voxtune.progress import note
from voxtune.run_dir import make_folder
from voxtune.storage.read import LARGEST_TABLE, OddFileError, whole_bytes
from voxtune.storage.seal import file_sha256 as file_sha256  # noqa: PLC0414  (its old place, known to many)
from voxtune.storage.write import atomic_path, write_text
from voxtune.types.records import MANIFEST_COLUMNS, VOLUMES_SOURCE, ManifestRow, Report
from voxtune.types.words import cleaned, shows, unseen

MISSING = "n/a"
REQUIRED = tuple(name for name, field in ManifestRow.model_fields.items() if field.is_required())
REPORT_COLUMNS = ("scan_id", "text", "fields")
ONE_LINE = {*REQUIRED, "session_id", "diagnosis"}
"""Columns whose cells are names: of a person, a file, a class."""
LABEL_TODO = "'voxtune ingest ... --set diagnosis=COLUMN' says which column holds it"
SUM = ".sha256"
"""Of the file beside a manifest that names its sha256, as ``sha256sum`` writes it."""
_told: set[Path] = set()
MISSING_WORDS = frozenset({"", "n/a", "NA", "N/A", "nan", "NaN"})


# ------------------------------------------------------------------------------------ any table
def read_table(path: Path, required: Iterable[str] = ()) -> list[dict[str, str]]:
    """The rows of a tab-separated UTF-8 table as texts, in their order.

    Raises:
        TableError: no such file, not UTF-8, a required column is absent, a column name stands twice, or a row has
            another number of cells than the header.
    """
    header, *lines = _cells(path)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise TableError(path, f"column {_listed(twice)} stands twice in the header", "Rename or remove one.")
    missing = [name for name in required if name not in header]
    if missing and len(header) == 1 and header[0].count(",") > 1:
        raise TableError(
            path,
            "this file seems to be separated by commas; tabs are needed",
            "Save it as tab-separated text.",
        )
    if missing:
        raise TableError(
            path,
            f"column {_listed(missing)} is missing",
            f"The columns of this file are: {', '.join(header)}.",
        )
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise TableError(
                path,
                f"line {number} has {len(line)} cells, the header has {len(header)}",
                "Cells are separated by tabs.",
            )
    return [dict(zip(header, line, strict=True)) for line in lines]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Path:
    """Write a tab-separated UTF-8 table at once or not at all; the same rows give the same bytes."""
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    return path


def cell(value: object) -> str:
    """A value as it stands in a table: ``n/a`` for missing, whole numbers without a point, one line that moves no cursor."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return cleaned(" ".join(str(value).split())) or MISSING


def _cells(path: Path) -> list[list[str]]:
    try:
        text = io.StringIO(whole_bytes(path, LARGEST_TABLE).decode("utf-8-sig"), newline="")
        lines = [line for line in csv.reader(text, delimiter="\t") if line]
    except FileNotFoundError:
        raise TableError(path, "no such file") from None
    except IsADirectoryError:
        raise TableError(path, "this is a folder, expected a table") from None
    except OddFileError as error:
        raise TableError(path, str(error).removeprefix(f"{path.name}: ").rstrip(".")) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            path, f"not a tab-separated UTF-8 table ({error})", "Save it as UTF-8 text."
        ) from None
    if not lines:
        raise TableError(path, "the file is empty", "The first line must name the columns.")
    return lines


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


# ------------------------------------------------------------------------------------- manifest
def read_manifest(path: str | Path) -> list[ManifestRow]:
    """The rows of ``manifest.tsv``; columns are found by name, unknown ones are kept in ``model_extra``.

    Raises:
        TableError: a required column is absent, a ``scan_id`` stands twice, or a value is not what its column holds;
            the message names the file, the line, the scan and the column.
    """
    path = Path(path)
    if edited_since(path) and path not in _told:
        _told.add(path)
        note(
            f"note: {path.name} is not as it was written ({path.name}{SUM} names another sha256): edited, or damaged."
        )
    rows: list[ManifestRow] = []
    first_line: dict[str, int] = {}
    for number, texts in enumerate(read_table(path, REQUIRED), start=2):
        row = _row(path, number, texts)
        if row.scan_id in first_line:
            raise TableError(
                path,
                f"scan_id '{row.scan_id}' stands on line {first_line[row.scan_id]} and again on line {number}",
                "Every scan needs its own scan_id.",
            )
        first_line[row.scan_id] = number
        rows.append(row)
    if not rows:
        raise TableError(path, "the table has a header and no rows", "Expected one row for each scan.")
    return rows


def unlabelled_note(rows: Iterable[ManifestRow]) -> str | None:
    """What to do where no scan has a label: neither a diagnosis nor a finding, a column of 0 and 1. ``None`` where one has."""
    findings: dict[str, set[str]] = {}
    for row in rows:
        if row.diagnosis:
            return None
        for name, value in (row.model_extra or {}).items():
            findings.setdefault(name, set()).add(str(value))
    known = [cells - MISSING_WORDS - {"None"} for cells in findings.values()]
    if any(cells and cells <= {"0", "1", "0.0", "1.0"} for cells in known):
        return None
    return f"no scan has a label; {LABEL_TODO}"


def _row(path: Path, number: int, texts: Mapping[str, str]) -> ManifestRow:
    values: dict[str, Any] = {
        name: None if text.strip() in MISSING_WORDS else text.strip() for name, text in texts.items()
    }
    where = f"line {number} (scan_id '{texts['scan_id']}')"
    for name in REQUIRED:
        if values[name] is None:
            raise TableError(path, f"column '{name}', {where}: a value is needed here, got {texts[name]!r}")
    _check_seen(path, where, texts)
    try:
        return ManifestRow.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        column = str(first["loc"][0]) if first["loc"] else "?"
        raise TableError(
            path,
            f"column '{column}', {where}: {first['msg']}, got {texts.get(column, '')!r}",
            "Write n/a where a value is missing.",
        ) from None


def _check_seen(path: Path, where: str, cells: Mapping[str, object]) -> None:
    """Refuse a row with a character that nobody sees: a class that looks like another is another.

    Raises:
        TableError: a control character, or a mark that turns the line around, in a cell or in the name of a column.
    """
    texts = {name: one for name, one in cells.items() if isinstance(one, str)}
    together = "".join((*texts, *texts.values()))
    if shows(together) and "\n" not in together and "\t" not in together:
        return
    for name, text in texts.items():
        here = unseen(name, one_line=True)
        if found := here or unseen(text, one_line=name in ONE_LINE):
            what = f"its name holds {found}" if here else f"{where}: its text holds {found}"
            raise TableError(
                path,
                f"column '{cleaned(name)}', {what}, a character that nobody sees",
                "Type it anew.",
            )


def write_manifest(rows: Iterable[ManifestRow], path: Path) -> Path:
    """Write ``manifest.tsv``: the contract's columns, then extra ones by name; ``image`` relative to the file's folder.

    Raises:
        TableError: a ``scan_id`` stands twice, or a text holds a character that nobody sees.
    """
    rows = list(rows)
    seen: set[str] = set()
    for row in rows:
        if row.scan_id in seen:
            raise TableError(
                path, f"scan_id '{row.scan_id}' stands twice", "Every scan needs its own scan_id."
            )
        seen.add(row.scan_id)
        _check_seen(path, f"scan_id '{row.scan_id}'", row.model_dump())
    extra = sorted({name for row in rows for name in (row.model_extra or {})})
    folder = path.parent.resolve()
    beside = path.with_name(path.name + SUM)
    make_folder(path.parent)
    beside.unlink(missing_ok=True)  # between the two writes nothing is said of the manifest
    write_table(
        path,
        (*MANIFEST_COLUMNS, *extra),
        (
            row.model_dump()
            | {"image": _relative(row.image, folder), "simulated": "true" if row.simulated else "false"}
            for row in rows
        ),
    )
    write_text(beside, f"{file_sha256(path)}  {path.name}\n")
    return path


def edited_since(path: Path) -> bool:
    """Whether a manifest is another than the one that was written; one that came from elsewhere never is."""
    try:
        said = whole_bytes(path.with_name(path.name + SUM))
        return path.is_file() and said != f"{file_sha256(path)}  {path.name}\n".encode()
    except (OSError, OddFileError):
        return False


def _relative(image: str, folder: Path) -> str:
    return Path(os.path.relpath(image, folder)).as_posix() if Path(image).is_absolute() else image


def resolve_image(manifest_path: Path, row: ManifestRow) -> Path:
    """Where the image of a row is: relative to the manifest's folder.

    A path may climb out of that folder (``../data/a.nii.gz``) and may be absolute, because data sets and studies often
    live on different disks; what we write is always relative. The file is not opened here.

    Raises:
        TableError: the path is empty of meaning (a NUL byte, a web address, the folder itself).
    """
    image = row.image
    if "\0" in image or "://" in image or image in {".", "..", "/"}:
        raise TableError(
            manifest_path,
            f"column 'image', scan_id '{row.scan_id}': expected a path of a file, got {image!r}",
        )
    return manifest_path.parent / image


# -------------------------------------------------------------------------------------- reports
def read_reports(path: Path) -> dict[str, Report]:
    """The reports of ``reports.tsv`` by ``scan_id``.

    Raises:
        TableError: a column is absent or a ``scan_id`` stands twice.
    """
    reports: dict[str, Report] = {}
    for number, texts in enumerate(read_table(path, ("scan_id", "text")), start=2):
        scan_id = texts["scan_id"].strip()
        if scan_id in reports:
            raise TableError(
                path, f"scan_id '{scan_id}' stands again on line {number}", "Every scan has one report."
            )
        text = texts["text"].strip()
        if text in MISSING_WORDS:
            raise TableError(path, f"column 'text', line {number} (scan_id '{scan_id}'): the report is empty")
        fields = tuple(name for name in texts.get("fields", "").split(",") if name and name != MISSING)
        measured = texts.get(VOLUMES_SOURCE, "").strip()
        reports[scan_id] = Report(
            scan_id=scan_id,
            text=text,
            fields=fields,
            volumes_source=None if measured in MISSING_WORDS else measured,
        )
    return reports


def write_reports(reports: Iterable[Report], path: Path) -> Path:
    """Write ``reports.tsv``: ``scan_id``, the text on one line, and its fields separated by commas.

    A column ``volumes_source`` follows where any text states volumes that were not the cohort's own.
    """
    written = list(reports)
    more = (VOLUMES_SOURCE,) if any(report.volumes_source for report in written) else ()
    return write_table(
        path,
        (*REPORT_COLUMNS, *more),
        (
            {
                "scan_id": report.scan_id,
                "text": report.text,
                "fields": ",".join(report.fields),
                VOLUMES_SOURCE: report.volumes_source,
            }
            for report in written
        ),
    )
