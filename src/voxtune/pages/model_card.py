"""The model card of an adapter (its README.md): what it is for, what it was made from, what is known about it. No IDs, no paths."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def model_card(facts: Mapping[str, Any], metrics: Mapping[str, Any] | None = None) -> str:
    """Markdown from the facts of ``adapter.json`` and, once evaluated, from ``metrics.json`` of its own test scans."""
    # Markdown, not HTML: escaping would spoil it, and every value is ours or a class name checked below.
    environment = Environment(  # noqa: S701
        loader=PackageLoader("voxtune.pages"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = ("accuracy", "balanced_accuracy", "auroc", "brier", "ece", "mmse_mae")
    rows = (
        [(name, metrics[name]) for name in shown if name in metrics and metrics[name]["value"] is not None]
        if metrics
        else []
    )
    return environment.get_template("model_card.md.j2").render(facts=facts, metrics=metrics, rows=rows)
