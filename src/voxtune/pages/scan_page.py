"""The page of one scan: its slices, what the model says of it, and the texts it was compared with."""

from collections.abc import Mapping
from typing import Any

from voxtune.pages.layout import image, render
from voxtune.pages.slices import slice_figure
from voxtune.types.records import Prediction
from voxtune.types.volume import Volume


def scan_page(
    prediction: Prediction,
    volume: Volume,
    facts: Mapping[str, Any],
    record: Mapping[str, Any],
    report: str | None = None,
) -> str:
    """HTML for one prediction.

    Args:
        prediction: class probabilities, and MMSE where the adapter predicts it.
        volume: the preprocessed volume the model saw.
        facts: of ``adapter.json``.
        record: of the preprocessing chain.
        report: the report text of the scan, where it has one; shown, never read by the model.
    """
    texts = {
        name: [template.replace("{name}", name) for template in facts["class_texts"]]
        for name in facts["classes"]
    }
    context = {
        "prediction": prediction,
        "facts": facts,
        "texts": texts,
        "report": report,
        "quality": record.get("qc"),
        "slices": image(slice_figure(volume), dpi=100),
    }
    return render(
        "scan_page.html.j2", context, title=f"Scan {prediction.scan_id}", simulated=bool(facts["simulated"])
    )
