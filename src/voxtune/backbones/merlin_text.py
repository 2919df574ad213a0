"""Longformer without global attention, the text tower of Merlin (Beltagy et al. 2020, arXiv 2004.05150).

Upstream marks no token as global, so a token attends to those at most half a window away, token 0 too. At the lengths of
reports (1024 tokens at most) a banded mask on ordinary attention is the same function and simpler than blocks.
"""

from typing import Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.types.settings import Settings


class LongformerSizes(Settings):
    """Sizes of Longformer; the defaults are those of ``yikuan8/Clinical-Longformer``."""

    vocab: int = Field(50265, ge=8)
    width: int = Field(768, ge=4)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(3072, ge=4)
    window: int = Field(512, ge=2, multiple_of=2)
    """Attention reaches half of it to either side."""
    positions: int = Field(4098, ge=2)
    """Rows of the position table; the first is that of ``pad`` + 1."""
    token_types: int = Field(1, ge=1)
    pad: int = Field(1, ge=0)
    norm_eps: float = 1e-5

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        return self


class _Embeddings(nn.Module):
    def __init__(self, sizes: LongformerSizes) -> None:
        super().__init__()
        self.pad = sizes.pad
        self.word_embeddings = nn.Embedding(sizes.vocab, sizes.width, padding_idx=sizes.pad)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.width, padding_idx=sizes.pad)
        self.token_type_embeddings = nn.Embedding(sizes.token_types, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        real = (ids != self.pad).long()
        places = real.cumsum(dim=1) * real + self.pad
        total = (
            self.word_embeddings(ids)
            + self.position_embeddings(places)
            + self.token_type_embeddings.weight[0]
        )
        return cast(Tensor, self.LayerNorm(total))


class _SelfAttention(nn.Module):
    def __init__(self, sizes: LongformerSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.reach = sizes.window // 2
        self.query, self.key, self.value = (nn.Linear(sizes.width, sizes.width) for _ in range(3))

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        split = (*tokens.shape[:2], self.heads, -1)
        q, k, v = (part(tokens).reshape(split).transpose(1, 2) for part in (self.query, self.key, self.value))
        places = torch.arange(tokens.shape[1], device=tokens.device)
        apart = (places[:, None] - places[None, :]).abs()
        allowed = (apart <= self.reach)[None, None]
        if mask is not None:
            # A token always sees itself, so that rows of padding stay numbers; real tokens are not changed by it.
            allowed = (allowed & mask[:, None, None, :]) | (apart == 0)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed).transpose(1, 2).flatten(2)


class _Output(nn.Module):
    def __init__(self, inner: int, sizes: LongformerSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, inner: Tensor, residual: Tensor) -> Tensor:
        return cast(Tensor, self.LayerNorm(self.dense(inner) + residual))


class _Attention(nn.Module):
    def __init__(self, sizes: LongformerSizes) -> None:
        super().__init__()
        self.self = _SelfAttention(sizes)
        self.output = _Output(sizes.width, sizes)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        return cast(Tensor, self.output(self.self(tokens, mask), tokens))


class _Intermediate(nn.Module):
    def __init__(self, sizes: LongformerSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.width, sizes.mlp)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.gelu(self.dense(tokens))


class _Block(nn.Module):
    def __init__(self, sizes: LongformerSizes) -> None:
        super().__init__()
        self.attention = _Attention(sizes)
        self.intermediate = _Intermediate(sizes)
        self.output = _Output(sizes.mlp, sizes)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        attended = self.attention(tokens, mask)
        return cast(Tensor, self.output(self.intermediate(attended), attended))


class _Encoder(nn.Module):
    def __init__(self, sizes: LongformerSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Block(sizes) for _ in range(sizes.depth))


class LongformerTower(nn.Module):
    """A ``TokenTower``: token ids (B, L) to tokens (B, L, width); read-out is token 0."""

    lead = 1

    def __init__(self, sizes: LongformerSizes) -> None:
        super().__init__()
        self.width = sizes.width
        self.embeddings = _Embeddings(sizes)
        self.encoder = _Encoder(sizes)

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers, each called ``block(tokens, mask)``."""
        return self.encoder.layer

    def embed(self, inputs: Tensor) -> Tensor:
        """Token ids (B, L) to the normalised sum of word, position and type-0 embeddings (B, L, width)."""
        return cast(Tensor, self.embeddings(inputs))

    def finish(self, tokens: Tensor) -> Tensor:
        """The last layer ends with its norm: nothing follows."""
        return tokens

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (token 0 needs no mask)
        """Token 0 (B, width)."""
        return tokens[:, 0]

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token ids (B, L), mask True where a token is real, to tokens after the last layer (B, L, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)
