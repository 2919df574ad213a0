"""Is the manifest the one the split was made from?"""

from collections.abc import Sequence
from pathlib import Path

from voxtune.audit.report import Finding, Level, named
from voxtune.data.manifest import edited_since, file_sha256, read_manifest
from voxtune.data.splits import Split
from voxtune.types.records import ManifestRow


def moved_scans(split: Split, rows: Sequence[ManifestRow]) -> list[Finding]:
    """Scans that belong to another participant than when the split was made."""
    owner = {row.scan_id: row.participant_id for row in rows}
    moved = [
        scan
        for scan in split.side_of()
        if scan in owner and split.participants.get(scan, owner[scan]) != owner[scan]
    ]
    if not moved:
        return []
    message = (
        f"{len(moved)} scans belong to another participant in the manifest than in the split: {named(moved)}."
    )
    return [Finding(check="manifest", level="warn", message=message, scans=tuple(moved))]


def edited(
    split: Split, rows: Sequence[ManifestRow], manifest: Path, level: Level, folder: Path | None = None
) -> list[Finding]:
    """Whether the manifest, or a table of the split, was edited since the split was made.

    A manifest derived from the one of the split (its scans preprocessed) is another file and no edit, as long as that one is
    still there as it was and says the same participant and diagnosis of every scan.

    Args:
        split: with the sha256 of its manifest; a split without one says nothing.
        rows: of the manifest.
        manifest: what is used now.
        level: of the finding.
        folder: of the split, to find its own manifest; ``None``: the file itself has to be the one.
    """
    return [*_edited_tables(split, level), *_edited_manifest(split, rows, manifest, level, folder)]


def _edited_tables(split: Split, level: Level) -> list[Finding]:
    if not split.changed:
        return []
    message = (
        f"{', '.join(split.changed)} of the split was changed since the split was made (edited by hand, or damaged on the disk): "
        "split again. For a split of your own making remove split.json; the three tables are enough."
    )
    return [Finding(check="manifest", level=level, message=message)]


def _edited_manifest(
    split: Split, rows: Sequence[ManifestRow], manifest: Path, level: Level, folder: Path | None
) -> list[Finding]:
    if not split.manifest_sha256 or split.manifest_sha256 == file_sha256(manifest):
        return []
    own = folder / split.manifest if folder is not None and split.manifest else None
    what = "its sha256 differs"
    if own is not None and own.is_file() and own.resolve() != manifest.resolve():
        if file_sha256(own) == split.manifest_sha256:
            before = {row.scan_id: (row.participant_id, row.diagnosis) for row in read_manifest(own)}
            other = [
                row.scan_id
                for row in rows
                if row.scan_id in split.side_of()
                and before.get(row.scan_id) != (row.participant_id, row.diagnosis)
            ]
            if not other and not edited_since(manifest):
                return []
            what = (
                f"{len(other)} scans have another participant or diagnosis: {named(other)}"
                if other
                else "it was edited since it was written"
            )
        else:
            what = f"{own.name} was edited since"
    message = (
        f"{manifest.name} is not the manifest this split was made from ({what}). Sides, labels and texts may not belong together: "
        "split again, or take the manifest of then."
    )
    return [Finding(check="manifest", level=level, message=message)]
