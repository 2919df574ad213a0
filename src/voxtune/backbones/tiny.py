"""``tiny``: a small 3D vision-language model of our own, shipped with its weights, so that every method runs in minutes offline.

A convolutional stem turns 64^3 voxels into 4^3 tokens, a pre-norm ViT of 4 layers x 192 mixes them behind a CLS token
(after Xiao et al. 2021, arXiv 2106.14881: early convolutions help small ViTs), and a small BERT with its own WordPiece
vocabulary, whose digits are single tokens, reads the text. Made by recipe ``pretrain_tiny`` on random-contrast renderings
of random anatomies: it has never seen a T1 scanner, a diagnosis or an MMSE. The weights are SIMULATED-data weights.
"""

from importlib.resources import files
from pathlib import Path
from typing import ClassVar, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.backbones.bert import BertSizes, BertTower
from voxtune.backbones.dual_encoder import DualEncoder
from voxtune.types.settings import Settings
from voxtune.weights.load import KeyRules, Tokenizer, build

RULES = KeyRules(model="tiny")
ASSETS = Path(str(files("voxtune.backbones"))) / "assets" / "tiny"
"""Shipped weights, vocabulary, model card and training log."""
STRIDE = 16
"""Voxels between tokens."""
OUTSIDE = 0.02
"""Intensity at or below which a voxel of a [0, 1] volume is background."""


class Tiny(Settings):
    """Settings of ``tiny``; the defaults are the shipped model."""

    shipped: ClassVar[bool] = True
    weights: Path | None = None
    """A safetensors file; ``None`` is the shipped one."""
    fresh: bool = False
    """Start from ``seed`` instead of from any file."""
    tokenizer: Path | None = None
    """A folder with ``tokenizer.json``; ``None`` is the shipped one."""
    volume: tuple[int, int, int] = (64, 64, 64)
    """Voxels along x, y, z (RAS+); multiples of 16."""
    stem: tuple[int, int] = (64, 96)
    """Channels of the stem at a quarter and an eighth of the resolution."""
    width: int = Field(192, ge=8)
    depth: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    mlp: int = Field(768, ge=8)
    embed_dim: int = Field(128, ge=4)
    logit_scale: float = Field(10.0, gt=0)
    """Starting value; the file's value replaces it."""
    text: BertSizes = BertSizes(
        vocab=1024, width=128, depth=3, heads=4, mlp=512, max_length=256, token_types=1, pooler=False
    )
    seed: int = 0

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        if any(edge % STRIDE or edge < STRIDE for edge in self.volume):
            raise ValueError(f"every edge of volume must be a multiple of {STRIDE}, got {self.volume}")
        if any(channels % 8 for channels in self.stem):
            raise ValueError(f"stem channels must be multiples of 8, got {self.stem}")
        if self.fresh and self.weights is not None:
            raise ValueError("fresh starts without a file, so weights must not be given")
        return self

    def build(self) -> "TinyClip":
        """The model in eval mode."""
        file = None if self.fresh else self.weights or ASSETS / "tiny.safetensors"
        return build(lambda: TinyClip(self), file, RULES, seed=self.seed)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        # (B, T, 3, heads, width / heads) -> 3 x (B, heads, T, width / heads)
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keys_allowed)
        return cast(Tensor, self.out_proj(mixed.transpose(1, 2).flatten(2)))


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.linear2(F.gelu(self.linear1(tokens))))


class TinyBlock(nn.Module):
    """One pre-norm layer: tokens (B, T, width) and key mask (B, T) to tokens (B, T, width)."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width, inner)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend, then the two-layer perceptron, each added to what came in."""
        tokens = tokens + self.attn(self.norm1(tokens), mask)
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class _Residual(nn.Module):
    """x + conv(gelu(conv(norm(x)))), the first with kernel 3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.conv2(F.gelu(self.conv1(self.norm(x)))))


class _Stem(nn.Module):
    """(B, 1, X, Y, Z) to (B, width, X/16, Y/16, Z/16); places are learned at an eighth, where brains lie alike."""

    def __init__(self, settings: Tiny) -> None:
        super().__init__()
        quarter, eighth = settings.stem
        x, y, z = (edge // 8 for edge in settings.volume)
        self.patch = nn.Conv3d(1, quarter, 4, stride=4)
        self.norm1 = nn.GroupNorm(8, quarter)
        self.down1 = nn.Conv3d(quarter, eighth, 3, stride=2, padding=1)
        self.place = nn.Parameter(torch.zeros(1, eighth, x, y, z))
        self.residual = _Residual(eighth)
        self.norm2 = nn.GroupNorm(8, eighth)
        self.down2 = nn.Conv3d(eighth, settings.width, 3, stride=2, padding=1)

    def forward(self, volumes: Tensor) -> Tensor:
        x = F.gelu(self.norm1(self.patch(volumes)))
        x = self.down1(x) + self.place
        x = self.residual(x)
        return cast(Tensor, self.down2(F.gelu(self.norm2(x))))


class TinyVision(nn.Module):
    """The vision tower (a ``TokenTower``): volumes (B, 1, X, Y, Z) to tokens (B, 1 + T, width), CLS first, x slowest."""

    lead = 1
    order_free = True
    first_centre = (1.5, 1.5, 1.5)
    """The voxel at the middle of what the first patch token sees: the stem's strided convolutions start at the edge."""

    def __init__(self, settings: Tiny) -> None:
        super().__init__()
        self.width = settings.width
        self.stem = _Stem(settings)
        self.tokens_along = tuple(edge // STRIDE for edge in settings.volume)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, settings.width))
        count = self.tokens_along[0] * self.tokens_along[1] * self.tokens_along[2]
        self.position_embeddings = nn.Parameter(0.02 * torch.randn(1, count, settings.width))
        self.blocks = nn.ModuleList(
            TinyBlock(settings.width, settings.heads, settings.mlp) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(settings.width)

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Tokens along each axis of a volume of this shape (the last three axes count)."""
        x, y, z = (edge // STRIDE for edge in volume[-3:])
        return x, y, z

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes (B, 1, X, Y, Z) to the first sequence (B, 1 + T, width)."""
        patches = self.stem(_standardised(inputs)).flatten(2).mT + self.position_embeddings
        return torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)

    def finish(self, tokens: Tensor) -> Tensor:
        """The final norm."""
        return cast(Tensor, self.norm(tokens))

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (CLS needs no mask)
        """CLS (B, width)."""
        return tokens[:, 0]

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Volumes (B, 1, X, Y, Z) to tokens after the final norm (B, 1 + T, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)


def _standardised(volumes: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 inside the brain, -3 outside: a scanner's scale and window do not matter."""
    flat = volumes.flatten(1)
    inside = flat > OUTSIDE
    count = inside.sum(dim=1).clamp_min(1)
    values = flat * inside
    mean = values.sum(dim=1) / count
    variance = (values.square().sum(dim=1) / count - mean.square()).clamp_min(0)
    scaled = (flat - mean[:, None]) * (variance + 1e-4).rsqrt()[:, None]
    return torch.where(inside, scaled, -3.0).reshape(volumes.shape)


class TinyClip(DualEncoder):
    """``tiny`` (a ``Backbone``). Volumes are (B, 1, X, Y, Z), RAS+, in 0..1, zero outside the brain."""

    name = "tiny"

    def __init__(self, settings: Tiny) -> None:
        super().__init__()
        self.embed_dim = settings.embed_dim
        self.volume_shape = (1, *settings.volume)
        self.vision = TinyVision(settings)
        self.text = BertTower(settings.text)
        self.vision_projection = nn.Linear(settings.width, settings.embed_dim)
        self.text_projection = nn.Linear(settings.text.width, settings.embed_dim)
        self.logit_scale = nn.Parameter(torch.tensor(settings.logit_scale))
        self.settings = settings
        self.tokenizer = Tokenizer(settings.tokenizer or ASSETS, max_length=settings.text.max_length)

    @property
    def sha256(self) -> str | None:
        """Of the weights file; ``None`` for a model that started new."""
        return None if self.loaded is None else self.loaded.sha256

    def logit(self, image: Tensor, text: Tensor) -> Tensor:
        """Unit vectors (B, E) and (N, E) to ``logit_scale`` x cosine (B, N)."""
        return self.logit_scale * image @ text.mT
