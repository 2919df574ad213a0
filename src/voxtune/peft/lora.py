"""LoRA: a product of two thin matrices beside frozen layers of a tower (Hu et al. 2021, arXiv 2106.09685), through Hugging Face peft.

Variants: DoRA (Liu et al. 2024, arXiv 2402.09353) trains the length of each row beside its direction; rsLoRA (Kalajdzievski 2023,
arXiv 2312.03732) divides by the root of the rank. All start as the frozen tower.
"""

from typing import Literal

import torch
from pydantic import Field

from voxtune.model.injection import Targets, chosen_targets, frozen_tower, inject, side_of
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class Lora(Settings):
    """Rank-``rank`` updates of the attention linears of either tower, or of the layers that ``targets`` name."""

    rank: int = Field(8, ge=1, le=1024)
    alpha: float | None = Field(None, gt=0)
    """The update is multiplied by alpha / rank (rsLoRA: alpha / sqrt(rank)); ``None``: twice the rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Targets = ()
    """Ends of layer names (``attn.qkv``, ``query``) or regular expressions of whole ones. Empty: the linears of the attention
    layers; of a convolutional tower its linears and 1x1 convolutions."""
    variant: Literal["lora", "dora", "rslora"] = "lora"

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:
        """Swap the layers; everything else stays as it is.

        Raises:
            SettingError: a target that is no layer of this tower, or a second method that swaps layers.
        """
        from peft import LoraConfig

        names = chosen_targets(frozen_tower(model, encoder), self.targets, side_of(model, encoder))
        alpha = 2.0 * self.rank if self.alpha is None else self.alpha
        config = LoraConfig(
            r=self.rank,
            lora_alpha=alpha,
            lora_dropout=self.dropout,
            target_modules=names,
            use_dora=self.variant == "dora",
            use_rslora=self.variant == "rslora",
        )
        inject(model, encoder, config, generator)
