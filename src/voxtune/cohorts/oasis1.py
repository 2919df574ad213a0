"""OASIS-1 (Marcus et al. 2007): 416 people of 18 to 96 years, one visit each, 20 of them scanned a second time.

Only people of 60 and above were assessed for dementia: younger ones have no CDR and no label, unless ``unassessed`` says
so. The second scan (MR2) of the reliability set belongs to the same person.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from voxtune.cohorts.labels import VeryMild, cdr_class, cdr_rule
from voxtune.cohorts.reading import Pending, Reading
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError, TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

COLUMNS = ("ID", "M/F", "Age", "MMSE", "CDR", "eTIV", "nWBV", "ASF")
TODO = "Download 'OASIS-1: Cross-sectional MRI data' as csv (oasis_cross-sectional.csv) and leave its header as it is."
PLACES = {
    "average": ("PROCESSED/MPRAGE/SUBJ_111/*_sbj_111.img", "ASL"),
    "raw": ("RAW/*_mpr-1_anon.img", "ASL"),
    "atlas": ("PROCESSED/MPRAGE/T88_111/*_t88_gfc.img", "LAS"),
    "brain": ("PROCESSED/MPRAGE/T88_111/*_t88_masked_gfc.img", "LAS"),
}
"""Which image of a scan, and where its voxel axes point (an Analyze header does not say)."""


class Oasis1(Settings):
    """The folder with ``oasis_cross-sectional.csv`` and, anywhere below, ``OAS1_0001_MR1/`` and so on."""

    root: Path
    table: str | None = None
    image: Literal["average", "raw", "atlas", "brain"] = Field("average", description="which image of a scan")
    very_mild: VeryMild = Field("apart", description="what CDR 0.5 is: apart, MCI, AD or drop")
    unassessed: str | None = Field(
        None, description="class of those without a CDR, such as NC; otherwise they are dropped"
    )

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Read the table and find the image of each scan.

        Raises:
            DataError: no table.
            TableError: a column is missing or a value is not what it should be.
        """
        table = SourceTable.read(self._table())
        table.require(COLUMNS, TODO)
        columns = {name: table.column(name) for name in COLUMNS}
        folders = {path.name: path for path in sorted(self.root.rglob("OAS1_*")) if path.is_dir()}
        files = {
            path.name.split(".")[0]: path for path in sorted(self.root.rglob("OAS1_*.nii*")) if path.is_file()
        }
        reading = Reading()
        rule = cdr_rule(self.very_mild) + (f", none {self.unassessed}" if self.unassessed else "")
        for number, cells in enumerate(table.rows, start=2):
            name = cells[columns["ID"]]
            if name is None:
                reading.drop(f"line {number}", "no ID", source=table.path)
                continue
            person, _, session = name.rpartition("_")
            try:
                label = cdr_class(cells[columns["CDR"]], self.very_mild)
            except ValueError as error:
                raise TableError(table.path, f"line {number} ('{name}'): {error}") from None
            label = self.unassessed if cells[columns["CDR"]] is None else label
            image, axes = self._image(name, folders, files)
            if image is None:
                reading.drop(name, "image not found", person, table.path)
                continue
            if label is None:
                reason = "no CDR: not assessed for dementia" if cells[columns["CDR"]] is None else "CDR 0.5"
                reading.drop(name, reason, person, table.path)
                continue
            if image.suffix == ".img":
                reading.pending[name] = Pending((image,), axes)
            etiv = table.number(cells, columns["eTIV"], number)
            values = {
                "participant_id": person, "session_id": session, "scan_id": name, "image": str(image.absolute()),
                "diagnosis": label, "diagnosis_rule": rule,
                "age": cells[columns["Age"]], "sex": cells[columns["M/F"]],
                "mmse": cells[columns["MMSE"]], "cdr": cells[columns["CDR"]],
                "icv_mm3": etiv * 1000 if etiv else None, "site": "OASIS-1",
                "etiv": cells[columns["eTIV"]], "nwbv": cells[columns["nWBV"]], "asf": cells[columns["ASF"]],
            }  # fmt: skip
            reading.keep(table, values, f"line {number} ('{name}')")
        return reading

    def _table(self) -> Path:
        if self.table:
            return self.root / self.table
        found = sorted(
            path for path in self.root.glob("*.csv") if "ASF" in path.read_text("utf-8-sig", "replace")[:400]
        )
        if not found:
            raise DataError(f"{self.root.name}: no csv table with a column 'ASF'. {TODO}")
        return found[0]

    def _image(self, name: str, folders: dict[str, Path], files: dict[str, Path]) -> tuple[Path | None, str]:
        """A NIfTI file named after the scan if there is one, else the chosen image of its folder."""
        if name in files:
            return files[name], ""
        pattern, axes = PLACES[self.image]
        found = sorted(folders[name].glob(pattern)) if name in folders else []
        return (found[0] if found else None), axes
