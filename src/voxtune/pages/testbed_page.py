"""The page of a testbed: every table on every base, in every regime and on both sides, and which comparisons are decided."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from voxtune.pages import figures
from voxtune.pages.layout import render

WIDEST = 10.0
"""Points of accuracy that the bars reach to either side, at least."""


@dataclass(frozen=True)
class ShownLine:
    """A row over cohorts; texts already rounded."""

    cells: Sequence[str]
    """Label, accuracy, published, difference, p, verdict, smallest difference found."""
    reference: bool
    comparator: bool
    decided: bool
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ShownBlock:
    """A table on one base, in one regime, on one side."""

    table: str
    base: str
    where: str
    """Regime and side."""
    summary: str
    lines: Sequence[ShownLine]


def testbed_page(paper: str, blocks: Sequence[ShownBlock], words: tuple[str, str, str]) -> str:
    """The page as one HTML text.

    Args:
        paper: its name.
        blocks: the tables.
        words: method, power and cost.
    """
    method, power, cost = words
    shown: dict[tuple[str, str], list[object]] = {}
    for block in blocks:
        lines = [(line, _bar(line, _widest(block))) for line in block.lines]
        shown.setdefault((block.table, block.base), []).append((block, lines))
    context = {
        "parts": shown, "method": method, "power": power, "cost": cost, "figure_style": figures.STYLE,
    }  # fmt: skip
    return render("testbed_page.html.j2", context, title=f"Testbed of '{paper}'", simulated=True)


def _widest(block: ShownBlock) -> float:
    """How far the bars of a block reach to either side, points."""
    ends = [abs(end) for line in block.lines for end in (line.low, line.high, line.difference) if end is not None and not line.comparator]  # fmt: skip
    return max([WIDEST, *ends])


def _bar(line: ShownLine, widest: float) -> Markup:
    """The difference with its interval around 0; what is not decided is pale."""
    if line.difference is None or line.comparator:
        return Markup("")

    def x(points: float) -> float:
        return 60 + 56 * min(max(points / widest, -1.0), 1.0)

    low, high = (line.difference if end is None else end for end in (line.low, line.high))
    strength = "1" if line.decided else ".45"
    said = escape(f"{line.difference:+.1f} points")
    return Markup(  # noqa: S704  numbers only
        f'<svg viewBox="0 0 120 16" width="120" height="16" role="img" aria-label="{said}">'
        '<line x1="60" x2="60" y1="1" y2="15" stroke="currentColor" opacity=".4"/>'
        f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="8" y2="8" style="stroke:var(--mark)" stroke-width="3" opacity="{strength}"/>'
        f'<circle cx="{x(line.difference):.1f}" cy="8" r="4" style="fill:var(--mark)" opacity="{strength}"/></svg>'
    )
