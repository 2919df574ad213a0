"""COLIPRI's image tower: Primus-M, a ViT with rotary positions, gated perceptrons and attention pooling (arXiv 2503.01835).

There is no CLS token and no position table: queries and keys are turned by the integer place of their patch on the token
grid. Extra tokens stand in front of the patches and are not turned. Queries and values have a bias, keys have none.
"""

from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.errors import SettingError
from voxtune.types.settings import Settings


class PrimusSizes(Settings):
    """Sizes of the tower; the defaults are the published ones."""

    volume: tuple[int, int, int] = (192, 192, 192)
    patch: tuple[int, int, int] = (8, 8, 8)
    channels: int = Field(1, ge=1)
    width: int = Field(864, ge=6)
    depth: int = Field(16, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(2304, ge=1)
    norm_eps: float = 1e-5
    rope_base: float = Field(10000.0, gt=1)

    @model_validator(mode="after")
    def _fit(self) -> "PrimusSizes":
        if self.width % (6 * self.heads):
            raise ValueError(
                f"width ({self.width}) must be a multiple of 6 x heads ({self.heads}): pairs on three axes"
            )
        token_grid(self.volume, self.patch)
        return self


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


class Rotation:
    """Rotary positions on the token grid of the volumes at hand; shared by all blocks.

    Nothing is scaled to a reference grid: the first patch is at 0 and the next at 1 whatever the volume's size.
    """

    def __init__(self, sizes: PrimusSizes) -> None:
        self.grid = token_grid(sizes.volume, sizes.patch)
        self.bands = sizes.width // sizes.heads // 6
        self.base = sizes.rope_base
        self._made: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}

    def tables(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of every patch's angles (T, head width / 2): first axis, second, third."""
        key = (self.grid, like.device, like.dtype)
        if key not in self._made:
            kind = torch.float64 if like.dtype == torch.float64 else torch.float32
            band = self.base ** -(torch.arange(self.bands, dtype=kind) / self.bands)
            places = torch.cartesian_prod(*(torch.arange(count, dtype=kind) for count in self.grid))
            angles = (places[:, :, None] * band).flatten(1)
            self._made = {key: (angles.cos().to(like), angles.sin().to(like))}
        return self._made[key]

    def __call__(self, heads: Tensor) -> Tensor:
        """Queries or keys (B, heads, E + T, head width), of which the last T are patches and are turned."""
        cosine, sine = self.tables(heads)
        extra = heads.shape[2] - len(cosine)
        if extra < 0:
            raise SettingError("volume", f"tokens of the grid {self.grid}", f"{heads.shape[2]} tokens")
        first, rest = heads[:, :, :extra], heads[:, :, extra:]
        even, odd = rest[..., 0::2], rest[..., 1::2]
        turned = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)
        return torch.cat([first, turned], dim=2)


class _Attention(nn.Module):
    def __init__(self, sizes: PrimusSizes, rotation: Rotation) -> None:
        super().__init__()
        self.heads, self.rotation = sizes.heads, rotation
        self.q_proj = nn.Linear(sizes.width, sizes.width)
        self.k_proj = nn.Linear(sizes.width, sizes.width, bias=False)
        self.v_proj = nn.Linear(sizes.width, sizes.width)
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.proj = nn.Linear(sizes.width, sizes.width)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (
            part(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, width / heads)
            for part in (self.q_proj, self.k_proj, self.v_proj)
        )
        keys_allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(self.rotation(q), self.rotation(k), v, attn_mask=keys_allowed)
        return cast(Tensor, self.proj(self.norm(mixed.transpose(1, 2).flatten(2))))


class _Perceptron(nn.Module):
    def __init__(self, sizes: PrimusSizes) -> None:
        super().__init__()
        self.fc1_g = nn.Linear(sizes.width, sizes.mlp)
        self.fc1_x = nn.Linear(sizes.width, sizes.mlp)
        self.norm = nn.LayerNorm(sizes.mlp, eps=sizes.norm_eps)
        self.fc2 = nn.Linear(sizes.mlp, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(self.norm(F.silu(self.fc1_g(tokens)) * self.fc1_x(tokens))))


class _Block(nn.Module):
    def __init__(self, sizes: PrimusSizes, rotation: Rotation) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.attn = _Attention(sizes, rotation)
        self.gamma_1 = nn.Parameter(0.1 * torch.ones(sizes.width))
        self.norm2 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.mlp = _Perceptron(sizes)
        self.gamma_2 = nn.Parameter(0.1 * torch.ones(sizes.width))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = tokens + self.gamma_1 * self.attn(self.norm1(tokens), mask)
        return cast(Tensor, tokens + self.gamma_2 * self.mlp(self.norm2(tokens)))


class Pooling(nn.Module):
    """One vector of a set of tokens: torch's MultiheadAttention with their mean as the query and themselves as keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(width**-0.5 * torch.randn(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, T, width), mask (B, T) True where a token is real, to (B, width).

        Raises:
            SettingError: a row without a real token.
        """
        if mask is None:
            mean, allowed = tokens.mean(dim=1, keepdim=True), None
        else:
            count = mask.sum(dim=1, keepdim=True)
            if not bool((count > 0).all()):
                raise SettingError("mask", "at least one real token in every row", "a row of padding alone")
            mean = ((tokens * mask[..., None]).sum(dim=1) / count)[:, None]
            allowed = mask[:, None, None, :].bool()
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(part, weight, bias).reshape(*part.shape[:2], self.heads, -1).transpose(1, 2)
            for part, weight, bias in zip((mean, tokens, tokens), weights, biases, strict=True)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return cast(Tensor, self.out_proj(mixed.transpose(1, 2).flatten(2)))[:, 0]

    def dense(self, tokens: Tensor) -> Tensor:
        """Each token (..., width) as if it were the only one: its value and the output projection, no attention."""
        weight, bias = self.in_proj_weight.chunk(3)[2], self.in_proj_bias.chunk(3)[2]
        return cast(Tensor, self.out_proj(F.linear(tokens, weight, bias)))


class _Patches(nn.Module):
    def __init__(self, sizes: PrimusSizes) -> None:
        super().__init__()
        self.proj = nn.Conv3d(sizes.channels, sizes.width, sizes.patch, stride=sizes.patch)


class PrimusVision(nn.Module):
    """The tower (a ``TokenTower``): volumes (B, 1, X, Y, Z) in -1..1 to tokens (B, T, width), first axis slowest."""

    lead = 0

    def __init__(self, sizes: PrimusSizes, embed: int, pool_heads: int) -> None:
        super().__init__()
        self.width, self.patch = sizes.width, sizes.patch
        self.rotation = Rotation(sizes)
        self.down_projection = _Patches(sizes)
        self.blocks = nn.ModuleList(_Block(sizes, self.rotation) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.projector = nn.Conv3d(sizes.width, embed, 1)
        self.pooler = Pooling(embed, pool_heads)

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Patches along each axis of a volume of this shape."""
        return token_grid(volume, self.patch)

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes to the first sequence (B, T, width); remembers the grid, which the blocks turn by."""
        self.rotation.grid = self.grid(tuple(inputs.shape[2:]))
        return cast(Tensor, self.down_projection.proj(inputs).flatten(2).mT)

    def finish(self, tokens: Tensor) -> Tensor:
        """The final norm."""
        return cast(Tensor, self.norm(tokens))

    def project(self, tokens: Tensor) -> Tensor:
        """Finished tokens (B, T, width) through the 1x1x1 convolution (B, T, embed)."""
        return cast(Tensor, self.projector(tokens.mT[..., None, None]).flatten(2).mT)

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Finished tokens to the attention-pooled vector in the joint space, not of unit length (B, embed)."""
        return cast(Tensor, self.pooler(self.project(tokens), mask))

    def dense(self, tokens: Tensor) -> Tensor:
        """Finished tokens to a vector each in the joint space, not of unit length (B, T, embed)."""
        return self.pooler.dense(self.project(tokens))

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Volumes (B, 1, X, Y, Z) to tokens after the final norm (B, T, width)."""
        tokens = self.embed(inputs)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens)
