"""The page of a group of explanations: biomarkers by stage, top tokens, mean maps by stage and biomarker, the checks."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxtune.pages.explain_figures import panel_figure
from voxtune.pages.layout import image, render
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 12
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#5a5fcf")
MARKS = "os^Dv*"


def explain_group_page(facts: Mapping[str, Any], maps: Mapping[tuple[str, str], Volume]) -> str:
    """HTML from ``explanation.json`` of a cohort and its mean maps in template space by stage and column."""
    from voxtune.imaging.template import template

    grey = template(next(iter(maps.values())).shape[0]) if maps else None
    context = {
        "facts": facts,
        "stages": list(facts["groups"]),
        "importance": image(importance_figure(facts["text"])) if facts["text"] else None,
        "panel": None
        if grey is None
        else image(
            panel_figure(grey, maps, "mean heat, relative to the strongest place of the column"), dpi=100
        ),
        "top": TOP,
        "named": {
            "auc": "AUC over voxels",
            "hit": "hottest voxel changed",
            "heat_share": "share of heat in changed voxels",
        },
    }
    title = f"What the model looks at in cohort '{facts['cohort']}'"
    return render("explain_group_page.html.j2", context, title=title, simulated=bool(facts["simulated"]))


def importance_figure(text: Mapping[str, Any]) -> "Figure":
    """What each biomarker gives to the similarity of report and scan, by stage, with intervals over participants."""
    from matplotlib.figure import Figure

    stages: Sequence[str] = list(text["parts"])
    names = list(next(iter(text["parts"].values())))
    figure = Figure(figsize=(7.6, 0.55 * len(names) + 1.5), layout="constrained")
    panel = figure.subplots()
    panel.axvline(0, color="0.3", linewidth=0.8)
    for number, stage in enumerate(stages):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        for place, name in enumerate(names):
            one = text["parts"][stage][name]
            if one["value"] is None:
                continue
            y = place + 0.22 * (number - (len(stages) - 1) / 2)
            label = f"{stage} ({one['n_participants']} people)" if place == 0 else None
            panel.plot(one["value"], y, mark, color=colour, label=label)
            if one["low"] is not None:
                panel.plot([one["low"], one["high"]], [y, y], color=colour)
    # A part of a chest report is a whole sentence.
    labels = [textwrap.shorten(name, 44, placeholder=" ...") for name in names]
    panel.set(yticks=range(len(names)), yticklabels=labels, ylim=(len(names) - 0.5, -0.5))
    panel.set_xlabel(
        "what it gives to the cosine of report and scan\n(Integrated Gradients; 95% interval over participants)",
        fontsize=8,
    )
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8)
    return figure
