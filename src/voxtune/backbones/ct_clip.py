"""CT-CLIP: CTViT and CXR-BERT trained on chest CT with reports (Hamamci et al. 2024, arXiv 2403.17834).

The image vector is the mean of the quantised tokens over depth, all places of a slab side by side, through one large
projection; so height and width are fixed, depth is free. Similarity is the cosine times ``exp(temperature)``.
"""

from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.ct_clip_vision import CtVit, CtVitSizes
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.errors import SettingError
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="ct_clip",
    rename=(
        (r"^visual_transformer\.", "vision."),
        (r"^text_transformer\.", "text."),
        (r"^to_visual_latent\.", "vision_projection."),
        (r"^to_text_latent\.", "text_projection."),
    ),
    drop=(
        (r"^(module\.)?to_(visual|text)_latent_extra\.", "unused twin of the projection"),
        (r"to_patch_emb_first_frame\.", "never called"),
        (r"to_pixels(_first_frame)?\.", "decoder, never called"),
        (r"\.null_kv$", "empty"),
        (r"\.context_norm\.", "no context is ever passed"),
        (r"_codebook\.(initted|cluster_size|embed_avg)$", "bookkeeping of codebook training"),
        (r"text_transformer\.cls\.", "heads of the text encoder's own pretraining"),
    ),
    alone="vision.",
)


class CtClip(Settings):
    """Settings of CT-CLIP; the defaults are the published sizes."""

    weights: Path | None = None
    tokenizer: Path | None = None
    part: Literal["whole", "vision"] = "whole"
    """``vision``: the file holds CTViT alone (the published ``clip_visual_encoder``)."""
    card: Literal["check", "ignore"] = "check"
    vision: CtVitSizes = CtVitSizes()
    text: BertSizes = BertSizes()
    latent: int = 512
    temperature: float = 1.0
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"heads": self.vision.heads}

    def build(self) -> "CtClipModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: CtClipModel(self), self.weights, RULES, part=self.part, seed=self.seed)


SMALL_ASSETS = Path(str(files("voxtune.backbones"))) / "assets" / "ct_clip_small"
"""Shipped weights, vocabulary, model card and log of the shrunken CT-CLIP."""


class CtClipSmall(Settings):
    """CT-CLIP shrunk to a million and a half parameters, for learning and tests on a CPU; recipe ``pretrain_chest`` made its weights.

    The architecture is CT-CLIP's to the quantiser; sizes, vocabulary and weights are our own, from SIMULATED chests.
    """

    shipped: ClassVar[bool] = True
    weights: Path | None = None
    """A safetensors file; ``None`` is the shipped one."""
    fresh: bool = False
    """Start from ``seed`` instead of from any file."""
    seed: int = 0

    def whole(self) -> CtClip:
        """The same model as settings of CT-CLIP."""
        return CtClip(
            weights=None if self.fresh else self.weights or SMALL_ASSETS / "ct_clip_small.safetensors",
            tokenizer=SMALL_ASSETS,
            card="ignore",
            vision=CtVitSizes(
                width=96, codebook=512, image=64, frames=48, patch=8, depth_patch=6, spatial_depth=2, temporal_depth=1, heads=4,
                head_width=24, inner=256,
            ),
            text=BertSizes(vocab=640, width=96, depth=2, heads=4, mlp=384, max_length=320, token_types=1, pooler=False),
            latent=128,
            temperature=2.3,
            seed=self.seed,
        )  # fmt: skip

    def build(self) -> "CtClipModel":
        """The model in eval mode."""
        model = self.whole().build()
        model.name = "ct_clip_small"
        return model


class CtClipModel(DualEncoder):
    """CT-CLIP (a ``Backbone``). Volumes are (B, 1, T, H, W) in -1..1: HU / 1000, T along the body."""

    name = "ct_clip"
    vision: CtVit

    def __init__(self, settings: CtClip) -> None:
        super().__init__()
        sizes = settings.vision
        self.embed_dim = settings.latent
        self.volume_shape = (sizes.channels, sizes.frames, sizes.image, sizes.image)
        self.vision = CtVit(sizes)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(self.vision.pooled_width, settings.latent, bias=False)
        self.text_projection = nn.Linear(settings.text.width, settings.latent, bias=False)
        self.temperature = nn.Parameter(torch.tensor(settings.temperature))
        self.settings = settings
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def reset_parameters(self) -> None:
        """Set the temperature to its starting value, for files that hold the vision tower alone."""
        nn.init.constant_(self.temperature, self.settings.temperature)

    def project_image(self, pooled: Tensor) -> Tensor:
        """Pooled vision features (B, h * w * width) to unit vectors (B, latent).

        Raises:
            SettingError: single tokens were given: this model's projection reads whole slabs.
        """
        if pooled.shape[-1] != self.vision.pooled_width:
            raise SettingError(
                "aggregation", "'batch' or 'none': CT-CLIP cannot project single tokens", "tokens"
            )
        return F.normalize(self.vision_projection(pooled), dim=-1)

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to ``exp(temperature)`` x cosine (B, N)."""
        return self.temperature.exp() * image @ text.mT
