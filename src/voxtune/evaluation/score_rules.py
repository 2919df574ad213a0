"""What every kind of answer says of its scores: which there are, on which scans each rests, which stand for the model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from voxtune.evaluation.intervals import Draws
from voxtune.evaluation.predictions import Predictions
from voxtune.evaluation.weighted_metrics import Booleans, Floats
from voxtune.types.records import Metric

Score = Callable[[Predictions, Floats], Floats]
"""A score (R,) of scored rows for each row of weights (R, n)."""
OwnInterval = Callable[[Predictions, Draws, float], tuple[float, float] | None]
"""The interval of a score from scored rows, the participants of each resample (R, m) and a level."""


@dataclass(frozen=True)
class Rests:
    """What one score rests on: the scans it is taken over and the scans of the side that limits it."""

    on: Booleans
    least: Booleans


class ScoreRules(ABC):
    """The scores of one kind of answer."""

    by_participant: bool = False
    """Whether every score is also given with one row a participant."""
    headline: tuple[str, ...] = ()
    """The scores that stand for a model, the first one above all: beside it for each baseline, subgroup and wording."""
    compared: Mapping[str, Score] = {}
    """The scores by which two models are compared."""
    areas: bool = True
    """Whether the AUROC of each name can be taken over the rows whose truth is known, as DeLong's test does."""
    own_intervals: Mapping[str, OwnInterval] = {}
    """Scores whose interval is not made of their resamples."""

    @abstractmethod
    def scores(self, table: Predictions, weights: Floats) -> Iterator[tuple[str, Floats]]:
        """Every score by name (R,) for each row of weights (R, n)."""

    @abstractmethod
    def rests(self, table: Predictions, name: str) -> Rests:
        """What a score rests on."""

    @abstractmethod
    def is_share(self, name: str) -> bool:
        """Whether the score is a share (0..1), whose interval is symmetric on the logit scale."""

    def rows(self, table: Predictions, name: str) -> Booleans:
        """The rows (n,) on which two models are compared by a score."""
        del name
        return np.ones(len(table), dtype=bool)

    def more(self, table: Predictions, confidence: float) -> dict[str, Metric]:
        """Figures with an interval of their own."""
        del table, confidence
        return {}


def people(table: Predictions, scans: Booleans) -> int:
    """Participants behind some rows."""
    return len(np.unique(table.participant[scans]))
