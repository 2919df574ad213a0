"""The mixer of Med3DVLM: two maps of DCFormer become the image tokens of a language model.

Kept beside the backbone for parity and for read-outs that want both scales; classification does not need it.
"""

from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, LoadReport, build


class Med3dVlmMixer(Settings):
    """Settings of the mixer; the defaults are the published sizes."""

    weights: Path | None = None
    low: tuple[int, int] = (256, 384)
    """Tokens and channels of the last map but one."""
    low_tokens: tuple[int, ...] = (192, 128)
    """Tokens after each layer."""
    high: tuple[int, int] = (32, 768)
    high_tokens: tuple[int, ...] = (64, 128)
    width: int = Field(3584, ge=1)
    """Channels after the last layer; each layer before has half of the next."""
    mlp_depth: int = Field(2, ge=1)
    seed: int = 0

    def build(self) -> "MixerModel":
        """The mixer in eval mode, from the weights file or new."""
        return build(lambda: MixerModel(self), self.weights, KeyRules(model="med3dvlm mixer"), seed=self.seed)


class _Perceptron(nn.Module):
    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        rest = (nn.Sequential(nn.GELU(), nn.Linear(outputs, outputs)) for _ in range(depth - 1))
        self.mm_projector = nn.Sequential(nn.Linear(inputs, outputs), *rest)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.mm_projector(tokens))


class _Layer(nn.Module):
    """Mix tokens, then channels; nothing is added back."""

    def __init__(self, before: tuple[int, int], after: tuple[int, int], depth: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(before[1])
        self.mlp1 = _Perceptron(before[0], after[0], depth)
        self.ln2 = nn.LayerNorm(before[1])
        self.mlp2 = _Perceptron(before[1], after[1], depth)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = self.mlp1(self.ln1(tokens).mT).mT
        return cast(Tensor, self.mlp2(self.ln2(tokens)))


def _stream(first: tuple[int, int], counts: tuple[int, ...], settings: Med3dVlmMixer) -> nn.Sequential:
    last = len(counts) - 1
    shapes = [first, *((count, settings.width // 2 ** (last - index)) for index, count in enumerate(counts))]
    return nn.Sequential(*(_Layer(before, after, settings.mlp_depth) for before, after in pairwise(shapes)))


class MixerModel(nn.Module):
    """Low (B, tokens, channels) and high (B, tokens, channels) to image tokens (B, n, width), low first."""

    loaded: LoadReport | None = None

    def __init__(self, settings: Med3dVlmMixer) -> None:
        super().__init__()
        self.low_mixer = _stream(settings.low, settings.low_tokens, settings)
        self.high_mixer = _stream(settings.high, settings.high_tokens, settings)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Both streams side by side along the tokens."""
        return torch.cat([self.low_mixer(low), self.high_mixer(high)], dim=1)
