"""Scores of several seeds as SVG text: a dot a seed with its interval over participants, a line for the mean, a band for the sd."""

from collections.abc import Mapping
from math import ceil, floor

from markupsafe import Markup, escape

from voxtune.types.records import Metric, OverRuns

LEFT, RIGHT, WIDTH = 10.0, 350.0, 360
NAME, LANE, GAP = 20.0, 9.0, 12.0
"""Heights of a row's name, of each seed and of the room below, in drawing units."""


def run_dots(
    rows: Mapping[str, tuple[OverRuns, Mapping[str, Metric | None]]], unit: str, *, share: bool
) -> Markup:
    """One row for each score.

    Args:
        rows: by the score's name its mean and sd, and what each seed says.
        unit: of the axis.
        share: whether the scores lie in 0..1, so that the axis may not leave it.
    """
    numbers = [
        number
        for _, each in rows.values()
        for one in each.values()
        if one is not None
        for number in (one.value, one.low, one.high)
        if number is not None
    ]
    step, low, high = _range(min(numbers, default=0.0), max(numbers, default=1.0), share=share)

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (min(max(value, low), high) - low) / (high - low)

    parts, top = [], 0.0
    for name, (over, each) in rows.items():
        height = LANE * len(each)
        upper, lower = top + NAME, top + NAME + height
        parts.append(f'<text x="{LEFT}" y="{top + 15:.1f}">{escape(name)}</text>')
        parts.append(
            f'<line x1="{LEFT}" x2="{RIGHT}" y1="{lower:.1f}" y2="{lower:.1f}" stroke="currentColor" opacity=".15"/>'
        )
        if over.mean is not None:
            if over.sd is not None:
                start, end = x(over.mean - over.sd), x(over.mean + over.sd)
                parts.append(
                    f'<rect x="{start:.1f}" y="{upper:.1f}" width="{end - start:.1f}" height="{height:.1f}" style="fill:var(--class-1)" opacity=".22"/>'
                )
            parts.append(
                f'<line x1="{x(over.mean):.1f}" x2="{x(over.mean):.1f}" y1="{upper:.1f}" y2="{lower:.1f}" style="stroke:var(--class-1)" stroke-width="2"/>'
            )
        for place, (seed, one) in enumerate(each.items()):
            y = upper + LANE * (place + 0.5)
            if one is None or one.value is None:
                continue
            if one.low is not None and one.high is not None:
                parts.append(
                    f'<line x1="{x(one.low):.1f}" x2="{x(one.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" style="stroke:var(--class-0)" stroke-width="2" opacity=".45"/>'
                )
            parts.append(
                f'<circle cx="{x(one.value):.1f}" cy="{y:.1f}" r="3.4" style="fill:var(--class-0)"><title>{escape(name)}, seed {seed}: '
                f"{one.value:.3f}</title></circle>"
            )
        top = lower + GAP
    for number in range(round((high - low) / step) + 1):
        value = low + step * number
        parts.append(
            f'<line x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{NAME}" y2="{top - GAP:.1f}" stroke="currentColor" opacity=".1"/>'
        )
        parts.append(
            f'<text x="{x(value):.1f}" y="{top + 6:.1f}" text-anchor="middle">{round(value, 2):g}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + RIGHT) / 2}" y="{top + 24:.1f}" text-anchor="middle">{escape(unit)}</text>'
    )
    label = f"{', '.join(rows)}: each seed, mean and standard deviation"
    return Markup(  # noqa: S704  numbers and escaped names
        f'<svg class="figure" viewBox="0 0 {WIDTH} {top + 30:.0f}" role="img" aria-label="{escape(label)}" font-size="12" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def _range(least: float, most: float, *, share: bool) -> tuple[float, float, float]:
    """Step, start and end of an axis that holds both numbers with at most six steps."""
    if share:
        least, most = max(least, 0.0), min(most, 1.0)
    span = max(most - least, 1e-6)
    step = next(size for size in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if span / size <= 5 or size == 50)
    low, high = step * floor(least / step + 1e-9), step * ceil(most / step - 1e-9)
    return step, low, max(high, low + step)
