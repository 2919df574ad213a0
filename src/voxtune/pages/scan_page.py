"""The page of one scan: what the model says of it and how far to trust that, its slices, the texts it was compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxtune.pages import figures
from voxtune.pages.event_section import risk_section
from voxtune.pages.layout import image, render
from voxtune.pages.person_paragraph import person_paragraph, what_would_change
from voxtune.pages.slices import slice_figure
from voxtune.pages.visits_section import visits_section
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats, Trust
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class MapFigure:
    """A heat map as a picture, with its heading and what its colours mean."""

    title: str
    meaning: str
    figure: "Figure"


def scan_page(
    prediction: Prediction,
    caveats: Caveats,
    volume: Volume,
    facts: Mapping[str, Any],
    maps: Sequence[MapFigure] = (),
    similar: Mapping[str, Any] | None = None,
    changes: Sequence[MapFigure] = (),
) -> str:
    """HTML for one prediction.

    Args:
        prediction: class probabilities, and MMSE where the adapter predicts it.
        caveats: what stands beside it.
        volume: the preprocessed volume the model saw.
        facts: of ``adapter.json``.
        maps: heat maps to show under the slices.
        similar: the nearest groups of the adapter's bank; ``None``: it has none.
        changes: maps of what changed since earlier scans of the person.
    """
    risk = risk_section(prediction, facts)
    texts = {
        name: [
            *(template.replace("{name}", name) for template in facts["class_texts"]),
            *(facts.get("signs", {}).get(name, ())),
        ]
        for name in (() if risk else facts["classes"])
    }
    context = {
        "prediction": prediction,
        "caveats": caveats,
        "facts": facts,
        "kind": caveats.verdict.kind,
        "promised": caveats.prediction_set,
        "rules": Trust.model_validate(facts["trust"]).rules,
        "trust": facts["trust"],
        "called": sum(
            value >= facts.get("thresholds", {}).get(name, 0.5)
            for name, value in prediction.probabilities.items()
        ),
        "findings": facts.get("task") == "findings",
        "targets": [name for name in caveats.targets if name != "mmse"],
        "texts": texts,
        "risk": risk,
        "figure_style": figures.STYLE,
        "similar": similar,
        "paragraph": person_paragraph(prediction, caveats, facts, similar),
        "change": what_would_change(prediction, facts) if caveats.verdict.answered else None,
        "slices": image(slice_figure(volume), dpi=100),
        "visits": visits_section(caveats.visits, prediction),
        "change_maps": [(one.title, one.meaning, image(one.figure, dpi=100)) for one in changes],
        "maps": [(one.title, one.meaning, image(one.figure, dpi=100)) for one in maps],
    }
    return render(
        "scan_page.html.j2", context, title=f"Scan {prediction.scan_id}", simulated=bool(facts["simulated"])
    )
