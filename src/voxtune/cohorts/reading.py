"""What a reader found: the rows it kept, the ones it dropped and why, and notes a person should see."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from voxtune.cohorts.quantities import NumberStyle, StyleError, number, years
from voxtune.cohorts.ranges import RANGES, why_not
from voxtune.cohorts.table import SourceTable
from voxtune.errors import TableError
from voxtune.types.records import ManifestRow

MOST_REASONS = 20
"""Lines of reasons a person reads; beyond, the details in parentheses at a reason's end are left to the list of dropped ones."""
SEXES = {
    **dict.fromkeys(("f", "female", "woman", "girl", "w", "weiblich"), "F"),
    **dict.fromkeys(("m", "male", "man", "boy", "männlich"), "M"),
}


@dataclass(frozen=True)
class Dropped:
    """A scan or row that did not become a manifest row."""

    what: str
    participant_id: str | None
    reason: str
    source: str = ""
    kind: Literal["image", "row"] = "image"
    """What was left out: an image (with its row, where it has one), or a row of a table that has no image."""


@dataclass(frozen=True)
class Origin:
    """Where a value of a further table stands."""

    table: Path
    column: str
    line: int


@dataclass(frozen=True)
class Doubt:
    """A value that cannot be what its column says; it is left out of its row."""

    table: Path
    field: str
    column: str
    where: str
    why: str
    wrong: bool = True
    """Whether the value cannot be true; otherwise it is no one number (``89+``)."""

    @property
    def text(self) -> str:
        """Where it stands and what is wrong."""
        named = "column" if self.column == self.field else f"column '{self.column}'"
        return f"{self.where}, {named} for '{self.field}': {self.why}"


@dataclass(frozen=True)
class Pending:
    """An image that ingestion has to write: a pair of .img and .hdr files, or the mean of repeats."""

    parts: tuple[Path, ...]
    axes: str = ""
    """World directions of the voxel axes (``ASL``) where the header has none; empty: the header must have them."""


@dataclass
class Reading:
    """The outcome of reading a cohort: in = kept + dropped, each dropped one with its reason."""

    rows: list[ManifestRow] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pending: dict[str, Pending] = field(default_factory=dict)
    """Images to be written, by scan_id; the row's ``image`` is the first part until then."""
    numbers: NumberStyle | None = None
    """How the cohort's settings say that numbers are written; ``None`` where the cohort has no such setting."""
    doubts: list[Doubt] = field(default_factory=list)
    """Values that were left out because they cannot be what their column says."""
    where: dict[str, str] = field(default_factory=dict)
    """Table and line that each kept scan came from, by ``scan_id``."""
    _given: Counter[str] = field(default_factory=Counter, repr=False)
    _seen: set[str] = field(default_factory=set, repr=False)

    def keep(
        self,
        table: SourceTable,
        values: Mapping[str, Any],
        where: str,
        columns: Mapping[str, str] | None = None,
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        """Make a manifest row that carries its table's name and sha256.

        Args:
            table: what the row is taken from.
            values: manifest values as texts or numbers.
            where: where the row stands, in words: ``line 3 ('P01')``.
            columns: the table's column for each manifest column, for messages.
            origins: places of the values that are from other tables, for messages.

        Raises:
            TableError: a number in another style than the declared one, a text that is not what its column holds, or a
                ``scan_id`` that was given before.
        """
        values = {"source": table.path.name, "source_sha256": table.sha256, **values}
        for name in RANGES:
            if values.get(name) is not None:
                other = (origins or {}).get(name)
                column = other.column if other else (columns or {}).get(name, name)
                place = f"line {other.line} (for {where})" if other else where
                values[name] = self._quantity(
                    other.table if other else table.path, name, column, values[name], place
                )
        if values.get("sex") is not None:
            sex = SEXES.get(str(values["sex"]).strip().lower())
            if sex is None:
                path = origins["sex"].table if origins and "sex" in origins else table.path
                self.note(
                    f"{path.name}: sex {values['sex']!r} is neither F nor M and is left out"
                    f"{'; say what codes mean: --set values=sex=1:M,2:F' if self.numbers else ''}."
                )
            values["sex"] = sex
        try:
            row = ManifestRow.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "?"
            raise TableError(
                table.path, f"{where}, column for '{name}': {first['msg']}, got {values.get(name)!r}"
            ) from None
        if row.scan_id in self._seen:
            raise TableError(
                table.path, f"{where}: scan_id '{row.scan_id}' stands twice", "Every scan needs its own name."
            )
        self._seen.add(row.scan_id)
        self.where[row.scan_id] = f"{table.path.name}, {where}"
        self.rows.append(row)

    def _quantity(self, table: Path, name: str, column: str, given: str | float, where: str) -> float | None:
        """A number for a manifest column, ``None`` with a doubt or a note where there is none to be had."""
        self._given[name] += 1
        try:
            if isinstance(given, str):
                read = years if name == "age" else number
                value = read(given, self.numbers or "1234.5")
            else:
                value = float(given)
        except StyleError as error:
            doubt = Doubt(table, name, column, where, str(error))
            raise TableError(
                table,
                doubt.text,
                "Say how the table writes numbers: --set 'numbers=1234,5', '1.234,5' or '1,234.5'."
                if self.numbers
                else "Write decimals with a point and thousands without a sign.",
            ) from None
        except ValueError as error:
            self.doubts.append(Doubt(table, name, column, where, str(error)))
            return None
        if value is None:
            self.doubts.append(
                Doubt(table, name, column, where, f"'{given}' is no one number of years", wrong=False)
            )
            return None
        wrong = why_not(name, value)
        if wrong is not None:
            self.doubts.append(Doubt(table, name, column, where, wrong))
            return None
        return value

    def doubt(self, doubt: Doubt) -> None:
        """A value that is left out before it comes to a row."""
        self._given[doubt.field] += 1
        self.doubts.append(doubt)

    def settle(self) -> None:
        """Say which values were left out as impossible; refuse a column of which most are.

        Raises:
            TableError: more than half of a column's values cannot be what it says: it holds something else.
        """
        for name in dict.fromkeys(doubt.field for doubt in self.doubts):
            own = [doubt for doubt in self.doubts if doubt.field == name]
            given = self._given[name]
            wrong = [doubt for doubt in own if doubt.wrong]
            if 2 * len(wrong) > given:
                raise TableError(
                    wrong[0].table,
                    f"{wrong[0].text}; so it is with {len(wrong)} of {given} values",
                    f"Correct the column{f', name its unit (--set units={name}:cm3) or' if self.numbers else ' or'} leave it out.",
                )
            self.note(
                f"{len(own)} of {given} values of '{name}' cannot be used and are left out: "
                + "; ".join(f"{doubt.table.name}, {doubt.text}" for doubt in own[:3])
                + (f"; and {len(own) - 3} more" if len(own) > 3 else "")
            )

    def drop(
        self,
        what: str,
        reason: str,
        participant_id: str | None = None,
        source: Path | None = None,
        kind: Literal["image", "row"] = "image",
    ) -> None:
        """Leave something out, with the reason."""
        self.dropped.append(Dropped(what, participant_id, reason, source.name if source else "", kind))

    def note(self, text: str) -> None:
        """Something a person should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def reasons(self) -> dict[str, int]:
        """How many were dropped for each reason, the most frequent first; what is said of single scans in brackets is left away."""
        counts = Counter(re.sub(r" \([^()]*'[^()]*\)$", "", one.reason) for one in self.dropped)
        if len(counts) > MOST_REASONS:
            counts = Counter(re.sub(r" \(.*\)$", "", one.reason) for one in self.dropped)
        return dict(counts.most_common())
