"""Figures of an evaluation as SVG text: drawn in the page's own colours, so light and dark need no second copy.

Every figure has axes with units, says how many scans it shows and can be told apart without colour (dashes, shapes).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from markupsafe import Markup, escape

COLOURS = 6
STYLE = Markup(
    "svg.figure { width: 100%; max-width: 26rem; height: auto; display: block; }"
    " svg.interval { vertical-align: middle; }"
    " .key { display: inline-flex; align-items: center; gap: .35rem; margin-right: 1rem; white-space: nowrap; }"
    " :root { --class-0: #0072b2; --class-1: #d55e00; --class-2: #009e73; --class-3: #cc79a7;"
    " --class-4: #8a6d00; --class-5: #5a5fcf; }"
    " @media (prefers-color-scheme: dark) { :root { --class-0: #56b4e9; --class-1: #f08c3c;"
    " --class-2: #2fd0a0; --class-3: #e3a3c4; --class-4: #e0c34a; --class-5: #a9adff; } }"
)
"""The style sheet of the figures, for a page to hold once: the colours of Okabe and Ito, lighter on dark paper."""
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "4 4", "1 2")
WIDTH, HEIGHT = 360, 320
LEFT, RIGHT, TOP, BOTTOM = 50, 344, 14, 262  # the frame inside the drawing
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Bin(Protocol):
    """A bar of a reliability plot."""

    @property
    def count(self) -> int:
        """Scans in it."""

    @property
    def confidence(self) -> float | None:
        """Their mean probability."""

    @property
    def fraction(self) -> float | None:
        """The share of them that is right."""


class _Scale:
    """Data to drawing coordinates, the same range on both axes."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.span = low, high - low

    def x(self, value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - self.low) / self.span

    def y(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - self.low) / self.span


# ------------------------------------------------------------------------------------------ the figures
def roc(curves: Mapping[str, Sequence[tuple[float, float]]], classes: Sequence[str]) -> Markup:
    """ROC curves, one for each class against the rest."""
    scale = _Scale(0, 1)
    parts = [_frame(scale, TICKS, "1 - specificity", "sensitivity"), _diagonal(scale)]
    for name, points in curves.items():
        number = list(classes).index(name)
        path = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" style="stroke:{_colour(number)}" stroke-width="2.2" '
            f'stroke-dasharray="{DASHES[number % len(DASHES)]}"/>'
        )
    return _svg(parts, f"ROC curves of {', '.join(curves)} against the rest")


def reliability(bins: Sequence[Bin]) -> Markup:
    """Share of right predictions by mean probability; the area of a point is the number of scans in its bin."""
    scale = _Scale(0, 1)
    most = max((one.count for one in bins), default=0)
    total = sum(one.count for one in bins)
    parts = [
        _frame(scale, TICKS, "probability of the predicted class", "share that is right"),
        _diagonal(scale),
    ]
    for one in bins:
        if one.confidence is None or one.fraction is None:
            continue
        x, y, even = scale.x(one.confidence), scale.y(one.fraction), scale.y(one.confidence)
        radius = 3 + 9 * (one.count / most) ** 0.5
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{even:.1f}" y2="{y:.1f}" style="stroke:var(--mark)" opacity=".5"/>'
        )
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" style="fill:var(--mark)" fill-opacity=".65">'
            f"<title>{one.count} scans: said {one.confidence:.2f}, right {one.fraction:.2f}</title></circle>"
        )
    return _svg(parts, f"Reliability of {total} predictions in {len(bins)} bins")


def target(
    points: Sequence[tuple[float, float, str]],
    classes: Sequence[str],
    name: str,
    units: str,
    *,
    highest: float | None = None,
) -> Markup:
    """Predicted against measured numbers, one mark a scan; shape and colour are the diagnosis.

    Args:
        points: measured, predicted, diagnosis.
        classes: in their order.
        name: of the target.
        units: of both axes; may be empty.
        highest: a value that the axes reach in any case.
    """
    values = [number for true, said, _ in points for number in (true, said)]
    least, most = (
        min(values, default=0.0),
        max([*values, *([highest] if highest is not None else [])], default=1.0),
    )
    step = _tick_step(most - least, coarse=highest is not None and highest >= 20)
    low, high = step * math.floor(least / step), step * math.ceil(most / step)
    high = max(high, low + step)
    scale = _Scale(low, high)
    ticks = [round(low + step * number, 9) for number in range(round((high - low) / step) + 1)]
    said = f"{name} ({units})" if units else name
    parts = [_frame(scale, ticks, f"measured {said}", f"predicted {said}"), _diagonal(scale)]
    places = {label: number for number, label in enumerate(classes)}
    parts += [_mark(scale.x(true), scale.y(said), places.get(label, 0)) for true, said, label in points]
    return _svg(parts, f"Predicted against measured {name} of {len(points)} scans")


def _tick_step(span: float, *, coarse: bool) -> float:
    """A round number that gives at most eight steps; ``coarse``: 5 for a span of up to 40."""
    if coarse and span <= 40:
        return 5
    size = 10.0 ** math.floor(math.log10(max(span, 1e-9) / 4))
    return next(size * step for step in (1, 2, 5, 10) if span / (size * step) <= 8)


def interval_bar(
    value: float | None, low: float | None, high: float | None, start: float = 0.0, end: float = 1.0
) -> Markup:
    """A small bar for a table row: the interval as a line, the value as a dot, both on start..end."""
    if value is None:
        return Markup("")

    def x(number: float) -> float:
        return 4 + 112 * (min(max(number, start), end) - start) / (end - start)

    line = (
        ""
        if low is None or high is None
        else (
            f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="8" y2="8" style="stroke:var(--mark)" stroke-width="3" opacity=".55"/>'
        )
    )
    return Markup(  # noqa: S704  numbers only
        f'<svg class="interval" viewBox="0 0 120 16" width="120" height="16" aria-hidden="true">'
        f'<line x1="4" x2="116" y1="8" y2="8" stroke="currentColor" opacity=".2"/>{line}'
        f'<circle cx="{x(value):.1f}" cy="8" r="4" style="fill:var(--mark)"/></svg>'
    )


def legend(classes: Sequence[str], *, dashes: bool) -> Markup:
    """The classes with the dash (curves) or the mark (scatter) and the colour each has in the figures."""
    items = []
    for number, name in enumerate(classes):
        if dashes:
            sign = (
                f'<line x1="0" x2="26" y1="7" y2="7" style="stroke:{_colour(number)}" stroke-width="2.5" '
                f'stroke-dasharray="{DASHES[number % len(DASHES)]}"/>'
            )
        else:
            sign = _mark(13, 7, number)
        items.append(
            f'<span class="key"><svg viewBox="0 0 26 14" width="26" height="14" aria-hidden="true">{sign}</svg>'
            f"{escape(name)}</span>"
        )
    return Markup("".join(items))  # noqa: S704  names are escaped above


# --------------------------------------------------------------------------------------------- the parts
def _colour(number: int) -> str:
    return f"var(--class-{number % COLOURS})"


def _mark(x: float, y: float, number: int) -> str:
    """A circle, square or triangle, by the number of the class."""
    style = f'style="fill:{_colour(number)}" fill-opacity=".6"'
    if number % 3 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6" {style}/>'
    if number % 3 == 1:
        return f'<rect x="{x - 3.2:.1f}" y="{y - 3.2:.1f}" width="6.4" height="6.4" {style}/>'
    return f'<path d="M{x:.1f} {y - 4.2:.1f}l4 7h-8z" {style}/>'


def _diagonal(scale: _Scale) -> str:
    end = scale.low + scale.span
    return (
        f'<line x1="{scale.x(scale.low):.1f}" y1="{scale.y(scale.low):.1f}" x2="{scale.x(end):.1f}" y2="{scale.y(end):.1f}" '
        'stroke="currentColor" opacity=".45" stroke-dasharray="3 4"/>'
    )


def _frame(scale: _Scale, ticks: Iterable[float], x_label: str, y_label: str) -> str:
    parts = []
    for tick in ticks:
        x, y = scale.x(tick), scale.y(tick)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{BOTTOM}" stroke="currentColor" opacity=".12"/>'
        )
        parts.append(
            f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity=".12"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    middle_x, middle_y = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    parts.append(f'<text x="{middle_x}" y="{HEIGHT - 16}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text x="14" y="{middle_y}" text-anchor="middle" transform="rotate(-90 14 {middle_y})">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _svg(parts: Iterable[str], label: str) -> Markup:
    return Markup(  # noqa: S704  the parts are numbers and escaped labels
        f'<svg class="figure" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" '
        f'font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )
