"""HLIP: CLIP trained on studies of brain MRI, head CT or chest CT (Zhao et al. 2025, arXiv 2505.21862).

Scans come normalised as the published loader leaves them: (x - 0.449) / 0.226 of intensities in 0..1; ``normalise`` does
it here for volumes that come in 0..1.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.backbones.hlip_vision import HlipVision, HlipVisionSizes
from voxtune.errors import SettingError
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="hlip",
    rename=(
        (r"^visual\.trunk\.", "vision."),
        (r"^visual\.head\.proj\.", "vision_projection."),
        (r"^text\.transformer\.", "text."),
        (r"^text\.proj\.", "text_projection."),
    ),
    drop=((r"text\.transformer\.pooler\.", "pooler output is not used"),),
)

_HUB = HlipVisionSizes(patch=(6, 16, 16), max_scans=0, read_out="token_and_mean")
_LARGE = HlipVisionSizes(
    **(
        dict(_HUB)
        | {"width": 1024, "depth": 24, "heads": 16, "registers": 1, "study_blocks": (5, 11, 17, 23)}
    )
)
VARIANTS: Mapping[str, tuple[HlipVisionSizes, int]] = MappingProxyType(
    {
        "brain_mri": (HlipVisionSizes(), 512),
        "chest_ct": (
            HlipVisionSizes(
                volume=(112, 336, 336),
                patch=(8, 24, 24),
                slice_blocks=(0, 1, 3, 4, 6, 7, 9, 10),
                study_blocks=(),
                max_scans=1,
            ),
            512,
        ),
        "hub_2025_10": (_HUB, 768),
        "hub_base": (HlipVisionSizes(**(dict(_HUB) | {"registers": 1})), 768),
        "hub_large": (_LARGE, 768),
        "hub_base_slice": (
            HlipVisionSizes(**(dict(_HUB) | {"registers": 1, "slice_blocks": (0, 3, 6, 9)})),
            768,
        ),
        "hub_large_slice": (
            HlipVisionSizes(**(dict(_LARGE) | {"slice_blocks": tuple(b for b in range(24) if b % 6 < 4)})),
            768,
        ),
    }
)
"""Vision sizes and joint width of the published checkpoints; ``brain_mri`` is also head CT's, ``hub_*`` are on the hub.

The slice family attends inside slices first; its files have the shapes of the scan family, so only their names tell them apart.
"""


class Hlip(Settings):
    """Settings of HLIP; the defaults are those of the brain MRI model."""

    weights: Path | None = None
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    normalise: bool = False
    """Volumes come in 0..1 and are normalised here."""
    variant: Literal[
        "brain_mri", "chest_ct", "hub_2025_10", "hub_base", "hub_large", "hub_base_slice", "hub_large_slice"
    ] = "brain_mri"
    vision: HlipVisionSizes | None = None
    """Sizes of the vision tower where they are not the variant's."""
    text: BertSizes = BertSizes(pooler=False)
    max_length: int = Field(256, ge=2)
    input_volume: tuple[int, int, int] | None = None
    """Shape of the scans that will come, where it is not the trained one; longer depth helps the paper's models."""
    embed: int | None = Field(None, ge=1)
    """Joint width where it is not the variant's."""
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    def sizes(self) -> tuple[HlipVisionSizes, int]:
        """Vision sizes and joint width in force."""
        vision, embed = VARIANTS[self.variant]
        return self.vision or vision, self.embed or embed

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"num_heads": self.sizes()[0].heads}

    def build(self) -> "HlipModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: HlipModel(self), self.weights, RULES, seed=self.seed)


class HlipModel(DualEncoder):
    """HLIP (a ``Backbone``). Scans (B, 1, D, H, W), or studies of several scans (B, N, 1, D, H, W)."""

    name = "hlip"
    vision: HlipVision

    def __init__(self, settings: Hlip) -> None:
        super().__init__()
        sizes, self.embed_dim = settings.sizes()
        volume = settings.input_volume or sizes.volume
        self.volume_shape = (sizes.channels, *volume)
        self.vision = HlipVision(sizes, volume, normalise=settings.normalise)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(self.vision.pooled_width, self.embed_dim, bias=False)
        self.text_projection = nn.Linear(settings.text.width, self.embed_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if sizes.registers:
            # Not an additive bias: the log scale of the report head, as published.
            self.logit_bias = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        length = min(settings.max_length, settings.text.max_length)
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=length)

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts, white space collapsed, to token ids and mask (B, L)."""
        return self.tokenizer([" ".join(text.split()) for text in texts])

    def project_image(self, pooled: Tensor) -> Tensor:
        """Vision read-outs (..., pooled width) to unit vectors (..., embed).

        Raises:
            SettingError: single tokens were given where the read-out is wider than a token.
        """
        if pooled.shape[-1] != self.vision.pooled_width:
            raise SettingError(
                "aggregation", "'batch' or 'none': this HLIP variant cannot project single tokens", "tokens"
            )
        return F.normalize(self.vision_projection(pooled), dim=-1)

    def heads(self, volumes: Tensor) -> Tensor:
        """Scans or studies to the projected read-out of each prefix token, not normalised (B, P, embed).

        0 is CLS, for sentences and class texts; 1, where there is a register, was trained on whole reports.
        """
        return cast(Tensor, self.vision_projection(self.vision.read(self.vision(volumes))))

    def encode_image(self, volumes: Tensor) -> Tensor:
        """Scans or studies to unit vectors (B, embed), from the head for sentences and class texts."""
        return F.normalize(self.heads(volumes)[:, 0], dim=-1)
