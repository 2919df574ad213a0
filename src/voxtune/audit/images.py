"""Scans as the audit keeps them: a hash of the voxels and a fingerprint each; and the same scan under two names."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.brains import no_brain
from voxtune.audit.fingerprints import LENGTH, PICTURES, Fingerprint, fingerprint
from voxtune.audit.kept import keep, kept_file, read_kept
from voxtune.audit.report import Finding, Level, pairs_named
from voxtune.errors import ScanError
from voxtune.imaging.boundary import one_sentence
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

Item = TypeVar("Item")
ReadVolume = Callable[[ManifestRow], Volume]
CHANNELS = ("brain", *PICTURES)
"""What of a scan is compared: the shape of the brain, what lies about the lungs, or whatever lies in the picture."""

LEAST_BACKGROUND = 0.01
"""Share of zeros from which a picture has a background of zeros."""
MOST_SEEN = 2000
"""Fingerprints that are remembered: 36 MB, of chests 132."""
_SEEN: dict[tuple[str, bytes], Fingerprint] = {}


@dataclass(frozen=True)
class Images:
    """Scans as the audit sees them: 18 kB each (chests 66 kB), so that memory grows with the number of scans and not with its square."""

    scan_ids: tuple[str, ...]
    participants: tuple[str, ...]
    hashes: tuple[str, ...]
    """Hash (blake2b) of the voxels."""
    vectors: Mapping[str, NDArray[np.float16]]
    """By channel, (N, length) of rows that are unit vectors for each part of the scan; zeros where it has nothing to show."""
    mirrored: Mapping[str, NDArray[np.float16]]
    """The same scans with left and right exchanged."""
    failed: Mapping[str, str]
    """Scans that could not be read, and why."""
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What tells how each scan was made (``facts_of``), by scan_id."""
    seen: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)
    """By channel, how far the parts of a scan are there (N, parts): of a brain its hemispheres; absent: one part, all there."""


def look_at(
    rows: Sequence[ManifestRow], read: ReadVolume, workers: int | None = None, kept: Path | None = None
) -> Images:
    """Read every scan once and keep its hash and fingerprint. Scans that cannot be read are listed, not raised.

    Args:
        rows: the scans.
        read: of a row to its volume.
        workers: threads.
        kept: a folder of fingerprints made before; those that are made now are kept there too.
    """

    def one(row: ManifestRow) -> tuple[str, Fingerprint, Mapping[str, str]] | str:
        try:
            with one_sentence(row.scan_id):
                volume = read(row)
                return (
                    (digest := voxel_hash(volume.voxels)),
                    _fingerprint(volume, digest, kept),
                    facts_of(volume),
                )
        except ScanError as error:
            return error.cause

    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        seen = list(zip(rows, pool.map(one, rows), strict=True))
    good = [(row, found) for row, found in seen if not isinstance(found, str)]
    brains = [found[1].brain or no_brain() for _, found in good]
    pictures = {name: _pictures(name, [found[1] for _, found in good]) for name in PICTURES}
    return Images(
        tuple(row.scan_id for row, _ in good),
        tuple(row.participant_id for row, _ in good),
        tuple(found[0] for _, found in good),
        {
            "brain": _together([one.halves.reshape(-1) for one in brains]),
            **{name: plain for name, (plain, _) in pictures.items()},
        },
        {
            "brain": _together([one.halves[::-1].reshape(-1) for one in brains]),
            **{name: mirrored for name, (_, mirrored) in pictures.items()},
        },
        {row.scan_id: found for row, found in seen if isinstance(found, str)},
        {row.scan_id: found[2] for row, found in good},
        {"brain": _together([one.seen for one in brains])},
    )


def facts_of(volume: Volume) -> dict[str, str]:
    """What a picture tells of how it was made and prepared, beside what it shows."""
    from nibabel.orientations import aff2axcodes

    low, high = float(volume.voxels.min(initial=0)), float(volume.voxels.max(initial=0))
    background = np.count_nonzero(volume.voxels == 0) > LEAST_BACKGROUND * volume.voxels.size
    some = volume.voxels[volume.shape[0] // 2]
    grey = (
        f"{'whole numbers' if bool(np.all(some == np.round(some))) else 'decimals'}, lowest {'below 0' if low < 0 else '0'}, "
        f"highest near 2^{round(np.log2(high)) if high > 0 else 0}, {'zeros' if background else 'no zeros'} around"
    )
    return {
        "image size": " x ".join(map(str, volume.shape)),
        "image spacing": " x ".join(f"{step:.2f}" for step in volume.spacing),
        "image voxels": str(volume.voxels.size),
        "image step": f"{max(volume.spacing):.3f}",
        "image grey values": grey,
        "image axes": "".join(map(str, aff2axcodes(volume.affine))),
        "image origin": " ".join(f"{one:.0f}" for one in volume.affine[:3, 3]),
    }


def _fingerprint(volume: Volume, digest: str, kept: Path | None) -> Fingerprint:
    """The fingerprint of a scan; of one that was seen before, in this process or on disk, it is remembered (several runs on one cohort)."""
    key = digest, volume.affine.tobytes()
    found = _SEEN.get(key)
    if found is None:
        path = None if kept is None else kept_file(kept, *key)
        found = None if path is None else read_kept(path)
        if found is None:
            found = fingerprint(volume)
            if path is not None:
                keep(path, found)
        if len(_SEEN) >= MOST_SEEN:
            _SEEN.clear()
        _SEEN[key] = found
    return found


def _together(vectors: Sequence[NDArray[np.float16]]) -> NDArray[np.float16]:
    return np.stack(vectors) if vectors else np.zeros((0, LENGTH), np.float16)


def _pictures(name: str, scans: Sequence[Fingerprint]) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """One picture of every scan, and its mirror image: zeros where a scan has none, a single zero each where no scan has it."""
    length = LENGTH if any(name in one.pictures for one in scans) else 1
    nothing = np.zeros(length, np.float16)
    some = [one.pictures.get(name, (nothing, nothing)) for one in scans]
    return _together([plain for plain, _ in some]), _together([mirrored for _, mirrored in some])


def voxel_hash(voxels: NDArray[np.float32]) -> str:
    """A hash of shape and values; memory is read in the order it lies in, which for one reader is always the same."""
    lying = voxels.T if voxels.flags.f_contiguous else np.ascontiguousarray(voxels)
    return hashlib.blake2b(lying.data, digest_size=32, person=str(voxels.shape).encode()[:16]).hexdigest()


def same_images(images: Images, sides: Mapping[str, str]) -> list[Finding]:
    """Scans with the very same voxels; refused where they stand on two sides."""
    first: dict[str, int] = {}
    grave: list[tuple[str, str]] = []
    light: list[tuple[str, str]] = []
    for place, digest in enumerate(images.hashes):
        other = first.setdefault(digest, place)
        if other != place:
            pair = (images.scan_ids[other], images.scan_ids[place])
            (grave if across(pair, sides) else light).append(pair)
    findings = []
    for pairs, level, what in by_level(grave, light):
        if pairs:
            message = f"The same voxels stand under two names {what}: {pairs_named(pairs, sides)}."
            scans = tuple(dict.fromkeys(scan for pair in pairs for scan in pair))
            findings.append(
                Finding(check="same_image", level=level, message=message, scans=scans, pairs=tuple(pairs))
            )
    return findings


def across(pair: tuple[str, str], sides: Mapping[str, str]) -> bool:
    """Whether two scans stand on two sides."""
    first, second = (sides.get(scan) for scan in pair)
    return first is not None and second is not None and first != second


def by_level(grave: list[Item], light: list[Item]) -> tuple[tuple[list[Item], Level, str], ...]:
    """Pairs with the level they have and words for where they stand."""
    return (grave, "refuse", "on two sides"), (light, "warn", "(not on two sides of this split)")
