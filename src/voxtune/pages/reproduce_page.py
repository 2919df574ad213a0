"""The pages of a reproduction: one table with intervals and what stands in the way, and the overview of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.layout import image, render
from voxtune.types.volume import Volume


@dataclass(frozen=True)
class ShownMaps:
    """Grey pictures by stage, and heat by stage and column."""

    caption: str
    scans: Mapping[str, Volume]
    panel: Mapping[tuple[str, str], Volume]


@dataclass(frozen=True)
class HeatCell:
    """The mean of a biomarker at a stage with its interval; ``None``: no report of the stage names it."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """``+0.021 [+0.010, +0.032]``."""
        if self.value is None:
            return "-"
        interval = "" if self.low is None or self.high is None else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.value:+.3f}{interval}"


@dataclass(frozen=True)
class HeatMap:
    """Integrated Gradients: what each biomarker of the reports gives to the similarity with the scan, by stage."""

    stages: tuple[str, ...]
    """With the number of their participants."""
    rows: Mapping[str, tuple[HeatCell, ...]]
    """By biomarker, a cell for each stage."""
    completeness_error: float | None

    @property
    def strongest(self) -> float:
        """The largest distance from 0 of a cell."""
        return max((abs(one.value) for row in self.rows.values() for one in row if one.value is not None), default=0.0)  # fmt: skip

    def shade(self, one: HeatCell) -> float:
        """How strong the colour of a cell is, -1 to 1."""
        return 0.0 if not one.value or not self.strongest else round(one.value / self.strongest, 3)


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


def participants_page(
    number: int,
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    said: str,
    *,
    simulated: bool,
) -> str:
    """The page of who the people are; the first two columns are the cohort and its side, the third the class."""
    parts: dict[str, list[Sequence[str]]] = {}
    for cohort, side, *cells in rows:
        parts.setdefault(f"{cohort}, {side}", []).append(cells)
    context = {"number": number, "head": head[2:], "parts": parts, "said": said}
    return render(
        "reproduce_participants.html.j2", context, title=f"Table {number}: {caption}", simulated=simulated
    )


def words_page(
    number: int, caption: str, rows: Sequence[tuple[str, Sequence[str]]], *, simulated: bool
) -> str:
    """The page of the tokens that count at each stage (stage, tokens in order)."""
    title = f"Table {number}: {caption}"
    return render(
        "reproduce_words.html.j2", {"number": number, "rows": rows}, title=title, simulated=simulated
    )


def figure_page(number: int, maps: ShownMaps, heat: HeatMap, *, simulated: bool) -> str:
    """The page of the maps by stage and biomarker, and of what the words of the reports give by stage."""
    from voxtune.pages.explain_figures import panel_figure

    picture = image(
        panel_figure(maps.scans, maps.panel, "heat, relative to the strongest place of each picture"), dpi=110
    )
    rows = [(name, [(one, heat.shade(one)) for one in cells]) for name, cells in heat.rows.items()]
    context = {
        "number": number,
        "caption": maps.caption,
        "picture": picture,
        "stages": heat.stages,
        "rows": rows,
        "error": heat.completeness_error,
    }
    return render("reproduce_maps.html.j2", context, title=f"Figure {number}", simulated=simulated)


def _bar(row: ShownRow) -> Markup:
    return figures.interval_bar(row.value, row.low, row.high, 0.0, 100.0)
