"""What travels through the model: a batch, tokens, the output. Shapes are checked in tests (jaxtyping + beartype)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True)
class Batch:
    """Scans side by side, as the model takes them. Missing targets are NaN, unknown labels -100."""

    scan_ids: tuple[str, ...]
    volumes: Float[Tensor, "B *inputs"]
    """(B, C, X, Y, Z), or (B, T, D) once embedded by a frozen tower."""
    token_ids: Int[Tensor, "B L"] | None = None
    token_mask: Bool[Tensor, "B L"] | None = None
    labels: Int[Tensor, " B"] | None = None
    targets: dict[str, Float[Tensor, " B"]] = field(default_factory=dict)
    """By name, in their own units."""
    findings: Float[Tensor, "B F"] | None = None
    """1 present, 0 absent, NaN unknown."""
    finding_weights: Float[Tensor, "B F"] | None = None
    class_weights: Float[Tensor, " B"] | None = None
    """Of each scan in the class term; ``None``: all alike."""

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""

        def moved(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.to(device)

        return replace(
            self,
            volumes=self.volumes.to(device),
            token_ids=moved(self.token_ids),
            token_mask=moved(self.token_mask),
            labels=moved(self.labels),
            targets={name: values.to(device) for name, values in self.targets.items()},
            findings=moved(self.findings),
            finding_weights=moved(self.finding_weights),
            class_weights=moved(self.class_weights),
        )


def side_by_side(scans: Sequence[Tensor]) -> Tensor:
    """Volumes (C, X, Y, Z) stacked; embedded scans (T, D) too, the shorter ones filled up with rows of zeros, which no token is."""
    if scans[0].ndim == 2 and len({len(one) for one in scans}) > 1:
        return pad_sequence(list(scans), batch_first=True)
    return torch.stack(list(scans))


@dataclass(frozen=True)
class TokenFeatures:
    """Tokens after the last layer, without the extra ones; those under their names (``prompt``, ``mmse``, ...)."""

    tokens: Float[Tensor, "B T D"]
    mask: Bool[Tensor, "B T"] | None = None
    extra: dict[str, Float[Tensor, "B E D"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """What one forward gives: unit features before cross-attention, similarity logits to the texts, and targets by name.

    Targets are on the scale of the loss.
    """

    image: Float[Tensor, "B E"]
    text: Float[Tensor, "N E"]
    scores: Float[Tensor, "B N"]
    targets: dict[str, Float[Tensor, " B"]] = field(default_factory=dict)
    class_scores: Float[Tensor, "B K"] | None = None
    """Logits to the class texts, where the class term of the loss is on."""


@dataclass(frozen=True)
class ScanOutputs:
    """What a model says of some scans before calibration; each scan was scored alone, against the class texts."""

    scan_ids: tuple[str, ...]
    vectors: Float[Tensor, "N E"]
    """Unit image vectors."""
    logits: Float[Tensor, "N K"] | None = None
    """To the class texts; ``None`` where no class is asked."""
    targets: dict[str, Float[Tensor, " N"]] = field(default_factory=dict)
    """By name, in their own units and within their range."""
