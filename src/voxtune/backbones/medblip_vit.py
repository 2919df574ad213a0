"""MedBLIP's vision tower: the ViT of EVA-CLIP with 3D patches (Chen and Hong 2023, arXiv 2305.10799).

Queries and values have a bias, keys have none; CLS has a position; there is no final norm in the tower, the full model's
``ln_vision`` follows it. No weights of MedBLIP were published and its text branch cannot run as published, so the tower is
paired with a BERT of the user's choice and two projections that start new.
"""

import math
from pathlib import Path
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.errors import SettingError
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build, check_card

RULES = KeyRules(
    model="medblip_vit",
    rename=((r"^visual_encoder\.", "vision."), (r"^ln_vision\.", "vision.ln_vision.")),
    drop=(
        (
            r"^(module\.)?(Qformer|query_tokens|lm_model|t5_model|vision_proj|text_proj|qa_proj|proj|t5_proj|temp)\b",
            "language side of the full model",
        ),
    ),
    new=(r"^text\.", r"^(vision|text)_projection\.", r"^logit_scale$"),
)


class MedBlipVit(Settings):
    """Settings of MedBLIP's tower; the defaults are the published sizes."""

    weights: Path | None = None
    text_weights: Path | None = None
    """A BERT checkpoint (safetensors) for the text tower; without it the text tower starts new."""
    tokenizer: Path | None = None
    card: Literal["check", "ignore"] = "check"
    volume: tuple[int, int, int] = (224, 224, 224)
    """Depth, height, width as trained: the position table has their token grid."""
    input_volume: tuple[int, int, int] | None = None
    """Shape of the volumes that will come, where it differs from ``volume``."""
    position: Literal["interpolate", "raw"] = "interpolate"
    channels: int = Field(1, ge=1)
    patch: int = Field(32, ge=1)
    width: int = Field(1408, ge=4)
    depth: int = Field(39, ge=1)
    heads: int = Field(16, ge=1)
    mlp: int = Field(6144, ge=4)
    norm_eps: float = 1e-6
    last_norm_eps: float = 1e-5
    embed: int = Field(256, ge=1)
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

    def build(self) -> "MedBlipVitModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(
            lambda: MedBlipVitModel(self), self.weights, RULES, text_weights=self.text_weights, seed=self.seed
        )


def token_grid(volume: tuple[int, ...], patch: int) -> tuple[int, int, int]:
    """Patches along each axis of a volume.

    Raises:
        SettingError: the patch does not divide the volume.
    """
    if len(volume) != 3 or any(size % patch or size < patch for size in volume):
        raise SettingError("volume", f"three multiples of the patch {patch}", tuple(volume))
    d, h, w = (size // patch for size in volume)
    return d, h, w


class _Attention(nn.Module):
    def __init__(self, settings: MedBlipVit) -> None:
        super().__init__()
        self.heads = settings.heads
        self.qkv = nn.Linear(settings.width, 3 * settings.width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(settings.width))
        self.v_bias = nn.Parameter(torch.zeros(settings.width))
        self.proj = nn.Linear(settings.width, settings.width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        parts = (self.qkv(tokens) + bias).reshape(*tokens.shape[:2], 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys_allowed)
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))


class _Perceptron(nn.Module):
    def __init__(self, settings: MedBlipVit) -> None:
        super().__init__()
        self.fc1 = nn.Linear(settings.width, settings.mlp)
        self.fc2 = nn.Linear(settings.mlp, settings.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(F.gelu(self.fc1(tokens))))


class _Block(nn.Module):
    def __init__(self, settings: MedBlipVit) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(settings.width, eps=settings.norm_eps)
        self.attn = _Attention(settings)
        self.norm2 = nn.LayerNorm(settings.width, eps=settings.norm_eps)
        self.mlp = _Perceptron(settings)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens), mask)
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class _PatchEmbed(nn.Module):
    def __init__(self, settings: MedBlipVit) -> None:
        super().__init__()
        self.proj = nn.Conv3d(settings.channels, settings.width, settings.patch, stride=settings.patch)


class EvaVision(nn.Module):
    """The tower (a ``TokenTower``): volumes (B, 1, D, H, W) to tokens (B, 1 + T, width), CLS first, depth slowest."""

    lead = 1
    order_free = True

    def __init__(self, settings: MedBlipVit) -> None:
        super().__init__()
        self.width = settings.width
        self.patch = settings.patch
        self.position = settings.position
        self.table_grid = token_grid(settings.volume, settings.patch)
        d, h, w = self.table_grid
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, settings.width))
        self.pos_embed_3d = nn.Parameter(0.02 * torch.randn(1, 1 + d * h * w, settings.width))
        self.patch_embed_3d = _PatchEmbed(settings)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.depth))
        self.ln_vision = nn.LayerNorm(settings.width, eps=settings.last_norm_eps)

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Patches along each axis of a volume of this shape."""
        return token_grid(volume, self.patch)

    def positions(self, grid: tuple[int, int, int]) -> Tensor:
        """Positions of CLS and the patches of a token grid (1, 1 + T, width)."""
        table = self.pos_embed_3d
        if grid == self.table_grid:
            return table
        if self.position == "raw":
            if 1 + grid[0] * grid[1] * grid[2] != table.shape[1]:
                raise SettingError(
                    "position",
                    f"'interpolate' for the grid {grid}: the table has {table.shape[1] - 1} rows",
                    "raw",
                )
            return table
        field = table[:, 1:].mT.reshape(1, -1, *self.table_grid)
        spread = F.interpolate(field, size=grid, mode="trilinear", align_corners=False)
        return torch.cat([table[:, :1], spread.flatten(2).mT], dim=1)

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes (B, 1, D, H, W) to the first sequence (B, 1 + T, width)."""
        grid = self.grid(tuple(inputs.shape[2:]))
        patches = self.patch_embed_3d.proj(inputs).flatten(2).mT
        return torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.positions(grid)

    def finish(self, tokens: Tensor) -> Tensor:
        """The norm that the full model puts after the tower."""
        return cast(Tensor, self.ln_vision(tokens))

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (CLS needs no mask)
        """CLS (B, width)."""
        return tokens[:, 0]

    def last(self, inputs: Tensor) -> Tensor:
        """Volumes to tokens after the last block, before ``ln_vision`` (B, 1 + T, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (every patch is real)
        """Volumes (B, 1, D, H, W) to tokens after ``ln_vision`` (B, 1 + T, width)."""
        return self.finish(self.last(inputs))


class MedBlipVitModel(DualEncoder):
    """MedBLIP's tower with a text tower beside it (a ``Backbone``). Volumes are (B, 1, D, H, W) in 0..1."""

    name = "medblip_vit"

    def __init__(self, settings: MedBlipVit) -> None:
        super().__init__()
        self.embed_dim = settings.embed
        self.volume_shape = (settings.channels, *(settings.input_volume or settings.volume))
        self.vision = EvaVision(settings)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(settings.width, settings.embed)
        self.text_projection = nn.Linear(settings.text.width, settings.embed)
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.reset_parameters()
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def reset_parameters(self) -> None:
        """Set the scale to ln(1 / 0.07): upstream divides the cosine by 0.07."""
        nn.init.constant_(self.logit_scale, math.log(1 / 0.07))
