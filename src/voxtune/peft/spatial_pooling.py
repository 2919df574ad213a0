"""M3D's spatial pooling: average pooling over the token grid, then a perceptron (Bai et al. 2024, arXiv 2404.00578), 'SPP'.

M3D hands the pooled tokens to a language model. Here they are read for alignment: their mean after the perceptron is added to the
frozen vector of the scan. The last layer starts at zero, so the model starts as the base.
"""

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from voxtune.errors import SettingError
from voxtune.model.injection import frozen_tower
from voxtune.model.token_encoder import TokenEncoder
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.protocols import is_sparse_tower
from voxtune.types.settings import Settings


class SpatialPooling(Settings):
    """Cubes of ``window`` tokens are averaged; then Linear, GELU, Linear into the joint space."""

    window: int = Field(2, ge=1)
    hidden: int | None = Field(None, ge=1)
    """Width of the perceptron; ``None``: the tower's."""

    def attach(self, model: VisionLanguageModel, encoder: TokenEncoder, generator: torch.Generator) -> None:
        """Let it read the patch tokens.

        Raises:
            SettingError: on the text side, on a tower without a 3D grid of tokens, or a second one.
        """
        if encoder is not model.vision:
            raise SettingError(
                "text", "a method of the text side (text_prompts, lora, ...)", "spatial_pooling"
            )
        grid_of = getattr(frozen_tower(model, encoder), "grid", None)
        if grid_of is None:
            raise SettingError(
                "vision",
                f"a method without a 3D token grid: {model.backbone.name} reads 2D slices",
                "spatial_pooling",
            )
        if is_sparse_tower(encoder.tower):
            raise SettingError(
                "vision",
                f"a method without a whole token grid: {model.backbone.name} drops patches",
                "spatial_pooling",
            )
        if model.image_summary is not None:
            raise SettingError("vision", "one spatial_pooling", "a second one")
        grid = grid_of(model.backbone.volume_shape[1:])
        sizes = (encoder.width, self.hidden or encoder.width, model.backbone.embed_dim)
        model.image_summary = PooledGrid(grid, self.window, sizes, generator)


class PooledGrid(nn.Module):
    """Patch tokens (B, P, width) to a vector (B, E); several scans of a study are pooled one by one."""

    def __init__(
        self, grid: tuple[int, int, int], window: int, sizes: tuple[int, int, int], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.grid = grid
        self.window = tuple(min(window, size) for size in grid)
        width, hidden, out = sizes
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, out)
        nn.init.normal_(self.linear1.weight, std=width**-0.5, generator=generator)
        for zero in (self.linear1.bias, self.linear2.weight, self.linear2.bias):
            nn.init.zeros_(zero)

    def forward(self, patches: Tensor) -> Tensor:
        """Pool, transform, average.

        Raises:
            SettingError: the tokens are not those of volumes of the backbone's shape.
        """
        count = math.prod(self.grid)
        if patches.shape[1] % count:
            raise SettingError(
                "spatial_pooling", f"volumes whose token grid is {self.grid}", f"{patches.shape[1]} tokens"
            )
        field = patches.reshape(-1, *self.grid, patches.shape[-1]).movedim(
            -1, 1
        )  # (B * scans, width, x, y, z)
        pooled = F.avg_pool3d(field, self.window, ceil_mode=True, count_include_pad=False)
        tokens = pooled.flatten(2).mT.reshape(len(patches), -1, patches.shape[-1])
        found: Tensor = self.linear2(F.gelu(self.linear1(tokens))).mean(dim=1)
        return found
