"""DCFormer, the convolutional vision tower of Med3DVLM (Ates et al. 2025, arXiv 2502.05091).

Every large 3D kernel is a sum of three one-axis convolutions, each with its batch normalisation. Upstream turns a volume
(B, 1, D, H, W) to (B, 1, H, W, D) before the first of them, so kernel axes here are in that order too; tokens come out
depth slowest. The stem has no activation, although one was meant.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.types.settings import Settings
from voxtune.weights.load import StoredBatchNorm

STAGES = 4


class DcFormerSizes(Settings):
    """Sizes of DCFormer; the defaults are the published ``decomp_small``."""

    channels_in: int = Field(1, ge=1)
    blocks: tuple[int, int, int, int, int] = (1, 2, 3, 6, 2)
    """Blocks of the stem (always one) and of the four stages."""
    channels: tuple[int, int, int, int, int] = (64, 96, 192, 384, 768)
    kernels: tuple[int, int, int, int] = (13, 11, 9, 7)
    mlp_ratio: int = Field(4, ge=1)
    norm_eps: float = 1e-5


def _along(axis: int, kernel: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Kernel and padding of a convolution along one axis."""
    x, y, z = (int(axis == here) for here in range(3))
    half = kernel // 2
    return (1 + x * (kernel - 1), 1 + y * (kernel - 1), 1 + z * (kernel - 1)), (x * half, y * half, z * half)


class _ThreeWays(nn.Module):
    """The sum of three convolutions along one axis each, every one with its norm."""

    def __init__(
        self, shape: tuple[int, int], kernel: int, eps: float, *, stride: int = 1, depthwise: bool = False
    ) -> None:
        super().__init__()
        inputs, outputs = shape
        groups = inputs if depthwise else 1
        self.c1, self.c2, self.c3 = (
            nn.Sequential(
                nn.Conv3d(inputs, outputs, size, stride=stride, padding=around, groups=groups),
                StoredBatchNorm(outputs, eps),
            )
            for size, around in (_along(axis, kernel) for axis in range(3))
        )

    def forward(self, field: Tensor) -> Tensor:
        return cast(Tensor, self.c1(field) + self.c2(field) + self.c3(field))


class _Perceptron(nn.Module):
    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        # The empty places are upstream's dropout: they keep the key names.
        self.mlp = nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Identity(), nn.Linear(wide, width))

    def forward(self, field: Tensor) -> Tensor:
        return cast(Tensor, self.mlp(field.movedim(1, -1)).movedim(-1, 1))


class _Block(nn.Module):
    """The first block of a stage halves the grid; then depthwise mixing and a perceptron, scaled, are added."""

    def __init__(self, sizes: DcFormerSizes, stage: int, *, first: bool) -> None:
        super().__init__()
        before, width = sizes.channels[stage - 1], sizes.channels[stage]
        self.proj = nn.Conv3d(before, width, 1, bias=False) if first else None
        self.scale = nn.Parameter(torch.full((width,), 1e-6))
        self.dwconv = _ThreeWays((width, width), sizes.kernels[stage - 1], sizes.norm_eps, depthwise=True)
        self.mlp = _Perceptron(width, sizes.mlp_ratio * width)

    def forward(self, field: Tensor) -> Tensor:
        if self.proj is not None:
            field = self.proj(F.max_pool3d(field, 3, stride=2, padding=1))
        return cast(Tensor, field + self.scale[:, None, None, None] * self.mlp(self.dwconv(field)))


class _Encoder(nn.Module):
    def __init__(self, sizes: DcFormerSizes) -> None:
        super().__init__()
        first = sizes.channels[0]
        stem = [_ThreeWays((sizes.channels_in, first), 7, sizes.norm_eps, stride=4)]
        stem += [_ThreeWays((first, first), 3, sizes.norm_eps) for _ in range(3)]
        self.s0 = nn.Sequential(nn.Sequential(*stem))
        for stage in range(1, STAGES + 1):
            blocks = (_Block(sizes, stage, first=index == 0) for index in range(sizes.blocks[stage]))
            self.add_module(f"s{stage}", nn.Sequential(*blocks))

    def forward(self, field: Tensor) -> list[Tensor]:
        found = []
        for stage in self.children():
            field = stage(field)
            found.append(field)
        return found


class DcFormer(nn.Module):
    """The vision tower (a ``FeatureTower``): volumes (B, 1, D, H, W) to the last map as tokens (B, d * h * w, width)."""

    first_centre = (0.0, 0.0, 0.0)
    """The voxel at the middle of what the first token sees: every step is strided from the edge."""

    def __init__(self, sizes: DcFormerSizes) -> None:
        super().__init__()
        self.width = sizes.channels[-1]
        self.encoder = _Encoder(sizes)

    def grid(self, volume: Sequence[int]) -> tuple[int, int, int]:
        """Tokens along depth, height, width of the last map for a volume of this shape."""
        d, h, w = ((size - 1) // 4 + 1 for size in volume)
        for _ in range(STAGES):
            d, h, w = (d - 1) // 2 + 1, (h - 1) // 2 + 1, (w - 1) // 2 + 1
        return d, h, w

    def hidden(self, volumes: Tensor) -> list[Tensor]:
        """The five maps as tokens (B, d * h * w, channels), depth slowest: stem, then the four stages."""
        maps = self.encoder(volumes.permute(0, 1, 3, 4, 2))
        return [field.permute(0, 4, 2, 3, 1).flatten(1, 3) for field in maps]  # from (B, C, h, w, d)

    def features(self, volumes: Tensor) -> Tensor:
        """The last map (B, d * h * w, width)."""
        return self.hidden(volumes)[-1]

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (every place is real)
        """The mean over tokens (B, width)."""
        return tokens.mean(dim=1)

    def forward(self, volumes: Tensor) -> Tensor:
        """As ``features``."""
        return self.features(volumes)
