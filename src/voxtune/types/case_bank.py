"""A bank of cases that may be passed on: means over groups of participants, so that nobody in it can be told from the others."""

from typing import Literal

from pydantic import Field, model_validator

from voxtune.types.settings import Settings

FEWEST = 5
"""Participants behind every group, at the least."""
MOST_GROUPS, MOST_NUMBERS = 20_000, 2**14
LARGEST_NUMBER = 1e12
"""Of a mean: no target and no volume of a head is larger."""
ROUNDED = 0.01
"""By which the squared length of a stored vector may differ from 1."""
BANK = "case_bank.json"
"""The file of a bank, beside the adapter that its vectors are of."""


class CaseGroup(Settings):
    """Some participants of one class whose scans look alike to the model."""

    participants: int = Field(ge=FEWEST)
    diagnosis: str | None = Field(None, max_length=200)
    vector: tuple[float, ...] = Field(min_length=1, max_length=MOST_NUMBERS)
    """Mean image vector, each participant counting once; of unit length."""
    means: dict[str, float] = Field(default_factory=dict, max_length=300)
    """Of targets and of measured regions by column, and the share of each finding or event, where every participant of the group has one."""


class CaseBank(Settings):
    """``case_bank.json``."""

    format: Literal[1] = 1
    adapter_sha256: str = Field(min_length=64, max_length=64)
    """Of the adapter whose image vectors these are."""
    fewest: int = Field(ge=FEWEST)
    participants: int = Field(ge=1)
    left_out: int = Field(0, ge=0)
    """Participants of classes with too few of them for a group."""
    simulated: bool = False
    groups: tuple[CaseGroup, ...] = Field(min_length=1, max_length=MOST_GROUPS)

    @model_validator(mode="after")
    def _of_one_size(self) -> "CaseBank":
        if len({len(one.vector) for one in self.groups}) > 1:
            raise ValueError("expected vectors of one length")
        if any(
            not abs(sum(min(abs(number), 2.0) ** 2 for number in one.vector) - 1) < ROUNDED
            for one in self.groups
        ):
            raise ValueError("expected vectors of unit length")
        if any(not abs(number) <= LARGEST_NUMBER for one in self.groups for number in one.means.values()):
            raise ValueError(f"a mean is larger than {LARGEST_NUMBER:g}")
        if any(one.participants < self.fewest for one in self.groups):
            raise ValueError("a group has fewer participants than the bank promises")
        if sum(one.participants for one in self.groups) != self.participants:
            raise ValueError("the groups do not hold the participants that are counted")
        return self
