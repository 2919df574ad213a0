"""CT-RATE: chest CT volumes named ``train_1_a_1`` (patient 1, scan a, reconstruction 1), labels, reports and metadata.

Reconstructions of one scan are not independent: participant, scan (``session_id``) and reconstruction are all kept. The 18
labels were read from the reports by a text model (RadBERT); each is an extra column under its own name, 0 or 1.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voxtune.cohorts.reading import Reading
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
        tables = [SourceTable.read(path) for path in sorted(self.root.rglob("*.csv"))]
        labels = [table for table in tables if table.find("VolumeName") and table.find(FINDINGS[0])]
        if not labels:
            raise DataError(
                f"{self.root.name}: no csv table with the columns VolumeName and '{FINDINGS[0]}'. {TODO}"
            )
        reports = _by_volume(
            [table for table in tables if table.find("Findings_EN")], ("Findings_EN", "Impressions_EN")
        )
        metadata = _by_volume(
            [table for table in tables if table.find("RescaleSlope")],
            (*_METADATA, "Manufacturer", "ManufacturerModelName", "PatientSex", "PatientAge"),
        )
        files = {
            path.name.removesuffix(".gz").removesuffix(".nii"): path
            for path in sorted(self.root.rglob("*.nii*"))
        }
        reading = Reading()
        if not reports:
            reading.note("no report table (Findings_EN) was found: volumes have labels and no texts.")
        taken: set[str] = set()
        for table in labels:
            table.require(FINDINGS, TODO)
            columns = {name: table.column(name) for name in ("VolumeName", *FINDINGS)}
            for number, row in enumerate(table.rows, start=2):
                volume = (row[columns["VolumeName"]] or "").removesuffix(".gz").removesuffix(".nii")
                parts = _NAME.match(volume)
                if parts is None:
                    raise TableError(
                        table.path,
                        f"line {number}, column 'VolumeName': expected train_1_a_1.nii.gz, got '{volume}'",
                    )
                person, scan, reconstruction = parts.groups()
                if self.split != "both" and not volume.startswith(self.split):
                    reading.drop(volume, f"not in split {self.split}", person, table.path)
                elif volume not in files:
                    reading.drop(volume, "image not found", person, table.path)
                elif self.reconstructions == "first" and f"{person}_{scan}" in taken:
                    reading.drop(volume, "another reconstruction of the scan was taken", person, table.path)
                else:
                    taken.add(f"{person}_{scan}")
                    values = {
                        "participant_id": person, "session_id": f"{person}_{scan}", "scan_id": volume, "reconstruction": reconstruction,
                        "image": str(files[volume].absolute()), "diagnosis_rule": RULE,
                        # 'fixed' volumes are in Hounsfield units; applying RescaleSlope again would be wrong.
                        "hu": "yes" if "_fixed" in files[volume].as_posix() else "by RescaleSlope and RescaleIntercept",
                    }  # fmt: skip
                    values |= _labels(table, {name: row[columns[name]] for name in FINDINGS}, number)
                    values |= _facts(reports.get(volume, {}), metadata.get(volume, {}))
                    reading.keep(table, values, f"line {number} ('{volume}')")
        return reading


def _by_volume(tables: list[SourceTable], names: tuple[str, ...]) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for table in tables:
        key = table.column("VolumeName")
        columns = {name: column for name in names if (column := table.find(name))}
        for row in table.rows:
            volume = (row[key] or "").removesuffix(".gz").removesuffix(".nii")
            found.setdefault(volume, {}).update({name: row[column] for name, column in columns.items()})
    return found


def _labels(table: SourceTable, row: Mapping[str, str | None], number: int) -> dict[str, str | None]:
    """The findings of a row as ``0`` or ``1``."""
    labels: dict[str, str | None] = {}
    for finding, value in row.items():
        if value is not None and value not in {"0", "1", "0.0", "1.0"}:
            raise TableError(table.path, f"line {number}, column '{finding}': expected 0 or 1, got '{value}'")
        labels[finding] = value[0] if value else None
    return labels


def _facts(report: Mapping[str, str | None], metadata: Mapping[str, str | None]) -> dict[str, Any]:
    age = re.match(r"0*(\d+)Y?$", metadata.get("PatientAge") or "")
    scanner = " ".join(
        part for name in ("Manufacturer", "ManufacturerModelName") if (part := metadata.get(name))
    )
    return {
        "findings": report.get("Findings_EN"),
        "impressions": report.get("Impressions_EN"),
        "age": age.group(1) if age else None,
        "sex": metadata.get("PatientSex"),
        "scanner": scanner or None,
        **{plain(name): metadata.get(name) for name in _METADATA},
    }
