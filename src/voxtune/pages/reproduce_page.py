"""The pages of a reproduction: one table with intervals and what stands in the way, and the overview of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.layout import image, render
from voxtune.types.volume import Volume


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


def overview_page(
    tables: Sequence[ShownTable], others: Sequence[tuple[str, str]] = (), *, simulated: bool
) -> str:
    """The page that leads to all tables; ``others`` are title and file of pages that were made before or hold no accuracies."""
    context = {"tables": tables, "others": others}
    return render("reproduce_overview.html.j2", context, title="Reproduced tables", simulated=simulated)


def words_page(
    number: int, caption: str, rows: Sequence[tuple[str, Sequence[str]]], *, simulated: bool
) -> str:
    """The page of the tokens that count at each stage (stage, tokens in order)."""
    title = f"Table {number}: {caption}"
    return render(
        "reproduce_words.html.j2", {"number": number, "rows": rows}, title=title, simulated=simulated
    )


def maps_page(
    number: int,
    caption: str,
    scans: Mapping[str, Volume],
    panel: Mapping[tuple[str, str], Volume],
    *,
    simulated: bool,
) -> str:
    """The page of the maps by stage and biomarker."""
    from voxtune.pages.explain_figures import panel_figure

    picture = image(
        panel_figure(scans, panel, "heat, relative to the strongest place of each picture"), dpi=110
    )
    context = {"caption": caption, "picture": picture}
    return render("reproduce_maps.html.j2", context, title=f"Figure {number}", simulated=simulated)


def _bar(row: ShownRow) -> Markup:
    return figures.interval_bar(row.value, row.low, row.high, 0.0, 100.0)
