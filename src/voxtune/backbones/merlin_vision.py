"""I3ResNet, the vision tower of Merlin: a bottleneck ResNet-152 whose kernels were inflated to 3D.

Volumes are (B, 1, H, W, D), depth last; inside, depth comes first and the one channel is repeated to three. The first
convolution keeps the depth and halves height and width; the pooling after it and stages 2 to 4 halve all three.
"""

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.types.settings import Settings
from voxtune.weights.load import StoredBatchNorm


class I3ResNetSizes(Settings):
    """Sizes of the tower; the defaults are the published ones."""

    stem: int = Field(64, ge=1)
    planes: tuple[int, int, int, int] = (64, 128, 256, 512)
    expansion: int = Field(4, ge=1)
    blocks: tuple[int, int, int, int] = (3, 8, 36, 3)
    norm_eps: float = 1e-5

    @property
    def width(self) -> int:
        """Channels of the last map."""
        return self.planes[-1] * self.expansion


class _Bottleneck(nn.Module):
    def __init__(self, before: int, planes: int, sizes: I3ResNetSizes, *, stride: int) -> None:
        super().__init__()
        after = planes * sizes.expansion
        self.conv1 = nn.Conv3d(before, planes, 1, bias=False)
        self.bn1 = StoredBatchNorm(planes, sizes.norm_eps)
        self.conv2 = nn.Conv3d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = StoredBatchNorm(planes, sizes.norm_eps)
        self.conv3 = nn.Conv3d(planes, after, 1, bias=False)
        self.bn3 = StoredBatchNorm(after, sizes.norm_eps)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            shortcut = nn.Conv3d(before, after, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, StoredBatchNorm(after, sizes.norm_eps))

    def forward(self, field: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(field)))
        inner = F.relu(self.bn2(self.conv2(inner)))
        return F.relu(self.bn3(self.conv3(inner)) + self.downsample(field))


def _stage(before: int, stage: int, sizes: I3ResNetSizes) -> nn.Sequential:
    planes = sizes.planes[stage]
    after = planes * sizes.expansion
    first = _Bottleneck(before, planes, sizes, stride=1 if stage == 0 else 2)
    return nn.Sequential(
        first, *(_Bottleneck(after, planes, sizes, stride=1) for _ in range(sizes.blocks[stage] - 1))
    )


class I3ResNet(nn.Module):
    """The vision tower (a ``FeatureTower``): volumes (B, 1, H, W, D) to the last map as tokens (B, h * w * d, width)."""

    first_centre = (0.0, 0.0, 0.0)
    """The voxel at the middle of what the first token sees: every step is strided from the edge."""

    def __init__(self, sizes: I3ResNetSizes) -> None:
        super().__init__()
        self.width = sizes.width
        self.conv1 = nn.Conv3d(3, sizes.stem, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
        self.bn1 = StoredBatchNorm(sizes.stem, sizes.norm_eps)
        before = [sizes.stem, *(planes * sizes.expansion for planes in sizes.planes)]
        self.layer1, self.layer2, self.layer3, self.layer4 = (_stage(before[i], i, sizes) for i in range(4))

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Tokens along height, width, depth of the last map for a volume of this shape."""
        h, w, d = volume
        h, w = (h - 1) // 2 + 1, (w - 1) // 2 + 1
        for _ in range(4):
            h, w, d = (h - 1) // 2 + 1, (w - 1) // 2 + 1, (d - 1) // 2 + 1
        return h, w, d

    def maps(self, volumes: Tensor) -> list[Tensor]:
        """The maps of the four stages (B, channels, H, W, D), depth last."""
        field = volumes.permute(0, 1, 4, 2, 3).expand(-1, 3, -1, -1, -1)
        field = F.relu(self.bn1(self.conv1(field)))
        field = F.max_pool3d(field, 3, stride=2, padding=1)
        found = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            field = stage(field)
            found.append(field.permute(0, 1, 3, 4, 2))
        return found

    def features(self, volumes: Tensor) -> Tensor:
        """The last map as tokens (B, h * w * d, width), depth fastest."""
        return self.maps(volumes)[-1].flatten(2).mT

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (every place is real)
        """The mean over tokens (B, width)."""
        return tokens.mean(dim=1)

    def forward(self, volumes: Tensor) -> Tensor:
        """As ``features``."""
        return self.features(volumes)
