"""Audit of voxels: the same scan twice, and one person under two IDs.

A scan becomes a small picture: RAS axes, 4 mm, centred on what is bright, the band between fine and coarse detail kept,
unit norm. Pictures of one person agree far better than those of two, but how well two people agree depends on the cohort
(a registered or a simulated one is more alike), so a pair is judged against the other pairs of its own two scans, and against
the nearest strangers of all scans.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.report import Finding, Level, pairs_named
from voxtune.errors import ScanError
from voxtune.imaging.boundary import one_sentence
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
    """Hash (blake2b) of the voxels."""
    correlations: NDArray[np.float32]
    """Of every picture with every other, (N, N)."""
    failed: dict[str, str]
    """Scans that could not be read, and why."""


def look_at(rows: Sequence[ManifestRow], read: ReadVolume, workers: int | None = None) -> Images:
    """Read every scan once (0.2 MB of memory each) and compare every pair. Scans that cannot be read are listed, not raised."""

    def one(row: ManifestRow) -> tuple[str, NDArray[np.float16]] | str:
        try:
            with one_sentence(row.scan_id):
                volume = read(row)
                digest, small = voxel_hash(volume.voxels), picture(volume)
        except ScanError as error:
            return error.cause
        return digest, small

    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        seen = list(zip(rows, pool.map(one, rows), strict=True))
    good = [(row, found) for row, found in seen if not isinstance(found, str)]
    return Images(
        tuple(row.scan_id for row, _ in good),
        tuple(row.participant_id for row, _ in good),
        tuple(found[0] for _, found in good),
        correlate([found[1] for _, found in good]),
        {row.scan_id: found for row, found in seen if isinstance(found, str)},
    )


def correlate(pictures: Sequence[NDArray[np.float16]], block: int = 256) -> NDArray[np.float32]:
    """Inner products of unit pictures, (N, N), some at a time."""
    together = np.zeros((len(pictures), len(pictures)), np.float32)
    for row in range(0, len(pictures), block):
        ours = np.array(pictures[row : row + block], dtype=np.float32)
        for column in range(row, len(pictures), block):
            theirs = np.array(pictures[column : column + block], dtype=np.float32)
            products = ours @ theirs.T
            together[row : row + block, column : column + block] = products
            together[column : column + block, row : row + block] = products.T
    return together


def voxel_hash(voxels: NDArray[np.float32]) -> str:
    """A hash of shape and values; memory is read in the order it lies in, which for one reader is always the same."""
    lying = voxels.T if voxels.flags.f_contiguous else np.ascontiguousarray(voxels)
    return hashlib.blake2b(lying.data, digest_size=32, person=str(voxels.shape).encode()[:16]).hexdigest()


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
    # The axis with the longest stride first, so that whole slabs are added: ten times as fast as a mean over blocks.
    for axis in sorted(range(3), key=lambda axis: -abs(voxels.strides[axis])):
        step = int(block[axis])
        whole = voxels.shape[axis] // step * step
        first, *others = (
            voxels[(slice(None),) * axis + (slice(start, whole, step),)] for start in range(step)
        )
        voxels = sum(others, start=first) / np.float32(step) if others else first
    return voxels, spacing * block


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
    high: dict[tuple[int, int], int] = {}
    for place, line in enumerate(images.correlations):
        other = np.flatnonzero(people != people[place])
        for partner in other[_unusual(line[other])].tolist():
            pair = (min(place, partner), max(place, partner))
            high[pair] = high.get(pair, 0) + 1
    # Both scans must find the other unusual: a scan that is near to everybody is not near to one person.
    found = [(a, b, float(images.correlations[a, b])) for (a, b), votes in high.items() if votes == 2]
    least = _above_neighbours(images.correlations, people)
    return sorted(pair for pair in found if pair[2] >= min(least, CERTAIN))


def _above_neighbours(correlations: NDArray[np.float32], people: NDArray[np.str_]) -> float:
    """The correlation above which a pair is nearer than strangers who are each other's nearest are in this cohort.

    A scan's nearest stranger is the best of hundreds, and in a cohort of few kinds of anatomy (coarse voxels, one template) far above
    what is usual for the scan.
    """
    lines = ((line, people != person) for line, person in zip(correlations, people, strict=True))
    nearest = np.array([line[strangers].max() for line, strangers in lines if strangers.any()])
    if nearest.size < ENOUGH:
        return -1.0
    z = np.arctanh(np.clip(nearest, -0.9999, 0.9999))
    middle = float(np.median(z))
    spread = max(NARROWEST, 1.4826 * float(np.median(np.abs(z - middle))))
    return float(np.tanh(middle + OUTLIER * spread))


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
