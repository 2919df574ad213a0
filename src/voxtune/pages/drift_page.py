"""The page of ``voxtune drift``: the answer in a sentence, what it rests on, what to do."""

from collections.abc import Mapping
from typing import Any

from voxtune.pages.layout import render

KINDS = {
    "features": "What the model sees",
    "acquisition": "How the scans were taken",
    "quality": "How good the scans are",
}
FIGURES = {
    "distance": "distance from the training scans (1 is usual)",
    "field_strength": "field strength (tesla)",
    "voxel_mm3": "voxel size (mm³)",
    "slice_mm": "largest voxel edge (mm)",
    "brain_ml": "brain volume in the scan (ml)",
    "dice": "overlap with the template",
    "correlation": "correlation with the template",
    "contents": "fine detail like the template's",
    "dark": "darkest tissue over brightest",
    "turned": "turned by registration (degrees)",
    "scale": "template size over this brain's",
    "clipped": "share of clipped voxels",
    "darkest_hu": "darkest value (HU)",
}
COLOURS = {"drift": "fail", "taken otherwise": "warn", "no drift found": "pass", "cannot be told": "warn"}


def drift_page(facts: Mapping[str, Any]) -> str:
    """HTML of one comparison.

    Args:
        facts: what ``drift.json`` holds.
    """
    tables = []
    for kind, title in KINDS.items():
        rows = [
            {
                "name": FIGURES.get(one["name"], f"main {one['name']} of feature space"),
                "medians": one["medians"],
                "counts": (one["reference"], one["people"]),
                "p": one["p_holm"],
                "found": one["found"],
            }
            for one in facts["figures"]
            if one["kind"] == kind
        ]
        if rows:
            tables.append({"title": title, "rows": rows})
    return render(
        "drift_page.html.j2",
        {"facts": facts, "tables": tables, "kind": COLOURS[facts["state"]]},
        title="Are these scans like the training scans?",
        simulated=bool(facts["simulated"]),
    )
