"""CT-RATE: chest CT volumes named ``train_1_a_1`` (patient 1, scan a, reconstruction 1), labels, reports and metadata.

Reconstructions of one scan are not independent: participant, scan (``session_id``) and reconstruction are all kept. The 18
labels were read from the reports by a text model (RadBERT); each is an extra column under its own name, 0 or 1. The folder may be a clone of
the hub's (``dataset/multi_abnormality_labels``, ``radiology_text_reports``, ``metadata``, ``train_fixed``, ``valid_fixed``) or flat.
"""

import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.image_files import find_tables
from voxtune.cohorts.label_tables import (
    Labelled,
    drop_unlisted,
    is_fixed,
    read_facts,
    read_labels,
    read_tables,
    volume_files,
    volume_name,
)
from voxtune.cohorts.reading import Reading
from voxtune.cohorts.sequence import natural
from voxtune.cohorts.table import SourceTable, plain
from voxtune.errors import DataError, TableError
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings

FINDINGS = (
    "Medical material", "Arterial wall calcification", "Cardiomegaly", "Pericardial effusion", "Coronary artery wall calcification",
    "Hiatal hernia", "Lymphadenopathy", "Emphysema", "Atelectasis", "Lung nodule", "Lung opacity", "Pulmonary fibrotic sequela",
    "Pleural effusion", "Mosaic attenuation pattern", "Peribronchial thickening", "Consolidation", "Bronchiectasis",
    "Interlobular septal thickening",
)  # fmt: skip
RULE = "CT-RATE labels, read from the report by a text model"
TODO = "Download the csv files of the CT-RATE data set (labels, reports, metadata) and leave their headers as they are."
_NAME = re.compile(r"^([A-Za-z]+_\d+)_([A-Za-z]+)_(\d+)$")
_AGE = re.compile(r"^0*(\d+)([YMWD]?)$")
_A_YEAR = {"Y": 1.0, "": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
_METADATA = ("RescaleIntercept", "RescaleSlope", "XYSpacing", "ZSpacing", "ConvolutionKernel")


class CtRate(Settings):
    """The folder with the csv tables and, anywhere below, the volumes."""

    root: Path
    split: Literal["train", "valid", "both"] = Field(
        "both", description="which volumes, by the beginning of their names"
    )
    reconstructions: Literal["first", "all"] = Field("first", description="which reconstructions of a scan")

    def rows(self) -> Iterable[ManifestRow]:
        """The manifest rows."""
        return self.read().rows

    def read(self) -> Reading:
        """Find the volumes of the label table and join reports and metadata.

        Raises:
            DataError: a table is absent.
            TableError: a column is missing or a label is neither 0 nor 1.
        """
        tables, unread = read_tables(self.root)
        labels = [table for table in tables if table.find("VolumeName") and table.find(FINDINGS[0])]
        if not labels:
            raise DataError(
                f"{self.root.name}: no csv table with the columns VolumeName and '{FINDINGS[0]}'. {TODO} {' '.join(unread)}".strip()
            )
        reading = Reading()
        facts = self._described(tables, reading)
        for sentence in unread:
            reading.note(sentence)
        known, nameless = read_labels(labels, ("VolumeName",), FINDINGS, TODO)
        for table, line in nameless:
            reading.drop(f"{table.path.name}, line {line}", "no VolumeName", None, table.path, "row")
        files = volume_files(self.root, reading)
        outside = _no_chest(self.root)
        reasons = {volume: self._reason(volume, row, files, outside) for volume, row in known.items()}
        first: dict[str, str] = {}
        for volume in sorted((name for name, reason in reasons.items() if not reason), key=natural):
            first.setdefault(volume.rpartition("_")[0], volume)
        for volume, row in known.items():
            parts = _NAME.match(volume)
            if parts is None:
                raise TableError(
                    row.table.path,
                    f"line {row.line}, column 'VolumeName': expected train_1_a_1.nii.gz, got '{volume}'",
                )
            person, scan, reconstruction = parts.groups()
            reason = reasons[volume]
            if not reason and self.reconstructions == "first" and first[f"{person}_{scan}"] != volume:
                reason = "another reconstruction of the scan was taken"
            if reason:
                reading.drop(volume, reason, person, row.table.path, "image" if volume in files else "row")
                continue
            values = {
                "participant_id": person, "session_id": f"{person}_{scan}", "scan_id": volume, "reconstruction": reconstruction,
                "image": str(files[volume].absolute()), "diagnosis_rule": RULE,
                # 'fixed' volumes are in Hounsfield units; applying RescaleSlope again would be wrong.
                "hu": "yes" if is_fixed(files[volume]) else "by RescaleSlope and RescaleIntercept",
            }  # fmt: skip
            values |= row.labels | _facts(facts.get(volume, {}), volume, reading)
            reading.keep(row.table, values, f"line {row.line} ('{volume}')")
        drop_unlisted(reading, files, known)
        return reading

    def _described(self, tables: list[SourceTable], reading: Reading) -> dict[str, dict[str, str]]:
        """Reports and metadata by volume."""
        reports = [table for table in tables if table.find("Findings_EN") and table.find("VolumeName")]
        metadata = [table for table in tables if table.find("RescaleSlope") and table.find("VolumeName")]
        if not reports:
            reading.note("no report table (Findings_EN) was found: volumes have labels and no texts.")
        texts, told = read_facts(reports, ("VolumeName",), ("Findings_EN", "Impressions_EN"))
        names = (*_METADATA, "Manufacturer", "ManufacturerModelName", "PatientSex", "PatientAge")
        facts, more = read_facts(metadata, ("VolumeName",), names)
        for sentence in (*told, *more):
            reading.note(sentence)
        return {volume: texts.get(volume, {}) | facts.get(volume, {}) for volume in {*texts, *facts}}

    def _reason(self, volume: str, row: Labelled, files: Mapping[str, Path], outside: Set[str]) -> str:
        """Why a volume is left out whatever else there is of its scan, empty where it is not."""
        if self.split != "both" and not volume.startswith(self.split):
            return f"not in split {self.split}"
        if volume not in files:
            return "image not found"
        if volume in outside:
            return "no chest (CT-RATE's list no_chest_*.txt)"
        return row.problem


def _no_chest(root: Path) -> set[str]:
    """The volumes that CT-RATE lists as showing no chest."""
    lists = find_tables(root, (".txt",))
    return {
        volume_name(line)
        for path in lists
        if path.name.startswith("no_chest")
        for line in path.read_text("utf-8", "replace").splitlines()
        if line.strip()
    }


def _facts(own: Mapping[str, str], volume: str, reading: Reading) -> dict[str, Any]:
    scanner = " ".join(part for name in ("Manufacturer", "ManufacturerModelName") if (part := own.get(name)))
    given = own.get("PatientAge")
    age = _AGE.match(given.strip().upper()) if given else None
    if given and not age:
        reading.note(f"PatientAge '{given}' is not like 060Y, 018M, 006W or 010D and is left out ({volume}).")
    return {
        "findings": own.get("Findings_EN"),
        "impressions": own.get("Impressions_EN"),
        # DICOM's age string: 018M is a year and a half.
        "age": round(int(age[1]) / _A_YEAR[age[2]], 2) if age else None,
        "sex": own.get("PatientSex"),
        "scanner": scanner or None,
        **{plain(name): own.get(name) for name in _METADATA},
    }
