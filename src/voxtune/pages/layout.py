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
    )


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


def image(figure: "Figure", *, dpi: int = 110) -> Markup:
    """A matplotlib figure as the ``src`` of an ``img``: PNG inside the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor=figure.get_facecolor())
    return Markup("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"))  # noqa: S704
