"""LGA, the language-guided adapter: text tokens read the image, then the image reads them, between layers of a frozen tower.

Hu et al., MICCAI 2024. Before layers 0, 4 and 8 of 12 (thirds of any other depth) and after the last. Its perceptron towards the
image is not gated, so unlike most methods it does not start as the frozen tower.

The text that guides is the same for every scan: a scan's own report holds its diagnosis and would not be there at inference.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.errors import SettingError
from voxtune.model.between_layers import BetweenLayers
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.protocols import is_sparse_tower
from voxtune.types.settings import Settings


class Lga(Settings):
    """Interaction blocks whose attention is ``width / reduction`` wide; the texts are read once by the frozen text tower."""

    needs_layers: ClassVar[bool] = True
    """A convolutional tower gets a bridge."""

    reduction: int = Field(8, ge=1)
    mlp_ratio: float = Field(0.25, gt=0, le=8)
    texts: tuple[str, ...] = Field(("A photo of NC", "A photo of MCI", "A photo of AD"), min_length=1)
    """What guides: one token each."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:
        """Put the blocks between the layers.

        Raises:
            SettingError: on the text side, or a second one; texts that the backbone's tokenizer reads as the same.
            WeightsError: the backbone has no tokenizer for the texts.
        """
        if encoder is not model.vision:
            raise SettingError("text", "a method of the text side (text_prompts, lora, ...)", "lga")
        if is_sparse_tower(encoder.tower):  # its texts would read the rows that fill up short scans
            raise SettingError(
                "vision", f"a method that reads no whole sequence: {model.backbone.name} drops patches", "lga"
            )
        tower = model.backbone.text
        ids, mask = (
            part.to(next(tower.parameters()).device) for part in model.backbone.tokenize(list(self.texts))
        )
        if len(torch.unique(ids * mask, dim=0)) < len(
            self.texts
        ):  # one key twice is one key: nothing to choose between
            raise SettingError("lga.texts", "texts that the backbone's tokenizer tells apart", self.texts)
        with torch.no_grad():
            guide = tower.pool(tower(ids, mask), mask)  # type: ignore[operator]  # towers have a read-out
        depth = encoder.depth
        places = sorted({third * depth // 3 for third in range(3)} | {depth})
        width = encoder.width
        inner, hidden = max(1, width // self.reduction), max(1, round(width * self.mlp_ratio))
        blocks = {str(place): InteractionBlock(width, inner, hidden) for place in places}
        layers = Interactions(nn.ModuleDict(blocks), guide, width)
        layers.start_from(generator)
        encoder.insert("lga", layers)


class _Attention(nn.Module):
    """One head, ``inner`` wide."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, asking: Tensor, answering: Tensor) -> Tensor:
        """Queries (B, T, width) read keys and values (B, S, width)."""
        q, k, v = self.q_proj(asking), self.k_proj(answering), self.v_proj(answering)
        mixed: Tensor = self.out_proj(
            F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        )
        return mixed


class _Perceptron(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.lin2(F.relu(self.lin1(tokens)))
        return found


class _Half(nn.Module):
    """One direction: norms of both sides, attention, perceptron. Names are those of the published checkpoints."""

    def __init__(self, width: int, inner: int, hidden: int) -> None:
        super().__init__()
        self.vit_norm = nn.LayerNorm(width)
        self.adapter_norm = nn.LayerNorm(width)
        self.mlp_norm = nn.LayerNorm(width)
        self.atten = _Attention(width, inner)
        self.mlp = _Perceptron(width, hidden)


class _Extractor(_Half):
    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """The text reads the image."""
        text = text + self.atten(self.adapter_norm(text), self.vit_norm(image))
        found: Tensor = text + self.mlp(self.mlp_norm(text))
        return found


class _Injector(_Half):
    def __init__(self, width: int, inner: int, hidden: int) -> None:
        super().__init__(width, inner, hidden)
        self.gamma = nn.Parameter(torch.zeros(width))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """The image reads the text, gated; then a perceptron that is not."""
        image = image + self.gamma * self.atten(self.vit_norm(image), self.adapter_norm(text))
        found: Tensor = image + self.mlp(self.mlp_norm(image))
        return found


class InteractionBlock(nn.Module):
    """Extractor, then injector: image (B, T, width) and text (B, K, width) to both, moved on."""

    def __init__(self, width: int, inner: int, hidden: int) -> None:
        super().__init__()
        self.extractor = _Extractor(width, inner, hidden)
        self.injector = _Injector(width, inner, hidden)

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The image reads the text that has read it."""
        text = self.extractor(text, image)
        return self.injector(image, text), text


class Interactions(BetweenLayers):
    """Blocks by the layer they stand before; the guiding texts (K, text width) travel from one to the next."""

    guide: Tensor

    def __init__(self, blocks: nn.ModuleDict, guide: Tensor, width: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.register_buffer("guide", guide, persistent=False)
        self.fit: nn.Module = nn.Identity() if guide.shape[1] == width else nn.Linear(guide.shape[1], width)

    def start_from(self, generator: torch.Generator) -> None:
        """Linears from a truncated normal of sd 0.02 without shift, as published."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
                nn.init.zeros_(module.bias)

    def start(self, count: int) -> Tensor:
        """The texts for every scan (B, K, width)."""
        found: Tensor = self.fit(self.guide)
        return found.expand(count, -1, -1)

    def forward(self, sequence: Tensor, layer: int, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Interact where a block stands; the whole sequence takes part."""
        if str(layer) not in self.blocks:
            return sequence, state
        assert state is not None
        image, text = self.blocks[str(layer)](sequence, regrouped(state, len(sequence)))
        return image, text


def regrouped(text: Tensor, rows: int) -> Tensor:
    """The texts of each scan for a tower that cuts scans into groups of rows (HLIP): repeated, or averaged back."""
    if rows >= len(text):
        return text.repeat_interleave(rows // len(text), dim=0)
    return text.reshape(rows, -1, *text.shape[1:]).mean(dim=1)
