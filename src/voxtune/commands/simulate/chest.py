"""``voxtune simulate --kind chest``: a chest CT cohort laid out as CT-RATE's download, with the truth beside it. SIMULATED."""

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from voxtune.data.manifest import write_manifest, write_table
from voxtune.errors import SettingError, UsageError
from voxtune.progress import progress
from voxtune.run_dir import output_folder, write_bytes, write_text
from voxtune.simulate.chest import ChestSettings, Rendered, Scan, Scanner, render, report, scans
from voxtune.simulate.subjects import SOURCE
from voxtune.types.records import ManifestRow
from voxtune.types.seed import check_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RULE = "simulated: 1 where the finding was planted"
LABELS = "dataset/multi_abnormality_labels/SIMULATED_labels.csv"
REPORTS = "dataset/radiology_text_reports/SIMULATED_reports.csv"
METADATA = "dataset/metadata/SIMULATED_metadata.csv"
TRUTH_COLUMNS = ("scan_id", "participant_id", "finding", "amount", "volume_mm3", "map", "words")
PART = 1 / 255
"""A truth map holds the part of each voxel that a finding fills, in steps of this (uint8)."""


def simulate_chest(
    out: Path, *, participants: int = 200, scans_each: int = 2, seed: int = 0, scanners: int = 3, difficulty: float = 1.0
) -> Path:  # fmt: skip
    """Write a simulated chest cohort and return its manifest; the same arguments give the same bytes.

    ``OUT/dataset`` is laid out as CT-RATE (volumes under ``train_fixed`` in HU, three csv tables whose names say SIMULATED), so
    ``voxtune ingest ct_rate OUT`` reads it; ``OUT/manifest.tsv`` is what that gives; ``OUT/truth/truth.tsv`` with
    ``OUT/truth/<scan_id>/<finding>.nii.gz`` say where each finding was planted; ``OUT/simulation.json``; ``OUT/page.html``.

    Args:
        out: folder, made if absent.
        participants: people.
        scans_each: most scans of one person; each has 1 to this many.
        seed: of everything.
        scanners: how many scanners the cohort was scanned on.
        difficulty: above 1 findings are slighter and scans noisier.

    Raises:
        SettingError: a setting has a value it cannot have.
        UsageError: the folder holds another simulated cohort.
    """
    check_seed(seed)
    from voxtune.cohorts.ct_rate import FINDINGS, CtRate
    from voxtune.pages.chest_page import chest_page

    try:
        settings = ChestSettings(
            participants=participants, scans=scans_each, seed=seed, scanners=scanners, difficulty=difficulty
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingError(str(first["loc"][0]), first["msg"], first["input"]) from None
    text = (
        json.dumps({"source": SOURCE, "kind": "chest", **settings.model_dump(mode="json")}, indent=2) + "\n"
    )
    record = out / "simulation.json"
    with output_folder(out):
        if record.is_file() and record.read_text(encoding="utf-8") != text:
            raise UsageError(
                f"'{out.name}' holds a cohort simulated with other settings; give another folder, or remove it first."
            )
        machines = [Scanner.drawn(seed, index) for index in range(scanners)]
        planned = list(scans(settings))
        labels, words, facts, truth = [], [], [], []
        with progress("Simulating", len(planned)) as advance:
            for scan in planned:
                drawn = render(settings, scan, machines[scan.scanner])
                _write_volume(out, scan, drawn)
                truth += _write_truth(out, scan, drawn)
                name = f"{scan.scan_id}.nii.gz"
                findings, impressions = report(scan, drawn, seed)
                labels.append({"VolumeName": name} | {one: int(one in scan.amounts) for one in FINDINGS})
                words.append({"VolumeName": name, "Findings_EN": findings, "Impressions_EN": impressions})
                facts.append(_metadata(name, scan, drawn, machines[scan.scanner].name))
                advance(scan.scan_id)
        for path, lines in ((LABELS, labels), (REPORTS, words), (METADATA, facts)):
            write_text(out / path, _csv(lines), shared=True)
        write_table(out / "truth" / "truth.tsv", TRUTH_COLUMNS, truth)
        digest = hashlib.sha256(text.encode()).hexdigest()
        marked = {"source": SOURCE, "source_sha256": digest, "diagnosis_rule": RULE, "simulated": True}
        rows = [row.model_copy(update=marked) for row in CtRate(root=out).rows()]
        manifest = write_manifest(rows, out / "manifest.tsv")
        write_text(record, text, shared=True)
        write_text(
            out / "page.html",
            chest_page(rows, FINDINGS, _examples(out, rows, FINDINGS), settings.model_dump(mode="json")),
        )
        return manifest


def map_name(finding: str) -> str:
    """The file name of a finding's truth map: ``lung_nodule.nii.gz``."""
    return f"{re.sub(r'[^a-z0-9]+', '_', finding.lower())}.nii.gz"


def _write_volume(out: Path, scan: Scan, drawn: Rendered) -> None:
    folder = "train_fixed" if scan.participant_id.startswith("train") else "valid_fixed"
    place = out / "dataset" / folder / scan.participant_id / scan.session_id / f"{scan.scan_id}.nii.gz"
    _write_nifti(place, drawn.voxels, drawn.grid.affine, 1.0)


def _write_truth(out: Path, scan: Scan, drawn: Rendered) -> list[dict[str, object]]:
    import numpy as np

    rows: list[dict[str, object]] = []
    for finding, planted in drawn.planted.items():
        place = f"{scan.scan_id}/{map_name(finding)}"
        parts = np.round(np.clip(planted.part, 0, 1) * 255).astype(np.uint8)
        _write_nifti(out / "truth" / place, parts, drawn.grid.affine, PART)
        volume = float(planted.part.sum()) * drawn.grid.voxel_mm3
        rows.append(
            {
                "scan_id": scan.scan_id, "participant_id": scan.participant_id, "finding": finding,
                "amount": round(scan.amounts[finding], 4), "volume_mm3": round(volume, 1), "map": place, "words": planted.words,
            }
        )  # fmt: skip
    return rows


def _metadata(name: str, scan: Scan, drawn: Rendered, scanner: str) -> dict[str, object]:
    x, y, z = (round(step, 6) for step in drawn.grid.spacing)
    return {
        "VolumeName": name, "Manufacturer": SOURCE, "ManufacturerModelName": scanner, "PatientSex": scan.sex,
        "PatientAge": f"{scan.age:03d}Y", "RescaleIntercept": -1024, "RescaleSlope": 1, "XYSpacing": f"[{x}, {y}]", "ZSpacing": z,
        "ConvolutionKernel": "simulated",
    }  # fmt: skip


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _write_nifti(
    path: Path, voxels: "NDArray[np.int16] | NDArray[np.uint8]", affine: "NDArray[np.float64]", step: float
) -> None:
    """A NIfTI whose value is ``voxels * step``: the same voxels give the same bytes."""
    import nibabel

    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    header = image.header.copy()
    header.set_slope_inter(step, 0)
    header.set_xyzt_units("mm")
    header["descrip"] = SOURCE.encode()
    header["vox_offset"], header["magic"] = 352, b"n+1"
    content = header.binaryblock + b"\0" * 4 + voxels.tobytes(order="F")
    write_bytes(path, gzip.compress(content, compresslevel=4, mtime=0), shared=True)


def _examples(
    out: Path, rows: Sequence[ManifestRow], findings: Sequence[str]
) -> list[tuple[str, "NDArray[np.float32]", "NDArray[np.float32]"]]:
    """For each finding that was planted, the scan with most of it: name, voxels in HU, where it is."""
    from voxtune.data.manifest import read_table
    from voxtune.imaging.read import read_map, read_scan

    images = {row.scan_id: out / row.image for row in rows}
    most: dict[str, dict[str, str]] = {}
    for line in read_table(out / "truth" / "truth.tsv"):
        best = most.get(line["finding"])
        if best is None or float(line["amount"]) > float(best["amount"]):
            most[line["finding"]] = line
    return [
        (
            name,
            read_scan(images[most[name]["scan_id"]]).voxels,
            read_map(out / "truth" / most[name]["map"]).voxels,
        )
        for name in findings
        if name in most
    ]
