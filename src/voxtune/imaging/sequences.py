"""HLIP's input: any MR sequence as it was scanned, slices first, no registration and no skull stripping.

Facts: backbones.md section 16.5.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voxtune.imaging.orient import orient
from voxtune.imaging.tensor import resize
from voxtune.types.volume import Volume

Array = NDArray[np.float32]

SQUARE = 256
"""Pixels of a slice before the centre crop."""
CROP = 224
MEAN, DEVIATION = 0.449, 0.226
"""Mean of the ImageNet channel means and deviations."""


def slices_first(frames: Sequence[Volume]) -> Array:
    """Voxels (D, H, W) in [0, 1]: slices along the axis of the largest spacing, clipped to percentiles 0.5 and 99.5.

    From superior to inferior, anterior to posterior, the person's left to right; equal spacings go to z, then y. Several
    frames of one file follow each other along D, as the authors' code has it.
    """
    stacks = []
    for frame in frames:
        turned = orient(frame, "IPR")
        through = int(np.argmax([round(step, 4) for step in turned.spacing]))
        stacks.append(np.moveaxis(turned.voxels, through, 0).astype(np.float64))
    voxels = np.concatenate(stacks)
    low, high = np.percentile(voxels, (0.5, 99.5))
    voxels = np.clip(voxels, low, high)
    unit: Array = ((voxels - voxels.min()) / (voxels.max() - voxels.min() + 1e-8)).astype(np.float32)
    return unit


def sequence_tensor(slices: Array, count: int = 48) -> Array:
    """Slices (D, H, W) in [0, 1] to the tensor of one scan (1, count, 224, 224).

    Padded with zeros to squares (the smaller half left and on top), resized to 256, the nearest ``count`` slices, centre
    crop, normalised.
    """
    _, height, width = slices.shape
    edge = max(height, width)
    top, left = (edge - height) // 2, (edge - width) // 2
    square = np.zeros((len(slices), edge, edge), dtype=np.float32)
    square[:, top : top + height, left : left + width] = slices
    places = np.minimum(((np.arange(count) + 0.5) * len(slices) / count).astype(int), len(slices) - 1)
    large = resize(square, (len(square), SQUARE, SQUARE))[places]
    start = (SQUARE - CROP) // 2
    cropped = large[:, start : start + CROP, start : start + CROP]
    tensor: Array = ((cropped - MEAN) / DEVIATION)[None].astype(np.float32)
    return tensor
