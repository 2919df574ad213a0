"""What the model loses when a region is hidden: the model-agnostic reference of every explanation."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxtune.explanation.regions import Atlas
from voxtune.model.vlm import ImageFeatures, VisionLanguageModel

Array = NDArray[np.float32]
CHUNK_VOXELS = 2_200_000
"""Voxels of one batch of altered scans: eight of 64^3, or one of anything large."""


@dataclass(frozen=True)
class RegionDrop:
    """How much the score falls when one region is hidden (positive: the region spoke for the class)."""

    region: str
    drop: float
    voxels: int


def occlude_regions(
    score: Callable[[Array], float],
    voxels: Array,
    regions: Mapping[str, NDArray[np.bool_]],
    blur: float = 4.0,
) -> list[RegionDrop]:
    """Hide one region after the other behind a blurred copy of the scan and see how the score changes.

    Args:
        score: from voxels (X, Y, Z) to a number, such as the log-odds of a class.
        voxels: the preprocessed scan (X, Y, Z).
        regions: masks (X, Y, Z) by name.
        blur: standard deviation of the copy in voxels: brightness of the surroundings stays, shape goes.

    Returns:
        One entry for each region in the order given; ``drop`` is score(scan) - score(scan with the region hidden).
    """
    hidden = blurred(voxels[None], blur)[0]
    whole = score(voxels)
    return [
        RegionDrop(name, whole - score(np.where(mask, hidden, voxels)), int(mask.sum()))
        for name, mask in regions.items()
    ]


def occlusion_drops(
    model: VisionLanguageModel, volume: Tensor, atlas: Atlas, score: Callable[[ImageFeatures], Tensor]
) -> dict[int, float]:
    """The fall of a score for each region of an atlas in tensor axes, hidden behind a blurred copy of the scan."""
    hidden = torch.from_numpy(hiding_copy(volume)).to(volume.device)
    labels = torch.from_numpy(np.ascontiguousarray(atlas.labels)).to(volume.device)
    ids = list(atlas.names)
    with torch.no_grad():
        whole = float(score(model.encode_image(volume[None]))[0])
        scores = score_altered(model, score, (torch.where(labels == one, hidden, volume) for one in ids))
    return {one: whole - value for one, value in zip(ids, scores, strict=True)}


def score_altered(
    model: VisionLanguageModel, score: Callable[[ImageFeatures], Tensor], volumes: Iterable[Tensor]
) -> list[float]:
    """The scores of altered copies of a scan (C, X, Y, Z), made and forgotten a few at a time."""
    found: list[float] = []
    waiting: list[Tensor] = []
    weight = next(iter(model.parameters()), None)
    most = getattr(model, "chunk", None)

    def flush() -> None:
        if waiting:
            with torch.no_grad():
                some = torch.stack(waiting)
                some = some if weight is None else some.to(weight.device)
                found.extend(score(model.encode_image(some)).float().cpu().tolist())
            waiting.clear()

    for one in volumes:
        waiting.append(one)
        if (len(waiting) + 1) * one.numel() > CHUNK_VOXELS or len(waiting) == most:
            flush()
    flush()
    return found


def painted(drops: Mapping[int, float], atlas: Atlas) -> Array:
    """Each region's drop spread evenly over its voxels (X, Y, Z), so that the heat of a region sums to its drop."""
    table = np.zeros(int(atlas.labels.max()) + 1, dtype=np.float32)
    sizes = np.bincount(atlas.labels.ravel(), minlength=len(table))
    for label, drop in drops.items():
        table[label] = drop / max(int(sizes[label]), 1)
    return table[atlas.labels]


def hiding_copy(volume: Tensor) -> Array:
    """A copy of a scan (C, X, Y, Z) blurred by a sixteenth of its size along each axis."""
    voxels = volume.detach().cpu().numpy()
    return blurred(voxels, tuple(size / 16 for size in voxels.shape[1:]))


def blurred(voxels: Array, sigma: float | tuple[float, ...]) -> Array:
    """Channels (C, X, Y, Z) smoothed in space."""
    from scipy.ndimage import gaussian_filter

    return np.stack([gaussian_filter(one, sigma) for one in voxels]).astype(np.float32)
