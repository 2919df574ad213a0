"""Merlin: an inflated ResNet-152 and Clinical-Longformer trained on abdominal CT (Blankemeier et al. 2024, arXiv 2406.06512).

The published forward compares by plain cosine; the stored ``logit_scale`` takes no part in it.
"""

import re
from pathlib import Path
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.backbones.merlin_text import LongformerSizes, LongformerTower
from voxtune.backbones.merlin_vision import I3ResNet, I3ResNetSizes
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="merlin",
    rename=(
        (r"^encode_image\.i3_resnet\.contrastive_head\.", "vision_projection."),
        (r"^encode_image\.i3_resnet\.classifier\.", "classifier."),
        (r"^encode_image\.i3_resnet\.", "vision."),
        (r"^encode_text\.text_encoder\.", "text."),
        (r"^encode_text\.linear_layer\.", "text_projection."),
    ),
    drop=(
        (r"\.(query|key|value)_global\.", "no token has global attention"),
        (r"text_encoder\.pooler\.", "pooler output is not used"),
    ),
)

WORDS = re.compile(r"\w+|[^\w\s]+")
"""Words and runs of punctuation: the texts of the published training were cut so and joined by spaces."""


class Merlin(Settings):
    """Settings of Merlin; the defaults are the published sizes."""

    weights: Path | None = None
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    volume: tuple[int, int, int] = (224, 224, 160)
    """Height, width, depth of the volumes that come (RAS axes x, y, z); any size works."""
    vision: I3ResNetSizes = I3ResNetSizes()
    text: LongformerSizes = LongformerSizes()
    max_length: int = Field(1024, ge=2)
    """Tokens of a text at most."""
    embed: int = Field(512, ge=1)
    phenotypes: int = Field(1692, ge=1)
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"num_attention_heads": self.text.heads}

    def build(self) -> "MerlinModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: MerlinModel(self), self.weights, RULES, seed=self.seed)


def _pointwise(head: nn.Module, features: Tensor) -> Tensor:
    """A 1x1x1 convolution on features (..., width), through the module, so that what wraps it takes part."""
    rows = features.reshape(-1, features.shape[-1], 1, 1, 1)
    return cast(Tensor, head(rows)).reshape(*features.shape[:-1], -1)


class MerlinModel(DualEncoder):
    """Merlin (a ``Backbone``). Volumes are (B, 1, H, W, D) in 0..1: HU -1000..1000, depth last."""

    name = "merlin"

    def __init__(self, settings: Merlin) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (1, *settings.volume)
        self.vision = I3ResNet(settings.vision)
        self.text = LongformerTower(settings.text)
        self.pad = settings.text.pad
        self.vision_projection = nn.Conv3d(settings.vision.width, settings.embed, 1)
        self.classifier = nn.Conv3d(settings.vision.width, settings.phenotypes, 1)
        self.text_projection = nn.Linear(settings.text.width, settings.embed)
        self.logit_scale = nn.Parameter(torch.ones(()))
        self.tokenizer = Tokenizer(
            settings.tokenizer, max_length=settings.max_length, pad=self.pad, lowercase=False
        )

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts, in lower case and cut into words and punctuation, to token ids and mask (B, L)."""
        return self.tokenizer([" ".join(WORDS.findall(text.lower())) for text in texts])

    def contrastive(self, pooled: Tensor) -> Tensor:
        """Vision features (..., width) to the joint space, not normalised (..., embed)."""
        return _pointwise(self.vision_projection, pooled)

    def phenotype_logits(self, pooled: Tensor) -> Tensor:
        """Pooled vision features (B, width) to a logit for each phenotype of the health records (B, phenotypes)."""
        return _pointwise(self.classifier, pooled)

    def project_image(self, pooled: Tensor) -> Tensor:
        """Vision features (..., width) to unit vectors (..., embed)."""
        return F.normalize(self.contrastive(pooled), dim=-1)

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to their cosine (B, N)."""
        return image @ text.mT
