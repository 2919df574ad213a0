"""Values of further tables that differ from the cohort's own: the own one is used, and that is said."""

from dataclasses import dataclass, field

from voxtune.cohorts.quantities import same_value
from voxtune.cohorts.supplement import Supplement


@dataclass
class OtherValues:
    """The differences of all scans, by table and column."""

    more: Supplement
    _found: dict[tuple[str, str, str], list[str]] = field(default_factory=dict, repr=False)

    def compare(self, number: int, column: str, text: str | None, own: str) -> None:
        """Look whether a further table has another value of a scan in the column of that name.

        Args:
            number: the scan's place.
            column: a column of the cohort's own table.
            text: its cell, in words.
            own: the name of that table.
        """
        if text is None:
            return
        for row in self.more.rows[number]:
            if self.more.tool(row.table) or not any(row.table is table for table in self.more.more):
                continue
            found = self.more.column(row.table, column)
            other = row.cells.get(found) if found else None
            if found and other is not None and not same_value(self.more.word(found, other), text):
                place = f"line {row.line}: '{other}', not '{text}'"
                self._found.setdefault((row.table.path.name, found, own), []).append(place)

    def say(self) -> None:
        """Note the differences, a sentence for each column."""
        for (table, column, own), places in self._found.items():
            self.more.reading.note(
                f"'{column}' of {table} differs from that of {own} for {len(places)} scans ({'; '.join(places[:3])}); that of {own} is "
                f"used. Where the other is meant: --set rename={table}/{column}:NAME."
            )
