"""What every choice is: a frozen settings object, with names and bounds checked when it is made."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen choice: JSON round trip, bounds and messages by pydantic; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
