"""Matplotlib to SVG that takes the ink of the page: what is drawn in ``INK`` or ``COLOURS`` follows light and dark."""

import io
import re
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("svg")
INK = "#0a0b0c"
COLOURS = tuple(f"#0a0b{number:x}f" for number in range(6))
STYLE = {
    "svg.fonttype": "path", "svg.hashsalt": "voxtune", "mathtext.fontset": "stix", "font.size": 9, "savefig.transparent": True,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": INK, "grid.alpha": 0.12, "legend.frameon": False,
    "axes.prop_cycle": mpl.cycler(color=COLOURS, linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1))]), "lines.linewidth": 1.8,
}  # fmt: skip


def canvas(columns: int = 1, width: float = 4.4, height: float = 2.7) -> tuple[Figure, list[Axes]]:
    """A figure of so many plots side by side."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * columns, height), layout="constrained")
        plots = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(plots)


def svg(figure: Figure, label: str) -> str:
    """The figure as one ``<svg>`` element in the page's colours."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(
            buffer,
            format="svg",
            metadata={"Date": None, "Creator": None},
            bbox_inches="tight",
            pad_inches=0.02,
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    for number, colour in enumerate(COLOURS):
        text = text.replace(colour, f"var(--class-{number})")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # A blank line would end the HTML block of the Markdown page.
    text = re.sub(r"\s*\n\s*", " ", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)


def equation(latex: str) -> str:
    """A displayed equation as SVG, its LaTeX as the label (mathtext: no LaTeX needed, none loaded by the page)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.1, 0.1))
        # strut: equations of one line are then all of one size
        figure.text(0, 0, f"${latex.strip()}$", fontsize=12)
    return f'<div class="equation">{svg(figure, latex.strip())}</div>'
