"""What may stand in the place of a manifest: a manifest, a BIDS folder, or one scan (NIfTI file, DICOM folder, zip)."""

import os
import re
from pathlib import Path

from voxtune.cohorts.bids import Bids
from voxtune.data.manifest import write_manifest
from voxtune.errors import ScanError
from voxtune.types.names import scan_name
from voxtune.types.records import ManifestRow

MADE = "source.tsv"
"""Name of a manifest made here, in the output folder."""


def _name(source: Path) -> str:
    # A link goes by its own name: what git-annex links to is named by a checksum.
    return Path(os.path.abspath(source)).name  # noqa: PTH100  (without following links)


def as_manifest(source: Path, folder: Path) -> Path:
    """The manifest of a source: itself, or one written to ``folder/source.tsv``.

    Raises:
        ScanError: there is nothing under that name.
        DataError: a BIDS folder without an image.
    """
    if source.suffix == ".tsv":
        return source
    if not source.exists():
        raise ScanError(
            source,
            "no such file or folder",
            "Give a manifest, a BIDS folder, a NIfTI file, or a DICOM folder or zip.",
        )
    if source.is_dir() and (source / "participants.tsv").is_file():
        rows = list(Bids(root=source, unlabelled="keep").rows())
    else:
        plain = re.sub(r"\.(nii|nii\.gz|zip|dcm)$", "", _name(source))
        name = scan_name(plain)
        rows = [ManifestRow(participant_id=name, scan_id=name, image=str(source.absolute()))]
    return write_manifest(rows, folder / MADE)
