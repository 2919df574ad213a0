"""What a run chose among settings inside its training side, as it is stored and as it is said."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.run_dir import read_json
from voxtune.types.steering import said, value_of
from voxtune.types.stored import Chosen

CHOICE = "choice.json"
"""In the folder of a run that chose a setting."""


@dataclass(frozen=True)
class Candidate:
    """One combination of settings and what its training reached on the inner validation scans."""

    edits: tuple[str, ...]
    metric: float
    """What steered its training, greater is better: errors and losses as their negative."""
    loss: float | None

    @property
    def name(self) -> str:
        """As ``--set`` takes it."""
        return " ".join(self.edits)


@dataclass(frozen=True)
class Choice:
    """The candidates in the order they were given, and which of them was taken."""

    candidates: tuple[Candidate, ...]
    chosen: int
    metric: str
    participants: Mapping[str, int]
    """Of the inner ``train`` and ``val`` side."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The settings that were chosen."""
        return tuple(edit.partition("=")[0] for edit in self.candidates[0].edits)

    @property
    def words(self) -> str:
        """What was chosen among what, in a sentence."""
        best = self.candidates[self.chosen]
        others = [one for place, one in enumerate(self.candidates) if place != self.chosen]
        listed = "; ".join(f"{one.name} {value_of(self.metric, one.metric):.3f}" for one in others)
        tied = any(one.metric == best.metric for one in others)
        tie = " Level with another: the lower loss, then the order decided." if tied else ""
        return (
            f"{best.name}: {said(self.metric, best.metric)} on {self.participants['val']} participants of the training side, "
            f"after training on the other {self.participants['train']} (not taken: {listed}).{tie}"
        )

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "candidates": [
                {"set": list(one.edits), "metric": one.metric, "validation_loss": one.loss}
                for one in self.candidates
            ],
            "chosen": self.chosen,
            "metric": self.metric,
            "participants": dict(self.participants),
        }


def best_of(candidates: Sequence[Candidate]) -> int:
    """The place of the candidate with the greatest metric; of equals the lower loss, then the one that was named first."""
    losses = [math.inf if one.loss is None else one.loss for one in candidates]
    return max(range(len(candidates)), key=lambda place: (candidates[place].metric, -losses[place], -place))


def read_choice(run: Path) -> Choice | None:
    """What a run chose; ``None`` where it chose nothing.

    Raises:
        DataError: the file is not what it should be.
    """
    if not (run / CHOICE).is_file():
        return None
    stored = read_json(run / CHOICE, "what a run chose", Chosen)
    return Choice(
        tuple(
            Candidate(tuple(one["set"]), one["metric"], one["validation_loss"])
            for one in stored["candidates"]
        ),
        int(stored["chosen"]),
        str(stored["metric"]),
        dict(stored["participants"]),
    )
