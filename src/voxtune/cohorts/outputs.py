"""What ``ingest`` itself has written, so that it is never taken for a source."""

from pathlib import Path

from voxtune.storage.read import OddFileError, check_plain

MARK = ".written_by_voxtune_ingest"
"""The file in a folder of images that ``ingest`` wrote."""
_LONGEST_HEADER = 2**20
_OURS = {"scan_id", "image", "diagnosis_rule", "source_sha256"}


def is_output(path: Path) -> bool:
    """Whether a file is a manifest, its list of what was dropped, or an image that ``ingest`` wrote."""
    if path.name.endswith(".dropped.tsv") or (path.parent / MARK).exists():
        return True
    if path.name.endswith((".gz", ".nii", ".img", ".mgz")):
        return False
    try:
        check_plain(path)
        with path.open(encoding="utf-8", errors="replace") as file:
            return set(file.readline(_LONGEST_HEADER).rstrip("\n").split("\t")) >= _OURS
    except (OSError, OddFileError):
        return False
