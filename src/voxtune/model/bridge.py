"""A short trained transformer over the last feature map of a convolutional tower, so that prompts have layers to enter.

DCFormer and I3ResNet have no token sequence (method.md A3): ``visual_prompts`` and the MMSE token act here. Every block is
the identity at the start, so that the read-out begins as the frozen tower's own.
"""

from typing import cast

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from voxtune.types.protocols import FeatureTower


class BridgeBlock(nn.Module):
    """Pre-norm attention and perceptron; their last layers start at zero."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, 2 * width)
        self.linear2 = nn.Linear(2 * width, width)
        for last in (self.out, self.linear2):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, T, width) to tokens (B, T, width)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm1(tokens)).chunk(3, dim=-1)
        )
        allowed = None if mask is None else mask[:, None, None, :]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        tokens = tokens + self.out(attended.transpose(1, 2).flatten(2))
        return tokens + cast(Tensor, self.linear2(F.gelu(self.linear1(self.norm2(tokens)))))


class Bridge(nn.Module):
    """A feature tower seen as a token tower: its feature map, then ``depth`` trained blocks."""

    lead = 0

    def __init__(self, tower: FeatureTower, depth: int = 2) -> None:
        super().__init__()
        self.tower = tower
        self.width = tower.width
        heads = max(h for h in (1, 2, 4, 8) if tower.width % h == 0)
        self.blocks = nn.ModuleList(BridgeBlock(tower.width, heads) for _ in range(depth))

    def embed(self, inputs: Float[Tensor, "B C X Y Z"]) -> Float[Tensor, "B T D"]:
        """The last feature map as tokens."""
        return self.tower.features(inputs)

    def finish(self, tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Nothing follows the last block."""
        return tokens

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The tower's own read-out (B, width)."""
        return self.tower.pool(tokens, mask)
