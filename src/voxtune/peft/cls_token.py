"""Trained CLS: the class token that enters the first layer of a frozen tower is moved by a learned vector, zero at the start.

DEFT's text freezes CLS with the encoder, its published code trains it. The frozen token stays in the base; the adapter holds the move.
"""

import torch
from torch import nn

from voxtune.errors import SettingError
from voxtune.model.injection import side_of
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class ClsToken(Settings):
    """One vector for each lead token of the tower of this side."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:  # noqa: ARG002
        """Add the move.

        Raises:
            SettingError: the tower has no class token.
        """
        if not encoder.tower.lead:
            side = side_of(model, encoder)
            raise SettingError(
                side, "a tower that reads out a class token", f"cls_token on {model.backbone.name}"
            )
        encoder.lead_shift = nn.Parameter(torch.zeros(encoder.tower.lead, encoder.width))
