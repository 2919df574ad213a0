"""Clinica's ``t1-linear`` output (CAPS): images already in MNI space, labels in a table by participant and session."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from voxtune.cohorts.labels import Pairs
from voxtune.cohorts.reading import Reading, scan_name
from voxtune.cohorts.sessions import SessionTables
from voxtune.errors import DataError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings


class Caps(Settings):
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
        reading = Reading()
        for path in images:
            person, session = path.parts[-4], path.parts[-3]
            name = scan_name(re.sub(r"_space-.*$", "", path.name))
            cells = tables.cells(person, session)
            if cells is None:
                reading.drop(name, f"not in {tables.main.path.name}", person, tables.main.path)
                continue
            values, unlabelled = tables.values(cells, self.diagnosis, self.classes)
            if unlabelled and self.unlabelled == "drop":
                reading.drop(name, unlabelled, person, tables.main.path)
                continue
            values |= {
                "participant_id": person,
                "session_id": session,
                "scan_id": name,
                "image": str(path.absolute()),
            }
            reading.keep(tables.main, values, f"'{name}'")
        return reading

    def _table(self) -> Path:
        if self.table:
            return self.root / self.table
        found = sorted(self.root.glob("*.tsv"))
        if len(found) != 1:
            listed = ", ".join(path.name for path in found) or "none"
            raise DataError(
                f"{self.root.name}: expected one tsv table with participant_id and session_id, found {listed}; set 'table'."
            )
        return found[0]
