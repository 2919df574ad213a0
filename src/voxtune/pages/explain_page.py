"""The page of one explanation: where the heat lies, what the words give, and whether any of it should be believed."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from voxtune.pages.explain_figures import curves_figure, heat_figure, panel_figure, viewer
from voxtune.pages.layout import image, render
from voxtune.types.verdict import Verdict
from voxtune.types.volume import Volume

TOP = 12
"""Regions shown before the rest is folded away."""
MOST = 6
"""Probabilities shown, of an adapter with many findings the highest."""


def explain_page(
    facts: Mapping[str, Any],
    scan: Volume,
    maps: Mapping[str, Volume],
    panel: Mapping[tuple[str, str], Volume],
) -> str:
    """HTML from ``explanation.json``, the scan the model saw and the maps in its place."""
    chances = list(facts["prediction"]["probabilities"].items())
    shown = chances if len(chances) <= MOST else sorted(chances, key=lambda one: -one[1])[:MOST]
    context = {
        "facts": facts,
        "caveats": facts["caveats"],
        "kind": Verdict.read(facts["caveats"]["verdict"]).kind,
        "shown": shown,
        "others": [one for one in facts["prediction"].get("targets", {}).items() if one[0] != "mmse"],
        "hidden": len(chances) - len(shown),
        "figures": [
            (facts["maps"][name], image(heat_figure(scan, maps[name], short(facts["maps"][name])), dpi=100))
            for name in ("heat", "mmse", "occlusion")
            if name in maps
        ],
        "viewer": viewer(scan, maps["heat"]),
        "panel": image(panel_figure(scan, panel, PANEL_LABEL), dpi=100),
        "curves": image(curves_figure(facts["checks"]["curves"], facts["target"]["says"])),
        "words": words(facts["text"]) if facts["text"] else None,
        "top": TOP,
    }
    title = f"What {facts['target']['name']} rests on in {facts['scan']}"
    return render("explain_page.html.j2", context, title=title, simulated=bool(facts["simulated"]))


PANEL_LABEL = "heat relative to the strongest place of each picture"


def short(one: Mapping[str, Any]) -> str:
    """What the colour bar of a map says."""
    if one["method"] == "occlusion":
        return "fall of the score per voxel hidden, relative to the largest (below 0: hiding the region raises the score)"
    target = "a lower MMSE" if one["target"] == "mmse" else one["target"]
    if one["method"] == "voxel_gradient":
        return f"how strongly a voxel moves the score of {target}, relative to the strongest"
    return f"evidence for {target} by {one['title']}, relative to the strongest place of this scan"


def words(text: Mapping[str, Any]) -> Markup:
    """The report with each word on a ground as strong as what it gives: orange for more likeness, blue for less."""
    strongest = max((abs(word["value"]) for word in text["words"]), default=0.0) or 1.0
    parts = []
    for word in text["words"]:
        share = word["value"] / strongest
        colour = "230, 120, 20" if share > 0 else "40, 120, 220"
        style = f"background: rgba({colour}, {abs(share) * 0.75:.3f})"
        parts.append(
            Markup('<span class="word" style="{}" title="{}">{}</span>').format(
                style, f"{word['value']:+.4f}", word["text"]
            )
        )
    return Markup(" ").join(parts)
