"""What every choice is: a frozen settings object, with names and bounds checked when it is made."""

from pydantic import BaseModel, ConfigDict, model_validator

LARGEST = 1e30
"""Of any number of a choice: beyond it squares and single precision end."""
SMALLEST = 1e-100
"""Of any number of an adapter but zero, by its size: what is computed of such numbers, their squares and quotients among it, is a number still."""


class Settings(BaseModel):
    """A frozen choice: JSON round trip, bounds and messages by pydantic; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_reach(self) -> "Settings":
        for name, value in self.__dict__.items():
            if isinstance(value, float) and not -LARGEST <= value <= LARGEST:
                raise ValueError(f"'{name}' is {value:.3g}, beyond what can be computed with")
        return self
