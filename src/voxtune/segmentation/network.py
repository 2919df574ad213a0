"""The network that finds the regions: a small 3D U-Net on the 1 mm template cube that also sees where each voxel lies.

Çiçek et al. 2016, '3D U-Net', arXiv 1606.06650; skips are added, not concatenated, which halves the arithmetic at full resolution.
Where a voxel lies after Liu et al. 2018, 'CoordConv', arXiv 1807.03247: a brain in template space leaves little to guess.
"""

import itertools
from typing import Final, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTHS: Final = (16, 32, 64, 96)
"""Channels at 1, 2, 4 and 8 mm."""
PLACES: Final = 3
"""Channels that tell where a voxel lies, beside the picture."""


class Block(nn.Sequential):
    """Convolution, batch normalisation, activation.

    The statistics are fixed for the second half of training, so that a crop and a whole brain are treated alike.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv3d(inputs, outputs, 3, padding=1),
            nn.BatchNorm3d(outputs, momentum=0.02),
            nn.LeakyReLU(0.01, inplace=True),
        )


class RegionNet(nn.Module):
    """Pictures with places (N, 1 + 3, X, Y, Z) to scores of the regions (N, K, X, Y, Z); X, Y, Z are multiples of 8."""

    def __init__(self, regions: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        inputs = (1 + PLACES, *widths[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(Block(i, o), Block(o, o)) for i, o in zip(inputs, widths, strict=True)
        )
        self.narrow = nn.ModuleList(nn.Conv3d(deep, here, 1) for here, deep in itertools.pairwise(widths))
        self.up = nn.ModuleList(
            Block(here, here) if level == 0 else nn.Sequential(Block(here, here), Block(here, here))
            for level, here in enumerate(widths[:-1])
        )
        self.scores = nn.Conv3d(widths[0], regions, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores (N, K, X, Y, Z) before the softmax."""
        return torch.as_tensor(self.scores(self.features(pictures)))

    def fused(self) -> Self:
        """Itself for inference: every normalisation is part of its convolution."""
        self.eval()
        for block in [part for part in self.modules() if isinstance(part, Block)]:
            convolution, normalisation = block[0], block[1]
            assert isinstance(convolution, nn.Conv3d)
            assert isinstance(normalisation, nn.BatchNorm3d)
            block[0] = fuse_conv_bn_eval(convolution, normalisation)
            block[1] = nn.Identity()
        return self

    def features(self, pictures: Tensor) -> Tensor:
        """What the scores are read from (N, widths[0], X, Y, Z)."""
        x, seen = pictures, []
        for level, down in enumerate(self.down):
            x = down(x if level == 0 else F.max_pool3d(x, 2))
            seen.append(x)
        for level in reversed(range(len(self.up))):
            above = F.interpolate(
                self.narrow[level](x), scale_factor=2, mode="trilinear", align_corners=False
            )
            x = self.up[level](seen[level] + above)
        return x


def places(shape: tuple[int, int, int], start: tuple[int, int, int], edge: int) -> Tensor:
    """Where the voxels of a box lie in the cube of ``edge`` voxels (3, X, Y, Z), -1 to 1.

    The first is the distance from the middle plane, so that left and right are one.
    """
    axes = [
        (torch.arange(n, dtype=torch.float32) + s - (edge - 1) / 2) / (edge / 2)
        for n, s in zip(shape, start, strict=True)
    ]
    axes[0] = axes[0].abs()
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))
