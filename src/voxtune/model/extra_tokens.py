"""Learned vectors that travel with a frozen tower's own tokens: prompts and the tokens of targets (the first seam)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

PROMPT = "prompt"
"""The name of the prompts. They follow the tokens of targets: [CLS, MMSE, P_1..P_n, patches] (method.md A3)."""


class ExtraTokens(nn.Module):
    """Learned vectors (layers, length, width): one set carried through all layers, or a fresh set for every layer (deep)."""

    def __init__(self, name: str, vectors: Float[Tensor, "layers length width"]) -> None:
        super().__init__()
        self.name = name
        self.vectors = nn.Parameter(vectors)

    @property
    def length(self) -> int:
        """Tokens it adds to the sequence."""
        return self.vectors.shape[1]

    def at(self, layer: int) -> Float[Tensor, "length width"] | None:
        """The vectors that enter before this layer; ``None`` where what is there is carried on."""
        if layer < self.vectors.shape[0]:
            return self.vectors[layer]
        return None


def normal_vectors(
    layers: int, length: int, width: int, std: float, generator: torch.Generator
) -> Float[Tensor, "layers length width"]:
    """Truncated normal vectors (at two standard deviations), the paper's start."""
    return nn.init.trunc_normal_(
        torch.empty(layers, length, width), std=std, a=-2 * std, b=2 * std, generator=generator
    )


def uniform_vectors(
    layers: int, length: int, width: int, bound: float, generator: torch.Generator
) -> Float[Tensor, "layers length width"]:
    """Uniform vectors in -bound..bound, the start of visual prompt tuning (Jia et al. 2022)."""
    return torch.empty(layers, length, width).uniform_(-bound, bound, generator=generator)
