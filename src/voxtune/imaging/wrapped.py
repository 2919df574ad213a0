"""Whether numbers ran over: what was too large for its number type begins again at the smallest, and bright tissue turns dark.

Beside the brightest voxels then lie the darkest, along every surface where the true brightness crosses the limit. In a scan hardly two
neighbours differ by nearly the whole range: noise, and the blur of every scanner, lie between.
"""

import numpy as np
from numpy.typing import NDArray

from voxtune.types.volume import Volume

Array = NDArray[np.float32]

WHOLE = 0.85
"""Of the range between the darkest and the brightest voxel."""
MOST = 3e-4
"""Share of neighbours that far apart, along two of the axes: 2.1e-6 at most in real scans, 1e-4 to 0.02 where numbers ran over; up to 2.8e-4 in heads cut off at 98%,
2e-4 in a SIMULATED head of 3 mm, whose scalp lies beside air."""
GAP = 0.1
"""Of the range: an end that stands alone so far from all others is padding."""
ENDS, FEW_VALUES = 3, 50
"""So many values at each end may be padding, in a picture with more values than labels have."""
SAMPLE = 1_000_000


def ran_over(volume: Volume) -> tuple[str, ...]:
    """A sentence where neighbours jump over nearly the whole range of brightness."""
    voxels = volume.voxels
    low, high = own_range(voxels)
    if not high > low:
        return ()
    # Brightness that was cut off at the top lies beside dark voxels too, but is one exact value.
    inside = (voxels >= low) & (voxels < high)
    shares = []
    for axis in range(3):
        here, there = np.moveaxis(voxels, axis, 0)[:-1], np.moveaxis(voxels, axis, 0)[1:]
        both = np.moveaxis(inside, axis, 0)
        counted = both[:-1] & both[1:]
        jumps = int(np.count_nonzero(counted & (np.abs(here - there) > WHOLE * (high - low))))
        shares.append(jumps / max(1, int(np.count_nonzero(counted))))
    # Thick slices are far apart along one axis.
    share = sorted(shares)[1]
    if share <= MOST:
        return ()
    return (
        f"{share:.2%} of its neighbouring voxels differ by nearly the whole range of brightness: numbers may have run over (wrapped around)",
    )


def own_range(voxels: Array) -> tuple[float, float]:
    """The darkest and the brightest voxel without padding."""
    step = max(1, voxels.size // SAMPLE)
    values = np.unique(voxels.ravel(order="K")[::step])
    whole = float(values[-1] - values[0])
    for _ in range(ENDS):
        if len(values) < FEW_VALUES:
            break
        low, high = (int(gap > GAP * whole) for gap in (values[1] - values[0], values[-1] - values[-2]))
        values = values[low : len(values) - high]
    return float(values[0]), float(values[-1])
