"""Is a preprocessed scan fit for use: a few figures, and a verdict with its reasons."""

import functools
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from voxtune.imaging import template
from voxtune.imaging.resample import resample
from voxtune.types.volume import Volume

Verdict = Literal["pass", "warn", "fail"]

CONTENTS_GRID = 64
SPACING = template.spacing(CONTENTS_GRID)
DETAIL_MM, DEPTH_MM = 12.0, 6.0
"""Standard deviation of the surroundings that are subtracted; how far from the outline, whose shape says nothing of contents."""

ENDS = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))
"""Of the axes of template space, RAS+."""
LEAST_COVERED = ((0.1, 0.35), (0.2, 0.6))
"""How much of the template's outer tenth and fifth along an axis a whole brain covers at least: 0.68 and 0.89 in the scans measured,
0.02 and 0.68 where the front seventh was cut off, none where the lower quarter was."""


class Qc(BaseModel):
    """The figures of one scan; ``None`` where a figure has no meaning (a CT has no brain mask)."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict = "pass"
    reasons: tuple[str, ...] = ()
    brain_ml: float | None = None
    """Volume of the brain mask in the scan, millilitres."""
    dice: float | None = None
    """Overlap of the brain mask with the template's after registration."""
    correlation: float | None = None
    """With the template inside its mask; mostly of the outline and the ventricles."""
    contents: float | None = None
    """Correlation with the template of detail finer than 12 mm, deep inside: folds, white and grey matter, nuclei. A silhouette has none."""
    dark: float | None = None
    """Brightness of the darkest tissue (1st percentile) over that of the brightest (99th), background being 0."""
    turned: float | None = None
    """By how many degrees the registration turns the head."""
    scale: float | None = None
    """Volume of the template over the volume of this brain, by the registration."""
    clipped: float | None = None
    """Share of voxels whose brightness was clipped."""
    slice_mm: float | None = None
    """Largest distance between voxels in the file."""
    darkest_hu: float | None = None
    """Smallest value of a CT; one without air may not be in Hounsfield units."""
    nonfinite: int = 0
    """NaN and infinite voxels of the file, which became as dark as the darkest of the others."""
    notes: tuple[str, ...] = ()
    """What reading and preparing had to assume; each is a reason not to pass."""


LIMITS: tuple[tuple[str, str, float, float, float, float], ...] = (
    # figure, in words, fail below, warn below, warn above, fail above
    ("brain_ml", "brain volume {:.0f} ml", 500, 850, 1950, 2400),
    ("dice", "overlap with the template's brain {:.2f}", 0.80, 0.92, 2, 2),
    ("correlation", "correlation with the template {:.2f}", 0.10, 0.35, 2, 2),
    (
        "contents",
        "its inside is unlike a T1 brain's (correlation of detail with the template {:.2f})",
        0.25,
        0.40,
        2,
        2,
    ),
    (
        "dark",
        "the darkest tissue is {:.0%} as bright as the brightest: an offset lies on its brightness",
        -1,
        -1,
        0.5,
        2,
    ),
    (
        "turned",
        "the head lies turned by {:.0f} degrees against the axes of its header, whose sides may be wrong",
        -1,
        -1,
        45,
        60,
    ),
    ("scale", "registration scales the brain's volume by {:.2f}", 0.5, 0.75, 1.9, 2.8),
    ("clipped", "{:.1%} of the voxels are clipped", -1, -1, 0.02, 0.5),
    ("slice_mm", "voxels are {:.1f} mm apart along one axis", 0, 0, 3.0, 20.0),
    ("darkest_hu", "nothing is darker than {:.0f} HU, and air is -1000", -np.inf, -np.inf, -200.0, np.inf),
    ("nonfinite", "{:.0f} voxels of the file are NaN or infinite", -1, -1, 0, np.inf),
)
"""Contents of 25 real adults: 0.53 to 0.67, of 30 distortions: below 0.30 (benchmarks/qc).
Adult heads: DLMUSE brain volumes of healthy adults run from 0.95 to 1.8 litres; the template's brain is a large one."""


def judged(figures: Qc) -> Qc:
    """The figures with their verdict: ``fail`` beyond outer limits or where neither outline nor inside fits, else ``warn``."""
    verdict: Verdict = "pass"
    reasons: list[str] = []
    beyond: set[str] = set()
    for name, words, fail_low, warn_low, warn_high, fail_high in LIMITS:
        value = getattr(figures, name)
        if value is None or warn_low <= value <= warn_high:
            continue
        failed = not fail_low <= value <= fail_high
        verdict = "fail" if failed or verdict == "fail" else "warn"
        reasons.append(words.format(value))
        beyond.add(name)
    if "dice" in beyond and {"correlation", "contents"} & beyond:
        # Neither the outline nor the inside fits: whatever this is, it was not laid on the template.
        verdict = "fail"
    if figures.notes and verdict == "pass":
        verdict = "warn"
    reasons.extend(figures.notes)
    return figures.model_copy(update={"verdict": verdict, "reasons": tuple(reasons)})


def missing_ends(inside: NDArray[np.bool_]) -> tuple[str, ...]:
    """A sentence for each end of the template's brain that a brain mask on its grid hardly covers: a part that was cut off.

    Overlap alone hides it, because the registration stretches what is left.
    """
    whole = template.brain_mask(inside.shape[0])
    found = []
    for axis, names in enumerate(ENDS):
        full, mine = np.moveaxis(whole, axis, 0), np.moveaxis(whole & inside, axis, 0)
        where = np.flatnonzero(full.any(axis=(1, 2)))
        for name, order in zip(names, (where, where[::-1]), strict=True):
            shares = []
            for share, least in LEAST_COVERED:
                slab = order[: max(1, round(share * where.size))]
                shares.append(np.count_nonzero(mine[slab]) / np.count_nonzero(full[slab]) / least)
            if min(shares) < 1:
                found.append(
                    f"a part of the brain may be missing: its {name} end hardly reaches that of the template"
                )
    return tuple(found)


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Overlap of two masks: 1 where they are equal, 0 where they share nothing."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2.0 * int(np.count_nonzero(a & b)) / total if total else 0.0


def template_correlation(volume: Volume) -> float:
    """Pearson correlation of a cube in template space with the template, inside the template's mask."""
    size = volume.shape[0]
    inside = template.brain_mask(size)
    a, b = volume.voxels[inside].astype(np.float64), template.template(size).voxels[inside].astype(np.float64)
    if a.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def template_contents(volume: Volume) -> float:
    """Pearson correlation with the template of what is finer than ``DETAIL_MM``, deeper than ``DEPTH_MM`` inside its brain.

    Measured on the 3 mm cube, whatever the grid of ``volume``, so that one limit holds for every preset.
    """
    from scipy.ndimage import gaussian_filter

    coarse = volume
    if volume.shape != (CONTENTS_GRID,) * 3:
        coarse = resample(volume, (CONTENTS_GRID,) * 3, template.field_of_view(CONTENTS_GRID))
    still, deep = _detail_of_template()
    weight = np.maximum(gaussian_filter(deep.astype(np.float64), DETAIL_MM / SPACING), 1e-3)
    detail = _detail(coarse.voxels, deep, weight)
    if detail.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(detail, still)[0, 1])


@functools.lru_cache(maxsize=1)
def _detail_of_template() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    from scipy.ndimage import binary_erosion, gaussian_filter

    deep = binary_erosion(template.brain_mask(CONTENTS_GRID), iterations=round(DEPTH_MM / SPACING))
    weight = np.maximum(gaussian_filter(deep.astype(np.float64), DETAIL_MM / SPACING), 1e-3)
    return _detail(template.template(CONTENTS_GRID).voxels, deep, weight), deep


def _detail(
    voxels: NDArray[np.float32], deep: NDArray[np.bool_], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The voxels of ``deep`` less their weighted surroundings (n,)."""
    from scipy.ndimage import gaussian_filter

    around = gaussian_filter(np.where(deep, voxels, 0.0).astype(np.float64), DETAIL_MM / SPACING) / weight
    return np.asarray((voxels - around)[deep], dtype=np.float64)


def turned_degrees(transform: NDArray[np.float64]) -> float:
    """The angle of the rotation nearest to an affine (4, 4); 180 where it mirrors."""
    left, _, right = np.linalg.svd(transform[:3, :3])
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        return 180.0
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def darkest_share(inside: NDArray[np.float32]) -> float:
    """The 1st percentile of the voxels of a brain over the 99th, background being 0."""
    low, high = np.percentile(inside, [1, 99])
    return float(low / high) if high > 0 else 1.0
