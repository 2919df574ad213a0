"""Audit of voxels: the same scan twice, and one person under two IDs.

A scan becomes a small picture: RAS axes, 4 mm, centred on what is bright, the band between fine and coarse detail kept,
unit norm. Pictures of one person agree far better than those of two, but how well two people agree depends on the cohort
(a registered or a simulated one is more alike), so a pair is judged against the other pairs of its own two scans.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from voxtune.data.audit_findings import Finding, Level, pairs_named
from voxtune.errors import ScanError
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

Item = TypeVar("Item")
ReadVolume = Callable[[ManifestRow], Volume]

GRID_MM = 4.0
GRID = 44
"""Points along each axis: 176 mm, a head."""
FINE, COARSE = 0.3, 1.0
"""Gaussian widths (grid points) between which detail is kept."""
CERTAIN = 0.97
"""Correlation from which two scans are one scan with other noise, whatever the cohort (measured: 0.989 and above)."""
LIKELY = 0.5
OUTLIER = 5.0
"""Robust standard deviations above what is usual for both scans (measured: one person 6.8 and 9.3, two people at most 3.2)."""
ENOUGH = 8
"""Scans of other participants needed to know what is usual."""
NARROWEST = 0.03
"""Least standard deviation (Fisher z) that is believed."""


@dataclass(frozen=True)
class Images:
    """Scans as the audit sees them."""

    scan_ids: tuple[str, ...]
    participants: tuple[str, ...]
    hashes: tuple[str, ...]
    """sha256 of the voxels."""
    pictures: NDArray[np.float16]
    """(N, GRID^3), unit norm."""
    failed: dict[str, str]
    """Scans that could not be read, and why."""

    def correlations(self, rows: slice) -> NDArray[np.float32]:
        """Correlation of some pictures with all: (n, N)."""
        part = self.pictures[rows].astype(np.float32)
        step = 512
        blocks = [
            part @ self.pictures[i : i + step].astype(np.float32).T
            for i in range(0, len(self.scan_ids), step)
        ]
        return np.concatenate(blocks, axis=1)


def look_at(rows: Sequence[ManifestRow], read: ReadVolume, workers: int | None = None) -> Images:
    """Read every scan once; about 0.2 MB of memory a scan. Scans that cannot be read are listed, not raised."""

    def one(row: ManifestRow) -> tuple[str, NDArray[np.float16]] | str:
        try:
            volume = read(row)
        except ScanError as error:
            return error.cause
        digest = hashlib.sha256(np.ascontiguousarray(volume.voxels).tobytes()).hexdigest()
        return digest, picture(volume)

    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        seen = list(zip(rows, pool.map(one, rows), strict=True))
    good = [(row, found) for row, found in seen if not isinstance(found, str)]
    return Images(
        tuple(row.scan_id for row, _ in good),
        tuple(row.participant_id for row, _ in good),
        tuple(found[0] for _, found in good),
        np.array([found[1] for _, found in good], dtype=np.float16).reshape(len(good), GRID**3),
        {row.scan_id: found for row, found in seen if isinstance(found, str)},
    )


def picture(volume: Volume) -> NDArray[np.float16]:
    """The small picture of a scan, (GRID^3,) of unit norm; zeros where there is nothing to see."""
    from scipy import ndimage

    voxels, spacing = _canonical(volume)
    voxels, spacing = _coarser(voxels, spacing)
    smooth = ndimage.gaussian_filter(voxels, 0.45 * GRID_MM / spacing, truncate=3)
    step = np.maximum(1, np.round(GRID_MM / spacing)).astype(int)
    coarse = smooth[:: step[0], :: step[1], :: step[2]]
    bright = coarse[coarse > 0.05 * coarse.max()]
    if bright.size == 0:
        return np.zeros(GRID**3, np.float16)
    parts, count = ndimage.label(coarse > 0.25 * np.percentile(bright, 90))
    if count == 0:
        return np.zeros(GRID**3, np.float16)
    body = parts == 1 + int(np.argmax(ndimage.sum_labels(parts > 0, parts, range(1, count + 1))))
    centre = np.array(ndimage.center_of_mass(body)) * step
    offsets = (np.arange(GRID) - GRID / 2 + 0.5) * GRID_MM
    points = np.stack(
        np.meshgrid(*(offsets / spacing[axis] + centre[axis] for axis in range(3)), indexing="ij")
    )
    seen = ndimage.map_coordinates(smooth, points, order=1)
    inside = (
        ndimage.map_coordinates(body.astype(np.float32), points / step[:, None, None, None], order=1) > 0.5
    )
    return _band(seen, inside).ravel().astype(np.float16)


def _band(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Detail between FINE and COARSE, inside only (smoothing that does not see the outside), zero mean, unit norm."""
    from scipy import ndimage

    weight = inside.astype(np.float32)

    def blurred(width: float) -> NDArray[np.float32]:
        below = ndimage.gaussian_filter(weight, width) + 1e-3
        blur: NDArray[np.float32] = ndimage.gaussian_filter(values * weight, width) / below
        return blur

    band = np.where(inside, blurred(FINE) - blurred(COARSE), 0)
    if inside.any():
        band[inside] -= band[inside].mean()
    norm = float(np.linalg.norm(band))
    return (band / norm if norm > 0 else band).astype(np.float32)


def _canonical(volume: Volume) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Voxels with axes turned to the nearest of R, A, S, and their spacing (mm)."""
    from nibabel.orientations import apply_orientation, io_orientation

    turn = io_orientation(volume.affine)
    voxels = np.asarray(apply_orientation(volume.voxels, turn), dtype=np.float32)
    spacing = np.array(volume.spacing)[np.argsort(turn[:, 0])]
    return voxels, spacing


def _coarser(
    voxels: NDArray[np.float32], spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Means of blocks of at most half a grid step: fast, and enough for a picture."""
    block = np.maximum(1, np.floor(GRID_MM / 2 / spacing)).astype(int)
    block = np.minimum(block, voxels.shape)
    if (block == 1).all():
        return voxels, spacing
    x, y, z = (int(size // step * step) for size, step in zip(voxels.shape, block, strict=True))
    cut = voxels[:x, :y, :z].reshape(
        x // block[0], block[0], y // block[1], block[1], z // block[2], block[2]
    )
    return cut.mean(axis=(1, 3, 5)), spacing * block


# --------------------------------------------------------------------------------------- checks
def same_images(images: Images, sides: Mapping[str, str]) -> list[Finding]:
    """Scans with the very same voxels; refused where they are of two participants or on two sides."""
    first: dict[str, int] = {}
    grave: list[tuple[str, str]] = []
    light: list[tuple[str, str]] = []
    for place, digest in enumerate(images.hashes):
        other = first.setdefault(digest, place)
        if other != place:
            pair = (images.scan_ids[other], images.scan_ids[place])
            across = (
                sides.get(pair[0], "") != sides.get(pair[1], "") and pair[0] in sides and pair[1] in sides
            )
            (grave if across else light).append(pair)
    findings = []
    for pairs, level, what in _by_level(grave, light):
        if pairs:
            message = f"The same voxels stand under two names {what}: {pairs_named(pairs, sides)}."
            scans = tuple(dict.fromkeys(scan for pair in pairs for scan in pair))
            findings.append(Finding(check="same_image", level=level, message=message, scans=scans))
    return findings


def near_duplicates(images: Images, sides: Mapping[str, str]) -> list[Finding]:
    """Scans of two participant IDs that look like one person; refused where they are on two sides."""
    grave: list[tuple[tuple[str, str], float]] = []
    light: list[tuple[tuple[str, str], float]] = []
    for first, second, correlation in likely_pairs(images):
        pair = (images.scan_ids[first], images.scan_ids[second])
        if images.hashes[first] == images.hashes[second]:
            continue
        across = pair[0] in sides and pair[1] in sides and sides[pair[0]] != sides[pair[1]]
        (grave if across else light).append((pair, correlation))
    findings = []
    for found, level, what in _by_level(grave, light):
        if found:
            pairs = [pair for pair, _ in found]
            best = max(correlation for _, correlation in found)
            message = (
                f"Scans of different participant IDs look like one person {what} "
                f"(correlation up to {best:.2f}): {pairs_named(pairs, sides)}."
            )
            scans = tuple(dict.fromkeys(scan for pair in pairs for scan in pair))
            figures = {"pairs": float(len(pairs)), "highest_correlation": best}
            findings.append(
                Finding(check="near_duplicate", level=level, message=message, scans=scans, figures=figures)
            )
    return findings


def _by_level(grave: list[Item], light: list[Item]) -> tuple[tuple[list[Item], Level, str], ...]:
    return (grave, "refuse", "on two sides"), (light, "warn", "on one side")


def likely_pairs(images: Images) -> list[tuple[int, int, float]]:
    """Pairs of places of different participants that look like one person, with their correlation."""
    people = np.array(images.participants)
    count = len(people)
    high: dict[tuple[int, int], tuple[float, int]] = {}
    for start in range(0, count, 256):
        block = images.correlations(slice(start, start + 256))
        for offset, line in enumerate(block):
            place = start + offset
            other = np.flatnonzero(people != people[place])
            if other.size == 0:
                continue
            unusual = _unusual(line[other])
            for partner in other[unusual]:
                key = (min(place, int(partner)), max(place, int(partner)))
                correlation, votes = high.get(key, (float(line[partner]), 0))
                high[key] = (correlation, votes + 1)
    # Both scans must find the other unusual: a scan that is near to everybody is not near to one person.
    return sorted((a, b, correlation) for (a, b), (correlation, votes) in high.items() if votes == 2)


def _unusual(correlations: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of one scan's correlations with other people stand out."""
    certain = correlations >= CERTAIN
    if correlations.size < ENOUGH:
        return certain
    z = np.arctanh(np.clip(correlations, -0.9999, 0.9999))
    usual = np.ones(z.shape, bool)
    for _ in range(3):
        middle = np.median(z[usual])
        spread = max(NARROWEST, 1.4826 * float(np.median(np.abs(z[usual] - middle))))
        above = z > middle + OUTLIER * spread
        if above.sum() < ENOUGH:
            break
        # Many stand out: a cohort within the cohort (same scanner, same organ). Judge among those.
        usual = above
    else:
        above = np.zeros(z.shape, bool)
    unusual: NDArray[np.bool_] = (above & (correlations >= LIKELY)) | certain
    return unusual
