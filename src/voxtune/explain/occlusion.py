"""What the model loses when a region is hidden: the model-agnostic reference of every explanation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class RegionDrop:
    """How much the score falls when one region is hidden (positive: the region spoke for the class)."""

    region: str
    drop: float
    voxels: int


def occlude_regions(
    score: Callable[[Array], float],
    voxels: Array,
    regions: Mapping[str, NDArray[np.bool_]],
    blur: float = 4.0,
) -> list[RegionDrop]:
    """Hide one region after the other behind a blurred copy of the scan and see how the score changes.

    Args:
        score: from voxels (X, Y, Z) to a number, such as the log-odds of a class.
        voxels: the preprocessed scan (X, Y, Z).
        regions: masks (X, Y, Z) by name.
        blur: standard deviation of the copy in voxels: brightness of the surroundings stays, shape goes.

    Returns:
        One entry for each region in the order given; ``drop`` is score(scan) - score(scan with the region hidden).
    """
    from scipy.ndimage import gaussian_filter

    hidden = gaussian_filter(voxels, blur).astype(np.float32)
    whole = score(voxels)
    return [
        RegionDrop(name, whole - score(np.where(mask, hidden, voxels)), int(mask.sum()))
        for name, mask in regions.items()
    ]
