"""The pages of a reproduction: one table with intervals and what stands in the way, and the overview of all."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.layout import render


@dataclass(frozen=True)
class ShownRow:
    """A row of a table; numbers in percent, texts already rounded."""

    label: str
    ours: str
    published: str
    difference: str
    against: str
    trained: str
    note: str = ""
    """Why there is no number, or what is particular about it."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reference: bool = False


@dataclass(frozen=True)
class ShownCohort:
    """A table's rows on one cohort."""

    name: str
    counts: str
    rows: Sequence[ShownRow]


@dataclass(frozen=True)
class ShownTable:
    """A table of a paper beside ours."""

    number: int
    caption: str
    citation: str
    simulated: bool
    cohorts: Sequence[ShownCohort]
    reference: str
    beside: str
    method: str
    cost: str
    state: str
    """How many rows are done, in words."""
    missing: Sequence[tuple[str, str]] = field(default_factory=tuple)
    """What could not run, and how to get it."""

    @property
    def title(self) -> str:
        """Of the page."""
        return f"Table {self.number}: {self.caption}"


def table_page(table: ShownTable) -> str:
    """The page of one table as one HTML text."""
    cohorts = [(one, [(row, _bar(row)) for row in one.rows]) for one in table.cohorts]
    context = {"table": table, "cohorts": cohorts, "figure_style": figures.STYLE}
    return render("reproduce_page.html.j2", context, title=table.title, simulated=table.simulated)


def overview_page(tables: Sequence[ShownTable], pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The page that leads to all tables; ``pictures`` are title and file of further pages."""
    return render(
        "reproduce_overview.html.j2",
        {"tables": tables, "pictures": pictures},
        title="Reproduced tables",
        simulated=any(one.simulated for one in tables),
    )


def _bar(row: ShownRow) -> Markup:
    return figures.interval_bar(row.value, row.low, row.high, 0.0, 100.0)
