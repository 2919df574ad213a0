"""What of a model is trained, part by part, and what the adapter weighs."""

from collections.abc import Sequence
from dataclasses import dataclass

from voxtune.model.vlm import VisionLanguageModel

SWAPPED = {"lora_A": "lora", "lora_B": "lora", "lora_magnitude_vector": "lora", "ia3_l": "ia3"}
"""Names of parameters that peft adds inside a tower."""


@dataclass(frozen=True)
class PartCount:
    """Parameters of one part of a model."""

    part: str
    trained: int
    frozen: int
    trained_bytes: int = 0
    """What it takes in the adapter."""

    @property
    def percent(self) -> float:
        """Trained, percent of the part."""
        return 100 * self.trained / max(1, self.trained + self.frozen)


def parameter_table(model: VisionLanguageModel) -> list[PartCount]:
    """Trained and frozen parameters, part by part; what peft put into a tower is a part of its own."""
    parts: dict[str, list[int]] = {}
    for name, value in model.named_parameters():
        counts = parts.setdefault(part_of(name), [0, 0, 0])
        counts[0 if value.requires_grad else 1] += value.numel()
        counts[2] += value.numel() * value.element_size() if value.requires_grad else 0
    return [PartCount(part, *counts) for part, counts in parts.items()]


def part_of(name: str) -> str:
    """The part that a parameter belongs to."""
    pieces = name.split(".")
    for piece in pieces:
        if piece in SWAPPED:
            return ".".join([*pieces[:2], SWAPPED[piece]])
    if pieces[0] == "backbone":
        return ".".join(pieces[:2])
    inside = {"extra", "between"} & set(pieces)
    return ".".join(pieces[:3] if inside else pieces[:2] if pieces[-1] == "lead_shift" else pieces[:1])


def trained_in_words(table: Sequence[PartCount]) -> str:
    """``71,042 of 2,483,460 parameters are trained (2.86%), 0.27 MiB in the adapter``."""
    trained = sum(part.trained for part in table)
    total = trained + sum(part.frozen for part in table)
    size = sum(part.trained_bytes for part in table) / 2**20
    return f"{trained:,} of {total:,} parameters are trained ({trained / total:.2%}), {size:.2f} MiB in the adapter"
