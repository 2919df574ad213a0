"""Which scans are meant by an argument of ``predict``, and what each is called; a scan is its content and its path."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.cohorts.visits import dated
from voxtune.errors import ScanError
from voxtune.imaging.packed import holds_dicom, looks_like_dicom
from voxtune.storage.scratch import scratch
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ENDINGS = (".nii", ".nii.gz", ".hdr", ".mgz", ".mgh", ".mgh.gz", ".nrrd", ".mha", ".zip")
"""Of files that are scans by themselves, in a folder of scans; a pair of .hdr and .img goes by its header."""
KEY = 10
"""Hexadecimal digits of a key."""


@dataclass(frozen=True)
class Input:
    """One scan to predict: what it is called, where it is, and what a manifest says of it."""

    name: str
    path: Path
    participant_id: str | None = None
    diagnosis: str | None = None
    file: str = ""
    """Its path as a table that is passed on may state it."""
    sha256: str | None = None
    """Of its content; ``None`` where that cannot be read."""
    row: ManifestRow | None = None
    """Of its manifest; ``None`` of a file by itself."""
    of: str = ""
    """The manifest or BIDS folder: the same participant_id in another one is another person."""

    def key(self, adapter_sha256: str) -> str:
        """What tells its answer from every other one: path, content and adapter."""
        return hashlib.sha256(f"{self.file}\0{self.sha256}\0{adapter_sha256}".encode()).hexdigest()[:KEY]

    def page(self, adapter_sha256: str) -> str:
        """The file name of its page: readable, and nobody else's."""
        plain = re.sub(r"\.nii(\.gz)?$", "", scan_label(self.path) if self.file else self.name)
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._") or "scan"
        return f"{stem[:80]}-{self.key(adapter_sha256)}.html"


def inputs_of(source: Path, *, alone: bool, say: Callable[[str], None] = lambda _: None) -> list[Input]:
    """The scans behind one argument: itself, those of a folder, of a manifest or of a BIDS folder.

    Args:
        source: a scan, a folder of scans, a manifest or a BIDS folder.
        alone: whether it is the only argument; its absence then is an error now, otherwise a failed scan later.
        say: hears how a folder was taken.

    Raises:
        ScanError: there is nothing of that name, or a folder without a scan.
        TableError: the manifest cannot be read.
    """
    if source.is_dir() and not (source / "participants.tsv").is_file():
        if not (source / "manifest.tsv").is_file():
            return _of_folder(source, say, alone=alone)
        source = source / "manifest.tsv"
        say(f"{source.parent.name}: the scans of its manifest.tsv.")
    if not source.is_dir() and source.suffix != ".tsv":
        if alone and not source.exists():
            raise ScanError(
                source,
                "no such file",
                "Give a NIfTI file, a DICOM folder or zip, a folder of scans, a manifest or a BIDS folder.",
            )
        return [Input(scan_label(source), source)]
    from voxtune.data.manifest import read_manifest, resolve_image
    from voxtune.data.sources import as_manifest

    made = source.is_dir()

    with scratch("predict") as folder:
        manifest = as_manifest(source, folder)
        rows = read_manifest(manifest)
        return [
            Input(
                row.scan_id,
                _outside(resolve_image(manifest, row)),
                row.participant_id,
                row.diagnosis,
                row=row,
                of=str(source),
            )
            for row in (dated(rows) if made else rows)
        ]


def _of_folder(folder: Path, say: Callable[[str], None], *, alone: bool) -> list[Input]:
    """A folder of scans, or of the slices of one: files that are scans by themselves decide, then the studies of its folders."""
    from voxtune.cohorts.image_files import find_image_files

    found = find_image_files(folder, ENDINGS)
    files = [path for path in (*found.images, *found.broken) if not path.is_dir()]
    stored = sorted(path for path in folder.glob("*/volume.nii.gz") if path.with_name("chain.json").is_file())
    scans = [*files, *(path for path in found.images if path.is_dir())] if files else _studies(folder)
    scans = sorted({*scans, *stored})
    if not scans:
        if alone and not any(_starts_as_dicom(path) for path in folder.rglob("*")):
            raise ScanError(
                folder,
                "no file of this folder is a scan",
                f"Give a folder of DICOM files, or of files that end in {', '.join(ENDINGS)}.",
            )
        return [Input(scan_label(folder), folder)]
    say(f"{folder.name}: a folder of {len(scans)} scans.")
    return [Input(scan_label(path), path) for path in scans]


def _starts_as_dicom(path: Path) -> bool:
    """Whether it is a file that DICOM has to do with, packed or not; reading it says the rest."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return looks_like_dicom(file.read(132)) or holds_dicom(path)
    except OSError:
        return False


def _studies(folder: Path) -> list[Path]:
    """The folders in a folder that each hold another DICOM study; none where all of it is one."""
    below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    known = {path: study for path in below if (study := _study(path)) is not None}
    return list(known) if len(known) > 1 and len(set(known.values())) == len(known) else []


def _study(folder: Path) -> str | None:
    """The study that the first DICOM file below a folder belongs to; ``None`` where there is none."""
    header = _header(folder)
    return None if header is None else f"{header.get('PatientID')} {header.get('StudyInstanceUID')}"


def patient_of(path: Path) -> str:
    """The PatientID of a DICOM file or folder; empty where there is none."""
    header = _header(path)
    return "" if header is None else str(header.get("PatientID") or "").strip()


def _header(path: Path) -> "Dataset | None":
    """Of the first DICOM file of a folder, or of a file; ``None`` where it is no DICOM."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for file in _files(path):
        try:
            return dcmread(file, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "PatientID"])
        except (InvalidDicomError, OSError, ValueError):
            continue
    return None


def _files(path: Path) -> Iterator[Path]:
    """A file itself, or those below a folder in the order of their names; no pipes and devices, which never end."""
    if path.is_file():
        yield path
    for root, folders, names in os.walk(path):
        folders.sort()
        yield from (file for name in sorted(names) if (file := Path(root) / name).is_file())


def _outside(image: Path) -> Path:
    """The image without the scratch folder of its manifest, which goes; a link keeps its own name."""
    return image.parent.resolve() / image.name


def scan_label(scan: Path) -> str:
    """What a scan is called: its file name; a preprocessed ``<scan_id>/volume.nii.gz`` goes by its folder."""
    whole = _whole(scan)
    return whole.parent.name if whole.name == "volume.nii.gz" else whole.name


def _whole(path: Path) -> Path:
    # A link goes by its own name: what git-annex links to is named by a checksum.
    return Path(os.path.abspath(path))  # noqa: PTH100  (without following links)


# ---------------------------------------------------------------------------------------- content and path
def identified(inputs: Sequence[Input], home: Path) -> list[Input]:
    """The scans with path and content; one that is given twice counts once.

    Args:
        inputs: of all arguments.
        home: the folder of the table.
    """
    from voxtune.imaging.record import content_sha256

    found: dict[tuple[str, str | None, str], Input] = {}
    for one in inputs:
        try:
            content = content_sha256(one.path) if one.path.exists() else None
        except OSError:  # said by what reads it
            content = None
        whole = replace(one, file=one.file or shareable(one.path, home), sha256=content)
        found.setdefault((whole.file, whole.sha256, "" if content else whole.name), whole)
    return list(found.values())


def given_twice(inputs: Sequence[Input], once: Sequence[Input]) -> list[tuple[str, str]]:
    """Scans of a manifest that are not among those that count once, each with the one that stands for it: two rows of one image.

    Args:
        inputs: of all arguments.
        once: what ``identified`` made of them.
    """
    stands = {one.path.resolve(): one.name for one in once}
    kept = {(one.path.resolve(), one.name) for one in once}
    return [
        (one.name, stands[one.path.resolve()])
        for one in inputs
        if one.row is not None and (one.path.resolve(), one.name) not in kept and one.path.resolve() in stands
    ]


def shareable(path: Path, home: Path) -> str:
    """A path that tells the scans of a study apart and says nothing of the machine: from the folder that holds both scan and table.

    Where only the root of the disk holds both, without the two folders below it, which are a disk's, a person's or a study's.
    """
    whole = _whole(path)
    common = Path(os.path.commonpath([whole.parent, _whole(home).parent]))
    if len(common.parts) > 2:
        return whole.relative_to(common).as_posix()
    return Path(*whole.parts[min(3, len(whole.parts) - 1) :]).as_posix()


def named(inputs: Sequence[Input], taken: Mapping[str, str], adapter_sha256: str) -> list[Input]:
    """The scans with names that no other scan has: as many folders in front as it takes.

    Args:
        inputs: with path and content.
        taken: the names in the table and the key of the scan that has each.
        adapter_sha256: of the adapter that answers.
    """
    own = {key: name for name, key in taken.items()}
    keys = [one.key(adapter_sha256) for one in inputs]
    kept = {number: own[key] for number, key in enumerate(keys) if key in own}
    used = set(taken)
    depth = {number: 0 for number in range(len(inputs)) if number not in kept}
    while True:
        names = {number: _at(inputs[number], deep) for number, deep in depth.items()}
        counts = Counter(names.values())
        clash = [number for number, name in names.items() if counts[name] > 1 or name in used]
        deeper = [number for number in clash if _at(inputs[number], depth[number] + 1) != names[number]]
        if not deeper:
            break
        depth |= {number: depth[number] + 1 for number in deeper}
    for number, name in names.items():
        kept[number] = f"{name} ({keys[number][:6]})" if name in used else name
        used.add(kept[number])
    return [replace(one, name=kept[number]) for number, one in enumerate(inputs)]


def _at(one: Input, depth: int) -> str:
    """The name with so many of its folders in front."""
    folders = Path(one.file).parts[:-1]
    if one.path.name == "volume.nii.gz":
        folders = folders[:-1]
    return "/".join([*folders[len(folders) - min(depth, len(folders)) :], one.name])
