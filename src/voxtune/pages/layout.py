"""Every page of ours: one file, no request to anywhere, readable in light and dark and on a phone."""

import base64
import io
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from voxtune import __version__
from voxtune.pages.slices import view_words
from voxtune.types.words import cleaned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCENT = "#0b63ce"
"""The accent of every page, for what a figure is about; all else in a figure is grey, or of the classes' colours."""


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("voxtune.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )


def _seen(value: Any) -> Any:
    """A value as a page shows it: words from files turn no line around. What is markup already is ours."""
    return cleaned(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def render(template: str, context: Mapping[str, Any], *, title: str, simulated: bool) -> str:
    """A whole HTML page from one of ``templates/``, which extends ``base.html.j2``.

    Args:
        template: file name in ``templates/``.
        context: its variables; a missing one is an error, every value is escaped.
        title: of the page.
        simulated: whether any scan behind it was simulated; the page then says SIMULATED at its top.
    """
    whole = {
        "view_words": view_words(),
        **context,
        "title": title,
        "simulated": simulated,
        "version": __version__,
    }
    return _environment().get_template(template).render(whole)


def literal(figure: "Figure") -> "Figure":
    """The figure, which shows a dollar sign of a name as one: matplotlib would read what stands between two as a formula, and fail."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    shown = [*figure.texts, *figure.legends]
    for axes in figure.axes:
        # Ticks are made when they are asked for: not of axes that show none.
        shown += [one for one in axes.get_children() if axes.axison or not isinstance(one, Axis)]
    for one in [text for child in shown for text in child.findobj(Text)]:
        if "$" in one.get_text() and "\\mathdefault" not in one.get_text():
            one.set_parse_math(False)
    return figure


def image(figure: "Figure", *, dpi: int = 110) -> Markup:
    """A matplotlib figure as the ``src`` of an ``img``: PNG inside the page."""
    buffer = io.BytesIO()
    literal(figure).savefig(
        buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor=figure.get_facecolor()
    )
    return Markup("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"))  # noqa: S704
