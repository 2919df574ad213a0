"""Linear probe: one trained matrix on the frozen vector of a side, nothing inside the tower (Radford et al. 2021, arXiv 2103.00020).

The classes are the class texts, so the probe is a square layer in the joint space and no head per class: with fewer classes than
dimensions it reaches every linear classifier of the frozen vector. It starts as zero-shot and new classes need only new texts.
"""

import torch
from torch import nn

from voxtune.model.heads import Projection
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.settings import Settings


class LinearProbe(Settings):
    """Train the projection of this side (Eq. 4 or 7) whatever ``projections`` says of both."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:  # noqa: ARG002
        """Put the layer where there is none; it starts as the identity."""
        side = "image" if encoder is model.vision else "text"
        if isinstance(getattr(model, f"{side}_projection"), nn.Identity):
            setattr(model, f"{side}_projection", Projection(model.backbone.embed_dim))
