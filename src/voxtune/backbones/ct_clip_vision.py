"""CTViT, the vision tower of CT-CLIP: attention inside each depth slab, then along depth, then a vector quantiser.

Written from the behaviour of the published model, quirks included, because its weights only make sense with them:

- keys and values come from the tokens before the attention's norm, only queries from after it;
- queries and keys are unit vectors times a learned scale; the logits are multiplied by 8;
- each layer begins with a depthwise 3x3x3 convolution over the grid; along depth the sequences are laid out
  (batch, h, w) x t, yet the convolution reads them as (batch, t, h, w), so there its neighbours are not spatial ones.

Two things differ on purpose and change no output: the codebook never moves (upstream moves it in every training forward,
even when frozen), and the gradient passes the quantiser straight through in eval mode too.
"""

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from voxtune.errors import SettingError
from voxtune.types.settings import Settings

LOGIT_FACTOR = 8.0
"""What attention logits of unit queries and keys are multiplied by, whatever the number of heads."""


class CtVitSizes(Settings):
    """Sizes of CTViT; the defaults are the published ones."""

    width: int = Field(512, ge=4)
    codebook: int = Field(8192, ge=2)
    image: int = Field(480, ge=1)
    """Height and width of the input: the projection is tied to them. Depth is free."""
    frames: int = Field(240, ge=1)
    """Depth of the input by default."""
    patch: int = Field(20, ge=1)
    depth_patch: int = Field(10, ge=1)
    spatial_depth: int = Field(4, ge=1)
    temporal_depth: int = Field(4, ge=1)
    heads: int = Field(8, ge=1)
    head_width: int = Field(32, ge=1)
    inner: int = Field(1365, ge=1)
    """Width inside the gated perceptron."""
    channels: int = Field(1, ge=1)


class _GammaNorm(nn.Module):
    """Layer norm whose shift is a buffer, as the published state dict has it."""

    beta: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.register_buffer("beta", torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return F.layer_norm(tokens, tokens.shape[-1:], self.gamma, self.beta)


class _Attention(nn.Module):
    def __init__(self, sizes: CtVitSizes) -> None:
        super().__init__()
        inner = sizes.heads * sizes.head_width
        self.heads = sizes.heads
        self.norm = _GammaNorm(sizes.width)
        self.to_q = nn.Linear(sizes.width, inner, bias=False)
        self.to_kv = nn.Linear(sizes.width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, sizes.width, bias=False)
        self.q_scale = nn.Parameter(torch.ones(sizes.head_width))
        self.k_scale = nn.Parameter(torch.ones(sizes.head_width))

    def forward(self, tokens: Tensor, bias: Tensor | None) -> Tensor:
        split = (*tokens.shape[:2], self.heads, -1)
        # Not a slip: keys and values read the tokens before the norm.
        k, v = (part.reshape(split).transpose(1, 2) for part in self.to_kv(tokens).chunk(2, dim=-1))
        q = self.to_q(self.norm(tokens)).reshape(split).transpose(1, 2)
        q = F.normalize(q, dim=-1) * self.q_scale
        k = F.normalize(k, dim=-1) * self.k_scale
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=LOGIT_FACTOR)
        return cast(Tensor, self.to_out(mixed.transpose(1, 2).flatten(2)))


class _Gate(nn.Module):
    """Two halves (..., 2 n) to the first times GELU of the second (..., n)."""

    def forward(self, tokens: Tensor) -> Tensor:
        value, gate = tokens.chunk(2, dim=-1)
        return value * F.gelu(gate)


class _Position(nn.Module):
    """A depthwise convolution as position signal; it looks two steps back in depth and never ahead."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dsconv = nn.Conv3d(width, width, 3, groups=width)

    def forward(self, tokens: Tensor, grid: tuple[int, int, int, int]) -> Tensor:
        # The raw reshape to (B, t, h, w, width) is the published behaviour for either layout of the sequences.
        field = tokens.reshape(*grid, tokens.shape[-1]).permute(0, 4, 1, 2, 3)
        signal = self.dsconv(F.pad(field, (1, 1, 1, 1, 2, 0)))
        return cast(Tensor, signal.permute(0, 2, 3, 4, 1).reshape(tokens.shape))


class _Layer(nn.ModuleList):
    """Position, attention, (an empty place upstream), perceptron: each adds to the tokens."""

    def __init__(self, sizes: CtVitSizes) -> None:
        perceptron = nn.Sequential(
            nn.LayerNorm(sizes.width),
            nn.Linear(sizes.width, 2 * sizes.inner, bias=False),
            _Gate(),
            nn.Identity(),  # upstream's dropout
            nn.Linear(sizes.inner, sizes.width, bias=False),
        )
        super().__init__([_Position(sizes.width), _Attention(sizes), nn.Identity(), perceptron])

    def forward(self, tokens: Tensor, grid: tuple[int, int, int, int], bias: Tensor | None) -> Tensor:
        position, attention, _, perceptron = self
        tokens = tokens + position(tokens, grid)
        tokens = tokens + attention(tokens, bias)
        return cast(Tensor, tokens + perceptron(tokens))


class _Transformer(nn.Module):
    def __init__(self, sizes: CtVitSizes, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(sizes) for _ in range(depth))
        self.norm_out = _GammaNorm(sizes.width)
        self.checkpointing = False
        """Recompute each layer in the backward pass."""

    def forward(self, tokens: Tensor, grid: tuple[int, int, int, int], bias: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            if self.checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(layer, tokens, grid, bias, use_reentrant=False)
            else:
                tokens = layer(tokens, grid, bias)
        return cast(Tensor, self.norm_out(tokens))


class _PositionBias(nn.Module):
    """Attention bias (heads, n, n) of an h x w grid from signed log distances, by a small perceptron."""

    def __init__(self, sizes: CtVitSizes) -> None:
        super().__init__()
        hidden = sizes.width
        self.net = nn.ModuleList(
            [
                nn.Sequential(nn.Linear(2, hidden), nn.LeakyReLU(0.1)),
                nn.Sequential(nn.Linear(hidden, hidden), nn.LeakyReLU(0.1)),
                nn.Linear(hidden, sizes.heads),
            ]
        )

    def forward(self, h: int, w: int) -> Tensor:
        weight = next(self.parameters())
        rows, columns = torch.arange(h, device=weight.device), torch.arange(w, device=weight.device)
        places = torch.cartesian_prod(rows, columns)  # (n, 2), row slowest
        apart = (places[:, None] - places[None, :]).to(weight.dtype)
        signal = apart.sign() * apart.abs().log1p()
        for step in self.net:
            signal = step(signal)
        return signal.permute(2, 0, 1)


class _Codebook(nn.Module):
    embed: Tensor

    def __init__(self, sizes: CtVitSizes) -> None:
        super().__init__()
        self.register_buffer("embed", F.normalize(torch.randn(1, sizes.codebook, sizes.width), dim=-1))


class Quantiser(nn.Module):
    """Each token becomes the codebook row of largest cosine; the gradient passes straight through; the rows never move."""

    def __init__(self, sizes: CtVitSizes) -> None:
        super().__init__()
        self._codebook = _Codebook(sizes)

    def codes(self, tokens: Tensor) -> Tensor:
        """Tokens (..., width) to the index of the chosen row (...)."""
        rows = self._codebook.embed[0]
        return (F.normalize(tokens, dim=-1) @ F.normalize(rows, dim=-1).mT).argmax(dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (..., width) to rows as stored (..., width)."""
        with torch.no_grad():
            chosen = self._codebook.embed[0][self.codes(tokens)]
        # The value is the row to the bit; the derivative is that of the token (Bengio et al. 2013, arXiv 1308.3432).
        return chosen + (tokens - tokens.detach())


class CtVit(nn.Module):
    """The vision tower (a ``FeatureTower``): volumes (B, 1, T, H, W) to quantised tokens (B, t * h * w, width), t slowest."""

    def __init__(self, sizes: CtVitSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.width = sizes.width
        voxels = sizes.channels * sizes.depth_patch * sizes.patch**2
        self.spatial_rel_pos_bias = _PositionBias(sizes)
        self.to_patch_emb = nn.Sequential(
            nn.Identity(), nn.LayerNorm(voxels), nn.Linear(voxels, sizes.width), nn.LayerNorm(sizes.width)
        )
        self.enc_spatial_transformer = _Transformer(sizes, sizes.spatial_depth)
        self.enc_temporal_transformer = _Transformer(sizes, sizes.temporal_depth)
        self.vq = Quantiser(sizes)

    @property
    def pooled_width(self) -> int:
        """Width of the read-out: the projection takes every place of a slab side by side."""
        return self.width * (self.sizes.image // self.sizes.patch) ** 2

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Tokens along depth, height, width of a volume of this shape.

        Raises:
            SettingError: height or width is not the trained one, or the depth is no multiple of the patch.
        """
        sizes = self.sizes
        if (
            len(volume) != 3
            or volume[1:] != (sizes.image, sizes.image)
            or volume[0] % sizes.depth_patch
            or not volume[0]
        ):
            expected = f"(a multiple of {sizes.depth_patch}, {sizes.image}, {sizes.image})"
            raise SettingError("volume", expected, tuple(volume))
        side = sizes.image // sizes.patch
        return volume[0] // sizes.depth_patch, side, side

    def encode(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, T, H, W) to tokens before quantisation (B, t, h, w, width)."""
        t, h, w = self.grid(tuple(volumes.shape[2:]))
        batch, channels = volumes.shape[:2]
        p, q = self.sizes.depth_patch, self.sizes.patch
        cut = volumes.reshape(batch, channels, t, p, h, q, w, q).permute(0, 2, 4, 6, 1, 3, 5, 7)
        tokens = self.to_patch_emb(cut.flatten(4))  # (B, t, h, w, width)
        grid = (batch, t, h, w)
        slabs = self.enc_spatial_transformer(
            tokens.flatten(2, 3).flatten(0, 1), grid, self.spatial_rel_pos_bias(h, w)
        )
        columns = slabs.reshape(*grid, -1).permute(0, 2, 3, 1, 4).flatten(0, 2)  # (B * h * w, t, width)
        columns = self.enc_temporal_transformer(columns, grid)
        return cast(Tensor, columns.reshape(batch, h, w, t, -1).permute(0, 3, 1, 2, 4))

    def features(self, volumes: Tensor) -> Tensor:
        """Volumes (B, 1, T, H, W) to quantised tokens (B, t * h * w, width), t slowest, w fastest."""
        return cast(Tensor, self.vq(self.encode(volumes)).flatten(1, 3))

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (every place is real)
        """Tokens (B, t * h * w, width) to their mean over t, places side by side (B, h * w * width)."""
        side = self.sizes.image // self.sizes.patch
        return tokens.reshape(len(tokens), -1, side * side, tokens.shape[-1]).mean(dim=1).flatten(1)

    def forward(self, volumes: Tensor) -> Tensor:
        """As ``features``."""
        return self.features(volumes)
