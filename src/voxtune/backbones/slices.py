"""How a 2D model sees a volume: slice by slice, and the mean over the slices that show something."""

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
    """A slice is read if more than this share of it lies above the volume's smallest value."""
    most: int | None = Field(None, ge=1)
    """Read at most so many slices, evenly spaced among those with content; ``None`` reads all."""


def cut(volumes: Tensor, slicing: Slicing) -> Tensor:
    """Volumes (B, 1, X, Y, Z) to their slices (B, S, rows, columns)."""
    planes = volumes[:, 0].movedim(1 + slicing.axis, 1)
    return planes.mT.flip(2, 3) if slicing.upright else planes


def shown(planes: Tensor, slicing: Slicing) -> Tensor:
    """Which slices (B, S, rows, columns) are read (B, S); all of them where a volume is empty."""
    floor = planes.amin(dim=(1, 2, 3), keepdim=True)
    share = (planes > floor).float().mean(dim=(2, 3))
    chosen = share > slicing.content
    chosen = chosen | ~chosen.any(dim=1, keepdim=True)
    if slicing.most is None:
        return chosen
    thinned = torch.zeros_like(chosen)
    for row, kept in zip(chosen, thinned, strict=True):
        places = row.nonzero().flatten()
        steps = torch.linspace(0, len(places) - 1, min(slicing.most, len(places)), device=places.device)
        kept[places[steps.round().long()]] = True
    return thinned


def resized(planes: Tensor, side: int) -> Tensor:
    """Slices (N, rows, columns) in 0..1 to squares (N, side, side): padded with black, then bicubic."""
    rows, columns = planes.shape[1:]
    longest = max(rows, columns)
    top, left = (longest - rows) // 2, (longest - columns) // 2
    square = F.pad(planes, (left, longest - columns - left, top, longest - rows - top))
    if longest == side:
        return square
    return F.interpolate(square[:, None], size=side, mode="bicubic", antialias=True)[:, 0].clamp(0, 1)


def slice_mean(tokens: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over the slices that were read (B, S, width) -> (B, width); unread ones are zero vectors."""
    real = (tokens != 0).any(dim=-1) if mask is None else mask
    weight = real.to(tokens.dtype)[..., None]
    return (tokens * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
