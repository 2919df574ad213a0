"""What travels through the model: a batch, tokens, the output. Shapes are checked in tests (jaxtyping + beartype)."""

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Scans side by side, as the model takes them. Missing MMSE and unknown labels are NaN and -100."""

    scan_ids: tuple[str, ...]
    volumes: Float[Tensor, "B C X Y Z"]
    token_ids: Int[Tensor, "B L"] | None = None
    token_mask: Bool[Tensor, "B L"] | None = None
    labels: Int[Tensor, " B"] | None = None
    mmse: Float[Tensor, " B"] | None = None

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        moved = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class TokenFeatures:
    """Tokens after the last layer, without the extra ones; those under their names (``prompt``, ``mmse``)."""

    tokens: Float[Tensor, "B T D"]
    mask: Bool[Tensor, "B T"] | None = None
    extra: dict[str, Float[Tensor, "B E D"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """What one forward gives: unit features before cross-attention, similarity logits to the texts, MMSE (standardised)."""

    image: Float[Tensor, "B E"]
    text: Float[Tensor, "N E"]
    scores: Float[Tensor, "B N"]
    mmse: Float[Tensor, " B"] | None = None
