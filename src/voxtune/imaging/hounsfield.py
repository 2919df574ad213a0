"""Whether a CT is in Hounsfield units: air near -1000, soft tissue near 0 to 100, and a body of it; else it is refused.

Files hold stored values without their intercept, or with it twice (CT-CLIP issue 50), windows of 8 bits, numbers scaled to
[0, 1], and padding far below air. A window clipped to [-1000, 1000] turns all of them into something that looks like a scan.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging.brightness import background, faces
from voxtune.imaging.tissue_peaks import AIR, off_scale, tissue_peaks
from voxtune.imaging.tissue_peaks import FAT as FAT_PEAK
from voxtune.types.volume import Volume

Values = NDArray[np.float32]

SOFT_TISSUE = (-200.0, 300.0)
"""Fat, water, muscle, blood with and without contrast."""
INTERCEPT = -1024.0
"""The rescale intercept of most scanners; applied a second time it moves soft tissue to air."""
AIR_SLACK = -1200.0
"""Noise of air reaches down to here."""
BODY, FAT = -500.0, -30.0
"""Denser than lung; fat and everything lighter."""
LEAST_SPAN = 300.0
"""From the darkest of 200 voxels to the brightest of 100; 8 bits span 255."""
LIGHTER_THAN_FAT, LIGHTEST = -200.0, -750.0
"""Whoever has voxels lighter than fat has lung or air, and some of them are this light."""
NEAR_AIR, BELOW_AIR = -900.0, -1030.0
"""Voxels near air lie around -1000, or at -1024 where a scanner cuts them off."""
DENSE, MOST_BONE = 500.0, 0.3
DENSEST, LEAST_CUT = 1000.0, 1e-3
"""Bone reaches beyond the first; a share of voxels with the very same largest number below it were cut off there."""
PADDING_GAP = 200.0
"""Padding is one exact value, this far below all others, or below any air."""
LEAST_BELOW_FILL = 0.01
"""Of the voxels are darker than what fills the surroundings, if that is padding and not the low end of a window."""
SAMPLES = 4_000_000


def check_hounsfield(volume: Volume, policy: Literal["refuse", "trust"]) -> tuple[str, ...]:
    """Refuse a CT that is not in Hounsfield units; what is only doubtful comes back as sentences.

    Raises:
        ScanError: it says what its values look like instead.
    """
    why, doubt = (None, None) if policy == "trust" else unlike_hounsfield(volume.voxels)
    if why is not None:
        raise ScanError(
            "scan",
            f"this CT {why}; give it in Hounsfield units, or set the policy to 'trust' if you are sure",
        )
    return () if doubt is None else (doubt,)


def unlike_hounsfield(voxels: Values) -> tuple[str | None, str | None]:
    """What denies that these are Hounsfield units, and what makes it doubtful; ``None`` where nothing does."""
    level, exact = background(voxels)
    if exact and level > NEAR_AIR and float(np.mean(voxels < level)) > LEAST_BELOW_FILL:
        return f"is filled with {level:.0f} around its picture, and air is -1000 Hounsfield units", None
    values = without_padding(_sampled(voxels))
    low, high = (float(one) for one in np.percentile(values, [0.5, 99]))
    if high - low < LEAST_SPAN:
        return (
            f"spans only {high - low:.3g} units: it is normalised, windowed or of 8 bits, not in Hounsfield units",
            None,
        )
    why = _tissue_elsewhere(values, low) or _air_elsewhere(values, low)
    if why:
        return why, None
    why, doubt = off_scale(tissue_peaks(values, faces(voxels)))
    return why, doubt or _cut_off(values)


def _cut_off(values: Values) -> str | None:
    top = float(values.max())
    if top >= DENSEST or _share(values, top, top) < LEAST_CUT:
        return None
    return f"its numbers are cut off at {top:.0f}, and bone reaches beyond {DENSEST:.0f} Hounsfield units: it was windowed"


def in_hounsfield(voxels: Values) -> bool:
    """Whether air, fat and soft tissue all lie where Hounsfield units have them: a scan that does not say so is a CT."""
    if float(voxels.min()) > NEAR_AIR or unlike_hounsfield(voxels) != (None, None):
        return False
    found = tissue_peaks(without_padding(_sampled(voxels)), faces(voxels))
    return (
        found.air is not None
        and AIR[0] <= found.air <= AIR[1]
        and found.fat is not None
        and FAT_PEAK[0] <= found.fat <= FAT_PEAK[1]
    )


def _sampled(voxels: Values) -> Values:
    step = max(1, round((voxels.size / SAMPLES) ** (1 / 3)))
    return voxels[::step, ::step, ::step].ravel()


def _tissue_elsewhere(values: Values, low: float) -> str | None:
    body = values[values > BODY]
    soft = _share(body, *SOFT_TISSUE) if body.size else 0.0
    if _share(values, -np.inf, AIR_SLACK) > 0.02 or body.size < 0.01 * values.size:
        twice = _share(values, SOFT_TISSUE[0] + INTERCEPT, SOFT_TISSUE[1] + INTERCEPT)
        if twice > 0.1 and low > 3 * INTERCEPT:
            return "was rescaled twice: soft tissue lies near -1000, where air belongs in Hounsfield units"
        return f"reaches far below air (down to {low:.0f}), which is -1000 in Hounsfield units"
    if _share(values, -np.inf, FAT) < 0.01 or soft < 0.4:
        if _share(values, SOFT_TISSUE[0] - INTERCEPT, SOFT_TISSUE[1] - INTERCEPT) > 0.05:
            return "holds stored values that were never rescaled: soft tissue lies near 1000, not near 0 Hounsfield units"
        return f"has only {soft:.0%} of its body where soft tissue lies in Hounsfield units, or nothing as light as fat"
    if _share(values, DENSE, np.inf) > MOST_BONE:
        return "is negated, or not in Hounsfield units: more of it is as dense as bone than any body has"
    return None


def _air_elsewhere(values: Values, low: float) -> str | None:
    if _share(values, -np.inf, LIGHTER_THAN_FAT) > 0.05 and low > LIGHTEST:
        return f"has its air near {low:.0f}, not at -1000 Hounsfield units"
    air = values[values < NEAR_AIR]
    if air.size > 0.02 * values.size and float(np.median(air)) < BELOW_AIR:
        return f"has its air near {np.median(air):.0f}, not at -1000 Hounsfield units; it may be negated"
    return None


def without_padding(values: Values) -> Values:
    """The values but for those that only fill the space outside the scanner's circle: one exact value, far below all others."""
    for _ in range(3):
        least = values.min()
        rest = values[values > least]
        if rest.size < 0.05 * values.size or values.size - rest.size < 0.002 * values.size:
            break
        if least >= AIR_SLACK and rest.min() - least < PADDING_GAP:
            break
        values = rest
    return values


def _share(values: Values, low: float, high: float) -> float:
    return float(np.mean((values >= low) & (values <= high)))
