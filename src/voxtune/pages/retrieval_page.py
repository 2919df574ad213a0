"""The page of a measurement of ``voxtune similar``: how well scans find others of their class, and texts their images."""

from collections.abc import Mapping, Sequence
from typing import Any

from voxtune.pages.layout import render

WORDS = {
    "precision": "neighbours of the same class",
    "outcome": "neighbours with the same findings or events",
    "severity": "neighbours of the same third of severity",
    "text_to_image": "own scan found by its text",
    "image_to_text": "own text found by its scan",
}


def retrieval_page(facts: Mapping[str, Any], notes: Sequence[str]) -> str:
    """HTML of ``retrieval.json``, with sentences that a reader must know first."""
    names = list(dict.fromkeys(name for scores in facts["spaces"].values() for name in scores))
    rows = []
    for name in names:
        kind, _, rest = name.partition("@")
        k, _, label = rest.partition("/")
        rows.append(
            {
                "words": f"neighbours with {label}"
                if label and kind == "outcome"
                else WORDS[kind] + (f", {label}" if label else ""),
                "k": k,
                "adapter": facts["spaces"]["adapter"].get(name),
                "base": facts["spaces"]["base"].get(name),
            }
        )
    return render(
        "retrieval_page.html.j2",
        {"facts": facts, "rows": rows, "notes": notes},
        title="How well similar cases are found",
        simulated=bool(facts["simulated"]),
    )
