"""Figures for many findings as SVG text, in the page's own colours: distribution, bars of base and tuned, radar.

Each says what it shows in words of its own, and base and tuned differ by shape or dash as well as by colour.
"""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

ROW, NAME = 38, 16
"""Heights of a finding and of its name, which stands above its marks so that the figure fits a phone; in drawing units."""
LEFT, RIGHT, WIDTH = 6, 340, 360
BASE, TUNED = "var(--class-1)", "var(--class-0)"
Interval = tuple[float | None, float | None, float | None]
"""Value, low, high; ``None`` where not defined."""


def distribution(counts: Mapping[str, Sequence[int]], sides: Sequence[str]) -> Markup:
    """Bars of the scans that have each finding, one bar a side of the split.

    Args:
        counts: finding to the scans that have it, side by side.
        sides: names of the sides (``train``, ``val``, ``test``).
    """
    most = max((sum(row) for row in counts.values()), default=0) or 1
    end = RIGHT - 14  # room for the number
    parts = []
    for number, (name, row) in enumerate(counts.items()):
        y, x = 4 + ROW * number, float(LEFT)
        parts.append(_name(name, y))
        for place, count in enumerate(row):
            width = (end - LEFT) * count / most
            parts.append(
                f'<rect x="{x:.1f}" y="{y + NAME}" width="{width:.1f}" height="12" style="fill:var(--class-{place})" '
                f'fill-opacity="{0.9 - 0.25 * place:.2f}"><title>{escape(name)}, {escape(sides[place])}: {count} scans</title></rect>'
            )
            x += width
        parts.append(f'<text x="{x + 5:.1f}" y="{y + NAME + 10}">{sum(row)}</text>')
    keys = "".join(
        f'<span class="key"><svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true"><rect width="14" height="14" '
        f'style="fill:var(--class-{place})" fill-opacity="{0.9 - 0.25 * place:.2f}"/></svg>{escape(side)}</span>'
        for place, side in enumerate(sides)
    )
    label = f"Scans with each of {len(counts)} findings by {', '.join(sides)}"
    legend = Markup(f"<p>{keys}</p>") if len(sides) > 1 else Markup("")  # noqa: S704  names are escaped above
    return _svg(parts, 8 + ROW * len(counts), label) + legend


def paired_bars(
    rows: Mapping[str, tuple[Interval, Interval]], label: str, unit: str, *, chance: float = 0.5
) -> Markup:
    """For each finding base (diamond) and tuned (dot) with their intervals on 0..1; dotted: chance."""

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(max(value, 0.0), 1.0)

    height = 4 + ROW * len(rows)
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        dash = ' stroke-dasharray="2 3"' if tick == chance else ""
        opacity = ".6" if tick == chance else ".15"
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{NAME + 2}" y2="{height}" stroke="currentColor" opacity="{opacity}"{dash}/>'
        )
        parts.append(f'<text x="{x(tick):.1f}" y="{height + 14}" text-anchor="middle">{tick:g}</text>')
    parts.append(
        f'<text x="{(LEFT + RIGHT) / 2}" y="{height + 30}" text-anchor="middle">{escape(unit)}</text>'
    )
    for number, (name, pair) in enumerate(rows.items()):
        y = 4 + ROW * number
        parts.append(_name(name, y))
        for (value, low, high), colour, at in zip(
            pair, (BASE, TUNED), (y + NAME + 4, y + NAME + 12), strict=True
        ):
            if value is None:
                continue
            if low is not None and high is not None:
                parts.append(
                    f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{at}" y2="{at}" style="stroke:{colour}" stroke-width="2.5" opacity=".55"/>'
                )
            mark = (
                f'<circle cx="{x(value):.1f}" cy="{at}" r="3.6" style="fill:{colour}"/>'
                if colour == TUNED
                else f'<path d="M{x(value):.1f} {at - 4}l4 4l-4 4l-4 -4z" style="fill:{colour}"/>'
            )
            parts.append(f"<g>{mark}<title>{escape(name)}: {value:.3f}</title></g>")
    return _svg(parts, height + 36, label)


def radar(base: Mapping[str, float | None], tuned: Mapping[str, float | None], label: str) -> Markup:
    """AUROC of every finding on spokes from 0.5 (centre) to 1 (rim); base dashed, tuned solid; findings numbered as in the table.

    A finding that is not defined has a dotted spoke and no corner.
    """
    names = list(tuned)
    centre, rim = 150.0, 118.0

    def at(number: float, reach: float) -> tuple[float, float]:
        angle = 2 * math.pi * number / len(names) - math.pi / 2
        return centre + reach * math.cos(angle), centre + reach * math.sin(angle)

    parts = [
        f'<circle cx="{centre}" cy="{centre}" r="{rim * (ring - 0.5) / 0.5:.1f}" fill="none" stroke="currentColor" opacity=".15"/>'
        for ring in (0.6, 0.7, 0.8, 0.9, 1.0)
    ]
    for number, name in enumerate(names):
        x, y = at(number, rim)
        dash = ' stroke-dasharray="1 4"' if tuned[name] is None else ""
        parts.append(
            f'<line x1="{centre}" y1="{centre}" x2="{x:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".15"{dash}/>'
        )
        x, y = at(number, rim + 13)
        parts.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{number + 1}</text>')
    for scores, colour, dash, fill in (
        (base, BASE, ' stroke-dasharray="5 3"', "0"),
        (tuned, TUNED, "", ".14"),
    ):
        corners = [
            at(number, rim * min(max((value - 0.5) / 0.5, 0.0), 1.0))
            for number, name in enumerate(names)
            if (value := scores.get(name)) is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        parts.append(
            f'<polygon points="{path}" style="fill:{colour};stroke:{colour}" fill-opacity="{fill}" stroke-width="2"{dash}/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" style="fill:{colour}"/>' for x, y in corners]
    for ring in (0.75, 1.0):  # between the last spoke and the first, where no number of a finding stands
        x, y = at(-0.5, rim * (ring - 0.5) / 0.5)
        parts.append(
            f'<text x="{x:.1f}" y="{y + 11:.1f}" text-anchor="middle" font-size="9" opacity=".75">{ring:g}</text>'
        )
    return Markup(  # noqa: S704  numbers and an escaped label
        f'<svg class="figure" viewBox="0 0 300 300" role="img" aria-label="{escape(label)}" font-size="11" fill="currentColor">'
        f"{''.join(parts)}</svg>"
    )


def base_and_tuned(base: str, tuned: str) -> Markup:
    """The key of the figures that show two models."""
    signs = (
        f'<path d="M13 2l5 5l-5 5l-5 -5z" style="fill:{BASE}"/><line x1="0" x2="26" y1="7" y2="7" style="stroke:{BASE}" stroke-dasharray="5 3"/>',
        f'<circle cx="13" cy="7" r="4.5" style="fill:{TUNED}"/><line x1="0" x2="26" y1="7" y2="7" style="stroke:{TUNED}"/>',
    )
    return Markup(  # noqa: S704  names are escaped
        "".join(
            f'<span class="key"><svg viewBox="0 0 26 14" width="26" height="14" aria-hidden="true">{sign}</svg>{escape(name)}</span>'
            for sign, name in zip(signs, (base, tuned), strict=True)
        )
    )


def _name(name: str, y: float) -> str:
    return f'<text x="{LEFT}" y="{y + 12}">{escape(name)}</text>'


def _svg(parts: Sequence[str], height: float, label: str) -> Markup:
    return Markup(  # noqa: S704  numbers and escaped names
        f'<svg class="figure" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" font-size="12" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )
