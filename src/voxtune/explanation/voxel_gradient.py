"""How strongly each voxel moves a score: the model's own derivative, for any tower that has one."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from voxtune.explanation.target import Target
from voxtune.model.vlm import VisionLanguageModel

SMOOTHING = 32.0
"""Standard deviation of the smoothing: the size of the volume over this (two voxels of 64)."""


def voxel_gradient(
    model: VisionLanguageModel, volume: Float[Tensor, "C X Y Z"], target: Target
) -> NDArray[np.float32]:
    """|dS/dvoxel|, summed over channels and smoothed (X, Y, Z): sensitivity, so a place may move the score up or down.

    Simonyan et al. 2014, arXiv 1312.6034. The graph goes through the whole tower: memory is that of one training scan.
    """
    from scipy.ndimage import gaussian_filter

    with torch.enable_grad():
        scan = volume.detach().clone().requires_grad_()
        [gradient] = torch.autograd.grad(target.score(model.encode_image(scan[None])).sum(), scan)
    size = gradient.abs().sum(dim=0).float().cpu().numpy()
    return np.asarray(gaussian_filter(size, [n / SMOOTHING for n in size.shape]), dtype=np.float32)
