"""What an adapter keeps of its validation participants to tell later whether other scans are like theirs. No torch."""

from typing import Annotated

from pydantic import Field, model_validator

from voxtune.types.settings import Settings

FEWEST_KEPT = 10
"""Validation participants below whom nothing of this kind is kept."""
SMALLEST_GROUP = 5
"""A scanner that fewer of them were scanned on is not named."""
OTHER = "other"
"""What stands for such scanners together."""

Share = Annotated[float, Field(ge=0, le=1)]


class ReferencePeople(Settings):
    """One value a validation participant, of one scan drawn by chance: figure by figure in ascending order, so that no row of a person is kept."""

    n_participants: int = Field(ge=FEWEST_KEPT)
    figures: dict[str, tuple[float, ...]]
    """By name, ascending, each by itself."""
    groups: dict[str, dict[str, Annotated[int, Field(ge=1)]]] = Field(default_factory=dict)
    """Participants by scanner model."""
    classes: tuple[str, ...] = ()
    said: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...] = ()
    """Participants by true class (rows) and predicted class; none where no class among several is asked."""
    right: tuple[Share, ...] = ()
    """Confidence of the answers that were right, ascending."""
    wrong: tuple[Share, ...] = ()
    """Of those that were wrong."""

    @model_validator(mode="after")
    def _whole(self) -> "ReferencePeople":
        if any(len(values) < FEWEST_KEPT for values in self.figures.values()):
            raise ValueError(f"a figure is kept of {FEWEST_KEPT} participants or more")
        if {len(row) for row in self.said} - {len(self.classes)} or len(self.said) not in {
            0,
            len(self.classes),
        }:
            raise ValueError("participants by true class and answer: a row and a column for each class")
        return self
