"""RAD-ChestCT: an external test of models trained on CT-RATE, with 16 labels (Draelos et al. 2021; protocol of CT-CLIP).

CT-CLIP scores 16 of CT-RATE's 18 findings there: mosaic attenuation is not labelled, and calcification is one label, scored by the
larger of the probabilities of arterial wall and coronary artery wall calcification.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from voxtune.cohorts.image_files import find_tables
from voxtune.cohorts.label_tables import (
    drop_unlisted,
    read_facts,
    read_labels,
    read_tables,
    volume_files,
    volume_name,
)
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.table import SourceTable
from voxtune.errors import DataError
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
NPZ = "the volume is here as .npz only; write its array 'ct' (Hounsfield units, 0.8 mm) as NIfTI"
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
        tables, unread = read_tables(self.root)
        found = [table for table in tables if table.find(*NAMES) and table.find("Calcification")]
        if not found:
            raise DataError(
                f"{self.root.name}: no csv table with a column of volumes ({', '.join(NAMES)}) and 'Calcification'. {_todo(tables)} "
                f"{' '.join(unread)}".strip()
            )
        reading = Reading()
        for sentence in unread:
            reading.note(sentence)
        people, told = read_facts(
            [table for table in tables if table.find("MRN_DEID") and table.find("NoteAcc_DEID")],
            ("NoteAcc_DEID",),
            ("MRN_DEID",),
        )
        for sentence in told:
            reading.note(sentence)
        known, nameless = read_labels(found, NAMES, LABELS, TODO)
        for table, line in nameless:
            reading.drop(f"line {line}", "no name of a volume", None, table.path, "row")
        files = volume_files(self.root, reading)
        packed = {volume_name(path.name) for path in find_tables(self.root, (".npz",))}
        alone = 0
        for name, row in known.items():
            person = people.get(name, {}).get("MRN_DEID")
            reason = row.problem
            if name not in files:
                reason = NPZ if name in packed else "image not found"
            if reason:
                reading.drop(
                    name,
                    reason,
                    person or name,
                    row.table.path,
                    "image" if name in {*files, *packed} else "row",
                )
                continue
            alone += person is None
            values: dict[str, str | None] = {
                "participant_id": person or name, "scan_id": name, "image": str(files[name].absolute()), "diagnosis_rule": RULE, **row.labels,
            }  # fmt: skip
            reading.keep(row.table, values, f"line {row.line} ('{name}')")
        drop_unlisted(reading, files, known)
        if alone:
            reading.note(
                f"{alone} volumes count as people of their own: no table here tells who was scanned twice (CT_Scan_Metadata_Complete_35747.csv has MRN_DEID)."
            )
        return reading


def _todo(tables: list[SourceTable]) -> str:
    """What to do; the original tables, with a column for each finding and place, are named where they are there."""
    original = [table.path.name for table in tables if any("*" in name for name in table.columns)]
    if not original:
        return TODO
    return (
        f"{', '.join(original)} {'has' if len(original) == 1 else 'have'} a column for each finding and place (atelectasis*right_lung), which this "
        f"cohort does not merge. {TODO}"
    )
