"""BiomedCLIP: ViT-B/16 and PubMedBERT trained on figures of articles (Zhang et al. 2023, arXiv 2303.00915).

A 2D model: a volume is read slice by slice, its feature is the mean over slices.
"""

from pathlib import Path
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.backbones.slices import Slicing, read_slices
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="biomedclip",
    rename=(
        (r"^visual\.trunk\.", "vision."),
        (r"^visual\.head\.proj\.", "vision_projection."),
        (r"^text\.transformer\.", "text."),
        (r"^text\.proj\.", "text_projection."),
    ),
    drop=((r"text\.transformer\.pooler\.", "pooler output is not used"),),
)

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the three channels, as in OpenAI's CLIP."""


class VitSizes(Settings):
    """Sizes of the 2D ViT; the defaults are ViT-B/16 at 224 pixels."""

    image: int = Field(224, ge=1)
    patch: int = Field(16, ge=1)
    channels: int = Field(3, ge=1)
    width: int = Field(768, ge=4)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(3072, ge=4)
    norm_eps: float = 1e-6

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.heads or self.image % self.patch:
            raise ValueError(
                f"heads ({self.heads}) must divide width ({self.width}), patch ({self.patch}) image ({self.image})"
            )
        return self


class BiomedClip(Settings):
    """Settings of BiomedCLIP; the defaults are the published sizes."""

    weights: Path | None = None
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    volume: tuple[int, int, int] = (128, 128, 128)
    """Shape of the volumes that come; any works."""
    slicing: Slicing = Slicing()
    vision: VitSizes = VitSizes()
    text: BertSizes = BertSizes(pooler=False)
    text_hidden: int = Field(640, ge=1)
    """Width inside the text projection."""
    max_length: int = Field(256, ge=2)
    embed: int = Field(512, ge=1)
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"num_heads": self.vision.heads}

    def build(self) -> "BiomedClipModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: BiomedClipModel(self), self.weights, RULES, seed=self.seed)


class _Attention(nn.Module):
    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.proj = nn.Linear(sizes.width, sizes.width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys_allowed)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))


class _Perceptron(nn.Module):
    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.fc1 = nn.Linear(sizes.width, sizes.mlp)
        self.fc2 = nn.Linear(sizes.mlp, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(F.gelu(self.fc1(tokens))))


class _Block(nn.Module):
    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.attn = _Attention(sizes)
        self.norm2 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.mlp = _Perceptron(sizes)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens), mask)
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class _PatchEmbed(nn.Module):
    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(sizes.channels, sizes.width, sizes.patch, stride=sizes.patch)


class SliceVit(nn.Module):
    """The vision tower (a ``FeatureTower`` of slices): volumes (B, 1, X, Y, Z) to one token a slice (B, S, width)."""

    def __init__(self, sizes: VitSizes, slicing: Slicing) -> None:
        super().__init__()
        self.sizes = sizes
        self.slicing = slicing
        self.width = sizes.width
        self.patch_embed = _PatchEmbed(sizes)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.pos_embed = nn.Parameter(
            0.02 * torch.randn(1, 1 + (sizes.image // sizes.patch) ** 2, sizes.width)
        )
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def image_tokens(self, images: Tensor) -> Tensor:
        """Normalised images (N, 3, side, side) to tokens after the final norm (N, 1 + T, width), CLS first."""
        patches = self.patch_embed.proj(images).flatten(2).mT
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        return cast(Tensor, self.norm(tokens))

    def features(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) in 0..1 to the CLS of each slice that is read (B, S, width)."""
        planes = read_slices(volumes, self.slicing, self.sizes.image)
        mean, std = planes.new_tensor(MEAN)[:, None, None], planes.new_tensor(STD)[:, None, None]
        images = (planes.flatten(0, 1)[:, None] - mean) / std
        return self.image_tokens(images)[:, 0].reshape(*planes.shape[:2], -1)

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (every slice is real)
        """The mean over slices (B, width)."""
        return tokens.mean(dim=1)

    def forward(self, volumes: Tensor) -> Tensor:
        """As ``features``."""
        return self.features(volumes)


class BiomedClipModel(DualEncoder):
    """BiomedCLIP (a ``Backbone``). Volumes are (B, 1, X, Y, Z) in 0..1; images (B, 3, side, side) come normalised."""

    name = "biomedclip"
    vision: SliceVit

    def __init__(self, settings: BiomedClip) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (1, *settings.volume)
        self.vision = SliceVit(settings.vision, settings.slicing)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(settings.vision.width, settings.embed, bias=False)
        self.text_projection = nn.Sequential(
            nn.Linear(settings.text.width, settings.text_hidden, bias=False),
            nn.GELU(),
            nn.Linear(settings.text_hidden, settings.embed, bias=False),
        )
        self.logit_scale = nn.Parameter(torch.tensor(2.6592600369327779))
        length = min(settings.max_length, settings.text.max_length)
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=length)

    def encode_image(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z), or normalised images (B, 3, side, side), to unit vectors (B, embed)."""
        if volumes.ndim == 4:
            return self.project_image(self.vision.image_tokens(volumes)[:, 0])
        return self.project_image(self.vision.pool(self.vision(volumes)))
