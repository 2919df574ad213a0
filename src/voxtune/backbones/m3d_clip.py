"""M3D-CLIP: a 3D ViT and BERT trained on CT with reports (Bai et al. 2024, arXiv 2404.00578).

Quirks that are kept: the position of a patch is added before CLS is put in front (CLS has none), q, k, v have no bias,
and ``logit_scale`` multiplies the cosine as it stands, it is never exponentiated.
"""

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
    model="m3d",
    rename=(
        (r"^vision_encoder\.", "vision."),
        (r"^language_encoder\.", "text."),
        (r"^mm_vision_proj\.", "vision_projection."),
        (r"^mm_language_proj\.", "text_projection."),
    ),
    drop=(
        (
            r"blocks\.\d+\.(cross_attn|norm_cross_attn)\.",
            "cross-attention that later MONAI versions add and never call",
        ),
    ),
    alone="vision.",
)


class M3dClip(Settings):
    """Settings of M3D-CLIP; the defaults are the published sizes."""

    weights: Path | None = None
    tokenizer: Path | None = None
    part: Literal["whole", "vision"] = "whole"
    """``vision``: the file holds the vision tower alone (the published ``pretrained_ViT``)."""
    card: Literal["check", "ignore"] = "check"
    """Whether the number of heads must be the one on the checkpoint's card."""
    volume: tuple[int, int, int] = (32, 256, 256)
    """Depth, height, width of the volumes the file was trained on: its position table has their token grid."""
    input_volume: tuple[int, int, int] | None = None
    """Shape of the volumes that will come, where it differs from ``volume``."""
    position: Literal["interpolate", "raw"] = "interpolate"
    """Another grid: trilinear interpolation, or the table as it is stored (the count of tokens must agree)."""
    channels: int = Field(1, ge=1)
    patch: tuple[int, int, int] = (4, 16, 16)
    width: int = Field(768, ge=4)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(3072, ge=4)
    logit_scale: float = 2.6592600369327779
    """Starting value, ln(1 / 0.07); the file's value replaces it."""
    text: BertSizes = BertSizes()
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

    def build(self) -> "M3dClipModel":
        """The model in eval mode, from the weights file or new."""
        if self.weights is not None and self.card == "check":
            check_card(self.weights, self.heads_card(), RULES.model)
        return build(lambda: M3dClipModel(self), self.weights, RULES, part=self.part, seed=self.seed)


def token_grid(volume: tuple[int, ...], patch: tuple[int, ...]) -> tuple[int, int, int]:
    """Patches along each axis of a volume.

    Raises:
        SettingError: the patch does not divide the volume.
    """
    if len(volume) != len(patch) or any(
        size % step or size < step for size, step in zip(volume, patch, strict=True)
    ):
        raise SettingError("volume", f"three sizes that the patch {tuple(patch)} divides", tuple(volume))
    d, h, w = (size // step for size, step in zip(volume, patch, strict=True))
    return d, h, w


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None, rows: int | None = None) -> Tensor:
        # (B, T, 3, heads, width / heads) -> 3 x (B, heads, T, width / heads)
        q, k, v = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q[:, :, :rows], k, v, attn_mask=keys_allowed)
        return cast(Tensor, self.out_proj(mixed.transpose(1, 2).flatten(2)))


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.linear2(F.gelu(self.linear1(tokens))))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, inner)

    def forward(self, tokens: Tensor, mask: Tensor | None = None, rows: int | None = None) -> Tensor:
        tokens = tokens[:, :rows] + self.attn(self.norm1(tokens), mask, rows)
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class _Patches(nn.Module):
    """Volumes (B, C, D, H, W) to patches (B, T, voxels of one patch): depth slowest; in a patch the channel is fastest."""

    def __init__(self, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, volumes: Tensor) -> Tensor:
        d, h, w = token_grid(tuple(volumes.shape[2:]), self.patch)
        p, q, r = self.patch
        cut = volumes.reshape(*volumes.shape[:2], d, p, h, q, w, r)
        return cut.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4).flatten(1, 3)


class _PatchEmbedding(nn.Module):
    def __init__(self, settings: M3dClip) -> None:
        super().__init__()
        self.patch = settings.patch
        self.grid = token_grid(settings.volume, settings.patch)
        self.position = settings.position
        voxels = settings.channels * settings.patch[0] * settings.patch[1] * settings.patch[2]
        d, h, w = self.grid
        self.position_embeddings = nn.Parameter(0.02 * torch.randn(1, d * h * w, settings.width))
        self.patch_embeddings = nn.Sequential(_Patches(settings.patch), nn.Linear(voxels, settings.width))

    def positions(self, grid: tuple[int, int, int]) -> Tensor:
        """The position table for a token grid (1, T, width)."""
        table: Tensor = self.position_embeddings
        if grid == self.grid:
            return table
        if self.position == "raw":
            if grid[0] * grid[1] * grid[2] != table.shape[1]:
                raise SettingError(
                    "position",
                    f"'interpolate' for the grid {grid}: the table has {table.shape[1]} rows",
                    "raw",
                )
            return table
        spread = F.interpolate(
            table.mT.reshape(1, -1, *self.grid), size=grid, mode="trilinear", align_corners=False
        )
        return spread.flatten(2).mT

    def forward(self, volumes: Tensor) -> Tensor:
        grid = token_grid(tuple(volumes.shape[2:]), self.patch)
        return cast(Tensor, self.patch_embeddings(volumes) + self.positions(grid))


class M3dVision(nn.Module):
    """The vision tower (a ``LeadTower``): volumes (B, C, D, H, W) to tokens (B, 1 + T, width), CLS first, depth slowest."""

    lead = 1
    reads_lead = True
    order_free = True

    def __init__(self, settings: M3dClip) -> None:
        super().__init__()
        self.width = settings.width
        self.patch = settings.patch
        self.patch_embedding = _PatchEmbedding(settings)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, settings.width))
        self.blocks = nn.ModuleList(
            _Block(settings.width, settings.heads, settings.mlp) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(settings.width)

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Patches along each axis of a volume of this shape."""
        return token_grid(volume, self.patch)

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes (B, C, D, H, W) to the first sequence (B, 1 + T, width)."""
        patches = self.patch_embedding(inputs)
        return torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)

    def finish(self, tokens: Tensor) -> Tensor:
        """The final norm."""
        return cast(Tensor, self.norm(tokens))

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (CLS needs no mask)
        """CLS (B, width)."""
        return tokens[:, 0]

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Volumes (B, C, D, H, W) to tokens after the final norm (B, 1 + T, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)


class M3dClipModel(DualEncoder):
    """M3D-CLIP (a ``Backbone``). Volumes are (B, 1, D, H, W) in 0..1."""

    name = "m3d"

    def __init__(self, settings: M3dClip) -> None:
        super().__init__()
        self.embed_dim = settings.width
        self.volume_shape = (settings.channels, *(settings.input_volume or settings.volume))
        self.vision = M3dVision(settings)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(settings.width, settings.width)
        self.text_projection = nn.Linear(settings.text.width, settings.width)
        self.logit_scale = nn.Parameter(torch.tensor(settings.logit_scale))
        self.settings = settings
        self.tokenizer = Tokenizer(settings.tokenizer, max_length=settings.text.max_length)

    def reset_parameters(self) -> None:
        """Set the scale to its starting value, for files that hold the vision tower alone."""
        nn.init.constant_(self.logit_scale, self.settings.logit_scale)

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to ``logit_scale`` x cosine (B, N); the scale is used raw."""
        return self.logit_scale * image @ text.mT
