"""The page of ``voxtune similar``: the nearest participants of a scan, why, how their outcomes spread, and the answer in words."""

from collections.abc import Mapping
from typing import Any

from voxtune.pages.layout import render
from voxtune.pages.person_paragraph import person_paragraph, what_would_change
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats


def similar_page(
    prediction: Prediction,
    caveats: Caveats,
    facts: Mapping[str, Any],
    similar: Mapping[str, Any],
    standing: Mapping[str, Any] | None,
    *,
    simulated: bool,
) -> str:
    """HTML of one search.

    Args:
        prediction: what the model says of the scan.
        caveats: what stands beside it.
        facts: of ``adapter.json``.
        similar: the neighbours (``cases/beside.py``).
        standing: the percentiles of the scan's volumes; ``None``: no volumes are known.
        simulated: whether the adapter, the bank or the scan is SIMULATED.
    """
    limits = {name: facts.get("thresholds", {}).get(name, 0.5) for name in prediction.probabilities}
    findings = facts.get("task") == "findings"
    context = {
        "prediction": prediction,
        "caveats": caveats,
        "kind": caveats.verdict.kind,
        "facts": facts,
        "similar": similar,
        "standing": standing,
        "paragraph": person_paragraph(prediction, caveats, facts, similar, standing),
        "change": what_would_change(prediction, facts),
        "findings": findings,
        "thresholds": limits if findings else {},
        "called": sum(value >= limits[name] for name, value in prediction.probabilities.items()),
    }
    return render(
        "similar_page.html.j2", context, title=f"Cases like {prediction.scan_id}", simulated=simulated
    )
