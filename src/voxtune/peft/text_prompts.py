"""Text prompts: learned vectors inserted after [CLS] at the input of the frozen text encoder (Eq. 6 of DEFT)."""

import torch
from pydantic import Field

from voxtune.errors import SettingError
from voxtune.model.extra_tokens import ExtraTokens, normal_vectors
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class TextPrompts(Settings):
    """``length`` prompts carried through all layers; the mask covers them, padding stays masked."""

    length: int = Field(30, ge=1, le=512)
    deep: bool = False
    """A fresh set before every layer instead."""
    init_std: float = Field(0.02, gt=0)

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:
        """Add the prompts to the text side.

        Raises:
            SettingError: on the vision side.
        """
        if encoder is not model.text:
            raise SettingError(
                "vision", "a method of the vision side (visual_prompts, lora, ...)", "text_prompts"
            )
        layers = encoder.depth if self.deep else 1
        encoder.add(
            ExtraTokens(
                "prompt", normal_vectors(layers, self.length, encoder.width, self.init_std, generator)
            )
        )
