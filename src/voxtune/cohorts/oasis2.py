"""OASIS-2 (Marcus et al. 2010): 150 people of 60 to 96 years, 373 visits, one scanner, three or four repeats a visit.

The label is the CDR of the visit. ``Group`` (Nondemented, Demented, Converted) is known only at the end of the study:
'Converted' at the first visit is knowledge of the future, so it is used on request only. Of 64 people in group Demented 51
had CDR 0.5, which is kept apart by default.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.labels import VeryMild, cdr_class, cdr_rule
from voxtune.cohorts.reading import Pending, Reading
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError, TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

GROUPS = {"nondemented": "NC", "demented": "AD", "converted": "Converted"}
COLUMNS = ("Subject ID", "MRI ID", "Group", "Visit", "M/F", "Age", "MMSE", "CDR", "eTIV", "nWBV", "ASF")
TODO = (
    "Download 'OASIS-2: Longitudinal MRI data' as csv (oasis_longitudinal.csv) and leave its header as it is; "
    "save an .xlsx sheet as csv first."
)
AXES = "ASL"
"""Sagittal acquisition: the voxel axes of a raw image point to anterior, superior, left."""


class Oasis2(Settings):
    """The folder with ``oasis_longitudinal.csv`` and, anywhere below, ``OAS2_0001_MR1/RAW/mpr-1.nifti.img`` and so on."""

    root: Path
    table: str | None = Field(
        None, description="the table; otherwise the csv in the folder with the right columns"
    )
    label: Literal["cdr", "group"] = "cdr"
    very_mild: VeryMild = Field("apart", description="what CDR 0.5 is: apart, MCI, AD or drop")
    repeats: Literal["first", "average", "all"] = Field("first", description="which of the scans of a visit")

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Read the table and find the repeats of each visit.

        Raises:
            DataError: no table.
            TableError: a column is missing or a value is not what it should be.
        """
        table = SourceTable.read(self._table())
        table.require(COLUMNS, TODO)
        columns = {name: table.column(name) for name in COLUMNS}
        images = _repeats(self.root)
        reading = Reading()
        for number, cells in enumerate(table.rows, start=2):
            visit = cells[columns["MRI ID"]]
            if visit is None:
                reading.drop(f"line {number}", "no MRI ID", source=table.path)
                continue
            person = cells[columns["Subject ID"]] or visit.rpartition("_")[0]
            try:
                label = self._label(cells, columns)
            except (KeyError, ValueError) as error:
                raise TableError(table.path, f"line {number} ('{visit}'): {error}") from None
            repeats = images.get(visit, [])
            if not repeats:
                reading.drop(visit, "image not found", person, table.path)
            elif label is None:
                reading.drop(
                    visit, f"no label ({'CDR' if self.label == 'cdr' else 'Group'})", person, table.path
                )
            else:
                etiv = table.number(cells, columns["eTIV"], number)
                values = self._values(cells, columns, label) | {
                    "icv_mm3": etiv * 1000 if etiv else None,
                    "participant_id": person,
                    "session_id": visit.rpartition("_")[2],
                }
                self._keep(reading, table, values, visit, repeats)
        return reading

    def _table(self) -> Path:
        if self.table:
            return self.root / self.table
        found = sorted(
            path
            for path in self.root.glob("*.csv")
            if "MRI ID" in path.read_text("utf-8-sig", "replace")[:400]
        )
        if not found:
            raise DataError(f"{self.root.name}: no csv table with a column 'MRI ID'. {TODO}")
        return found[0]

    def _label(self, cells: Mapping[str, str | None], columns: Mapping[str, str]) -> str | None:
        if self.label == "cdr":
            return cdr_class(cells[columns["CDR"]], self.very_mild)
        group = cells[columns["Group"]]
        if group is not None and group.lower() not in GROUPS:
            raise ValueError(f"Group is Nondemented, Demented or Converted, got '{group}'")
        return GROUPS[group.lower()] if group else None

    def _values(
        self, cells: Mapping[str, str | None], columns: Mapping[str, str], label: str
    ) -> dict[str, Any]:
        return {
            "diagnosis": label,
            "diagnosis_rule": cdr_rule(self.very_mild)
            if self.label == "cdr"
            else "Group of the whole study (knows the future)",
            "age": cells[columns["Age"]],
            "sex": cells[columns["M/F"]],
            "mmse": cells[columns["MMSE"]],
            "cdr": cells[columns["CDR"]],
            "site": "OASIS-2",
            "group": cells[columns["Group"]],
            "visit": cells[columns["Visit"]],
            "etiv": cells[columns["eTIV"]],
            "nwbv": cells[columns["nWBV"]],
            "asf": cells[columns["ASF"]],
        }

    def _keep(
        self,
        reading: Reading,
        table: SourceTable,
        values: dict[str, Any],
        visit: str,
        repeats: list[tuple[int, Path]],
    ) -> None:
        if self.repeats == "average" and len(repeats) > 1:
            reading.pending[visit] = Pending(tuple(path for _, path in repeats), AXES)
            repeats = repeats[:1]
        elif self.repeats != "all":
            repeats = repeats[:1]
        for number, path in repeats:
            name = f"{visit}_mpr-{number}" if self.repeats == "all" else visit
            if path.suffix == ".img":
                reading.pending.setdefault(name, Pending((path,), AXES))
            reading.keep(table, values | {"scan_id": name, "image": str(path.absolute())}, f"'{visit}'")


def _repeats(root: Path) -> dict[str, list[tuple[int, Path]]]:
    """Repeats of each visit by number; of several formats of one repeat the NIfTI file is taken."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(root.rglob("*")):
        name = re.search(r"(?:^|[_/])mpr-?(\d+)[^/]*?\.(?:nii\.gz|nii|img)$", path.as_posix())
        visit = re.search(r"OAS2_\d{4}_MR\d+", path.as_posix())
        if not visit or not path.is_file():
            continue
        number = int(name.group(1)) if name else 1 if re.search(r"\.(nii|nii\.gz)$", path.name) else 0
        if number and (number not in found.setdefault(visit.group(0), {}) or path.suffix != ".img"):
            found[visit.group(0)][number] = path
    return {visit: sorted(repeats.items()) for visit, repeats in found.items()}
