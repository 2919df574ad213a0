"""The settings of brightness for both kinds of scan, and a brain to [0, 1]."""

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
