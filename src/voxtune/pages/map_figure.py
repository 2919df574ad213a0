"""A heat map over slices: what raises the score in warm colours, what lowers it in cold ones, nothing where there is none."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxtune.pages.slices import PLANES, cut, slice_figure
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRONGEST = 0.75
"""Opacity of heat 1."""


def map_figure(
    volume: Volume, heat: NDArray[np.float32], shares: Sequence[float] = (0.35, 0.5, 0.65)
) -> "Figure":
    """Slices of a volume (axes RAS) with heat (-1..1, same shape) over them.

    Args:
        volume: the grey picture.
        heat: on its voxels.
        shares: places of the slices along each axis.
    """
    figure = slice_figure(volume, shares)
    panels = iter(figure.axes)
    for plane in PLANES:
        spacing = [volume.spacing[axis] for axis in range(3) if axis != PLANES.index(plane)]
        for share in shares:
            next(panels).imshow(
                _coloured(cut(heat, plane, share)), origin="lower", interpolation="bilinear", aspect=spacing[1] / spacing[0]
            )  # fmt: skip
    return figure


def _coloured(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Red to yellow above 0, blue to cyan below, as opaque as they are strong (rows, columns, RGBA)."""
    strength = np.clip(np.abs(values), 0, 1)
    warm = (values > 0).astype(np.float32)
    return np.stack([warm, strength, 1 - warm, strength * STRONGEST], axis=-1).astype(np.float32)
