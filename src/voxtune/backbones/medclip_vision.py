"""Swin, the 2D vision tower of MedCLIP (Liu et al. 2021, arXiv 2103.14030): attention in windows, shifted in every second block.

Module names are those of transformers 4; files of transformers 5 are renamed on loading.
"""

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.backbones.slices import Slicing, read_slices
from voxtune.types.settings import Settings

MEAN, STD = 0.5862785803043838, 0.27950088968644304
"""Of the one channel, as published."""
APART = -100.0
"""What upstream adds to the logits of tokens that only a shift brought into one window."""


class SwinSizes(Settings):
    """Sizes of Swin; the defaults are Swin-T at 224 pixels."""

    image: int = Field(224, ge=1)
    patch: int = Field(4, ge=1)
    channels: int = Field(3, ge=1)
    width: int = Field(96, ge=2)
    """Channels of the first stage; each stage doubles them."""
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    window: int = Field(7, ge=1)
    mlp_ratio: int = Field(4, ge=1)
    norm_eps: float = 1e-5

    @property
    def final_width(self) -> int:
        """Channels of the last stage."""
        return self.width << (len(self.depths) - 1)


def _relative_index(window: int) -> Tensor:
    """Row of the bias table for each pair of places in a window (window^2, window^2)."""
    steps = torch.arange(window)
    places = torch.cartesian_prod(steps, steps)
    apart = places[:, None] - places[None, :] + window - 1
    return apart[..., 0] * (2 * window - 1) + apart[..., 1]


def _windows(field: Tensor, window: int) -> Tensor:
    """Field (B, H, W, ...) to windows (B, n, window^2, ...)."""
    batch, h, w = field.shape[:3]
    split = field.reshape(batch, h // window, window, w // window, window, *field.shape[3:])
    return split.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _shift_bias(h: int, w: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Bias (n, window^2, window^2) that keeps apart what a shift of ``shift`` brought together."""
    region = torch.zeros(1, h, w, device=like.device, dtype=like.dtype)
    cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for i, rows in enumerate(cuts):
        for j, columns in enumerate(cuts):
            region[:, rows, columns] = 3 * i + j
    inside = _windows(region, window)[0]
    return (inside[:, :, None] != inside[:, None, :]).to(like.dtype) * APART


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.relative_position_bias_table = nn.Parameter(0.02 * torch.randn((2 * window - 1) ** 2, heads))
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, tokens: Tensor, shift_bias: Tensor | None) -> Tensor:
        batch, count, places, width = tokens.shape
        split = (batch, count, places, self.heads, -1)
        q, k, v = (  # (B, n * heads, window^2, width / heads)
            part(tokens).reshape(split).transpose(2, 3).flatten(1, 2)
            for part in (self.query, self.key, self.value)
        )
        index = _relative_index(self.window).to(tokens.device)
        bias = (
            self.relative_position_bias_table[index].permute(2, 0, 1).expand(count, -1, -1, -1)
        )  # (n, heads, ., .)
        if shift_bias is not None:
            bias = bias + shift_bias[:, None]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.flatten(0, 1)[None])
        return (
            mixed.reshape(batch, count, self.heads, places, -1)
            .transpose(2, 3)
            .reshape(batch, count, places, width)
        )


class _Dense(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.dense(tokens))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.self = _SelfAttention(width, heads, window)
        self.output = _Dense(width, width)

    def forward(self, tokens: Tensor, shift_bias: Tensor | None) -> Tensor:
        return cast(Tensor, self.output(self.self(tokens, shift_bias)))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, sizes: SwinSizes, *, shifted: bool) -> None:
        super().__init__()
        self.window = sizes.window
        self.shift = sizes.window // 2 if shifted else 0
        self.layernorm_before = nn.LayerNorm(width, eps=sizes.norm_eps)
        self.attention = _Attention(width, heads, sizes.window)
        self.layernorm_after = nn.LayerNorm(width, eps=sizes.norm_eps)
        self.intermediate = _Dense(width, sizes.mlp_ratio * width)
        self.output = _Dense(sizes.mlp_ratio * width, width)

    def forward(self, field: Tensor) -> Tensor:
        field = field + self._attend(self.layernorm_before(field))
        return cast(Tensor, field + self.output(F.gelu(self.intermediate(self.layernorm_after(field)))))

    def _attend(self, field: Tensor) -> Tensor:
        h, w = field.shape[1:3]
        window = self.window
        shift = 0 if min(h, w) <= window else self.shift
        field = F.pad(field, (0, 0, 0, -w % window, 0, -h % window))
        tall, wide = field.shape[1:3]
        if shift:
            field = field.roll((-shift, -shift), dims=(1, 2))
        bias = _shift_bias(tall, wide, window, shift, field) if shift else None
        mixed = self.attention(_windows(field, window), bias)
        back = mixed.reshape(len(mixed), tall // window, wide // window, window, window, -1)
        field = back.transpose(2, 3).reshape(field.shape)
        if shift:
            field = field.roll((shift, shift), dims=(1, 2))
        return field[:, :h, :w]


class _Merge(nn.Module):
    """Two by two places side by side, then half of their channels."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width, eps=eps)

    def forward(self, field: Tensor) -> Tensor:
        field = F.pad(field, (0, 0, 0, field.shape[2] % 2, 0, field.shape[1] % 2))
        corners = [field[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return cast(Tensor, self.reduction(self.norm(torch.cat(corners, dim=-1))))


class _Stage(nn.Module):
    def __init__(self, stage: int, sizes: SwinSizes) -> None:
        super().__init__()
        width = sizes.width * 2**stage
        blocks = (
            _Block(width, sizes.heads[stage], sizes, shifted=index % 2 == 1)
            for index in range(sizes.depths[stage])
        )
        self.blocks = nn.ModuleList(blocks)
        self.downsample = _Merge(width, sizes.norm_eps) if stage < len(sizes.depths) - 1 else None

    def forward(self, field: Tensor) -> Tensor:
        for block in self.blocks:
            field = block(field)
        return field if self.downsample is None else cast(Tensor, self.downsample(field))


class _Patches(nn.Module):
    def __init__(self, sizes: SwinSizes) -> None:
        super().__init__()
        self.projection = nn.Conv2d(sizes.channels, sizes.width, sizes.patch, stride=sizes.patch)


class _Embeddings(nn.Module):
    def __init__(self, sizes: SwinSizes) -> None:
        super().__init__()
        self.patch_embeddings = _Patches(sizes)
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.norm(self.patch_embeddings.projection(images).permute(0, 2, 3, 1)))


class _Encoder(nn.Module):
    def __init__(self, sizes: SwinSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Stage(stage, sizes) for stage in range(len(sizes.depths)))


class SliceSwin(nn.Module):
    """The vision tower (a ``FeatureTower`` of slices): volumes (B, 1, X, Y, Z) to one token a slice (B, S, width)."""

    def __init__(self, sizes: SwinSizes, slicing: Slicing) -> None:
        super().__init__()
        self.sizes = sizes
        self.slicing = slicing
        self.width = sizes.final_width
        self.embeddings = _Embeddings(sizes)
        self.encoder = _Encoder(sizes)
        self.layernorm = nn.LayerNorm(self.width, eps=sizes.norm_eps)

    def image_tokens(self, images: Tensor) -> Tensor:
        """Normalised images (N, 1 or 3, H, W) to tokens after the final norm (N, T, width), rows slowest."""
        field = self.embeddings(images.expand(-1, self.sizes.channels, -1, -1))
        for stage in self.encoder.layers:
            field = stage(field)
        return cast(Tensor, self.layernorm(field.flatten(1, 2)))

    def features(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) in 0..1 to the mean token of each slice that is read (B, S, width)."""
        planes = read_slices(volumes, self.slicing, self.sizes.image)
        images = (planes.flatten(0, 1)[:, None] - MEAN) / STD
        return self.image_tokens(images).mean(dim=1).reshape(*planes.shape[:2], -1)

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (every slice is real)
        """The mean over slices (B, width)."""
        return tokens.mean(dim=1)

    def forward(self, volumes: Tensor) -> Tensor:
        """As ``features``."""
        return self.features(volumes)
