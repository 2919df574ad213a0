"""Noise out, edges kept: non-local means over the nearest neighbours, with the noise level measured in the scan.

Every voxel becomes a mean of itself and the voxels within ``reach``, weighted by how alike their 3 x 3 x 3 surroundings
are. Source: Coupé et al., 'An optimized blockwise nonlocal means denoising filter for 3-D magnetic resonance images',
IEEE TMI 27 (2008); the noise level is the median of absolute Laplacians (Immerkær 1996, in 3D).
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from voxtune.types.settings import Settings
from voxtune.types.volume import Volume


class Denoise(Settings):
    """Non-local means."""

    reach: int = 1
    """Voxels searched in each direction."""
    strength: float = 1.0
    """Multiplies the measured noise; 0 changes nothing."""
    coarsest_mm: float = 1.5
    """Larger voxels have averaged their noise already, and structure would be taken for noise."""


def denoise(volume: Volume, mask: NDArray[np.bool_], settings: Denoise) -> tuple[Volume, float]:
    """The volume denoised inside the box around the mask, and the noise it had (standard deviation, its own units)."""
    if max(volume.spacing) > settings.coarsest_mm:
        return volume, 0.0
    box = _box(mask)
    voxels = volume.voxels[box]
    sigma = noise(voxels, mask[box])
    if sigma <= 0 or settings.strength <= 0:
        return volume, sigma
    out = volume.voxels.copy()
    out[box] = _non_local_means(voxels, np.float32(settings.strength * sigma), settings.reach)
    return volume.with_voxels(out), sigma


def noise(voxels: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """The standard deviation of the noise: the median of absolute differences from the mean of six neighbours.

    For white noise that difference has variance 7/6; the median of a Gaussian's magnitude is 0.6745 standard deviations.
    """
    from scipy.ndimage import binary_erosion

    deep = binary_erosion(mask, iterations=2)
    if not deep.any():
        return 0.0
    around = sum(np.roll(voxels, shift, axis) for axis in range(3) for shift in (-1, 1)) / np.float32(6)
    return float(np.median(np.abs((voxels - around)[deep])) / 0.6745 / np.sqrt(7 / 6))


def _non_local_means(voxels: NDArray[np.float32], sigma: np.float32, reach: int) -> NDArray[np.float32]:
    from scipy.ndimage import uniform_filter

    total, weight = voxels.copy(), np.ones_like(voxels)
    around = range(-reach, reach + 1)
    # Each pair of voxels is met once: half of the shifts, each used in both directions.
    shifts = [shift for shift in itertools.product(around, repeat=3) if shift > (0, 0, 0)]
    for shift in shifts:
        here, there = _pair(shift)
        difference = np.zeros_like(voxels)
        difference[here] = (voxels[here] - voxels[there]) ** 2
        likeness = uniform_filter(difference, 3, mode="nearest")
        # Two noisy copies of the same tissue differ by 2 sigma^2; what is left is structure.
        likeness -= 2 * sigma**2
        np.maximum(likeness, 0, out=likeness)
        likeness /= -2 * sigma**2
        np.exp(likeness, out=likeness)
        total[here] += likeness[here] * voxels[there]
        weight[here] += likeness[here]
        total[there] += likeness[here] * voxels[here]
        weight[there] += likeness[here]
    return total / weight


def _pair(shift: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the voxels that have a partner at ``shift``, and of their partners."""
    here = tuple(slice(max(0, -s), -s if s > 0 else None) for s in shift)
    there = tuple(slice(max(0, s), s if s < 0 else None) for s in shift)
    return here, there


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box around the mask with two voxels of margin."""
    slices = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        slices.append(slice(max(0, inside[0] - 2), inside[-1] + 3))
    return tuple(slices)
