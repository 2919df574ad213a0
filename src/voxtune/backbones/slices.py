"""How a 2D model sees a volume: as evenly spaced slices among those that show something, and the mean over them."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from voxtune.types.settings import Settings


class Slicing(Settings):
    """Which slices of a volume (B, 1, X, Y, Z) in 0..1 a 2D model reads."""

    axis: Literal[0, 1, 2] = 2
    """The axis cut across; 2 gives axial slices of volumes whose axes point right, anterior, superior."""
    upright: bool = True
    """Turn each slice as a reader sees it: rows from the last position of its second axis, columns from that of its first."""
    content: float = Field(0.02, ge=0, lt=1)
    """A slice shows something if more than this share of it lies above the volume's smallest value."""
    count: int = Field(32, ge=1)
    """Slices read of each volume, evenly spaced from the first to the last that shows something; repeated if there are fewer."""


def read_slices(volumes: Tensor, slicing: Slicing, side: int) -> Tensor:
    """Volumes (B, 1, X, Y, Z) in 0..1 to the slices read of each, as squares (B, count, side, side)."""
    planes = volumes[:, 0].movedim(1 + slicing.axis, 1)
    if slicing.upright:
        planes = planes.mT.flip(2, 3)
    places = torch.stack([_places(each, slicing) for each in planes])
    chosen = planes[torch.arange(len(planes), device=places.device)[:, None], places]
    return _squares(chosen.flatten(0, 1), side).reshape(*places.shape, side, side)


def _places(planes: Tensor, slicing: Slicing) -> Tensor:
    """Which slices of one volume (S, rows, columns) are read (count); of an empty one, evenly spaced ones."""
    shown = ((planes > planes.amin()).float().mean(dim=(1, 2)) > slicing.content).nonzero().flatten()
    if not len(shown):
        shown = torch.arange(len(planes), device=planes.device)
    steps = torch.linspace(0, len(shown) - 1, slicing.count, device=planes.device)
    return shown[steps.round().long()]


def _squares(planes: Tensor, side: int) -> Tensor:
    """Slices (N, rows, columns) in 0..1 to squares (N, side, side): padded with black, then bicubic."""
    rows, columns = planes.shape[1:]
    longest = max(rows, columns)
    top, left = (longest - rows) // 2, (longest - columns) // 2
    square = F.pad(planes, (left, longest - columns - left, top, longest - rows - top))
    if longest == side:
        return square
    return F.interpolate(square[:, None], size=side, mode="bicubic", antialias=True)[:, 0].clamp(0, 1)
