"""DistilBERT, the text tower of Med3DVLM (Sanh et al. 2019, arXiv 1910.01108), with the key names of its checkpoints.

Written here for the same reason as ``bert``: learned prompts enter between the embedding and the first layer.
"""

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.types.settings import Settings


class DistilBertSizes(Settings):
    """Sizes of DistilBERT; the defaults are those of ``medicalai/ClinicalBERT``."""

    vocab: int = Field(119547, ge=8)
    width: int = Field(768, ge=4)
    depth: int = Field(6, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(3072, ge=4)
    max_length: int = Field(512, ge=2)
    norm_eps: float = 1e-12


class _Embeddings(nn.Module):
    def __init__(self, sizes: DistilBertSizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocab, sizes.width, padding_idx=0)
        self.position_embeddings = nn.Embedding(sizes.max_length, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        return cast(Tensor, self.LayerNorm(self.word_embeddings(ids) + self.position_embeddings(places)))


class _Attention(nn.Module):
    def __init__(self, sizes: DistilBertSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.q_lin, self.k_lin, self.v_lin, self.out_lin = (
            nn.Linear(sizes.width, sizes.width) for _ in range(4)
        )

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        split = (*tokens.shape[:2], self.heads, -1)
        q, k, v = (
            part(tokens).reshape(split).transpose(1, 2) for part in (self.q_lin, self.k_lin, self.v_lin)
        )
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys_allowed)
        return cast(Tensor, self.out_lin(mixed.transpose(1, 2).flatten(2)))


class _Perceptron(nn.Module):
    def __init__(self, sizes: DistilBertSizes) -> None:
        super().__init__()
        self.lin1 = nn.Linear(sizes.width, sizes.mlp)
        self.lin2 = nn.Linear(sizes.mlp, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.lin2(F.gelu(self.lin1(tokens))))


class _Block(nn.Module):
    def __init__(self, sizes: DistilBertSizes) -> None:
        super().__init__()
        self.attention = _Attention(sizes)
        self.sa_layer_norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.ffn = _Perceptron(sizes)
        self.output_layer_norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = self.sa_layer_norm(tokens + self.attention(tokens, mask))
        return cast(Tensor, self.output_layer_norm(tokens + self.ffn(tokens)))


class _Transformer(nn.Module):
    def __init__(self, sizes: DistilBertSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Block(sizes) for _ in range(sizes.depth))


class DistilBertTower(nn.Module):
    """A ``TokenTower``: token ids (B, L) to tokens (B, L, width); read-out is token 0."""

    lead = 1

    def __init__(self, sizes: DistilBertSizes) -> None:
        super().__init__()
        self.width = sizes.width
        self.embeddings = _Embeddings(sizes)
        self.transformer = _Transformer(sizes)

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers, each called ``block(tokens, mask)``."""
        return self.transformer.layer

    def embed(self, inputs: Tensor) -> Tensor:
        """Token ids (B, L) to the normalised sum of word and position embeddings (B, L, width)."""
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
