"""NeuroVFM's tower: a ViT over the patches of a head that hold no background (arXiv 2511.18640).

A patch with one background voxel is never read, so scans have different numbers of tokens. Volumes come on a canvas in which
background is marked (``presets``: NEUROVFM, NEUROVFM_CT); ``embed`` keeps the other patches, puts them in front and fills
short scans up with rows of zeros, which no real token is: sine and cosine of its place are among its channels. ``groups`` tells
the two apart, and of a CT the three windows, which are series of their own: attention stays inside a series.
"""

import math
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxtune.backbones.dual_encoder import mean_of_real
from voxtune.errors import DataError, SettingError
from voxtune.imaging.patches import ABSENT, BACKGROUND_HU, CANVAS
from voxtune.types.settings import Settings

WINDOWS = ((80.0, 40.0), (200.0, 80.0), (2800.0, 600.0))
"""Width and level of a CT's windows, HU: brain, blood, bone."""
STATISTICS = {
    "mri": ((0.3141, 0.2623),),
    "ct": ((0.4139, 0.4059), (0.3184, 0.3605), (0.2719, 0.1875)),
}
"""Mean and deviation of each series, as upstream's defaults have them."""


class NeuroVfmSizes(Settings):
    """Sizes of the tower; the defaults are those of the released model (base)."""

    modality: Literal["mri", "ct"] = "mri"
    """``mri``: volumes in 0..1, ``ABSENT`` where a patch has background; ``ct``: Hounsfield units, cut into three windows here."""
    volume: tuple[int, int, int] = CANVAS
    """Slices, rows, columns of the canvas; its places are tokens only where a scan has tissue."""
    patch: tuple[int, int, int] = (4, 16, 16)
    width: int = Field(768, ge=7)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    mlp: int = Field(3072, ge=1)
    position: int = Field(30, ge=6, multiple_of=6)
    """Channels of a token that hold its place: a third for each axis."""
    norm_eps: float = 1e-6
    statistics: tuple[tuple[float, float], ...] | None = None
    """Mean and deviation of each series, where the checkpoint's card has others than ``STATISTICS``."""

    @model_validator(mode="after")
    def _fit(self) -> "NeuroVfmSizes":
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        if self.position >= self.width:
            raise ValueError(f"position ({self.position}) is a part of width ({self.width})")
        if len(self.normalisation) != len(STATISTICS[self.modality]):
            raise ValueError(f"statistics of {len(STATISTICS[self.modality])} series, one for each window")
        token_grid(self.volume, self.patch)
        return self

    @property
    def normalisation(self) -> tuple[tuple[float, float], ...]:
        """Mean and deviation in force."""
        return self.statistics or STATISTICS[self.modality]


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


def cut(volumes: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """Volumes (B, D, H, W) to patches (B, places, voxels of one), in both depth slowest."""
    d, h, w = token_grid(tuple(volumes.shape[1:]), patch)
    p, q, r = patch
    return volumes.reshape(-1, d, p, h, q, w, r).permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(1, 3)


def windowed(hounsfield: Tensor) -> Tensor:
    """Hounsfield units (...) in each window as 0..1 (..., 3)."""
    return torch.stack(
        [((hounsfield - (level - width / 2)) / width).clamp(0, 1) for width, level in WINDOWS], dim=-1
    )


def allowed(mask: Tensor | None) -> Tensor | None:
    """Who attends to whom, for every head.

    Args:
        mask: True where a token is real; or numbers: 0 nobody's, 1 everybody's (extra tokens), 2 and more a series' own (B, T).
    """
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        return mask[:, None, None, :]
    free = (mask[:, :, None] == mask[:, None, :]) | (mask < 2)[:, :, None] | (mask == 1)[:, None, :]
    return (free & (mask > 0)[:, None, :])[:, None]


class _Attention(nn.Module):
    def __init__(self, sizes: NeuroVfmSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.proj = nn.Linear(sizes.width, sizes.width, bias=False)

    def forward(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.qkv(tokens).reshape(*tokens.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed(mask))
        return cast(Tensor, self.proj(mixed.transpose(1, 2).flatten(2)))


class _Perceptron(nn.Module):
    def __init__(self, sizes: NeuroVfmSizes) -> None:
        super().__init__()
        self.fc1 = nn.Linear(sizes.width, sizes.mlp)
        self.fc2 = nn.Linear(sizes.mlp, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(F.gelu(self.fc1(tokens), approximate="tanh")))


class _Block(nn.Module):
    def __init__(self, sizes: NeuroVfmSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.mixer = _Attention(sizes)
        self.norm2 = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)
        self.mlp = _Perceptron(sizes)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        tokens = tokens + self.mixer(self.norm1(tokens), mask)
        return cast(Tensor, tokens + self.mlp(self.norm2(tokens)))


class _TokenEmbedding(nn.Module):
    """A linear map of a patch's voxels, and its place beside it."""

    def __init__(self, sizes: NeuroVfmSizes) -> None:
        super().__init__()
        self.channels = sizes.position // 3
        self.proj = nn.Linear(math.prod(sizes.patch), sizes.width - sizes.position)

    def forward(self, patches: Tensor, places: Tensor) -> Tensor:
        """Normalised patches (..., voxels) and their places (..., 3) on the grid to tokens (..., width)."""
        steps = torch.arange(0, self.channels, 2, device=places.device, dtype=patches.dtype)
        angles = places[..., None].to(patches.dtype) / 10000 ** (steps / self.channels)
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (..., 3, channels / 2, 2)
        return torch.cat([self.proj(patches), waves.flatten(-3)], dim=-1)


class NeuroVfmVision(nn.Module):
    """The tower (a ``SparseTower``): volumes (B, 1, D, H, W) to tokens (B, T, width), in the order of their places.

    Of a CT each place has three tokens side by side: brain, blood, bone.
    """

    lead = 0

    def __init__(self, sizes: NeuroVfmSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.width, self.patch = sizes.width, sizes.patch
        self.series = len(sizes.normalisation)
        self.token_embed = _TokenEmbedding(sizes)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.norm_eps)

    def grid(self, volume: tuple[int, ...]) -> tuple[int, int, int]:
        """Patches along each axis of a volume of this shape, with and without background."""
        return token_grid(volume, self.patch)

    def kept(self, patches: Tensor) -> Tensor:
        """Which patches (B, places, voxels) hold no background (B, places).

        Raises:
            SettingError: the values are not those of the modality.
        """
        values = patches.detach()
        if self.sizes.modality == "ct":
            if float(values.min()) > -2:
                raise SettingError("modality", "'mri' for volumes in 0..1, or a CT in Hounsfield units", "ct")
            return (values > BACKGROUND_HU).all(dim=-1)
        if float(values.max()) > 1.5:
            raise SettingError("modality", "'ct' for Hounsfield units, or an MRI in 0..1", "mri")
        return (values >= ABSENT / 2).all(dim=-1)

    def normalised(self, patches: Tensor) -> Tensor:
        """Patches (B, T, voxels) as each series sees them, minus its mean, over its deviation (B, T, series, voxels)."""
        values = windowed(patches).movedim(-1, 2) if self.sizes.modality == "ct" else patches[:, :, None]
        mean, deviation = torch.tensor(self.sizes.normalisation, dtype=patches.dtype).to(patches.device).T
        return cast(Tensor, (values - mean[:, None]) / deviation[:, None])

    def _order(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The places of the patches that are kept, in front (B, T), and which of those T are real (B, T)."""
        counts = kept.sum(dim=1)
        if not bool(counts.all()):
            raise DataError("A scan has no patch without background, so there is nothing to read: every patch of 4 x 16 x 16 mm "
                            "touches air or has been cut. Give the raw head with air around it, not stripped.")  # fmt: skip
        order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(counts.max())]
        return order, torch.arange(order.shape[1], device=kept.device) < counts[:, None]

    def embed(self, inputs: Tensor) -> Tensor:
        """Volumes to the first sequence (B, T, width); scans with fewer tokens end in rows of zeros.

        Raises:
            DataError: a scan of which every patch has background.
        """
        _, h, w = self.grid(tuple(inputs.shape[2:]))
        patches = cut(inputs[:, 0], self.patch)
        order, real = self._order(self.kept(patches))
        chosen = patches.gather(1, order[:, :, None].expand(-1, -1, patches.shape[-1]))
        places = torch.stack([order // (h * w), order // w % h, order % w], dim=-1)
        tokens = self.token_embed(self.normalised(chosen), places[:, :, None].expand(-1, -1, self.series, -1))
        return torch.where(real[:, :, None, None], tokens, 0.0).flatten(1, 2)

    def groups(self, embedded: Tensor) -> Tensor | None:
        """The mask of a sequence that ``embed`` made, as ``allowed`` reads it (B, T); ``None``: one series, all real."""
        real = (embedded != 0).any(dim=-1)
        if self.series == 1:
            return None if bool(real.all()) else real
        series = torch.arange(embedded.shape[1], device=embedded.device) % self.series
        return torch.where(real, 2 + series, 0)

    def places(self, inputs: Tensor) -> Tensor:
        """Where on the grid each token of one volume (1, 1, D, H, W) stands, as a running number (T,)."""
        order, _ = self._order(self.kept(cut(inputs[:, 0], self.patch)))
        return order[0].repeat_interleave(self.series)

    def finish(self, tokens: Tensor) -> Tensor:
        """The final norm."""
        return cast(Tensor, self.norm(tokens))

    def pool(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mean over real tokens (B, width); a CT's windows have as many each, so each counts the same."""
        return mean_of_real(tokens, mask)

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Volumes to finished tokens (B, T, width) and which are real (B, T), ``None`` where all are."""
        tokens = self.embed(inputs)
        mask = self.groups(tokens)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.finish(tokens), None if mask is None else mask.bool()

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002  (it knows its own)
        """Volumes (B, 1, D, H, W) to tokens after the final norm (B, T, width)."""
        return self.encode(inputs)[0]
