"""Leave empty tokens out (``vision.skip_empty``): a setting of the vision side that trains nothing and makes every step cheaper.

It changes the numbers: a frozen tower was taught with its empty patches. ``docs/concepts/training-cost.md`` says by how much.
"""

from typing import ClassVar, cast

import torch

from voxtune.errors import SettingError
from voxtune.model.skip_empty import skipping
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.protocols import TokenTower
from voxtune.types.settings import Settings


class SkipEmpty(Settings):
    """Tokens that hold nothing but background never enter the tower's layers; the rule is in ``model/skip_empty.py``."""

    changes_base: ClassVar[bool] = True
    """It is attached before every other method, and the frozen base that a run is compared with reads scans the same way."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:  # noqa: ARG002
        """Put the tower that skips in the place of the tower.

        Raises:
            SettingError: on the text side, with texts that attend to single patches, or on a tower that needs every token.
        """
        if encoder is not model.vision:
            raise SettingError("text", "a method of the text side (text_prompts, lora, ...)", "skip_empty")
        if model.needs_patches:
            raise SettingError(
                "aggregation",
                "'batch' or 'none' with vision.skip_empty: scans have different numbers of tokens",
                "tokens",
            )
        encoder.tower = cast(TokenTower, skipping(encoder.tower, model.backbone.name))
        model.base_identity = f"{model.base_identity}|skip_empty"
