"""Full fine-tuning: every parameter of a tower and of the backbone's own projection is trained."""

import torch
from torch import nn

from voxtune.model.injection import frozen_tower, is_unread, side_of
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class Full(Settings):
    """The tower is not frozen. Statistics of batch normalisation and the codebook of CT-CLIP stay as they are stored.

    The adapter of such a run is as large as what it trains.
    """

    projection: bool = True
    """The backbone's own projection into the joint space is trained too."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:  # noqa: ARG002
        """Un-freeze the tower, except what only its published file needs."""
        tower = frozen_tower(model, encoder)
        for name, value in tower.named_parameters():
            value.requires_grad_(not is_unread(tower, name))
        projection = getattr(model.backbone, f"{side_of(model, encoder)}_projection", None)
        if self.projection and isinstance(projection, nn.Module):
            projection.requires_grad_(requires_grad=True)
