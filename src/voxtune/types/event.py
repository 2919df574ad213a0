"""An event that may come: the columns that say when, the horizons at which its risk is given, the two texts it is asked by."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from voxtune.errors import UsageError
from voxtune.types.calls import Call, read_calls
from voxtune.types.settings import Settings

YEARS, STATUS = "event_years", "event_status"
"""Under which names the follow-up of each scan stands among measured numbers, whatever the event is called."""
CENSORED, HAPPENED, COMPETING = 0, 1, 2
"""Of ``<event>_status``: not seen until the end of follow-up; seen; something else came first, after which it cannot be seen."""
FARTHEST = 120.0
"""Years of a life; no horizon lies beyond it."""
VISIT_YEARS = "visit_years"
"""The column that says how long after the participant's first visit a scan was made."""
TEXTS = ("{event} will follow.", "{event} will not follow.")


class Event(Settings):
    """What is asked of a scan: by when an event will have come, at each of several horizons."""

    name: str = Field(min_length=1)
    """Of the columns: ``<name>_years`` from the scan to the event or to the end of follow-up, ``<name>_status`` which of the two."""
    years: tuple[float, ...] = Field((1.0, 2.0, 3.0), min_length=1, max_length=40)
    """Horizons, ascending; between two of them the hazard is one number."""
    texts: tuple[str, str] = TEXTS
    """The pair a scan is compared with: the event comes, it does not; ``{event}`` is its name."""
    visits: int = Field(1, ge=1, le=50)
    """Most scans of a person that are read together, the last of them at the moment of prediction."""

    @field_validator("years")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        told_apart = len({horizon(one).split()[0] for one in value}) == len(value)
        if not all(0 < one <= FARTHEST for one in value) or list(value) != sorted(value) or not told_apart:
            raise ValueError(
                "horizons are years after the scan, each later than the one before and no more than a life, as (1, 2, 3)"
            )
        return value

    @property
    def years_column(self) -> str:
        """Where the time stands."""
        return f"{self.name}_years"

    @property
    def status_column(self) -> str:
        """Where it stands whether the event was seen."""
        return f"{self.name}_status"

    @property
    def columns(self) -> tuple[str, str]:
        """Both: what no text may hold, and no baseline may use."""
        return self.years_column, self.status_column

    @property
    def horizons(self) -> tuple[str, ...]:
        """The horizons as a person says them."""
        return tuple(horizon(one) for one in self.years)

    @property
    def pair(self) -> tuple[str, str]:
        """The two texts with the event's name."""
        name = self.name.replace("_", " ")
        first, second = (text.replace("{event}", name) for text in self.texts)
        return first[:1].upper() + first[1:], second[:1].upper() + second[1:]


def horizon(years: float) -> str:
    """``1 year``, ``2.5 years``."""
    return f"{years:g} year{'' if years == 1 else 's'}"


def years_of(name: str) -> float:
    """The number in what ``horizon`` wrote.

    Raises:
        ValueError: it is no horizon.
    """
    number, _, word = name.partition(" ")
    if word not in {"year", "years"}:
        raise ValueError(f"'{name}' is no horizon such as '2 years'")
    return float(number)


def read_event(value: object) -> object:
    """An event as a person writes it: ``conversion``, ``conversion(years=[1, 2, 3], visits=3)``, ``none``.

    Raises:
        UsageError: not of this form.
    """
    if not isinstance(value, str):
        return value
    try:
        calls = read_calls(value)
    except ValueError as error:
        raise UsageError(f"Setting 'event': {error}.") from None
    if not calls:
        return None
    if len(calls) > 1 or calls[0].positional:
        raise UsageError(
            f"Setting 'event': expected one event such as 'conversion' or 'conversion(years=[1, 2, 3])', got '{value}'."
        )
    return _named(calls[0])


def _named(call: Call) -> Mapping[str, Any]:
    listed = call.named.get("years")
    years = {"years": [listed]} if listed is not None and not isinstance(listed, Sequence) else {}
    return {"name": call.kind, **call.named, **years}
