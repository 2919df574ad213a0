"""What is written down about a preprocessed scan, and the hashes that say whether it must be made again."""

import functools
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from voxtune.imaging.nifti import nifti_files
from voxtune.imaging.qc import Qc
from voxtune.imaging.scan import Scan
from voxtune.types.reliability import SeriesChoice


class Step(BaseModel):
    """One step as it ran."""

    model_config = ConfigDict(frozen=True)

    name: str
    parameters: dict[str, Any] = {}
    result: dict[str, Any] = {}


class ChainRecord(BaseModel):
    """What ``chain.json`` holds: no names of people, no paths, no times."""

    model_config = ConfigDict(frozen=True)

    preset: str
    key: str
    """Hash of the input's bytes and of every parameter; equal keys mean equal output."""
    input_sha256: str
    volume_sha256: str | None = None
    """Of ``volume.nii.gz`` beside it; ``None`` in records of before."""
    simulated: bool = False
    """Whether the scan is SIMULATED, by its row or its own mark."""
    steps: tuple[Step, ...]
    transform: tuple[tuple[float, ...], ...] | None
    """Template world to scan world, mm (4 x 4); ``None`` where nothing was registered."""
    qc: Qc
    versions: dict[str, str]

    @property
    def series(self) -> SeriesChoice | None:
        """Which DICOM series was read; ``None`` of other files."""
        said = self.steps[0].result if self.steps else {}
        if not said.get("series"):
            return None
        return SeriesChoice(
            read=said["series"],
            left_aside=tuple(said.get("other_series") or ()),
            remarks=tuple(said.get("remarks") or ()),
        )


def content_sha256(path: Path) -> str:
    """The sha256 of a file, of the two halves of a pair, or of the names and contents of a folder's files."""
    if path.is_file():
        head, data = nifti_files(path)
        if head == data:
            return _file_sha256(path)
        return hashlib.sha256((_file_sha256(head) + _file_sha256(data)).encode()).hexdigest()
    digest = hashlib.sha256()
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file_path.relative_to(path).as_posix()}:{_file_sha256(file_path)}\n".encode())
    return digest.hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Of the packages whose arithmetic enters the result."""
    return {
        name: importlib.metadata.version(name)
        for name in ("voxtune", "numpy", "scipy", "SimpleITK", "deepbet", "nilearn")
    }


def read_step(scan: Scan, orientation: str | None = None) -> Step:
    """What reading a scan taught, and what was declared of it."""
    return Step(
        name="read",
        parameters={"orientation": orientation} if orientation else {},
        result={
            "shape": scan.volume.shape,
            "spacing_mm": [round(s, 4) for s in scan.volume.spacing],
            "stored": scan.stored,
            "nonfinite": scan.nonfinite,
            "series": scan.series,
            "modality": scan.modality,
            "other_series": scan.others,
        }
        | ({"remarks": scan.remarks} if scan.remarks else {}),
    )
