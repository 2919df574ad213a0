"""Is a preprocessed scan fit for use: a few figures, and a verdict with its reasons."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from voxtune.imaging import template
from voxtune.types.volume import Volume

Verdict = Literal["pass", "warn", "fail"]


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
    """With the template inside its mask."""
    scale: float | None = None
    """Volume of the template over the volume of this brain, by the registration."""
    clipped: float | None = None
    """Share of voxels whose brightness was clipped."""
    slice_mm: float | None = None
    """Largest distance between voxels in the file."""
    darkest_hu: float | None = None
    """Smallest value of a CT; one without air may not be in Hounsfield units."""
    nonfinite: int = 0
    """NaN and infinite voxels of the file that became 0."""


LIMITS: tuple[tuple[str, str, float, float, float, float], ...] = (
    # figure, in words, fail below, warn below, warn above, fail above
    ("brain_ml", "brain volume {:.0f} ml", 500, 850, 1950, 2400),
    ("dice", "overlap with the template's brain {:.2f}", 0.80, 0.92, 2, 2),
    ("correlation", "correlation with the template {:.2f}", 0.10, 0.35, 2, 2),
    ("scale", "registration scales the brain's volume by {:.2f}", 0.5, 0.75, 1.9, 2.8),
    ("clipped", "{:.1%} of the voxels are clipped", -1, -1, 0.02, 0.5),
    ("slice_mm", "voxels are {:.1f} mm apart along one axis", 0, 0, 3.0, 20.0),
    ("darkest_hu", "nothing is darker than {:.0f} HU, and air is -1000", -np.inf, -np.inf, -200.0, np.inf),
    ("nonfinite", "{:.0f} voxels of the file are NaN or infinite", -1, -1, 0, np.inf),
)
"""Adult heads: DLMUSE brain volumes of healthy adults run from 0.95 to 1.8 litres; the template's brain is a large one."""


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
    if {"dice", "correlation"} <= beyond:
        # Neither the outline nor the inside fits: whatever this is, it was not laid on the template.
        verdict = "fail"
    return figures.model_copy(update={"verdict": verdict, "reasons": tuple(reasons)})


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
