"""Where air, fat and soft tissue of a CT lie: small shifts and scales that leave tissue inside its wide limits move these peaks.

Air is -1000 Hounsfield units on every scanner (many cut it off at -1024), fat -130 to -65 and muscle, blood and organs 0 to 130 by
tube voltage and contrast. Air that surrounds the picture, or lies in the windpipe beside lung, tells a shift of 50 units and a
scale of 0.95 or 1.05 (``benchmarks/qc/hounsfield.py``); where no air is in view, fat beside muscle tells a shift; else only wide limits hold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

BIN, SMOOTH = 5.0, 2.0
"""Width of a bin and standard deviation of smoothing in bins: 5 and 10 Hounsfield units."""
LOWEST, HIGHEST = -1400.0, 700.0
AIR, FAT, SOFT = (-1035.0, -960.0), (-135.0, -60.0), (-25.0, 135.0)
"""Where their peaks lie: -1003 to -988, -93 and 57 to 97 in eight real series, wider by voltage, contrast and noise."""
SLACK = 15.0
"""Air this far beyond its place is doubtful, further it is refused."""
FAR = 25.0
"""Fat this far below its place, with soft tissue below its own, is refused."""
FAT_ALONE = -40.0
"""A single peak of tissue lies above, unless nearly all that is seen is fat."""
LIGHT = -550.0
"""Air and lung lie below."""
APART = (105.0, 210.0)
"""From fat to soft tissue, of any scale that is looked for."""
LEAST_LIGHT, LEAST_TISSUE = 0.08, 0.2
"""Height of a peak of air or lung, and of fat or soft tissue, over the highest of its kind."""
LEAST_SHARE = 2e-4
"""Share of all voxels in the bin of any peak."""
SIDES_SHARE = 0.15
"""Of the voxels on the faces of the volume within ``NEAR_PEAK`` of a peak that is air around the body."""
NEAR_PEAK = 40.0
WIDEST_AIR = 80.0
"""Full width at half the height of a peak of air; that of lung is 110 and more."""
LUNG_ABOVE = 70.0
"""A light peak this far below another is air, and the other lung."""


@dataclass(frozen=True)
class Peaks:
    """Brightness of tissues, in the numbers of the file; ``None`` where there is no such peak."""

    air: float | None
    surrounds: bool
    """Whether air lies around the body, so that it is not lung."""
    fat: float | None
    soft: float | None


def tissue_peaks(values: Values, faces: Values) -> Peaks:
    """The peaks of a histogram.

    Args:
        values: voxels without padding.
        faces: those on the six faces of the volume.
    """
    air, surrounds = _air(*(one[one > values.min()] for one in (values, faces)))
    if air is None:
        # Air may be one exact value: cut off, or without noise.
        air, surrounds = _air(values, faces)
    tissue = _maxima(values, -400.0, 450.0)
    top = max((height for _, height, _ in tissue), default=0.0)
    strong = [(place, height) for place, height, _ in tissue if height >= LEAST_TISSUE * top]
    pairs = [
        (min(low[1], high[1]), low[0], high[0])
        for low in strong
        for high in strong
        if APART[0] <= high[0] - low[0] <= APART[1]
    ]
    if pairs:
        right = [pair for pair in pairs if FAT[0] <= pair[1] <= FAT[1]]
        _, fat, soft = max(right or pairs)
        return Peaks(air, surrounds, fat, soft)
    highest = max(strong, key=lambda peak: peak[1], default=None)
    return Peaks(air, surrounds, None, None if highest is None else highest[0])


def _air(values: Values, faces: Values) -> tuple[float | None, bool]:
    """The lowest light peak where it cannot be lung, and whether it surrounds the body."""
    light = _maxima(values, LOWEST, LIGHT)
    if not light:
        return None, False
    top = max(height for _, height, _ in light)
    (lowest, _, width), *others = [peak for peak in light if peak[1] >= LEAST_LIGHT * top]
    near = float(np.mean(np.abs(faces - lowest) < NEAR_PEAK)) if faces.size else 0.0
    surrounds = width < WIDEST_AIR and near > SIDES_SHARE
    return (lowest if surrounds or (others and others[0][0] - lowest > LUNG_ABOVE) else None), surrounds


def off_scale(found: Peaks) -> tuple[str | None, str | None]:
    """What denies that these are Hounsfield units, and what makes it doubtful."""
    fat_off = found.fat is not None and not FAT[0] <= found.fat <= FAT[1]
    if found.air is not None and AIR[0] <= found.air <= AIR[1]:
        return _bent(found)
    if found.air is not None:
        why = _beside("air", found.air, "-1000")
        far = not AIR[0] - SLACK <= found.air <= AIR[1] + SLACK
        if far and (found.surrounds or fat_off):
            return f"has its {why}", None
        return None, f"it has its {why}, if that is air; its numbers may be shifted or scaled"
    if found.fat is not None and found.soft is not None and found.fat < FAT[0] and found.soft < SOFT[0]:
        return f"has its {_beside('fat', found.fat, '-100')}", None
    if found.fat is not None and fat_off:
        return (
            None,
            f"it has its {_beside('fat', found.fat, '-100')}, if that is fat; its numbers may be shifted",
        )
    return _darker(found)


def _bent(found: Peaks) -> tuple[str | None, str | None]:
    """Air lies in its place and tissue does not: a curve (gamma) or a window was laid on the numbers."""
    if found.fat is None and found.surrounds and found.soft is not None and found.soft > SOFT[1]:
        return (
            None,
            f"nothing of it is as dark as fat, and its tissue lies near {found.soft:.0f}; a curve (gamma) may have been laid on its numbers",
        )
    if found.fat is None:
        return _darker(found)
    if FAT[0] <= found.fat <= FAT[1]:
        return None, None
    beside = _beside("fat", found.fat, "-100")
    if found.fat < FAT[0] - FAR and found.soft is not None and found.soft < SOFT[0]:
        return f"has its {beside}, with air in its place: a curve (gamma) was laid on it", None
    # Strong contrast may look like soft tissue, and soft tissue then like fat.
    return (
        None,
        f"it has its {beside}, if that is fat, with air in its place: a curve (gamma) may have been laid on its numbers",
    )


def _darker(found: Peaks) -> tuple[str | None, str | None]:
    """One peak of tissue, too dark to be soft tissue; brighter ones may be blood with contrast."""
    if found.fat is not None or found.soft is None or found.soft >= FAT_ALONE:
        return None, None
    return (
        None,
        f"it has its {_beside('soft tissue', found.soft, '50')}, if that is soft tissue; its numbers may be shifted",
    )


def _beside(tissue: str, place: float, right: str) -> str:
    return f"{tissue} near {place:.0f}, not at {right} Hounsfield units"


def _maxima(values: Values, low: float, high: float) -> list[tuple[float, float, float]]:
    """Local maxima of the smoothed histogram in a range (place, share, full width at half that), from below."""
    from scipy.ndimage import gaussian_filter1d

    if not values.size:
        return []
    edges = np.arange(low - 50, high + 50 + BIN, BIN)
    share = gaussian_filter1d(np.histogram(values, edges)[0] / values.size, SMOOTH)
    return [
        (float(edges[i] + BIN / 2), float(share[i]), _width(share, i))
        for i in range(1, share.size - 1)
        if share[i - 1] < share[i] >= share[i + 1]
        and share[i] > LEAST_SHARE
        and low <= edges[i] + BIN / 2 <= high
    ]


def _width(share: NDArray[np.float64], top: int) -> float:
    below = np.flatnonzero(share < share[top] / 2)
    left = below[below < top]
    right = below[below > top]
    first = int(left[-1]) if left.size else 0
    last = int(right[0]) if right.size else share.size
    return (last - first - 1) * BIN
