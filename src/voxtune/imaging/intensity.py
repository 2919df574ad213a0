"""Brightness: a brain to [0, 1], a CT in Hounsfield units or refused."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.types.settings import Settings
from voxtune.types.volume import Volume

LEAST_CONTRAST = 1e-3
"""Of the brightest tissue; less is rounding."""


class Intensity(Settings):
    """The brain's brightness between two percentiles becomes [0, 1]; outside the brain 0."""

    low_percentile: float = 0.1
    high_percentile: float = 99.9


class Hounsfield(Settings):
    """A CT in Hounsfield units, clipped."""

    low: float = -1000.0
    high: float = 1000.0
    policy: Literal["refuse", "trust"] = "refuse"
    """``refuse`` volumes that do not look like Hounsfield units; ``trust`` takes them as they are."""


def to_unit(volume: Volume, mask: NDArray[np.bool_], settings: Intensity) -> tuple[Volume, float]:
    """The volume in [0, 1] with 0 outside the mask, and the share of brain voxels that were clipped.

    Raises:
        ScanError: the brain has one brightness only.
    """
    inside = volume.voxels[mask]
    low, high = np.percentile(inside, [settings.low_percentile, settings.high_percentile])
    if not high - low > LEAST_CONTRAST * abs(high):
        raise ScanError("scan", "the brain has no contrast: all its voxels are equally bright")
    clipped = float(np.mean((inside < low) | (inside > high)))
    unit = np.zeros_like(volume.voxels)
    unit[mask] = np.clip((inside - low) / (high - low), 0.0, 1.0)
    return volume.with_voxels(unit), clipped


SOFT_TISSUE = (-150.0, 250.0)
"""Water, muscle, blood and fat of any CT lie here, in Hounsfield units."""
INTERCEPT = -1024.0
"""The rescale intercept of most scanners; applied a second time it moves soft tissue here."""


def check_hounsfield(volume: Volume, policy: Literal["refuse", "trust"]) -> None:
    """Refuse a CT that was rescaled twice, or never (CT-RATE's 'fixed' volumes are in HU already: CT-CLIP issue 50).

    Raises:
        ScanError: soft tissue is not where Hounsfield units put it.
    """
    if policy == "trust":
        return
    voxels = volume.voxels
    # The corner outside the scanner's circle holds one exact padding value, which says nothing.
    body = voxels[voxels != voxels.min()]
    here = _share(body, *SOFT_TISSUE)
    lower = _share(body, SOFT_TISSUE[0] + INTERCEPT, SOFT_TISSUE[1] + INTERCEPT)
    higher = _share(body, SOFT_TISSUE[0] - INTERCEPT, SOFT_TISSUE[1] - INTERCEPT)
    below_air = _share(body, -np.inf, -1300.0)
    todo = "; set the policy to 'trust' if you are sure"
    if (below_air > 0.02 and here < 0.5 * lower) or (here < 0.02 and lower > 0.1):
        raise ScanError(
            "scan", f"this CT was rescaled twice: soft tissue lies near -1000, where air belongs{todo}"
        )
    if float(voxels.min()) > -200.0 and higher > 0.05:
        raise ScanError(
            "scan", f"this CT holds stored values that were never rescaled: soft tissue lies near 1000{todo}"
        )


def _share(values: NDArray[np.float32], low: float, high: float) -> float:
    return float(np.mean((values >= low) & (values <= high))) if values.size else 0.0
