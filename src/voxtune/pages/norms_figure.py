"""A normative model drawn: percentile curves of each region over age, and how the controls lie against fits without them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from voxtune.pages.layout import ACCENT, image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = (5, 25, 50, 75, 95)
COLUMNS = 3


Regions = Mapping[str, tuple[str, str]]
"""Name and unit of a region by its column."""


def norms_figure(norms: Mapping[str, Any], known: Regions) -> "Figure":
    """Curves of the 5th to the 95th percentile for women and men of a middle head size; no person is drawn.

    Args:
        norms: what ``Norms`` holds.
        known: names and units; mm^3 are drawn as ml, any other unit as it is.
    """
    from matplotlib.figure import Figure

    from voxtune.types.norms import Norms

    model = Norms.model_validate(norms)
    regions = list(model.regions)
    lines = -(-len(regions) // COLUMNS)
    figure = Figure(figsize=(3.0 * min(COLUMNS, len(regions)), 2.5 * lines), layout="constrained")
    panels = np.atleast_1d(figure.subplots(lines, min(COLUMNS, len(regions)))).ravel()
    ages = np.linspace(*(model.age or (0.0, 1.0)), 60)
    for panel, column in zip(panels, regions, strict=False):
        name, unit = known.get(column, (column, ""))
        scale, unit = (1000, "ml") if unit == "mm^3" else (1, unit)
        for sex, colour in (("F", ACCENT), ("M", "0.35")) if "sex" in model.terms else ((None, ACCENT),):
            for percentile, volumes in zip(CURVES, curves(model, column, ages, sex), strict=True):
                width = 2.0 if percentile == 50 else 1.0
                dashes = "-" if percentile == 50 else "--" if percentile in {25, 75} else ":"
                label = {"F": "women", "M": "men"}.get(sex or "") if percentile == 50 else None
                panel.plot(
                    ages, volumes / scale, color=colour, linewidth=width, linestyle=dashes, label=label
                )
        panel.set_title(name, fontsize=9)
        panel.set(xlabel="age (years)" if model.age else "any age", ylabel=unit)
        if model.age is None:
            panel.set_xticks([])
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(regions) :]:
        panel.set_visible(False)
    if "sex" in model.terms:
        panels[0].legend(frameon=False, fontsize=8)
    return figure


def curves(model: Any, column: str, ages: Any, sex: str | None) -> list[Any]:
    """Volumes, in the unit of the table, of each percentile of ``CURVES`` at the ages, at the middle head size."""
    from scipy import stats

    from voxtune.reports.standing import design
    from voxtune.types.records import ManifestRow

    rows = [
        ManifestRow(participant_id="c", scan_id="c", image="c", age=float(age), sex=sex, icv_mm3=model.middle)
        for age in ages
    ]
    line = model.regions[column]
    columns = design(rows, model.terms, model.knots, model.degree, model.middle)
    middle = columns @ np.array(line.coefficients)
    room = line.spread * np.sqrt(1 + np.einsum("np,pq,nq->n", columns, np.array(line.inverse), columns))
    return [np.exp(middle + stats.t.ppf(one / 100, line.freedom) * room) for one in CURVES]


def norms_rows(norms: Mapping[str, Any], known: Regions) -> list[dict[str, Any]]:
    """A line for each region: participants, spread in per cent, and how many controls lie in each tenth of fits without them."""
    return [
        {
            "name": known.get(column, (column, ""))[0],
            "participants": one["participants"],
            "spread": 100 * (np.exp(one["spread"]) - 1),
            "tenths": one["left_out"],
        }
        for column, one in norms["regions"].items()
    ]


def norms_section(norms: Mapping[str, Any] | None, known: Regions) -> dict[str, Any] | None:
    """What a page says of a normative model; ``None``: there is none."""
    if norms is None:
        return None
    from voxtune.types.norms import Norms

    return {
        "sentence": Norms.model_validate(norms).sentence,
        "aged": norms["age"] is not None,
        "figure": image(norms_figure(norms, known)),
        "rows": norms_rows(norms, known),
    }
