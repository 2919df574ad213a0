"""Leave out the tokens that hold nothing but background: a stripped brain fills less than half of its volume.

Attention costs by the pair and perceptrons by the token, so what is not there costs nothing. Tokens get their content and their
position on the whole grid first and are left out then, so what stays says where it stands. Scans keep different numbers of
tokens: the shorter ones of a batch end in rows of zeros, over which a mask lies (decision 0111).

One rule says what background is, for every preset (values in 0..1, in -1..1, z-scored, in Hounsfield units): the value that most
voxels on the six faces of the preprocessed volume have. A token is empty where no voxel of its place on the grid is further
from that value than a thousandth of the range of the volume. A volume without such a margin (raw noise around a head, a
cut through a body) loses nothing.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from voxtune.errors import DataError, SettingError
from voxtune.types.protocols import (
    TokenTower,
    is_feature_tower,
    is_order_free_tower,
    is_sparse_tower,
    is_token_tower,
)

TOLERANCE = 1e-3
"""Of the range of a volume: closer to the background's value is background."""


class SkipEmpty(nn.Module):
    """A token tower whose tokens of background never enter its blocks (a ``SparseTower``); everything else is the tower's own."""

    def __init__(self, tower: TokenTower) -> None:
        super().__init__()
        self.tower = tower

    def __getattr__(self, name: str) -> Any:
        """What the tower states of itself (``patch``, ``grid``, ``reads_lead``, ...)."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "tower" or name.startswith("_"):
                raise
            return getattr(super().__getattr__("tower"), name)

    @property
    def width(self) -> int:
        """Features of a token."""
        return self.tower.width

    @property
    def lead(self) -> int:
        """Tokens in front, which are never left out."""
        return self.tower.lead

    @property
    def blocks(self) -> nn.ModuleList:
        """The tower's layers."""
        return self.tower.blocks

    def finish(self, tokens: Tensor) -> Tensor:
        """What follows the last block."""
        return self.tower.finish(tokens)

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The tower's own read-out, over the tokens that are there."""
        return self.tower.pool(tokens, mask)

    def kept(self, volumes: Tensor) -> Tensor:
        """Which tokens of the grid hold anything but background (B, T).

        Args:
            volumes: (B, C, X, Y, Z).

        Raises:
            DataError: a volume that is background alone, or holds values that are no numbers.
        """
        grid = cast(Any, self.tower).grid(tuple(volumes.shape[2:]))
        seen = volumes.detach()
        span = seen.flatten(1).amax(dim=1) - seen.flatten(1).amin(dim=1)
        if not bool(span.isfinite().all()):
            raise DataError(
                "A preprocessed scan holds values that are no finite numbers, so its background cannot be told."
            )
        far = (seen - background(seen)[..., None, None, None]).abs() > TOLERANCE * span[
            :, None, None, None, None
        ]
        found = _of_tokens(far.any(dim=1), grid, getattr(self.tower, "first_centre", None))
        if not bool(found.any(dim=1).all()):
            raise DataError(
                "A preprocessed scan holds nothing but background, so with vision.skip_empty there is nothing to read. "
                "Look at its page of 'voxtune preprocess', or train without vision.skip_empty."
            )
        return found

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes (B, C, X, Y, Z) to lead tokens and the tokens that are not empty (B, lead + T, width); short scans end in zeros.

        Raises:
            DataError: a volume that is background alone.
        """
        whole = self.tower.embed(inputs)
        order, real = _order(self.kept(inputs))
        lead = self.lead
        body = whole[:, lead:].gather(1, order[:, :, None].expand(-1, -1, whole.shape[-1]))
        return torch.cat([whole[:, :lead], torch.where(real[:, :, None], body, 0.0)], dim=1)

    def groups(self, embedded: Tensor) -> Tensor | None:
        """Which rows of what ``embed`` made are tokens (B, T); ``None``: all."""
        real = (embedded != 0).any(dim=-1)
        real[:, : self.lead] = True
        return None if bool(real.all()) else real

    def places(self, inputs: Tensor) -> Tensor:
        """Where on the whole grid each token of one volume (1, C, X, Y, Z) stands, without the lead (T,)."""
        return self.kept(inputs)[0].nonzero()[:, 0]

    def on_grid(self, tokens: Tensor, inputs: Tensor) -> Tensor:
        """Finished tokens of one volume where they stand on the whole grid (1, lead + grid, width); NaN where one was left out."""
        kept = self.kept(inputs)[0]
        whole = tokens.new_full((1, self.lead + len(kept), tokens.shape[-1]), torch.nan)
        whole[:, : self.lead] = tokens[:, : self.lead]
        whole[:, self.lead :][:, kept] = tokens[:, self.lead :]
        return whole

    def said(self, inputs: Tensor) -> str:
        """What is left out of one volume (1, C, X, Y, Z), and by which rule, as a sentence."""
        kept = self.kept(inputs)
        value = float(background(inputs)[0, 0])
        return (
            f"vision.skip_empty: {int(kept.sum()):,} of {kept.shape[1]:,} tokens of the first scan enter the layers. Background is the value "
            f"that most voxels on the six faces of a volume have (here {value:g}), to a thousandth of its range."
        )

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Volumes (B, C, X, Y, Z) to finished tokens (B, lead + T, width)."""
        tokens = self.embed(inputs)
        mask = self.groups(tokens)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)


def skipping(tower: object, name: str) -> SkipEmpty:
    """A tower that leaves empty tokens out.

    Args:
        tower: of a vision side.
        name: of its backbone, for the message.

    Raises:
        SettingError: the tower needs every token, or leaves tokens out by itself.
    """
    expected = None
    if isinstance(tower, SkipEmpty):
        expected = "vision.skip_empty once"
    elif is_sparse_tower(tower):
        expected = f"false: {name} leaves patches with background out by itself"
    elif is_feature_tower(tower) or not is_token_tower(tower) or hasattr(tower, "tower"):
        expected = f"false: {name} computes on the whole volume (convolutions or axes in turn) and has no tokens to leave out"
    elif not is_order_free_tower(tower):
        expected = f"false: the layers of {name} need every token of the grid (windows, slices, or positions counted along it)"
    elif getattr(tower, "reads_corner", False):
        expected = f"false: {name} reads out the token of one corner, which is background (backbone.pool=mean reads all)"
    if expected is not None:
        raise SettingError("vision.skip_empty", expected, True)  # noqa: FBT003  (the setting)
    return SkipEmpty(cast(TokenTower, tower))


def background(volumes: Tensor) -> Tensor:
    """The value that most voxels on the six faces of each volume (B, C, X, Y, Z) have, of equals the lowest (B, C)."""
    ends = [-1, 0]
    faces = (volumes[:, :, ends], volumes[:, :, :, ends], volumes[:, :, :, :, ends])
    return torch.cat([one.flatten(2) for one in faces], dim=2).mode(dim=2).values


def _of_tokens(voxels: Tensor, grid: Sequence[int], first: Sequence[float] | None) -> Tensor:
    """Whether any voxel (B, X, Y, Z) that is nearest to a token holds True (B, T), first axis slowest.

    Args:
        voxels: what is looked for.
        grid: tokens along each axis.
        first: the voxel in the middle of what the first token sees; ``None``: that of its patch.
    """
    for axis, count in enumerate(grid, start=1):
        size = voxels.shape[axis]
        step = size / count
        centre = (step - 1) / 2 if first is None else first[axis - 1]
        edges = [round(centre + step * (number - 0.5) + 0.5) for number in range(1, count)]
        starts, stops = [0, *edges], [*edges, size]
        parts = [voxels.narrow(axis, a, b - a).any(dim=axis) for a, b in zip(starts, stops, strict=True)]
        voxels = torch.stack(parts, dim=axis)
    return voxels.flatten(1)


def _order(kept: Tensor) -> tuple[Tensor, Tensor]:
    """The places of the tokens that are kept, in front and in their order (B, T), and which of those T are real (B, T)."""
    counts = kept.sum(dim=1)
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(counts.max())]
    return order, torch.arange(order.shape[1], device=kept.device) < counts[:, None]
