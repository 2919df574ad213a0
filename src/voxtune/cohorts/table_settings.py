"""The settings that say what is taken from further tables: which tables, words for codes, new names, units, the style of numbers."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from voxtune.cohorts.labels import Pairs
from voxtune.cohorts.quantities import NumberStyle
from voxtune.cohorts.table import plain
from voxtune.types.settings import Settings


def _names(value: Any) -> Any:
    return tuple(filter(None, re.split(r"[;,]", value))) if isinstance(value, str) else value


def _codes(value: Any) -> Any:
    """``sex=1:M,2:F;group=0:NC,1:AD`` as words by code by column."""
    if not isinstance(value, str):
        return value
    found: dict[str, dict[str, str]] = {}
    for part in filter(None, (part.strip() for part in value.split(";"))):
        column, sign, codes = part.partition("=")
        own = [code.partition(":") for code in codes.split(",") if code.strip()]
        if (
            not sign
            or not own
            or not all(colon and code.strip() and word.strip() for code, colon, word in own)
        ):
            raise ValueError(f"expected words for codes like 'sex=1:M,2:F;group=0:NC,1:AD', got {part!r}")
        if column.strip() in found or len({code.strip() for code, _, _ in own}) < len(own):
            raise ValueError(f"a column or a code stands twice in {value!r}")
        found[column.strip()] = {code.strip(): word.strip() for code, _, word in own}
    return found


Also = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Names of further tables, separated by commas."""
Codes = Annotated[dict[str, dict[str, str]], BeforeValidator(_codes)]
"""Words for codes, by column."""


class TableSettings(Settings):
    """What is taken from which table: the settings that every reader of a tree or folder has."""

    also: Also = Field((), description="more tables, and folders of FreeSurfer subjects, separated by commas")
    on: Pairs = Field(
        default_factory=dict, description="what joins a table of 'also': volumes.csv:Subject+Visit"
    )
    rename: Pairs = Field(
        default_factory=dict, description="source:target, sums allowed: 47+48:hippocampus_mm3"
    )
    values: Codes = Field(
        default_factory=dict, description="words for codes by column: sex=1:M,2:F;group=0:NC,1:AD"
    )
    units: Pairs = Field(default_factory=dict, description="units of columns: ICV:cm3;age:months")
    numbers: NumberStyle = Field("1234.5", description="how the tables write numbers")

    def unit(self, *names: str) -> str | None:
        """The unit that is set for a column under one of its names, case and punctuation aside."""
        wanted = set(map(plain, names))
        return next((unit for name, unit in self.units.items() if plain(name) in wanted), None)


def parts_of(source: str, columns: Iterable[str]) -> list[str]:
    """The columns of a sum; a column whose own name has a plus is itself."""
    return [source] if source in set(columns) else [part.strip() for part in source.split("+")]
