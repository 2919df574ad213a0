"""Where a scan is brighter or darker than an earlier one of the same person on the same grid."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SMOOTH = 0.7
"""Voxels; a registration is not exact to one of them."""
STRONGEST = 0.5
"""Share of the range between dark and bright tissue that is a change of 1: the same scale for everybody."""


def grey_change(now: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """The difference of two volumes of one shape, in parts of the range of grey inside the head (-1..1); 0 outside.

    Brightness and contrast of the earlier one are first made those of the later one, by median and range, so that another scanner setting is
    no change everywhere.
    """
    inside = (now > now.min()) & (before > before.min())
    if not inside.any():
        return np.zeros(now.shape, dtype=np.float32)
    (low, middle, high), (low_then, middle_then, high_then) = (
        np.percentile(one[inside].astype(np.float64), (5, 50, 95)) for one in (now, before)
    )
    span, span_then = high - low, high_then - low_then
    if span <= 0 or span_then <= 0:
        return np.zeros(now.shape, dtype=np.float32)
    alike = (before - middle_then) * (span / span_then) + middle
    # Zero outside before it is smoothed: what lies there is no picture and must not bleed in.
    smooth = gaussian_filter(np.where(inside, now - alike, 0.0), SMOOTH)
    change = np.where(inside, smooth, 0.0) / (STRONGEST * span)
    found: NDArray[np.float32] = np.clip(change, -1, 1).astype(np.float32)
    return found
