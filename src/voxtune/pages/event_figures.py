"""Figures of the risk of an event over time as SVG text, in the page's own colours."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 250, 46, 346, 12, 200


@dataclass(frozen=True)
class RiskCurve:
    """A risk at each horizon, with a band where there is one."""

    name: str
    risk: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def risk_curves(years: Sequence[float], curves: Sequence[RiskCurve], label: str) -> Markup:
    """Risk (0 to 1) over years from the scan, from nought at the scan on; bands where they are known.

    Args:
        years: horizons, ascending.
        curves: the first one solid, the others dashed.
        label: what the figure shows, for whoever does not see it.
    """
    most = max(years)
    parts = [_frame(years)]
    for number, curve in enumerate(curves):
        colour = f"var(--class-{number % 6})"
        if curve.low is not None and curve.high is not None:
            there = [_at(x, y, most) for x, y in zip([0, *years], [0, *curve.high], strict=True)]
            back = [_at(x, y, most) for x, y in zip([0, *years], [0, *curve.low], strict=True)][::-1]
            parts.append(
                f'<polygon points="{" ".join([*there, *back])}" style="fill:{colour}" fill-opacity=".16"/>'
            )
        line = " ".join(_at(x, y, most) for x, y in zip([0, *years], [0, *curve.risk], strict=True))
        dash = "none" if number == 0 else "6 4"
        parts.append(
            f'<polyline points="{line}" fill="none" style="stroke:{colour}" stroke-width="2.4" stroke-dasharray="{dash}"/>'
        )
        for x, y in zip(years, curve.risk, strict=True):
            cx, cy = _at(x, y, most).split(",")
            parts.append(
                f'<circle cx="{cx}" cy="{cy}" r="3.4" style="fill:{colour}"><title>{escape(curve.name)}: {y:.2f} by {x:g} years</title></circle>'
            )
    return Markup(  # noqa: S704  numbers and escaped labels
        f'<svg class="figure" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" font-size="12" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def _at(years: float, risk: float, most: float) -> str:
    return (
        f"{LEFT + (RIGHT - LEFT) * years / most:.1f},{BOTTOM - (BOTTOM - TOP) * min(max(risk, 0.0), 1.0):.1f}"
    )


def _frame(years: Sequence[float]) -> str:
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _at(0, tick, 1).split(",")[1]
        parts.append(
            f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}" stroke="currentColor" opacity=".14"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in (0.0, *years):
        x = _at(tick, 0, max(years)).split(",")[0]
        parts.append(f'<text x="{x}" y="{BOTTOM + 17}" text-anchor="middle">{tick:g}</text>')
    middle = (TOP + BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">years after the scan</text>'
    )
    parts.append(
        f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">risk</text>'
    )
    return "".join(parts)
