"""What is promised for a share of people: what an adapter keeps to promise it, what is asked, what is given of one scan. No torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from voxtune.types.settings import SMALLEST, Settings

MOST_APART = 3.0
"""A local scale is at most this many times the usual one, and at least the usual one divided by it."""


def _reached(value: Any) -> Any:
    """A share that is as good as none is none: a softmax may leave 1e-200, which no adapter may state."""
    return 0.0 if isinstance(value, float) and 0 < value < SMALLEST else value


Score = Annotated[float, BeforeValidator(_reached), Field(ge=0, le=1)]


class ConformalScores(Settings):
    """How far answers were from the truth, one score a validation participant, ascending; what prediction sets are cut by."""

    scores: tuple[Score, ...]
    without: tuple[Score, ...] = ()
    """Of a finding: those of participants who do not have it."""


class LocalScale(Settings):
    """How far off a predicted number usually is at its own value, over how far off it usually is: a parabola of the logarithm."""

    centre: float
    """Mean of the predictions for training scans, in the units of the target."""
    spread: float = Field(gt=0)
    """Their standard deviation."""
    level: float
    slope: float
    bend: float
    reach: float = Field(gt=0)
    """Standard deviations from the centre beyond which the scale stays as it is there."""

    def at(self, value: float) -> float:
        """The scale at one predicted value."""
        away = max(-self.reach, min(self.reach, (value - self.centre) / self.spread))
        log = self.level + self.slope * away + self.bend * away * away
        return math.exp(max(-math.log(MOST_APART), min(math.log(MOST_APART), log)))


class IntervalScores(Settings):
    """Errors of a target over its local scale, one a validation participant, ascending; what its intervals are cut by."""

    scores: tuple[Annotated[float, Field(ge=0)], ...]
    """In the units of the target."""
    scale: LocalScale | None = None
    """Fitted on training scans; ``None`` where they were too few: all intervals are then equally wide."""


@dataclass(frozen=True)
class WantedSets:
    """What is to hold for a share of people: that the truth is in a set, that what is said to be there is there."""

    coverage: float | None = None
    """The share of people whose truth is to be in the set."""
    by_class: bool = False
    """Whether it is to hold for those of each class by themselves."""
    false_discovery: float | None = None
    """The largest mean share of findings that are not there among those said to be there."""


class PredictionSet(Settings):
    """What stays possible of one scan, for a share of people to be right."""

    coverage: float = Field(gt=0, lt=1)
    by_class: bool = False
    """Whether that share holds for the people of each class by themselves."""
    members: tuple[str, ...] | dict[str, Literal["there", "not there", "undecided"]] = ()
    """The classes; or what can be said of each finding that enough people stand for; nothing where only numbers are predicted."""
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Of each target that enough people stand for, in its units."""
    guarantee: str
    """What it rests on, in words."""
    bound: str | None = None
    """Of the horizons of an event: how long a person is without it, in words."""

    @property
    def sentence(self) -> str:
        """For a terminal or a page."""
        numbers = [
            f"{'MMSE' if name == 'mmse' else name} {low:.1f} to {high:.1f}"
            for name, (low, high) in self.intervals.items()
        ]
        if isinstance(self.members, dict):
            open_ones = [name for name, said in self.members.items() if said == "undecided"]
            there = [name for name, said in self.members.items() if said == "there"]
            said = f"at {self.coverage:.0%} there: {', '.join(there) or 'none'}; undecided: {', '.join(open_ones) or 'none'}"
        elif self.bound is not None:
            said = f"promised at {self.coverage:.0%}: {self.bound}"
        else:
            said = f"possible at {self.coverage:.0%}: {' or '.join(self.members) or '; '.join(numbers)}"
            numbers = numbers if self.members else []
        return "; ".join([said, *numbers])


class Discoveries(Settings):
    """Findings of one scan that may be said to be there, so that few of those said are not."""

    rate: float = Field(gt=0, lt=1)
    """The largest share, on average, that is not there among those said."""
    said: tuple[str, ...]
    of: int = Field(ge=1)
    """Findings that were looked at together."""
    guarantee: str
    """What it rests on, in words."""

    @property
    def sentence(self) -> str:
        """For a terminal or a page."""
        return f"said to be there with at most {self.rate:.0%} of such wrong on average: {', '.join(self.said) or 'none'}"


def told(scores: Sequence[float]) -> str:
    """The largest coverage that so many people allow, for the end of a refusal."""
    return f"they allow at most {len(scores) / (len(scores) + 1):.3f}" if scores else "they allow none"
