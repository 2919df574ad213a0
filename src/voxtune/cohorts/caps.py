"""Clinica's ``t1-linear`` output (CAPS): images already in MNI space, labels in a table by participant and session."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from voxtune.cohorts.joins import Scan
from voxtune.cohorts.labels import Pairs
from voxtune.cohorts.outputs import is_output
from voxtune.cohorts.present import why_absent
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.sessions import SessionTables
from voxtune.cohorts.table_settings import TableSettings
from voxtune.cohorts.tree_rows import keep_scans
from voxtune.errors import DataError
from voxtune.types.names import scan_name
from voxtune.types.records import ManifestRow


class Caps(TableSettings):
    """A CAPS folder (``subjects/sub-*/ses-*/t1_linear``) and a table such as Clinica's merged one."""

    root: Path
    table: str | None = Field(
        None, description="the table, relative to the folder; otherwise the one tsv file in it"
    )
    crop: bool = Field(default=True, description="the cropped images (desc-Crop), otherwise the whole ones")
    diagnosis: str | None = Field(None, description="a column, or a rule like cdr==0:NC;cdr>=1:AD")
    classes: Pairs = Field(
        default_factory=dict, description="names for the values of the diagnosis column, CN:NC,Dementia:AD"
    )
    unlabelled: Literal["drop", "keep"] = "drop"

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Find the images and look each up in the table.

        Raises:
            DataError: no table or no t1-linear image.
            SettingError: the diagnosis setting names an unknown column.
        """
        tables = SessionTables.read(self._table(), [])
        found = sorted(self.root.glob("subjects/sub-*/ses-*/t1_linear/*_T1w.nii.gz"))
        images = [path for path in found if ("desc-Crop" in path.name) == self.crop]
        if not images:
            other = "; there are whole ones: set crop=false" if found and self.crop else ""
            raise DataError(
                f"{self.root.name}: no image subjects/sub-*/ses-*/t1_linear/*_T1w.nii.gz of that kind{other}."
            )
        reading = Reading(numbers=self.numbers)
        main = tables.main.path if tables.main else self._table()
        chosen = []
        for path in images:
            person, session = path.parts[-4], path.parts[-3]
            name = scan_name(re.sub(r"_space-.*$", "", path.name))
            row = tables.find(person, session)
            absent = why_absent(path) or ("" if row.rows else row.why)
            if absent:
                reading.drop(name, absent, person, main)
                continue
            chosen.append((Scan(name, person, session, path), row))
        label = (self.diagnosis, self.classes, self.unlabelled)
        keep_scans(self.root, tables, chosen, self, label, reading)
        for person, left in tables.without_image():
            reading.drop(
                "_".join(filter(None, (person, left.cells.get("session_id")))),
                "no t1-linear image could be matched to this row",
                person,
                main,
                "row",
            )
        return reading

    def _table(self) -> Path:
        if self.table:
            return self.root / self.table
        found = sorted(path for path in self.root.glob("*.tsv") if not is_output(path))
        if len(found) != 1:
            listed = ", ".join(path.name for path in found) or "none"
            raise DataError(
                f"{self.root.name}: expected one tsv table with participant_id and session_id, found {listed}; set 'table'."
            )
        return found[0]
