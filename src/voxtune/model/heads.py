"""Small trained layers at the end: the projections of Eq. 4 and 7, the head of a target (Eq. 5), the temperature."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Projection(nn.Module):
    """l2norm(W x + b) after the backbone's own projection (Eq. 4, 7): W starts as the identity, b as zero.

    A trained W before the normalisation and one after it span the same family, and this form fits every backbone, also those
    whose own projection is too large to train. Where the vectors of all scans nearly coincide, no step that is small beside W could
    ever tell them apart: then x is standardised first (``model/standardise.py``), with a mean and a deviation that do not change.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        nn.init.eye_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("deviation", torch.zeros(0))

    @property
    def standardises(self) -> bool:
        """Whether vectors are standardised before W."""
        return len(self.mean) > 0

    def standardise(self, mean: Float[Tensor, " E"], deviation: Float[Tensor, " E"]) -> None:
        """Standardise vectors before W from now on; ``deviation`` is above 0 in every dimension."""
        self.mean, self.deviation = mean.to(self.linear.weight), deviation.to(self.linear.weight)

    def forward(self, features: Float[Tensor, "*batch E"]) -> Float[Tensor, "*batch E"]:
        """Unit vectors to unit vectors."""
        if self.standardises:
            # Of length 1 on average, as unit vectors are, so that b and the learning rate mean the same.
            features = (features - self.mean) / (self.deviation * math.sqrt(len(self.mean)))
        return F.normalize(self.linear(features), dim=-1)


class TargetHead(nn.Module):
    """Linear, ReLU, Linear on the finished token of a target (Eq. 5); keeps the scale of its values.

    ``mean`` and ``sd`` are those of the training scans (0 and 1 when trained in units), so ``points`` are in the target's own units always.
    """

    def __init__(self, width: int, hidden: int, mean: float = 0.0, sd: float = 1.0, *, low: float | None = None, high: float | None = None) -> None:  # fmt: skip
        super().__init__()
        self.low, self.high = low, high
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, 1)
        self.mean: Tensor
        self.sd: Tensor
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("sd", torch.tensor(sd))

    def forward(self, token: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
        """The value on the scale of the loss."""
        return cast(Tensor, self.linear2(F.relu(self.linear1(token))).squeeze(-1))

    def points(self, scaled: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """From the scale of the loss to the target's own units, kept within its range."""
        values = scaled * self.sd + self.mean
        return values if self.low is None and self.high is None else values.clamp(self.low, self.high)

    def scaled(self, points: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """From the target's own units to the scale of the loss; NaN stays NaN."""
        return (points - self.mean) / self.sd


class Temperature(nn.Module):
    """The scale of the similarities, learned or fixed, kept within its bounds (method.md A6); in log space ``value`` is its logarithm."""

    def __init__(self, start: float, low: float, high: float, *, learned: bool, log: bool = False) -> None:
        super().__init__()
        self.low, self.high, self.log = low, high, log
        self.value = nn.Parameter(
            torch.tensor(math.log(start) if log else float(start)), requires_grad=learned
        )

    def forward(self) -> Float[Tensor, ""]:
        """The clamped value."""
        value = self.value.exp() if self.log else self.value
        return value.clamp(self.low, self.high)
