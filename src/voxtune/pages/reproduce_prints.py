"""What of a reproduction goes into a paper or a talk: vector figures beside its tables, SIMULATED on each that is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voxtune.pages.print_files import (
    COLOURS,
    GREY,
    MARKS,
    Interval,
    height_of,
    wrapped,
    write_figure,
)

WIDE = 7.0
"""Inches: two columns of a journal."""


def write_table_figure(
    folder: Path,
    name: str,
    rows: Sequence[Interval],
    published: Sequence[float | None],
    *,
    axis: str,
    simulated: bool,
) -> None:
    """``figures/NAME.svg`` and ``.pdf``: the rows of a table with their intervals, a cross where the paper's own figure lies.

    Args:
        folder: of the reproduction.
        name: of the files.
        rows: label, value, low, high in percent; rows without a value are left out.
        published: the paper's figure of each row.
        axis: what the numbers are.
        simulated: whether the people are.
    """
    kept = [
        (row, said)
        for row, said in zip(rows, published, strict=True)
        if row[1] is not None or said is not None
    ]
    if not any(row[1] is not None for row, _ in kept):
        return
    shown = [row for row, _ in kept]

    def draw(axes: Any) -> None:
        for place, ((_, value, low, high), said) in enumerate(kept):
            if value is not None:
                if low is not None and high is not None:
                    axes.plot([low, high], [place, place], color=COLOURS[0], solid_capstyle="butt")
                axes.plot([value], [place], MARKS[0], color=COLOURS[0])
            if said is not None:
                axes.plot([said], [place], "x", color=GREY)
        axes.plot([], [], MARKS[0], color=COLOURS[0], label="ours, 95% interval")
        if any(said is not None for _, said in kept):
            axes.plot([], [], "x", color=GREY, label="published, other people")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28 / height_of(shown) * 2.6), ncols=2)
        _rows(axes, [row[0] for row in shown])
        axes.set_xlabel(axis)

    write_figure(folder, name, draw, height=height_of(shown) + 0.3, simulated=simulated)


def write_differences_figure(
    folder: Path, name: str, regimes: Mapping[str, Sequence[Interval]], *, reference: str
) -> None:
    """``figures/NAME.svg`` and ``.pdf``: what each row of a testbed is above or below its reference, a colour for each regime.

    Args:
        folder: of the testbed.
        name: of the files.
        regimes: by regime, label, difference, low and high of each row in points.
        reference: the row that others are compared with.
    """
    labels = list(dict.fromkeys(row[0] for rows in regimes.values() for row in rows))
    if not labels:
        return
    whole = [(label, 0.0, None, None) for label in labels]
    step = 0.8 / max(len(regimes), 1)

    def draw(axes: Any) -> None:
        axes.axvline(0, color=GREY, linewidth=0.6)
        for number, (regime, rows) in enumerate(regimes.items()):
            colour = COLOURS[number % len(COLOURS)]
            for label, value, low, high in rows:
                place = labels.index(label) + step * (number - (len(regimes) - 1) / 2)
                if low is not None and high is not None:
                    axes.plot([low, high], [place, place], color=colour, linewidth=0.9, solid_capstyle="butt")
                axes.plot([value], [place], MARKS[number % len(MARKS)], color=colour, markersize=3)
            axes.plot([], [], MARKS[number % len(MARKS)], color=colour, label=regime)
        if len(regimes) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        _rows(axes, labels)
        axes.set_xlabel(f"accuracy less that of '{reference}', points; 95% intervals over cohorts")

    write_figure(
        folder, name, draw, height=max(height_of(whole), 0.62 + 0.11 * len(labels) * len(regimes)), width=WIDE, simulated=True
    )  # fmt: skip


def _rows(axes: Any, labels: Sequence[str]) -> None:
    """Names beside the axes, the first on top."""
    axes.set_yticks(range(len(labels)), [wrapped(one) for one in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
