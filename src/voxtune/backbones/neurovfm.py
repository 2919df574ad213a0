"""NeuroVFM: a ViT of brain MRI and head CT, pretrained without labels on raw heads (arXiv 2511.18640).

There is no text tower; one of the user's choice (``text_weights``) stands beside it and two projections start new, so before
training its similarities mean nothing. Upstream computes in bfloat16 with CUDA extensions; here it is float32 and plain torch,
so published figures carry roundings that these do not.
"""

import json
import math
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.backbones.neurovfm_vision import NeuroVfmSizes, NeuroVfmVision
from voxtune.errors import WeightsError
from voxtune.storage.seal import read_sealed
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="neurovfm",
    rename=(
        (r"^(student\.)?vision_encoder\.", "vision."),
        (r"^model\.", "vision."),
        (r"^(?=(token_embed|blocks|norm)\.)", "vision."),
    ),
    new=(r"^text\.", r"^(vision|text)_projection\.", r"^logit_scale$"),
)


class NeuroVfm(Settings):
    """Settings of NeuroVFM; the defaults are those of the released model (base) on MRI."""

    weights: Path | None = None
    text_weights: Path | None = None
    """A BERT checkpoint (safetensors) for the text tower; without it the text tower starts new."""
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    vision: NeuroVfmSizes = NeuroVfmSizes()
    embed: int = Field(768, ge=1)
    """Width of the joint space (ours: the published model has none)."""
    text: BertSizes = BertSizes(pooler=False)
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"num_heads": self.vision.heads}

    def build(self) -> "NeuroVfmModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
            _check_statistics(self.weights, self.vision)
        return build(
            lambda: NeuroVfmModel(self), self.weights, RULES, text_weights=self.text_weights, seed=self.seed
        )


def _check_statistics(weights: Path, sizes: NeuroVfmSizes) -> None:
    """Refuse to guess where the card beside the file states statistics of its own, which upstream takes before its defaults."""
    beside = weights.with_name("config.json")
    if sizes.statistics is not None or not beside.is_file():
        return
    said = read_sealed(beside, "the card of the weights").get("normalization_stats")
    if said is not None:
        raise WeightsError(
            f"The card beside {weights.name} states normalization_stats {json.dumps(said)}. Set vision.statistics to the pairs of mean "
            f"and deviation of '{sizes.modality}' in it (upstream's defaults: {sizes.normalisation}), or card='ignore'."
        )


class NeuroVfmModel(DualEncoder):
    """NeuroVFM with a text tower beside it (a ``Backbone``). Volumes are (B, 1, D, H, W), slices first, as its presets make them."""

    name = "neurovfm"
    vision: NeuroVfmVision

    def __init__(self, settings: NeuroVfm) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (1, *settings.vision.volume)
        self.vision = NeuroVfmVision(settings.vision)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(settings.vision.width, settings.embed)
        self.text_projection = nn.Linear(settings.text.width, settings.embed)
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.reset_parameters()
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def reset_parameters(self) -> None:
        """Set the scale to CLIP's ln(1 / 0.07); the published model has none."""
        nn.init.constant_(self.logit_scale, math.log(1 / 0.07))

    def encode_image(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, D, H, W) to unit vectors (B, embed): the mean over the patches without background."""
        return self.project_image(self.vision.pool(*self.vision.encode(volumes)))
