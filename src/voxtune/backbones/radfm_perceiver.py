"""RadFM's perceiver: a fixed number of learned latents read any number of tokens (Alayrac et al. 2022, arXiv 2204.14198)."""

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.types.settings import Settings


class PerceiverSizes(Settings):
    """Sizes of the perceiver; the defaults are the published ones."""

    latents: int = Field(32, ge=1)
    depth: int = Field(6, ge=1)
    heads: int = Field(8, ge=1)
    head_width: int = Field(64, ge=1)
    mlp: int = Field(3072, ge=1)


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """Tokens (B, T, heads * n) to (B, heads, T, n)."""
    return tokens.reshape(*tokens.shape[:2], heads, -1).transpose(1, 2)


class _LatentAttention(nn.Module):
    """Latents ask; the media tokens and the latents themselves answer."""

    def __init__(self, width: int, sizes: PerceiverSizes) -> None:
        super().__init__()
        inner = sizes.heads * sizes.head_width
        self.heads = sizes.heads
        self.norm_media = nn.LayerNorm(width)
        self.norm_latents = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, media: Tensor, latents: Tensor, mask: Tensor | None = None) -> Tensor:
        asking = self.norm_latents(latents)
        keys, values = self.to_kv(torch.cat([self.norm_media(media), asking], dim=1)).chunk(2, dim=-1)
        q, k, v = (split_heads(part, self.heads) for part in (self.to_q(asking), keys, values))
        allowed = None
        if mask is not None:
            allowed = torch.cat([mask, mask.new_ones(latents.shape[:2])], dim=1)[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return cast(Tensor, self.to_out(mixed.transpose(1, 2).flatten(2)))


def _layer(width: int, sizes: PerceiverSizes) -> nn.ModuleList:
    perceptron = nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, sizes.mlp, bias=False),
        nn.GELU(),
        nn.Linear(sizes.mlp, width, bias=False),
    )
    return nn.ModuleList([_LatentAttention(width, sizes), perceptron])


class Perceiver(nn.Module):
    """Tokens (B, T, width) of any count to a fixed number of latents (B, n, width)."""

    def __init__(self, width: int, sizes: PerceiverSizes) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(sizes.latents, width))
        self.layers = nn.ModuleList(_layer(width, sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, T, width), real where ``mask`` is True (B, T), to latents after the final norm (B, n, width)."""
        latents = self.latents.expand(len(tokens), -1, -1)
        for layer in self.layers:
            attention, perceptron = cast(nn.ModuleList, layer)
            latents = latents + attention(tokens, latents, mask)
            latents = latents + perceptron(latents)
        return cast(Tensor, self.norm(latents))
