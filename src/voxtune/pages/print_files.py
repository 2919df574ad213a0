"""Figures and tables to take into a paper: one look for all, vector files that carry their letters, tables as CSV and LaTeX."""

import csv
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from voxtune.pages.layout import literal
from voxtune.run_dir import write_bytes, write_text
from voxtune.types.words import cleaned, plain_text

FIGURES, TABLES = "figures", "tables"
ENDINGS = ("svg", "pdf")
COLUMN = 3.35
"""Width of a journal's column, 85 mm, in inches."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#5a5fcf")
"""Okabe and Ito's, told apart by the colour-blind, as on the pages."""
DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
MARKS = ("o", "s", "^", "D", "v", "P")
GREY = "#6e7781"
LOOK: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e1e4e8",
    "grid.linewidth": 0.5,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "voxtune",
}
"""Letters of 6.5 to 7 points at the printed size; whole fonts in the PDF, outlines in the SVG."""
Draw = Callable[[Any], None]
Interval = tuple[str, float | None, float | None, float | None]
"""Label, value, low, high."""


LINE = 24
"""Letters of a line beside the axes."""


def clear_prints(folder: Path) -> None:
    """Remove what an earlier call left in both folders: a figure of other answers must not stand beside these."""
    for place, endings in ((FIGURES, ENDINGS), (TABLES, ("csv", "tex"))):
        for ending in endings:
            for file in (folder / place).glob(f"*.{ending}"):
                file.unlink()


def write_figure(  # noqa: PLR0913  (how a figure is printed)
    folder: Path,
    name: str,
    draw: Draw,
    *,
    height: float = 2.6,
    width: float = COLUMN,
    panels: int = 1,
    note: str = "",
    simulated: bool,
    shared: bool = True,
) -> None:
    """``figures/NAME.svg`` and ``.pdf``; of simulated scans the figure says so, because it is taken away from its page.

    Args:
        folder: of the evaluation or comparison.
        name: of the files.
        draw: takes the axes, of several panels a list of them.
        height: in inches.
        width: in inches.
        panels: beside one another.
        note: what must be known of it away from its page.
        simulated: whether a scan behind it was simulated.
        shared: whether everybody may read the files; a picture of a person is its owner's.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(dict(LOOK)):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = list(figure.subplots(1, panels, squeeze=False)[0])
        draw(axes if panels > 1 else axes[0])
        if note:
            axes[0].set_title(note, loc="left", color=COLOURS[1])
        if simulated:
            axes[-1].set_title("SIMULATED", loc="right", color=COLOURS[1], weight="bold")
        for ending, metadata in zip(ENDINGS, ({"Date": None}, {"CreationDate": None}), strict=True):
            buffer = io.BytesIO()
            literal(figure).savefig(buffer, format=ending, metadata=metadata)
            write_bytes(folder / FIGURES / f"{name}.{ending}", buffer.getvalue(), shared=shared)


def intervals(rows: Sequence[Interval], label: str, *, zero: bool = False) -> Draw:
    """Values with their intervals below one another; ``zero`` draws the line of no difference."""

    def draw(axes: Any) -> None:
        shown = [one for one in rows if one[1] is not None]
        for place, (_, value, low, high) in enumerate(shown):
            colour = COLOURS[0] if place == 0 or zero else GREY
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=colour, solid_capstyle="butt")
            axes.plot([value], [place], MARKS[0], color=colour)
        if zero:
            axes.axvline(0, color=GREY, linewidth=0.6)
        axes.set_yticks(range(len(shown)), [wrapped(one[0]) for one in shown])
        axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
        if not shown:
            axes.text(0.5, 0.5, "not known for any row", transform=axes.transAxes, ha="center", color=GREY)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(label)

    return draw


def wrapped(name: str) -> str:
    """A name beside the axes, in lines that leave a column's width room for them."""
    return textwrap.fill(name.replace("/", ": "), LINE)


def height_of(rows: Sequence[Interval]) -> float:
    """Inches of a figure with room for the name of each row."""
    return 0.62 + 0.17 * max(sum(wrapped(one[0]).count("\n") + 1 for one in rows), 2)


# -------------------------------------------------------------------------------------------- tables
def write_print_table(
    folder: Path,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, object]],
    *,
    caption: str,
    simulated: bool,
) -> None:
    """``tables/NAME.csv`` and ``.tex`` (booktabs); missing cells are empty in the one and a dash in the other.

    Args:
        folder: of the evaluation or comparison.
        name: of the files.
        columns: in their order.
        rows: by column.
        caption: what the numbers are, a sentence.
        simulated: whether a scan behind it was simulated; both files then say so.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    marked = ["simulated"] if simulated else []
    writer.writerow([*columns, *marked])
    for row in rows:
        cells = [row.get(column) for column in columns]
        texts = [plain_text(cleaned(one)) if isinstance(one, str) else one for one in cells]
        writer.writerow(["" if one is None else one for one in texts] + ["true"] * len(marked))
    write_text(folder / TABLES / f"{name}.csv", buffer.getvalue(), shared=True)
    said = f"SIMULATED scans. {caption}" if simulated else caption
    numeric = [all(isinstance(row.get(one), float | int | None) for row in rows) for one in columns]
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        f"\\caption{{{tex(said)}}}",
        f"\\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numeric)}}}",
        "\\toprule",
        " & ".join(tex(column.replace("_", " ")) for column in columns) + " \\\\",
        "\\midrule",
        *(" & ".join(_cell(row.get(column)) for column in columns) + " \\\\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}",
        "\\end{table}",
    ]
    write_text(folder / TABLES / f"{name}.tex", "\n".join(lines) + "\n", shared=True)


def _cell(value: object) -> str:
    if value is None:
        return "--"
    if isinstance(value, float):
        return f"${value:.3f}$" if value < 0 else f"{value:.3f}"
    return tex(str(value))


SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "²": r"\textsuperscript{2}",
    "±": r"$\pm$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def tex(text: str) -> str:
    """A text as LaTeX prints it, on one line."""
    return "".join(SPECIAL.get(sign, sign) for sign in cleaned(" ".join(text.split())))
