"""Any folder of images with a table: columns and files are found by name, or named by settings.

``Folder(root, table="subjects.csv", image="{scan_id}_T1w_brain.nii.gz", participant_id="subject_id",
diagnosis="age<40:younger than 40;age>=40:40 and older", rename="lateral_ventricles_mm3:ventricles_mm3")``
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.labels import LabelRule, Pairs, is_rule, parse_rule
from voxtune.cohorts.reading import Reading, scan_name
from voxtune.cohorts.table import PERSONAL, SourceTable, plain
from voxtune.errors import DataError, SettingError, TableError
from voxtune.types.records import MANIFEST_COLUMNS, ManifestRow
from voxtune.types.settings import Settings

GUESSES: Mapping[str, tuple[str, ...]] = {
    "scan_id": (
        "scan_id",
        "mri_id",
        "mrid",
        "image_id",
        "imageuid",
        "scan",
        "filename",
        "participant_id",
        "subject_id",
        "id",
    ),
    "participant_id": (
        "participant_id",
        "subject_id",
        "subject",
        "ptid",
        "patient_id",
        "participant",
        "patient",
        "rid",
    ),
    "session_id": ("session_id", "session", "visit", "viscode", "timepoint"),
    "diagnosis": ("diagnosis", "dx", "group", "label", "class"),
    "age": ("age", "age_at_scan", "subject_age", "age_years"),
    "sex": ("sex", "gender", "m_f", "ptgender"),
    "mmse": ("mmse", "mmscore", "mmse_total"),
    "cdr": ("cdr", "cdglobal", "cdr_global"),
    "site": ("site", "siteid", "site_id", "center", "centre"),
    "scanner": ("scanner", "scanner_model", "manufacturer_model_name"),
    "field_strength": ("field_strength", "magnetic_field_strength", "fldstreng"),
    "simulated": ("simulated", "is_simulated"),
}
"""Names a column may go by, the likeliest first; compared without case, spaces and punctuation."""
_TABLES = (
    "manifest.tsv",
    "participants.tsv",
    "subjects.csv",
    "demographics.csv",
    "participants.csv",
    "subjects.tsv",
)
_NOT_A_SCAN = re.compile(r"label|seg|mask|dlmuse|aseg|aparc|parc|atlas|roi|probab|dseg", re.IGNORECASE)
_IMAGE = (".nii.gz", ".nii", ".img", ".mgz", ".mha", ".nrrd")


class Folder(Settings):
    """A folder of images and a table; every field but ``root`` is found by name when it is not given."""

    root: Path
    table: str | None = Field(None, description="the table, relative to the folder")
    also: tuple[str, ...] | str = Field(
        (), description="more tables, joined on the scan column, for 'rename'"
    )
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
    rename: Pairs = Field(
        default_factory=dict, description="source:target, sums allowed: 47+48:hippocampus_mm3"
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
        """Read the table, find each image, and label each row.

        Raises:
            DataError: there is no table, or no image that fits.
            TableError: a column is missing or a value is not what its column holds.
            SettingError: a setting names a column that is not there, or a choice has to be made.
        """
        table = SourceTable.read(self._table())
        reading = Reading()
        columns = self._columns(table, reading)
        rule = parse_rule(self.diagnosis) if self.diagnosis and is_rule(self.diagnosis) else None
        more = _joined([SourceTable.read(self.root / name) for name in self._also()], columns["scan_id"])
        pattern = self._image_pattern(table, columns)
        kept = _extras(table, set(columns.values()) | set(self.rename), reading)
        for number, own in enumerate(table.rows, start=2):
            name = own[columns["scan_id"]]
            if name is None:
                reading.drop(f"line {number}", "no scan name", source=table.path)
                continue
            cells = {**more.get(name, {}), **own}
            values: dict[str, Any] = {extra: cells[extra] for extra in kept}
            values |= {field: cells[column] for field, column in columns.items()}
            values |= self._renamed(table, cells, number)
            values["scan_id"] = scan_name(name)
            values["participant_id"] = values.get("participant_id") or name
            label, why = self._label(rule, cells, values)
            image = self._image(pattern, cells, values)
            if image is None or not image.is_file():
                reason = "no image is named in the table" if image is None else "image not found"
                reading.drop(name, reason, values["participant_id"], table.path)
            elif label is None and why and self.unlabelled == "drop":
                reading.drop(name, f"no label ({why})", values["participant_id"], table.path)
            else:
                values |= {"diagnosis": label, "diagnosis_rule": why or None, "image": str(image.absolute())}
                reading.keep(table, values, f"line {number} ('{name}')")
        if not reading.rows:
            reasons = (
                "; ".join(f"{count} x {reason}" for reason, count in reading.reasons().items())
                or "it has no rows"
            )
            raise DataError(
                f"{table.path.name}: no row could be used ({reasons}). Pattern of images: {pattern}."
            )
        return reading

    # ---- what is where
    def _table(self) -> Path:
        if self.table:
            return self.root / self.table
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder.")
        found = sorted(
            path.name for path in self.root.iterdir() if path.suffix in {".csv", ".tsv"} and path.is_file()
        )
        chosen = next((name for name in _TABLES if name in found), found[0] if len(found) == 1 else None)
        if chosen is None and found:
            raise SettingError("table", f"one of {', '.join(found)}", None)
        if chosen is None:
            raise DataError(
                f"{self.root.name}: no csv or tsv table in this folder. Put one there or set 'table'."
            )
        return self.root / chosen

    def _also(self) -> tuple[str, ...]:
        return tuple(filter(None, re.split(r"[;,]", self.also))) if isinstance(self.also, str) else self.also

    def _columns(self, table: SourceTable, reading: Reading) -> dict[str, str]:
        """Manifest column -> column of the table, stated or guessed."""
        columns: dict[str, str] = {}
        taken = {table.find(target): target for target in self.rename.values()}
        for field, guesses in GUESSES.items():
            stated: str | None = getattr(self, field, None)
            if field == "diagnosis" and stated and is_rule(stated):
                continue
            if stated:
                columns[field] = table.column(stated, todo=f"Set '{field}' to a column of this table.")
            elif (found := table.find(*guesses)) and found not in taken:
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
        for name in MANIFEST_COLUMNS:
            if name.endswith("_mm3") and (found := table.find(name)):
                columns[name] = found
        return columns

    def _renamed(
        self, table: SourceTable, cells: Mapping[str, str | None], number: int
    ) -> dict[str, str | None]:
        renamed: dict[str, str | None] = {}
        for source, target in self.rename.items():
            names = [source] if source in cells else source.split("+")
            for name in names:
                if name not in cells:
                    raise SettingError("rename", f"columns among {', '.join(list(cells)[:40])}", name)
            parts = [cells[name] for name in names]
            if len(parts) == 1 or None in parts:
                renamed[target] = parts[0] if len(parts) == 1 else None
                continue
            try:
                renamed[target] = repr(sum(float(part) for part in parts if part is not None))
            except ValueError:
                raise TableError(table.path, f"line {number}: '{source}' is a sum, got {parts}") from None
        return renamed

    def _label(
        self, rule: LabelRule | None, cells: Mapping[str, str | None], values: Mapping[str, Any]
    ) -> tuple[str | None, str]:
        if rule is not None:
            by_plain = {plain(name): text for name, text in cells.items()} | {
                plain(k): v for k, v in values.items()
            }
            absent = [name for name in rule.columns if plain(name) not in by_plain]
            if absent:
                raise SettingError("diagnosis", f"columns among {', '.join(list(cells)[:40])}", absent[0])
            return rule.label(lambda name: by_plain[plain(name)]), f"rule: {rule.text}"
        raw = values.get("diagnosis")
        if "diagnosis" not in values:
            return None, ""
        named = f", named by {self.classes}" if self.classes else ""
        return (
            self.classes.get(raw, raw) if raw is not None else None
        ), f"column: {self.diagnosis or 'diagnosis'}{named}"

    # ---- images
    def _image_pattern(self, table: SourceTable, columns: Mapping[str, str]) -> str:
        if self.image:
            column = table.find(self.image)
            return self.image if column is None or "{" in self.image else f"{{{column}}}"
        column = table.find("image", "image_path", "path", "file", "filename", "file_name")
        if column:
            return f"{{{column}}}"
        return _guess_pattern(self.root, [row[columns["scan_id"]] for row in table.rows])

    def _image(self, pattern: str, cells: Mapping[str, str | None], values: Mapping[str, Any]) -> Path | None:
        known = {**values, **cells, "scan_id": cells.get("scan_id") or values["scan_id"]}
        filled = pattern
        for name in re.findall(r"\{([^{}]+)\}", pattern):
            if name not in known:
                raise SettingError("image", f"columns among {', '.join(known)}", name)
            if known[name] is None:
                return None
            filled = filled.replace(f"{{{name}}}", str(known[name]))
        if "*" in filled:
            found = sorted(self.root.glob(filled))
            return found[0] if len(found) == 1 else None
        return self.root / filled


def _joined(tables: list[SourceTable], scan_column: str) -> dict[str, dict[str, str | None]]:
    joined: dict[str, dict[str, str | None]] = {}
    for table in tables:
        key = table.column(scan_column, todo="Tables named in 'also' are joined on the scan column.")
        for row in table.rows:
            name = row[key]
            if name is not None:
                joined.setdefault(name, {}).update(row)
    return joined


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


def _guess_pattern(root: Path, names: list[str | None]) -> str:
    """The one ending that follows the scan names among the image files, label maps and masks aside."""
    files = sorted(path for path in root.rglob("*") if path.name.endswith(_IMAGE))
    wanted = [name for name in names if name]
    endings: dict[str, int] = {}
    for path in files:
        relative = path.relative_to(root).as_posix()
        name = next((name for name in wanted if path.name.startswith(name)), None)
        if name is not None and not _NOT_A_SCAN.search(path.name[len(name) :]):
            ending = relative.replace(name, "{scan_id}")
            endings[ending] = endings.get(ending, 0) + 1
    if not endings:
        raise SettingError(
            "image",
            "a column or a pattern like '{scan_id}_T1w.nii.gz'; no image starts with a scan's name",
            None,
        )
    most = max(endings.values())
    best = [ending for ending, count in endings.items() if count == most]
    if len(best) > 1:
        raise SettingError("image", f"one pattern; the images fit {', '.join(best[:6])}", None)
    return best[0]
