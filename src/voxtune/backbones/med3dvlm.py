"""Med3DVLM: DCFormer and ClinicalBERT trained with a sigmoid loss (Xin et al. 2025, arXiv 2503.20047).

Upstream exponentiates ``t_prime`` only where torch.distributed runs; the weights were trained that way, so ``exp`` is the
default scale here and ``raw`` is what a single upstream process computes.
"""

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.backbones.med3dvlm_text import DistilBertSizes, DistilBertTower
from voxtune.backbones.med3dvlm_vision import DcFormer, DcFormerSizes
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="med3dvlm",
    rename=(
        (r"^vision_encoder\.", "vision."),
        (r"^language_encoder\.", "text."),
        (r"^mm_vision_proj\.", "vision_projection."),
        (r"^mm_language_proj\.", "text_projection."),
    ),
    alone="vision.",
)


class Med3dVlm(Settings):
    """Settings of Med3DVLM; the defaults are the published sizes."""

    weights: Path | None = None
    tokenizer: Path | None = None
    part: Literal["whole", "vision"] = "whole"
    """``vision``: the file holds the vision tower alone (the published ``pretrained_ViT``)."""
    card: Literal["check", "ignore"] = "check"
    scale: Literal["exp", "raw"] = "exp"
    volume: tuple[int, int, int] = (128, 256, 256)
    """Depth, height, width of the volumes that come; any size works."""
    vision: DcFormerSizes = DcFormerSizes()
    text: DistilBertSizes = DistilBertSizes()
    embed: int = Field(768, ge=1)
    t_prime: float = 2.6592600369327779
    bias: float = 0.0
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"n_heads": self.text.heads}

    def build(self) -> "Med3dVlmModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: Med3dVlmModel(self), self.weights, RULES, part=self.part, seed=self.seed)


class Med3dVlmModel(DualEncoder):
    """Med3DVLM (a ``Backbone``). Volumes are (B, 1, D, H, W) in 0..1."""

    name = "med3dvlm"

    def __init__(self, settings: Med3dVlm) -> None:
        super().__init__()
        self.settings = settings
        self.embed_dim = settings.embed
        self.volume_shape = (settings.vision.channels_in, *settings.volume)
        self.vision = DcFormer(settings.vision)
        self.text = DistilBertTower(settings.text)
        self.vision_projection = nn.Linear(self.vision.width, settings.embed)
        self.text_projection = nn.Linear(settings.text.width, settings.embed)
        self.t_prime = nn.Parameter(torch.empty(()))
        self.bias = nn.Parameter(torch.empty(()))
        self.reset_parameters()
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def reset_parameters(self) -> None:
        """Set scale and bias to their starting values, for files that hold the vision tower alone."""
        nn.init.constant_(self.t_prime, self.settings.t_prime)
        nn.init.constant_(self.bias, self.settings.bias)

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to scale x cosine + bias (B, N); its sigmoid is the probability of a pair."""
        scale = self.t_prime.exp() if self.settings.scale == "exp" else self.t_prime
        return scale * image @ text.mT + self.bias
