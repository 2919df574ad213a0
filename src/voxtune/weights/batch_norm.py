"""Batch normalisation that only ever reads the statistics of its file."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class StoredBatchNorm(nn.Module):
    """Normalise channels (axis 1) by stored mean and variance, in training as in eval.

    A frozen tower is then the same function whoever calls ``train()``, and batches of two scans cannot spoil statistics
    of thousands. Key names are those of ``nn.BatchNorm*d``; the counter of updates is dropped on loading.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (B, channels, ...) to the same shape."""
        return F.batch_norm(
            inputs, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )
