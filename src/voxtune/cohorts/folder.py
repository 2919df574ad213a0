"""Any folder of images with a table: columns and files are found by name, or named by settings.

``Folder(root, table="subjects.csv", image="{scan_id}_T1w_brain.nii.gz", participant_id="subject_id",
diagnosis="age<40:younger than 40;age>=40:40 and older", rename="lateral_ventricles_mm3:ventricles_mm3")``
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.folder_images import Pattern, find_pattern
from voxtune.cohorts.joins import Joined, Scan
from voxtune.cohorts.labels import LabelRule, Pairs, cell_class, is_rule, parse_rule
from voxtune.cohorts.other_values import OtherValues
from voxtune.cohorts.outputs import is_output
from voxtune.cohorts.present import why_absent
from voxtune.cohorts.ranges import why_not
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.supplement import Supplement
from voxtune.cohorts.table import PERSONAL, WORDS, SourceTable, plain
from voxtune.cohorts.table_settings import TableSettings
from voxtune.cohorts.workbook import read_any
from voxtune.errors import DataError, SettingError, TableError
from voxtune.types.names import scan_name
from voxtune.types.records import MANIFEST_COLUMNS, ManifestRow

GUESSES: Mapping[str, tuple[str, ...]] = {
    "scan_id": ("scan_id", "mri_id", "mrid", "image_id", "imageuid", "scan", "filename", "participant_id", "subject_id", "id"),
    "participant_id": ("participant_id", "subject_id", "subject", "ptid", "patient_id", "participant", "patient", "rid"),
    "session_id": ("session_id", "session", "visit", "viscode", "timepoint"),
    "diagnosis": ("diagnosis", "dx", "group", "label", "class"),
    "age": ("age", "age_at_scan", "subject_age", "age_years"),
    "sex": ("sex", "gender", "m_f", "sex_m_f", "gender_m_f", "ptgender"),
    "mmse": ("mmse", "mmscore", "mmse_total"),
    "cdr": ("cdr", "cdglobal", "cdr_global"),
    "site": ("site", "siteid", "site_id", "center", "centre"),
    "scanner": ("scanner", "scanner_model", "manufacturer_model_name"),
    "field_strength": ("field_strength", "magnetic_field_strength", "fldstreng"),
    **{name: (name,) for name in MANIFEST_COLUMNS if name.endswith("_mm3")},
    "simulated": ("simulated", "is_simulated"),
}  # fmt: skip
"""Names a column may go by, the likeliest first; compared without case, spaces and punctuation."""
_TABLES = (
    "manifest.tsv",
    "participants.tsv",
    "subjects.csv",
    "demographics.csv",
    "participants.csv",
    "subjects.tsv",
)
_IDS = ("scan_id", "participant_id", "session_id")
_BIRTH = ("yob", "birth_year", "year_of_birth", "dob", "ptdob", "date_of_birth", "birth_date", "ptdobyy")


@dataclass(frozen=True)
class _Row:
    """A row of the table with what it names."""

    line: int
    cells: Mapping[str, str | None]
    name: str
    person: str
    session: str | None
    image: Path | None


class Folder(TableSettings):
    """A folder of images and a table; every field but ``root`` is found by name when it is not given."""

    root: Path
    table: str | None = Field(None, description="the table, relative to the folder")
    image: str | None = Field(
        None, description="a column that holds paths, or a pattern like {scan_id}_T1w.nii.gz"
    )
    scan_id: str | None = None
    participant_id: str | None = None
    session_id: str | None = None
    diagnosis: str | None = Field(None, description="a column, or a rule like age<40:younger;age>=40:older")
    classes: Pairs = Field(
        default_factory=dict, description="names for the values of the diagnosis column, 0:NC,1:AD"
    )
    unlabelled: Literal["drop", "keep"] = Field(
        "drop", description="scans that no case of the label rule fits"
    )
    age: str | None = None
    sex: str | None = None
    mmse: str | None = None
    cdr: str | None = None
    site: str | None = None
    scanner: str | None = None
    field_strength: str | None = None

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows; ``image`` is the absolute path, made relative when the manifest is written."""
        return self.read().rows

    def read(self) -> Reading:
        """Read the tables, find each image, and label each row.

        Raises:
            DataError: there is no table, or no image that fits.
            TableError: a column is missing, a value is not what its column holds, or a further table fits no scan.
            SettingError: a setting names a column that is not there, or a choice has to be made.
        """
        table = read_any(self._table(), missing=WORDS)
        table.refuse_alike()
        reading = Reading(numbers=self.numbers)
        columns = self._columns(table, reading)
        table = _whole_names(table, [columns[field] for field in _IDS if field in columns], reading)
        pattern = find_pattern(self.root, table, self.image, columns["scan_id"], reading)
        rows = self._rows(table, columns, pattern, reading)
        scans = [Scan(row.name, row.person, row.session, row.image) for row in rows]
        own = [Joined(table, row.cells, row.line, of_person=False) for row in rows]
        more = Supplement.of(self.root, self, scans, own, reading)
        self._same_birth(table, rows, reading)
        rule = parse_rule(self.diagnosis) if self.diagnosis and is_rule(self.diagnosis) else None
        extras = _extras(table, set(columns.values()) | set(self.rename), reading)
        others = OtherValues(more)
        elsewhere = self._elsewhere(table, columns, more)
        for place, row in enumerate(rows):
            values: dict[str, Any] = {extra: more.word(extra, row.cells[extra]) for extra in extras}
            values |= more.measured(place, columns) | more.named(place, elsewhere)
            for field, column in columns.items():
                text = more.word(column, row.cells[column])
                if field not in _IDS:
                    others.compare(place, column, text, table.path.name)
                values[field] = more.in_unit(field, column, text, table, row.line)
            values |= more.renamed(place)
            values |= {"scan_id": scan_name(row.name), "participant_id": row.person}
            try:
                label, why = self._label(rule, more, place, columns, values)
            except ValueError as error:
                raise TableError(
                    table.path,
                    f"line {row.line} ('{row.name}'): {error}",
                    "Say how numbers are written: --set 'numbers=1234,5'.",
                ) from None
            absent = why_absent(row.image) if row.image else "no image is named in the table"
            if absent:
                reading.drop(
                    row.name,
                    absent,
                    row.person,
                    table.path,
                    "row" if absent == "image not found" else "image",
                )
            elif label is None and why and self.unlabelled == "drop":
                reading.drop(row.name, f"no label ({why})", row.person, table.path)
            else:
                values |= {
                    "diagnosis": label,
                    "diagnosis_rule": why or None,
                    "image": str(row.image.absolute()) if row.image else "",
                }
                reading.keep(
                    table, values, f"line {row.line} ('{row.name}')", columns, more.origins.get(place)
                )
        others.say()
        if not reading.rows:
            reasons = (
                "; ".join(f"{count} x {reason}" for reason, count in reading.reasons().items())
                or "it has no rows"
            )
            raise DataError(
                f"{table.path.name}: no row could be used ({reasons}). Pattern of images: {pattern.text}."
            )
        for path in pattern.others(self.root, {row.image for row in rows if row.image}):
            reading.drop(path.name, f"no row of {table.path.name} names this image", source=table.path)
        return reading

    def _rows(
        self, table: SourceTable, columns: Mapping[str, str], pattern: Pattern, reading: Reading
    ) -> list[_Row]:
        """The rows that name a scan, each with its image."""
        found = []
        for line, cells in zip(table.lines, table.rows, strict=True):
            name = cells[columns["scan_id"]]
            if name is None:
                reading.drop(f"line {line}", "no scan name", source=table.path, kind="row")
                continue
            known = {field: cells[column] for field, column in columns.items()} | dict(cells)
            known["scan_id"] = cells.get("scan_id") or scan_name(name)
            person = cells[columns["participant_id"]] if "participant_id" in columns else None
            session = cells[columns["session_id"]] if "session_id" in columns else None
            found.append(_Row(line, cells, name, person or name, session, pattern.image(self.root, known)))
        return found

    def _elsewhere(
        self, table: SourceTable, columns: Mapping[str, str], more: Supplement
    ) -> dict[str, tuple[str, ...]]:
        """Manifest columns that the table does not have, with the names that further tables may have them by.

        Raises:
            TableError: a stated column is in no table.
        """
        found = {}
        for field, guesses in GUESSES.items():
            stated: str | None = getattr(self, field, None)
            if field in columns or field in _IDS or (field == "diagnosis" and stated and is_rule(stated)):
                continue
            if stated and not more.has(stated):
                table.column(stated, todo=f"Set '{field}' to a column of this table or of one of 'also'.")
            found[field] = (stated,) if stated else guesses
        return found

    def _same_birth(self, table: SourceTable, rows: list[_Row], reading: Reading) -> None:
        """Say whose date or year of birth changes from row to row; the dates themselves go nowhere."""
        column = table.find(*_BIRTH)
        if column is None:
            return
        born: dict[str, dict[str, int]] = {}
        for row in rows:
            if row.cells[column] is not None:
                born.setdefault(row.person, {}).setdefault(row.cells[column] or "", row.line)
        changed = {person: list(lines.values()) for person, lines in born.items() if len(lines) > 1}
        if changed:
            listed = "; ".join(
                f"{person} (lines {' and '.join(map(str, lines))})"
                for person, lines in list(changed.items())[:3]
            )
            reading.note(
                f"{table.path.name}: '{column}' of {len(changed)} participants changes from row to row: {listed}."
            )

    # ---- what is where
    def _table(self) -> Path:
        if self.table:
            return self.root / self.table
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder.")
        files = [
            path for path in sorted(self.root.iterdir()) if path.is_file() and path.name not in self.also
        ]
        tables = [path for path in files if path.suffix in {".csv", ".tsv"}]
        # A manifest that ingest wrote is a source only where nothing else is.
        own = [path for path in tables if not is_output(path)] or [
            path for path in tables if path.name == "manifest.tsv"
        ]
        found = [path.name for path in own or files if path.suffix in {".csv", ".tsv", ".xlsx"}]
        chosen = next((name for name in _TABLES if name in found), found[0] if len(found) == 1 else None)
        if chosen is None and found:
            raise SettingError("table", f"one of {', '.join(found)}", None)
        if chosen is None:
            raise DataError(
                f"{self.root.name}: no csv or tsv table in this folder. Put one there or set 'table'."
            )
        return self.root / chosen

    def _columns(self, table: SourceTable, reading: Reading) -> dict[str, str]:
        """Manifest column -> column of the table, stated or guessed."""
        columns: dict[str, str] = {}
        taken = {table.find(target) for target in self.rename.values()}
        for field, guesses in GUESSES.items():
            stated: str | None = getattr(self, field, None)
            if field == "diagnosis" and stated and is_rule(stated):
                continue
            if stated and (field in _IDS or not self.also or table.find(stated)):
                columns[field] = table.column(stated, todo=f"Set '{field}' to a column of this table.")
            elif not stated and (found := table.find(*guesses)) and found not in taken:
                columns[field] = found
        if "scan_id" not in columns:
            columns["scan_id"] = columns.get("participant_id") or table.column(
                "scan_id", todo="Set 'scan_id' to the column that names scans."
            )
        if "participant_id" not in columns:
            reading.note(
                f"{table.path.name} has no participant column: each scan counts as its own participant. "
                "Set 'participant_id' if a person was scanned more than once, or splits will leak."
            )
        return columns

    def _label(
        self,
        rule: LabelRule | None,
        more: Supplement,
        place: int,
        columns: Mapping[str, str],
        values: Mapping[str, Any],
    ) -> tuple[str | None, str]:
        """The class of a row and the rule that gave it, which names the column that was really used."""
        if rule is not None:
            return rule.label(lambda name: self._cell(more, place, name, values)), f"rule: {rule.text}"
        raw = values.get("diagnosis")
        if "diagnosis" not in values:
            return None, ""
        renamed = next((source for source, target in self.rename.items() if target == "diagnosis"), None)
        column = renamed or columns.get("diagnosis") or self.diagnosis or "diagnosis"
        table = "" if renamed or "diagnosis" in columns else " of " + ", ".join(self.also)
        named = f", named by {self.classes}" if self.classes else ""
        if raw is None:
            return None, f"column: {column}{table}{named}"
        label = cell_class(str(raw), self.classes)
        if label == raw and (code := more.missing.of_class(column, raw, more.cells_of(column))):
            return None, code
        if self.classes and label not in self.classes.values():
            more.reading.note(
                f"column '{column}': '{raw}' is not named in 'classes' and stays a class of its own."
            )
        return label, f"column: {column}{table}{named}"

    def _cell(self, more: Supplement, place: int, name: str, values: Mapping[str, Any]) -> str | None:
        """A cell that a rule asks for, with its number in plain style."""
        by_plain = {plain(key): value for key, value in values.items()}
        if not more.has(name) and plain(name) not in by_plain:
            listed = [column for table in more.tables for column in table.columns]
            raise SettingError("diagnosis", f"columns among {', '.join(listed[:40])}", name)
        text = by_plain.get(plain(name)) if plain(name) in by_plain else more.cell(place, name)
        if isinstance(text, str):
            return more.missing.comparable(name, text, lambda: more.cells_of(name))
        return None if text is None or why_not(plain(name), text) else str(text)


def _whole_names(table: SourceTable, columns: list[str], reading: Reading) -> SourceTable:
    """A table in which names that a spreadsheet or pandas made ``1.0`` are ``1`` again, where all names of a column are such."""
    for column in columns:
        names = [row[column] for row in table.rows if row[column] is not None]
        if names and all(re.fullmatch(r"\d+\.0+", name or "") for name in names):
            reading.note(
                f"{table.path.name}: '{column}' has names like {names[0]}; they are read as whole numbers."
            )
            rows = tuple({**row, column: (row[column] or "").partition(".")[0] or None} for row in table.rows)
            table = replace(table, rows=rows)
    return table


def _extras(table: SourceTable, used: set[str], reading: Reading) -> list[str]:
    """Columns to carry along: neither used nor telling who a person is."""
    personal = [name for name in table.columns if PERSONAL.search(plain(name))]
    if personal:
        reading.note(
            f"{table.path.name}: {', '.join(personal)} looks like personal data and is left out of the manifest."
        )
    return [
        name
        for name in table.columns
        if name and name not in used and name not in personal and name not in MANIFEST_COLUMNS
    ]
