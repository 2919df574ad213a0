"""BERT as a token tower: the text side of M3D-CLIP, CT-CLIP (CXR-BERT), MedCLIP, BiomedCLIP, HLIP and ``tiny``.

Written here and not taken from transformers because learned prompts enter between the embedding and the first layer
(method.md A4), which no released version of that library lets one do; the parameter names are those of its checkpoints.
Source: Devlin et al. 2019, arXiv 1810.04805.
"""

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.types.settings import Settings


class BertSizes(Settings):
    """Sizes of a BERT encoder; the defaults are BERT-base."""

    vocab: int = Field(30522, ge=8)
    width: int = Field(768, ge=4)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(3072, ge=4)
    max_length: int = Field(512, ge=2)
    token_types: int = Field(2, ge=1)
    norm_eps: float = 1e-12
    pooler: bool = True
    """Keep the (never used) pooler parameters, so that published files load whole."""


class _Embeddings(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocab, sizes.width, padding_idx=0)
        self.position_embeddings = nn.Embedding(sizes.max_length, sizes.width)
        self.token_type_embeddings = nn.Embedding(sizes.token_types, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)
        total = (
            self.word_embeddings(ids)
            + self.position_embeddings(positions)
            + self.token_type_embeddings.weight[0]
        )
        return cast(Tensor, self.LayerNorm(total))


class _SelfAttention(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.query = nn.Linear(sizes.width, sizes.width)
        self.key = nn.Linear(sizes.width, sizes.width)
        self.value = nn.Linear(sizes.width, sizes.width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (
            part(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, L, width / heads)
            for part in (self.query, self.key, self.value)
        )
        keys_allowed = None if mask is None else mask[:, None, None, :]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=keys_allowed).transpose(1, 2).flatten(2)


class _Output(nn.Module):
    """Linear, then the norm of the sum with what came in."""

    def __init__(self, inner: int, sizes: BertSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, inner: Tensor, residual: Tensor) -> Tensor:
        return cast(Tensor, self.LayerNorm(self.dense(inner) + residual))


class _Attention(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.self = _SelfAttention(sizes)
        self.output = _Output(sizes.width, sizes)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        return cast(Tensor, self.output(self.self(tokens, mask), tokens))


class _Intermediate(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.width, sizes.mlp)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.gelu(self.dense(tokens))


class BertBlock(nn.Module):
    """One post-norm layer: tokens (B, L, width) and key mask (B, L) to tokens (B, L, width)."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.attention = _Attention(sizes)
        self.intermediate = _Intermediate(sizes)
        self.output = _Output(sizes.mlp, sizes)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend, then the two-layer perceptron, each followed by its norm."""
        attended = self.attention(tokens, mask)
        return cast(Tensor, self.output(self.intermediate(attended), attended))


class _Encoder(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertBlock(sizes) for _ in range(sizes.depth))


class _Pooler(nn.Module):
    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.width, sizes.width)


class BertTower(nn.Module):
    """BERT without dropout: token ids (B, L) to tokens (B, L, width); read-out is token 0 ([CLS])."""

    lead = 1
    unread = ("pooler",)
    """Parts that only the published files need."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.width = sizes.width
        self.embeddings = _Embeddings(sizes)
        self.encoder = _Encoder(sizes)
        if sizes.pooler:
            self.pooler = _Pooler(sizes)

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers, each called ``block(tokens, mask)``."""
        return self.encoder.layer

    def embed(self, inputs: Tensor) -> Tensor:
        """Token ids (B, L) to the normalised sum of word, position and type-0 embeddings (B, L, width)."""
        return cast(Tensor, self.embeddings(inputs))

    def finish(self, tokens: Tensor) -> Tensor:
        """BERT ends with its last layer's norm: nothing follows."""
        return tokens

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (CLS needs no mask)
        """[CLS] (B, width)."""
        return tokens[:, 0]

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token ids (B, L), mask True where a token is real, to tokens after the last layer (B, L, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)
