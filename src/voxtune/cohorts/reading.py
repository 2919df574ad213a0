"""What a reader found: the rows it kept, the ones it dropped and why, and notes a person should see."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from voxtune.cohorts.table import SourceTable
from voxtune.errors import TableError
from voxtune.types.records import ManifestRow

MOST_REASONS = 20
"""Lines of reasons a person reads; beyond, the details in parentheses at a reason's end are left to the list of dropped ones."""
SEXES = frozenset({"f", "m", "female", "male"})


@dataclass(frozen=True)
class Dropped:
    """A scan or row that did not become a manifest row."""

    what: str
    participant_id: str | None
    reason: str
    source: str = ""


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
    _seen: set[str] = field(default_factory=set, repr=False)

    def keep(self, table: SourceTable, values: Mapping[str, Any], where: str) -> None:
        """Make a manifest row that carries its table's name and sha256.

        Raises:
            TableError: a value is not what its column holds, or the ``scan_id`` was given before.
        """
        values = {"source": table.path.name, "source_sha256": table.sha256, **values}
        if str(values.get("sex") or "F").lower() not in SEXES:
            self.note(f"{table.path.name}: sex {values['sex']!r} is neither F nor M and is left out.")
            values["sex"] = None
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
        self.rows.append(row)

    def drop(
        self, what: str, reason: str, participant_id: str | None = None, source: Path | None = None
    ) -> None:
        """Leave something out, with the reason."""
        self.dropped.append(Dropped(what, participant_id, reason, source.name if source else ""))

    def note(self, text: str) -> None:
        """Something a person should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def reasons(self) -> dict[str, int]:
        """How many were dropped for each reason, the most frequent first; without their details where there are too many to read."""
        counts = Counter(one.reason for one in self.dropped)
        if len(counts) > MOST_REASONS:
            counts = Counter(re.sub(r" \(.*\)$", "", one.reason) for one in self.dropped)
        return dict(counts.most_common())


def scan_name(text: str) -> str:
    """A ``scan_id`` from any text: letters, digits, ``.``, ``_`` and ``-``, starting with a letter or digit."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text.strip()).strip("-._") or "scan"
