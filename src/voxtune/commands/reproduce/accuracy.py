"""A figure of a table: its mean and sd over seeds, its interval over participants, and how it differs from the reference row."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Against:
    """A row minus the reference row on the same scans, in points of accuracy."""

    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None = None


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a row on one cohort, percent."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    seeds: int
    n_scans: int
    n_participants: int
    each: tuple[float, ...]
    against: Against | None = None
    extra: Mapping[str, float] = field(default_factory=dict)
