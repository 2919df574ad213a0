"""Who is one person by their pictures, whatever they are called: the same scan under another name, or another scan of the same brain."""

import os
from collections.abc import Sequence
from pathlib import Path

from voxtune.audit.duplicates import compare
from voxtune.audit.images import Images, ReadVolume, look_at
from voxtune.audit.same_person import SEPARATORS, spelling
from voxtune.data.images import fingerprint_folder
from voxtune.data.manifest import resolve_image
from voxtune.imaging.read import read_scan
from voxtune.progress import progress
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

QUERY = "the scan that is asked for"
"""No scan_id and no participant has spaces and is this."""


def people_on(volume: Volume, manifest: Path, rows: Sequence[ManifestRow]) -> frozenset[str]:
    """The participants of some rows who are the person of a picture, as the audit tells one person under two IDs.

    Args:
        volume: the preprocessed scan.
        manifest: where the rows are from.
        rows: scans that can be read.
    """
    asked = ManifestRow.model_construct(participant_id=QUERY, scan_id=QUERY, image="given")
    images = _seen(manifest, [asked, *rows], lambda row: volume if row is asked else _read(manifest, row))
    return frozenset(one for pair in _pairs(images) if QUERY in pair for one in pair) - {QUERY}


def one_person(manifest: Path, rows: Sequence[ManifestRow]) -> dict[str, str]:
    """Of each participant the name of the first who is the same person by a picture or in another spelling; most are their own first."""
    images = _seen(manifest, rows, lambda row: _read(manifest, row))
    first = {row.participant_id: row.participant_id for row in rows}
    order = {name: place for place, name in enumerate(first)}
    known: dict[str, str] = {}
    spelled = [(known.setdefault(spelling(one, SEPARATORS), one), one) for one in first]
    for pair in [*spelled, *_pairs(images)]:
        kept, gone = sorted((first[one] for one in pair), key=lambda name: order[name])
        first = {name: kept if one == gone else one for name, one in first.items()}
    return first


def _seen(manifest: Path, rows: Sequence[ManifestRow], read: ReadVolume) -> Images:
    with progress("Telling people apart", len(rows)) as advance:

        def told(row: ManifestRow) -> Volume:
            volume = read(row)
            advance(row.scan_id)
            return volume

        return look_at(rows, told, kept=_kept(manifest))


def _pairs(images: Images) -> list[tuple[str, str]]:
    """Participants who share a picture or look like one person."""
    found = [
        (images.participants[one.first], images.participants[one.second]) for one in compare(images).pairs
    ]
    owner: dict[str, str] = {}
    for digest, person in zip(images.hashes, images.participants, strict=True):
        if owner.setdefault(digest, person) != person:
            found.append((owner[digest], person))
    return found


def _read(manifest: Path, row: ManifestRow) -> Volume:
    return read_scan(resolve_image(manifest, row))


def _kept(manifest: Path) -> Path | None:
    """Fingerprints that a training on this manifest left beside it; a search leaves none of its own."""
    folder = fingerprint_folder(manifest)
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None
