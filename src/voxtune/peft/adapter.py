"""Bottleneck adapters: a small two-layer perceptron after every layer of a frozen tower (Houlsby et al. 2019, arXiv 1902.00751).

One a layer, after its perceptron (Pfeiffer et al. 2021, arXiv 2005.00247).
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.model.between_layers import BetweenLayers
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class Adapter(Settings):
    """Adapters ``width`` wide inside, on either side; a convolutional tower has no layers and gets one on its last feature map."""

    width: int = Field(64, ge=1, le=4096)

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:  # noqa: ARG002
        """Put them between the layers.

        Raises:
            SettingError: there are adapters already.
        """
        places = list(range(1, encoder.depth + 1)) or [0]
        encoder.insert("adapter", Bottlenecks(places, encoder.width, self.width, generator))


class Bottleneck(nn.Module):
    """x + up(GELU(down(norm(x)))); ``up`` starts at zero, so it starts as the identity."""

    def __init__(self, width: int, inner: int, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, inner)
        self.up = nn.Linear(inner, width)
        nn.init.normal_(self.down.weight, std=width**-0.5, generator=generator)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T, width) to tokens (B, T, width)."""
        found: Tensor = tokens + self.up(F.gelu(self.down(self.norm(tokens))))
        return found


class Bottlenecks(BetweenLayers):
    """One bottleneck at each of these places: place i is after layer i - 1 of the tower, place 0 before its first."""

    def __init__(self, places: list[int], width: int, inner: int, generator: torch.Generator) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({str(place): Bottleneck(width, inner, generator) for place in places})

    def forward(self, sequence: Tensor, layer: int, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the layer before gave, adapted."""
        key = str(layer)
        return (self.blocks[key](sequence) if key in self.blocks else sequence), state
