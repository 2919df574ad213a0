"""AIBL: tables by participant (RID) and visit (VISCODE), and a folder of images; -4 means missing.

The diagnosis is DXCURREN of the visit (1 NC, 2 MCI, 3 AD). An image belongs to the visit its session names
(``ses-M018``), or to the visit whose EXAMDATE is nearest to the date in its path, within ``window_days``.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.reading import Reading, scan_name
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError, TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

TABLES: Mapping[str, tuple[str, ...]] = {
    "aibl_ptdemog": ("RID", "VISCODE", "PTGENDER", "PTDOB"),
    "aibl_pdxconv": ("RID", "VISCODE", "DXCURREN"),
    "aibl_mmse": ("RID", "VISCODE", "MMSCORE"),
    "aibl_cdr": ("RID", "VISCODE", "CDGLOBAL"),
    "aibl_neurobat": ("RID", "VISCODE", "EXAMDATE"),
}
"""Table -> columns that are read; the scan's own date, if any, is in its path."""
NEEDED = ("aibl_ptdemog", "aibl_pdxconv")
DIAGNOSES = {"1": "NC", "2": "MCI", "3": "AD"}
SEXES = {"1": "M", "2": "F"}
RULE = "DXCURREN of the visit: 1 NC, 2 MCI, 3 AD"
TODO = (
    "Download the AIBL non-imaging data (Data_extract_*.zip) and unpack its tables here, headers as they are."
)
_PERSON = re.compile(r"sub-AIBL(\d+)|(?:^|/)AIBL/(\d+)(?=/)|(?:^|/)(\d{1,4})(?=/)")


class Aibl(Settings):
    """The folder with the ``aibl_*.csv`` tables and the images, BIDS or as the archive packs them."""

    root: Path
    window_days: int = Field(180, ge=0, le=730, description="largest distance between image and visit")
    mci: Literal["keep", "drop"] = "keep"

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Match every image with its visit.

        Raises:
            DataError: a table is absent, or there is no image.
            TableError: a column is missing or a value is not what it should be.
        """
        tables = {name: self._table(name) for name in TABLES}
        visits = _visits(tables)
        source = tables["aibl_pdxconv"]
        assert source is not None
        reading = Reading()
        images = [path for path in sorted(self.root.rglob("*")) if path.name.endswith((".nii", ".nii.gz"))]
        if not images:
            raise DataError(
                f"{self.root.name}: no NIfTI image below this folder; convert DICOM series first (dcm2niix)."
            )
        taken: set[tuple[str, str]] = set()
        for path in images:
            text = path.relative_to(self.root).as_posix()
            found = _PERSON.search(text)
            person = next((part for part in found.groups() if part), None) if found else None
            person = str(int(person)) if person else None
            if person is None or person not in visits:
                reading.drop(
                    path.name,
                    "participant is not in the tables" if person else "no participant in the path",
                    person,
                )
                continue
            visit, reason = self._visit(text, visits[person])
            label = DIAGNOSES.get(visits[person].get(visit or "", {}).get("DXCURREN") or "")
            if visit is None:
                reading.drop(path.name, reason, person)
            elif (person, visit) in taken:
                reading.drop(path.name, "another image of the visit was taken", person)
            elif label is None or (label == "MCI" and self.mci == "drop"):
                reading.drop(
                    path.name, "no diagnosis at the visit" if label is None else "MCI (mci=drop)", person
                )
            else:
                taken.add((person, visit))
                reading.keep(
                    source, _values(person, visit, visits[person], label, path), f"RID {person}, {visit}"
                )
        return reading

    def _table(self, name: str) -> SourceTable | None:
        found = sorted(self.root.rglob(f"{name}_*.csv"))
        if not found:
            if name in NEEDED:
                raise DataError(f"{self.root.name}: no table {name}_*.csv. {TODO}")
            return None
        table = SourceTable.read(found[-1])
        table.require(TABLES[name], TODO)
        return table

    def _visit(self, text: str, own: Mapping[str, Mapping[str, str | None]]) -> tuple[str | None, str]:
        session = re.search(r"ses-M(\d+)", text)
        if session:
            code = "bl" if int(session.group(1)) == 0 else f"m{int(session.group(1))}"
            return (code, "") if code in own else (None, f"no visit {code} in the tables")
        found = re.search(r"(\d{4})-(\d{2})-(\d{2})", text)
        if not found:
            return None, "the path has neither a date nor a session, so no visit can be matched"
        try:
            day = date(*(int(part) for part in found.groups()))
        except ValueError:
            return None, f"{found.group(0)} in the path is no date, so no visit can be matched"
        dated = [
            (abs((day - when).days), code)
            for code, cells in own.items()
            if (when := _date(cells.get("EXAMDATE")))
        ]
        near = sorted(pair for pair in dated if pair[0] <= self.window_days)
        return (near[0][1], "") if near else (None, f"no visit within {self.window_days} days")


def _visits(tables: Mapping[str, SourceTable | None]) -> dict[str, dict[str, dict[str, str | None]]]:
    """RID -> VISCODE -> cells of all tables; sex and year of birth stand at every visit."""
    visits: dict[str, dict[str, dict[str, str | None]]] = {}
    fixed: dict[str, dict[str, str | None]] = {}
    for name, table in tables.items():
        if table is None:
            continue
        columns = {column: table.column(column) for column in TABLES[name]}
        site = table.find("SITEID")
        for number, row in enumerate(table.rows, start=2):
            person, visit = row[columns["RID"]], row[columns["VISCODE"]]
            if person is None or visit is None:
                continue
            if not person.isdigit():
                raise TableError(
                    table.path, f"line {number}, column 'RID': expected a number, got '{person}'"
                )
            if not re.fullmatch(r"bl|m\d+", visit.lower()):
                raise TableError(
                    table.path, f"line {number}, column 'VISCODE': expected bl or m18, got '{visit}'"
                )
            cells = {
                column: row[where] for column, where in columns.items() if column not in {"RID", "VISCODE"}
            }
            if name == "aibl_ptdemog":
                fixed[str(int(person))] = cells | {"SITEID": row[site] if site else None}
            else:
                visits.setdefault(str(int(person)), {}).setdefault(visit.lower(), {}).update(cells)
    return {
        person: {code: {**fixed.get(person, {}), **cells} for code, cells in own.items()}
        for person, own in visits.items()
    }


def _values(
    person: str, visit: str, own: Mapping[str, Mapping[str, str | None]], label: str, path: Path
) -> dict[str, Any]:
    cells = own[visit]
    month = 0 if visit == "bl" else int(visit[1:])
    when = _date(cells.get("EXAMDATE"))
    if when is None and (start := _date(own.get("bl", {}).get("EXAMDATE"))) is not None:
        when = date(start.year + month // 12, start.month, 1)
    born = re.search(r"(\d{4})", cells.get("PTDOB") or "")
    return {
        "participant_id": f"AIBL{person}",
        "session_id": f"M{month:03d}",
        "scan_id": scan_name(f"AIBL{person}_M{month:03d}"),
        "image": str(path.absolute()),
        "diagnosis": label,
        "diagnosis_rule": RULE,
        # PTDOB holds the year of birth only.
        "age": float(when.year - int(born.group(1))) if when and born else None,
        "sex": SEXES.get(cells.get("PTGENDER") or ""),
        "mmse": cells.get("MMSCORE"),
        "cdr": cells.get("CDGLOBAL"),
        "site": f"AIBL-{cells['SITEID']}" if cells.get("SITEID") else "AIBL",
    }


def _date(text: str | None) -> date | None:
    for form in ("%m/%d/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text or "", form).date()  # noqa: DTZ007
        except ValueError:
            continue
    return None
