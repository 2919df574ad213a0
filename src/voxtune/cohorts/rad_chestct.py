"""RAD-ChestCT: an external test of models trained on CT-RATE, with 16 labels (Draelos et al. 2021; protocol of CT-CLIP).

CT-CLIP scores 16 of CT-RATE's 18 findings there: mosaic attenuation is not labelled, and calcification is one label, scored by the
larger of the probabilities of arterial wall and coronary artery wall calcification.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from voxtune.cohorts.reading import Reading
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError, TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

MERGED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"Calcification": ("Arterial wall calcification", "Coronary artery wall calcification")}
)
"""Labels that stand for several findings: present where any of them is."""
LABELS = (
    "Medical material", "Calcification", "Cardiomegaly", "Pericardial effusion", "Hiatal hernia", "Lymphadenopathy", "Emphysema",
    "Atelectasis", "Lung nodule", "Lung opacity", "Pulmonary fibrotic sequela", "Pleural effusion", "Peribronchial thickening",
    "Consolidation", "Bronchiectasis", "Interlobular septal thickening",
)  # fmt: skip
"""In the order of CT-CLIP's tables."""
RULE = "RAD-ChestCT labels, read from the report by rules"
NAMES = ("AccessionName", "NoteAcc_DEID", "VolumeName", "scan_id")
TODO = (
    "Expected a csv with the name of each volume and the 16 columns of CT-CLIP's RAD-ChestCT table, 0 or 1."
)


class RadChestCt(Settings):
    """The folder with the csv of 16 labels and, anywhere below, the volumes as NIfTI in Hounsfield units."""

    root: Path

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Find the volumes of the label table.

        Raises:
            DataError: there is no such table.
            TableError: a column is missing or a label is neither 0 nor 1.
        """
        tables = [SourceTable.read(path) for path in sorted(self.root.rglob("*.csv"))]
        found = [table for table in tables if table.find(*NAMES) and table.find("Calcification")]
        if not found:
            raise DataError(
                f"{self.root.name}: no csv table with a column of volumes ({', '.join(NAMES)}) and 'Calcification'. {TODO}"
            )
        files = {
            path.name.removesuffix(".gz").removesuffix(".nii"): path
            for path in sorted(self.root.rglob("*.nii*"))
        }
        reading = Reading()
        for table in found:
            table.require(LABELS, TODO)
            name_column = table.column(*NAMES)
            columns = {name: table.column(name) for name in LABELS}
            for number, row in enumerate(table.rows, start=2):
                name = (row[name_column] or "").removesuffix(".gz").removesuffix(".nii").removesuffix(".npz")
                if name not in files:
                    reading.drop(name or f"line {number}", "image not found", name or None, table.path)
                    continue
                values: dict[str, str | None] = {
                    "participant_id": name, "scan_id": name, "image": str(files[name].absolute()), "diagnosis_rule": RULE,
                    **{label: _label(table, row[column], label, number) for label, column in columns.items()},
                }  # fmt: skip
                reading.keep(table, values, f"line {number} ('{name}')")
        return reading


def _label(table: SourceTable, value: str | None, label: str, number: int) -> str | None:
    if value is not None and value not in {"0", "1", "0.0", "1.0"}:
        raise TableError(table.path, f"line {number}, column '{label}': expected 0 or 1, got '{value}'")
    return value[0] if value else None
