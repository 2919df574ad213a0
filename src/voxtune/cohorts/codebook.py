"""What the columns of a BIDS table mean, by the JSON file beside it: words for codes (``Levels``), units (``Units``)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from voxtune.cohorts.quantities import factor
from voxtune.cohorts.table import plain
from voxtune.errors import DataError

LONGEST = 60
"""Letters; a level that is described by a longer text keeps its code."""
_OTHER_UNITS = re.compile(r"\bin (months|weeks|days)\b|\((months|weeks|days)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Codebook:
    """Levels and units by plain column name; empty where there is no file."""

    path: Path
    levels: Mapping[str, Mapping[str, str]]
    units: Mapping[str, str]
    guessed: frozenset[str] = frozenset()
    """Columns whose unit stands in the description alone."""

    @classmethod
    def read(cls, *paths: Path) -> Self:
        """The first of these files that is there.

        Raises:
            DataError: it is no JSON object.
        """
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            return cls(paths[0], {}, {})
        try:
            facts = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path.name}: not a JSON file ({error}). Correct it, or take it away.") from None
        if not isinstance(facts, dict):
            raise DataError(f"{path.name}: expected an object with one entry for each column.")
        entries = {plain(name): entry for name, entry in facts.items() if isinstance(entry, dict)}
        units = {
            name: str(entry["Units"])
            for name, entry in entries.items()
            if str(entry.get("Units") or "n/a").strip().lower()
            not in {"", "n/a", "none", "arbitrary", "unitless"}
        }
        described = {
            name: next(filter(None, found.groups()))
            for name, entry in entries.items()
            if name not in units and (found := _OTHER_UNITS.search(str(entry.get("Description", ""))))
        }
        levels = {name: _levels(entry.get("Levels")) for name, entry in entries.items()}
        return cls(
            path, {name: own for name, own in levels.items() if own}, units | described, frozenset(described)
        )

    def word(self, column: str, cell: str | None) -> str | None:
        """A cell in words, where the file has words for its code; the cell itself otherwise."""
        levels = self.levels.get(plain(column), {})
        if cell is None or not levels:
            return cell
        code = cell if cell in levels else re.sub(r"^(\d+)\.0+$", r"\1", cell)
        word = levels.get(code)
        return word if word and len(word) <= LONGEST else cell

    def is_coded(self, column: str) -> bool:
        """Whether the cells of a column say nothing by themselves: numbers or single letters."""
        return all(
            len(code) == 1 or re.fullmatch(r"-?\d+(\.0+)?", code)
            for code in self.levels.get(plain(column), {})
        )

    def explained(self, column: str) -> str:
        """What the file says of the codes of a column; empty where it says nothing."""
        levels = self.levels.get(plain(column), {})
        listed = "; ".join(f"{code} is {word[:LONGEST]}" for code, word in list(levels.items())[:8])
        return f"'{column}' is explained by Levels of {self.path.name}: {listed}." if levels else ""

    def factor(self, column: str, field: str) -> float | None:
        """What numbers of a column are multiplied by to be in the unit of a manifest column; ``None`` where no unit is said.

        Raises:
            DataError: the unit is not known.
        """
        unit = self.units.get(plain(column))
        if unit is None:
            return None
        found = factor(unit, field)
        if found is None:
            raise DataError(
                f"{self.path.name}: column '{column}' is in Units '{unit}', which cannot be turned into "
                f"{'years' if field == 'age' else 'mm^3'}. Correct the Units."
            )
        return found


def _levels(entry: Any) -> dict[str, str]:
    """Words by code; ``{"control": "1"}``, words first, is turned round where the words are no codes themselves."""
    if not isinstance(entry, dict):
        return {}
    levels = {
        str(code).strip(): str(word.get("Description", code) if isinstance(word, dict) else word).strip()
        for code, word in entry.items()
    }
    numbers = re.compile(r"-?\d+(\.0+)?$")
    if (
        levels
        and all(numbers.match(word) for word in levels.values())
        and not any(map(numbers.match, levels))
    ):
        return {word: code for code, word in levels.items()}
    return levels
