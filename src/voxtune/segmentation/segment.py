"""From a brain on the 1 mm template cube to its regions: which one each voxel is, and how much of each there is."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxtune.errors import WeightsError
from voxtune.segmentation.labels import REGIONS
from voxtune.segmentation.network import RegionNet, places
from voxtune.segmentation.prior import EDGE, log_prior_of
from voxtune.types.volume import Volume

STEP: Final = 8
"""The network halves a picture three times."""
SHARP: Final = 2.0
"""Volumes are sums of shares of scores times this: of plain shares the tails of the wide prior add up around small ventricles."""
SLAB: Final = 16
"""Slices whose scores are in memory at once."""


@dataclass(frozen=True)
class Regions:
    """What was found in one brain, in template space."""

    labels: NDArray[np.uint8]
    """The most likely region of each voxel (EDGE, EDGE, EDGE), numbers of ``REGIONS``."""
    amounts: NDArray[np.float64]
    """Sum of the shares of each region (len(REGIONS), 2), left and right of the middle plane; mm^3 of the template."""
    certainty: NDArray[np.float64]
    """Mean share of the region where it is the most likely one (len(REGIONS), 2); NaN where there is none."""


def find_regions(brain: Volume, net: nn.Module | None = None, device: torch.device | None = None) -> Regions:
    """The regions of a stripped brain on the cube, brightness in [0, 1], zero outside.

    Args:
        brain: as the chain stores it with a grid of 192.
        net: another network than the shipped one.
        device: where the network computes; ``None``: here.
    """
    place = torch.device("cpu") if device is None else device
    net = (shipped() if net is None else net).to(place)
    voxels = brain.voxels
    box, start = box_of_brain(voxels > 0)
    picture = torch.from_numpy(np.ascontiguousarray(voxels[box], dtype=np.float32))
    shape = (picture.shape[0], picture.shape[1], picture.shape[2])
    labels = np.zeros(voxels.shape, dtype=np.uint8)
    amounts = np.zeros((len(REGIONS), 2))
    held = np.zeros((len(REGIONS), 2))
    counts = np.zeros((len(REGIONS), 2))
    with torch.inference_mode():
        seen = net.features(torch.cat([picture[None], places(shape, start, EDGE)])[None].to(place))  # type: ignore[operator]
        for first in range(0, shape[0], SLAB):
            scores: Tensor = net.scores(seen[:, :, first : first + SLAB])[0].cpu()  # type: ignore[operator]
            slab = (scores.shape[1], shape[1], shape[2])
            scores = scores + log_prior_of(slab, (start[0] + first, start[1], start[2]))
            shares = (SHARP * scores).softmax(dim=0)
            best, which = shares.max(dim=0)
            stop = first + which.shape[0]
            labels[start[0] + first : start[0] + stop, box[1], box[2]] = which.numpy().astype(np.uint8)
            for index in range(first, stop):
                side = int(start[0] + index >= EDGE // 2)
                amounts[:, side] += shares[:, index - first].sum((1, 2), dtype=torch.float64).numpy()
                flat = which[index - first].reshape(-1)
                counts[:, side] += torch.bincount(flat, minlength=len(REGIONS)).numpy()
                held[:, side] += torch.bincount(
                    flat, weights=best[index - first].reshape(-1).double(), minlength=len(REGIONS)
                ).numpy()
    return Regions(labels, amounts, np.where(counts > 0, held / np.maximum(counts, 1), np.nan))


def box_of_brain(inside: NDArray[np.bool_]) -> tuple[tuple[slice, slice, slice], tuple[int, int, int]]:
    """The box around the brain with a margin, edges multiples of ``STEP``."""
    slices, start = [], []
    for axis in range(3):
        there = np.flatnonzero(inside.any(axis=tuple(i for i in range(3) if i != axis)))
        low, high = max(0, int(there[0]) - 4), min(EDGE, int(there[-1]) + 5)
        length = -(-(high - low) // STEP) * STEP
        low = max(0, min(low, EDGE - length))
        slices.append(slice(low, low + length))
        start.append(low)
    return (slices[0], slices[1], slices[2]), (start[0], start[1], start[2])


WEIGHTS = Path(__file__).parent / "assets" / "regions.safetensors"


@functools.cache
def shipped() -> RegionNet:
    """The network that comes with the package.

    Raises:
        WeightsError: the file is of another version.
    """
    from safetensors.torch import load_file

    net = RegionNet(len(REGIONS))
    # The counters of batches are not kept: nothing reads them.
    stored = {name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}
    counters = {name for name in net.state_dict() if name.endswith("num_batches_tracked")}
    missing, more = net.load_state_dict(stored, strict=False)
    if set(missing) - counters or more:
        raise WeightsError(
            f"{WEIGHTS.name} does not hold the network of this version: install voxtune again."
        )
    return net.fused()
