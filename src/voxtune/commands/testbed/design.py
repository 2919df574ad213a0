"""What a testbed runs, as data: the regimes, the rows of each, the bases, the cohorts. Fixed before a figure was seen."""

from collections.abc import Mapping
from dataclasses import dataclass

from voxtune.commands.reproduce.paper import Table
from voxtune.config import RunConfig

DEVELOPMENT = tuple(range(300, 304))
"""Seeds of cohorts that settings may be chosen on; no figure comes from them."""
FRESH = tuple(range(500, 600))
"""Seeds of cohorts that figures come from, the first of them first; nothing was chosen on them."""
COHORTS = 10
POOL, TEST = 210, 200
"""Participants of a cohort to learn from and to be tested on, one scan each."""
SCANNERS = 3
"""Of everybody; the test people were also seen by a further one that nobody of the pool was."""
SIDES: Mapping[str, str] = {"same": "scanners of training", "other": "another scanner"}
"""On which pictures of the test people a row is scored."""
ALL = 168
"""Training scans of the regime ``all``: the pool without a validation side of a quarter as many."""


@dataclass(frozen=True)
class Regime:
    """How many scans a row learns from, and how many of them have a diagnosis."""

    name: str
    """As ``--regime`` has it."""
    scans: int
    labelled: int | None = None
    """``None``: all. Those without are read by rows with reports, whose text of them then states no class; others leave them out."""
    rows: tuple[str, ...] | None = None
    """Labels of the rows that run here; ``None``: every row."""

    @property
    def validation(self) -> int:
        """Scans that steer: a quarter of those with a diagnosis."""
        return round((self.labelled or self.scans) / 4)

    @property
    def words(self) -> str:
        """For people."""
        labels = f", {self.labelled} of them with a diagnosis" if self.labelled is not None else ""
        return f"{self.scans} training scans{labels}"


@dataclass(frozen=True)
class Design:
    """The testbed of a paper."""

    tables: Mapping[str, Mapping[int, Table]]
    """By base; every table has the labels of the others."""
    regimes: tuple[Regime, ...]
    encoders: Mapping[str, RunConfig]
    """A configuration of each base whose frozen front encodes the scans."""
    sizes: int
    """Number of the table whose rows are the regimes themselves."""
    size_row: str
    """Label of the row that it follows through the regimes."""
    left_out: str
    """What is not run, and why, for people."""

    @property
    def bases(self) -> tuple[str, ...]:
        """All of them are printed."""
        return tuple(self.tables)
