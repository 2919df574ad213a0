"""Visual prompts: learned vectors beside the patches, fresh for every layer (deep) or only before the first (shallow).

Eq. 1-3 of DEFT (arXiv 2509.07613); Jia et al. 2022, arXiv 2203.12119.
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field

from voxtune.errors import SettingError
from voxtune.model.extra_tokens import ExtraTokens, normal_vectors, uniform_vectors
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class VisualPrompts(Settings):
    """``length`` prompts of the tower's width in each layer; the tower stays frozen."""

    needs_layers: ClassVar[bool] = True
    """A convolutional tower gets a bridge."""

    length: int = Field(20, ge=1, le=512)
    deep: bool = True
    init: Literal["normal", "vpt"] = "normal"
    """Truncated normal (the paper's code), or VPT's uniform(-v, v) with v = sqrt(6 / (3 prod(patch) + width))."""
    init_std: float = Field(0.02, gt=0)

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:
        """Add the prompts to the vision side.

        Raises:
            SettingError: on the text side, or ``init: vpt`` on a tower that states no patch.
        """
        if encoder is not model.vision:
            raise SettingError(
                "text", "a method of the text side (text_prompts, lora, ...)", "visual_prompts"
            )
        layers = encoder.depth if self.deep else 1
        if self.init == "normal":
            vectors = normal_vectors(layers, self.length, encoder.width, self.init_std, generator)
        else:
            patch = getattr(encoder.tower, "patch", None)
            if patch is None:
                raise SettingError("init", "'normal' on a tower without a patch size", self.init)
            bound = math.sqrt(6.0 / (3 * math.prod(patch) + encoder.width))
            vectors = uniform_vectors(layers, self.length, encoder.width, bound, generator)
        encoder.add(ExtraTokens("prompt", vectors))
