"""HLIP's vision tower: one ViT whose blocks attend inside slices, inside scans or over a whole study (arXiv 2505.21862).

A study is N scans; a scan's patches lie on a grid (d, h, w). A block of level

- ``slice`` attends within one depth row of the grid (N * d groups a study),
- ``scan`` within one scan (N groups),
- ``study`` over everything (1 group).

The prefix tokens (CLS, and a register token in some variants) are copied into every group where groups split and averaged
where they merge. Extra tokens put after them travel the same way, so the first seam works here too.

Upstream draws random rows of the scan table for batches of several studies, even in eval mode; here the first N rows are
used always, as upstream does for one study.
"""

from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.errors import SettingError
from voxtune.types.settings import Settings

Level = Literal["slice", "scan", "study"]
MEAN, STD = 0.449, 0.226
"""Of ImageNet's three channels, averaged."""


class HlipVisionSizes(Settings):
    """Sizes of the tower; the defaults are those of the brain MRI model."""

    volume: tuple[int, int, int] = (48, 224, 224)
    """Depth, height, width of a scan as trained: the position table has their token grid."""
    patch: tuple[int, int, int] = (8, 16, 16)
    channels: int = Field(1, ge=1)
    width: int = Field(768, ge=4)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    mlp_ratio: int = Field(4, ge=1)
    norm_eps: float = 1e-6
    slice_blocks: tuple[int, ...] = ()
    study_blocks: tuple[int, ...] = (2, 5, 8, 11)
    """The other blocks attend within scans."""
    max_scans: int = Field(40, ge=0)
    """Rows of the scan table; with 0 or 1 there is no table and the order of scans does not matter."""
    registers: int = Field(0, ge=0)
    """Register tokens after CLS."""
    read_out: Literal["token", "token_and_mean"] = "token"
    """What is projected: CLS, or CLS beside the mean of all patches (the dinotxt family)."""
    position: Literal["interpolate", "raw"] = "interpolate"

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        if set(self.slice_blocks) & set(self.study_blocks):
            raise ValueError("a block is of one level: slice_blocks and study_blocks share some")
        if any(not 0 <= block < self.depth for block in (*self.slice_blocks, *self.study_blocks)):
            raise ValueError(f"slice_blocks and study_blocks name blocks 0..{self.depth - 1}")
        token_grid(self.volume, self.patch)
        return self

    def level(self, block: int) -> Level:
        """The level of a block."""
        return "slice" if block in self.slice_blocks else "study" if block in self.study_blocks else "scan"


def token_grid(volume: tuple[int, ...], patch: tuple[int, ...]) -> tuple[int, int, int]:
    """Whole patches along each axis; what remains below one patch is not read.

    Raises:
        SettingError: an axis is shorter than its patch.
    """
    if len(volume) != len(patch) or any(size < step for size, step in zip(volume, patch, strict=True)):
        raise SettingError("volume", f"three sizes of at least the patch {tuple(patch)}", tuple(volume))
    d, h, w = (size // step for size, step in zip(volume, patch, strict=True))
    return d, h, w


class _Layout:
    """Scans and token grid of the studies under way: set by ``embed``, read by the blocks of the same forward.

    Every block must know how to cut its sequence, which the sequence alone does not say. Before any ``embed`` it is that of
    one scan of the model's own shape.
    """

    def __init__(self, grid: tuple[int, int, int]) -> None:
        self.scans, self.depth, self.plane = 1, grid[0], grid[1] * grid[2]

    def groups(self, level: Level) -> int:
        """Groups of one study at a level."""
        return {"slice": self.scans * self.depth, "scan": self.scans, "study": 1}[level]

    def regroup(self, tokens: Tensor, before: Level, after: Level) -> Tensor:
        """Tokens (B * groups before, P + patches, width) to (B * groups after, P + patches, width)."""
        if before == after:
            return tokens
        old, new = self.groups(before), self.groups(after)
        patches = self.scans * self.depth * self.plane // old
        lead = tokens.shape[1] - patches
        assert lead > 0, (
            "the layout is not that of these tokens: embed and blocks must run on the same studies"
        )
        prefix, rest = tokens[:, :lead], tokens[:, lead:]
        rows = len(tokens) // old * new
        if new > old:
            prefix = prefix.repeat_interleave(new // old, dim=0)
        else:
            prefix = prefix.reshape(rows, old // new, *prefix.shape[1:]).mean(dim=1)
        return torch.cat([prefix, rest.reshape(rows, -1, rest.shape[-1])], dim=1)


class _Attention(nn.Module):
    def __init__(self, sizes: HlipVisionSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.proj = nn.Linear(sizes.width, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))


class _Perceptron(nn.Module):
    def __init__(self, sizes: HlipVisionSizes) -> None:
        super().__init__()
        self.fc1 = nn.Linear(sizes.width, sizes.mlp_ratio * sizes.width)
        self.fc2 = nn.Linear(sizes.mlp_ratio * sizes.width, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(F.gelu(self.fc1(tokens))))


class _Block(nn.Module):
    """A pre-norm block; it takes the groups of the block before it and gives its own."""

    def __init__(self, sizes: HlipVisionSizes, before: Level, level: Level, layout: _Layout) -> None:
        super().__init__()
        self.before, self.level, self.layout = before, level, layout
        self.norm1 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.attn = _Attention(sizes)
        self.norm2 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.mlp = _Perceptron(sizes)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (a study holds real scans)
        tokens = self.layout.regroup(tokens, self.before, self.level)
        tokens = tokens + self.attn(self.norm1(tokens))
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class _PatchEmbed(nn.Module):
    def __init__(self, sizes: HlipVisionSizes) -> None:
        super().__init__()
        self.proj = nn.Conv3d(sizes.channels, sizes.width, sizes.patch, stride=sizes.patch)


class HlipVision(nn.Module):
    """The tower (a ``TokenTower``): scans (B, 1, D, H, W) or studies (B, N, 1, D, H, W) to tokens (B, P + N * T, width).

    Prefix first, then scan after scan, depth slowest. Between blocks the sequence is in the groups of the block that gave
    it, so its first axis is a multiple of B there; ``finish`` brings it back.
    """

    def __init__(self, sizes: HlipVisionSizes, volume: tuple[int, int, int], *, normalise: bool) -> None:
        super().__init__()
        self.sizes = sizes
        self.normalise = normalise
        self.width = sizes.width
        self.lead = 1 + sizes.registers
        self.layout = _Layout(token_grid(volume, sizes.patch))
        self.patch_embed = _PatchEmbed(sizes)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, sizes.width))
        if sizes.registers:
            self.reg_token = nn.Parameter(0.02 * torch.randn(1, sizes.registers, sizes.width))
        self.spatial_posemb = nn.Parameter(
            0.02 * torch.randn(1, *token_grid(sizes.volume, sizes.patch), sizes.width)
        )
        if sizes.max_scans > 1:
            self.sequential_posemb = nn.Parameter(0.02 * torch.randn(1, sizes.max_scans, sizes.width))
        levels: list[Level] = ["study", *(sizes.level(block) for block in range(sizes.depth))]
        self.last_level = levels[-1]
        self.blocks = nn.ModuleList(
            _Block(sizes, levels[i], levels[i + 1], self.layout) for i in range(sizes.depth)
        )
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    @property
    def pooled_width(self) -> int:
        """Width of the read-out."""
        return self.width if self.sizes.read_out == "token" else 2 * self.width

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Patches along each axis of a scan of this shape."""
        return token_grid(volume, self.sizes.patch)

    def patches(self, inputs: Tensor) -> Tensor:
        """Scans or studies to patches without positions (B, N, d, h, w, width)."""
        studies = inputs[:, None] if inputs.ndim == 5 else inputs
        if self.normalise:
            studies = (studies - MEAN) / STD
        return cast(
            Tensor,
            self.patch_embed.proj(studies.flatten(0, 1)).movedim(1, -1).unflatten(0, studies.shape[:2]),
        )

    def embed(self, inputs: Tensor) -> Tensor:
        """Scans or studies to the first sequence (B, P + N * T, width); remembers how they are laid out."""
        patches = self.patches(inputs)
        batch, scans, d, h, w, _ = patches.shape
        self.layout.scans, self.layout.depth, self.layout.plane = scans, d, h * w
        placed = patches + self._spatial((d, h, w))
        if self.sizes.max_scans > 1:
            placed = placed + self._sequential(scans)[:, :, None, None, None]
        prefix = [self.cls_token, self.reg_token] if self.sizes.registers else [self.cls_token]
        return torch.cat([*(token.expand(batch, -1, -1) for token in prefix), placed.flatten(1, 4)], dim=1)

    def _spatial(self, grid: tuple[int, int, int]) -> Tensor:
        table = self.spatial_posemb
        if tuple(table.shape[1:4]) == grid:
            return table
        if self.sizes.position == "raw":
            if table[0, ..., 0].numel() != grid[0] * grid[1] * grid[2]:
                raise SettingError(
                    "position",
                    f"'interpolate' for the grid {grid}: the table is {tuple(table.shape[1:4])}",
                    "raw",
                )
            return table.reshape(1, *grid, -1)
        return F.interpolate(table.movedim(-1, 1), size=grid, mode="trilinear", align_corners=False).movedim(
            1, -1
        )

    def _sequential(self, scans: int) -> Tensor:
        table = self.sequential_posemb
        if scans <= table.shape[1]:
            return table[:, :scans]
        return F.interpolate(table.mT, size=scans, mode="linear", align_corners=False).mT

    def finish(self, tokens: Tensor) -> Tensor:
        """Back to whole studies, then the final norm."""
        return cast(Tensor, self.norm(self.layout.regroup(tokens, self.last_level, "study")))

    def read(self, tokens: Tensor) -> Tensor:
        """Each prefix token's read-out (B, P, pooled width)."""
        prefix = tokens[:, : self.lead]
        if self.sizes.read_out == "token":
            return prefix
        mean = tokens[:, self.lead :].mean(dim=1, keepdim=True)
        return torch.cat([prefix, mean.expand_as(prefix)], dim=-1)

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (a study holds real scans)
        """The read-out of CLS (B, pooled width)."""
        return self.read(tokens)[:, 0]

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scans (B, 1, D, H, W) or studies (B, N, 1, D, H, W) to tokens after the final norm (B, P + N * T, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)
