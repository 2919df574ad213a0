"""BrainIAC v2: a ViT of brain MRI pretrained by contrast (Tak et al. 2026, 10.1038/s41593-026-02202-6).

It is MONAI's ViT without a CLS token. Upstream reads token 0 as if it were one: the corner patch, mostly background. The mean
over tokens is the default here. There is no text tower; one of the user's choice (``text_weights``) stands beside it and two
projections start new, so before training its similarities mean nothing.
"""

import math
from pathlib import Path
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder, mean_of_real
from voxtune.errors import SettingError
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="brainiac",
    rename=(
        (r"^backbone\.", "vision."),
        (r"^(?=(patch_embedding|blocks|norm)\.)", "vision."),  # redistributed files without the prefix
    ),
    drop=(
        (
            r"blocks\.\d+\.(cross_attn|norm_cross_attn)\.",
            "cross-attention that later MONAI versions add and never call",
        ),
        (
            r"^(?!(module\.)?(backbone|patch_embedding|blocks|norm)\.)",
            "heads of the pretraining, not part of the backbone",
        ),
    ),
    new=(r"^text\.", r"^(vision|text)_projection\.", r"^logit_scale$"),
    others=(
        (
            r"(^|\.)layer[1-4]\.\d+\.conv\d",
            "It is a ResNet, as BrainIAC v1 was; this is v2, a ViT, and shares no layer with it.",
        ),
    ),
)


class BrainIac(Settings):
    """Settings of BrainIAC v2; the defaults are the published sizes."""

    weights: Path | None = None
    text_weights: Path | None = None
    """A BERT checkpoint (safetensors) for the text tower; without it the text tower starts new."""
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    volume: tuple[int, int, int] = (96, 96, 96)
    """As trained: the position table has its token grid."""
    input_volume: tuple[int, int, int] | None = None
    """Shape of the volumes that will come, where it differs from ``volume``."""
    position: Literal["interpolate", "raw"] = "interpolate"
    """Another grid: trilinear interpolation, or the table as it is stored (the count of tokens must agree)."""
    pool: Literal["mean", "token_0"] = "mean"
    """The read-out: the mean over tokens, or upstream's token 0, a corner of the volume."""
    channels: int = Field(1, ge=1)
    patch: tuple[int, int, int] = (16, 16, 16)
    width: int = Field(768, ge=4)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(3072, ge=4)
    norm_eps: float = 1e-5
    embed: int = Field(768, ge=1)
    """Width of the joint space (ours: the published model has none)."""
    text: BertSizes = BertSizes(pooler=False)
    fresh: bool = False
    """Start from ``seed`` where no weights are given; without it that is refused."""
    seed: int = 0

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        token_grid(self.volume, self.patch)
        return self

    def heads_card(self) -> dict[str, int]:
        """Heads by the words that a checkpoint's card has for them."""
        return {"num_heads": self.heads}

    def build(self) -> "BrainIacModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(
            lambda: BrainIacModel(self), self.weights, RULES, text_weights=self.text_weights, seed=self.seed
        )


def token_grid(volume: tuple[int, ...], patch: tuple[int, ...]) -> tuple[int, int, int]:
    """Patches along each axis of a volume.

    Raises:
        SettingError: the patch does not divide the volume.
    """
    if len(volume) != len(patch) or any(
        size % step or size < step for size, step in zip(volume, patch, strict=True)
    ):
        raise SettingError("volume", f"three sizes that the patch {tuple(patch)} divides", tuple(volume))
    x, y, z = (size // step for size, step in zip(volume, patch, strict=True))
    return x, y, z


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        # (B, T, 3, heads, width / heads) -> 3 x (B, heads, T, width / heads)
        q, k, v = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys_allowed)
        return cast(Tensor, self.out_proj(mixed.transpose(1, 2).flatten(2)))


class _Perceptron(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.linear2(F.gelu(self.linear1(tokens))))


class _Block(nn.Module):
    def __init__(self, settings: BrainIac) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(settings.width, eps=settings.norm_eps)
        self.attn = _Attention(settings.width, settings.heads)
        self.norm2 = nn.LayerNorm(settings.width, eps=settings.norm_eps)
        self.mlp = _Perceptron(settings.width, settings.mlp)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens), mask)
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class _PatchEmbedding(nn.Module):
    def __init__(self, settings: BrainIac) -> None:
        super().__init__()
        self.grid = token_grid(settings.volume, settings.patch)
        self.position = settings.position
        self.patch_embeddings = nn.Conv3d(
            settings.channels, settings.width, settings.patch, stride=settings.patch
        )
        self.position_embeddings = nn.Parameter(0.02 * torch.randn(1, math.prod(self.grid), settings.width))

    def positions(self, grid: tuple[int, int, int]) -> Tensor:
        """The position table for a token grid (1, T, width)."""
        table = self.position_embeddings
        if grid == self.grid:
            return table
        if self.position == "raw":
            if math.prod(grid) != table.shape[1]:
                raise SettingError(
                    "position",
                    f"'interpolate' for the grid {grid}: the table has {table.shape[1]} rows",
                    "raw",
                )
            return table
        field = table.mT.reshape(1, -1, *self.grid)
        return F.interpolate(field, size=grid, mode="trilinear", align_corners=False).flatten(2).mT


class BrainIacVision(nn.Module):
    """The tower (a ``TokenTower``): volumes (B, 1, X, Y, Z) to tokens (B, T, width), first axis slowest, no CLS."""

    lead = 0
    order_free = True

    def __init__(self, settings: BrainIac) -> None:
        super().__init__()
        self.width, self.patch = settings.width, settings.patch
        self.read_out = settings.pool
        self.patch_embedding = _PatchEmbedding(settings)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.depth))
        self.norm = nn.LayerNorm(settings.width, eps=settings.norm_eps)

    @property
    def reads_corner(self) -> bool:
        """Whether one patch is read out, so that no other says anything of the score after the last block."""
        return self.read_out == "token_0"

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Patches along each axis of a volume of this shape."""
        return token_grid(volume, self.patch)

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) to the first sequence (B, T, width)."""
        grid = self.grid(tuple(inputs.shape[2:]))
        patches = self.patch_embedding.patch_embeddings(inputs).flatten(2).mT
        return cast(Tensor, patches + self.patch_embedding.positions(grid))

    def finish(self, tokens: Tensor) -> Tensor:
        """The final norm."""
        return cast(Tensor, self.norm(tokens))

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mean over real tokens, or token 0 (B, width)."""
        return tokens[:, 0] if self.reads_corner else mean_of_real(tokens, mask)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Volumes (B, 1, X, Y, Z) to tokens after the final norm (B, T, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)


class BrainIacModel(DualEncoder):
    """BrainIAC's tower with a text tower beside it (a ``Backbone``). Volumes are (B, 1, X, Y, Z), z-scored inside the brain."""

    name = "brainiac"

    def __init__(self, settings: BrainIac) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (settings.channels, *(settings.input_volume or settings.volume))
        self.vision = BrainIacVision(settings)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(settings.width, settings.embed)
        self.text_projection = nn.Linear(settings.text.width, settings.embed)
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.reset_parameters()
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def reset_parameters(self) -> None:
        """Set the scale to CLIP's ln(1 / 0.07); the published model has none."""
        nn.init.constant_(self.logit_scale, math.log(1 / 0.07))
