"""The page of the demo: simulated people, what fine-tuning gains, a real head, what one answer rests on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.imaging.read import read_scan
from voxtune.pages.layout import ACCENT, image, render
from voxtune.pages.slices import slice_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODELS = (
    ("accuracy", "fine-tuned (recipe deft)"),
    ("baseline/zero_shot/accuracy", "zero-shot: the frozen base"),
    ("baseline/linear_probe/accuracy", "linear probe on the frozen base"),
    ("baseline/volumes/accuracy", "true volumes from a table, no picture"),
    ("baseline/mmse/accuracy", "MMSE alone, no picture"),
    ("baseline/age_sex/accuracy", "age and sex"),
    ("baseline/text/accuracy", "words of the report, no picture"),
    ("baseline/majority/accuracy", "most frequent class"),
)
"""Scores of ``metrics.json`` that the demo compares, with their names: every comparator that was computed."""


def demo_page(facts: Mapping[str, Any], heads: Mapping[str, Path], split: Mapping[str, Any]) -> str:
    """HTML from ``demo.json``, the preprocessed heads and the split of the run."""
    metrics = facts["metrics"]
    bars = named_scores(metrics)
    context = {
        "facts": facts,
        "metrics": metrics,
        "bars": bars,
        "accuracy_figure": image(accuracy_figure(bars), dpi=130),
        "head_figures": [
            (head, image(slice_figure(read_scan(heads[head["name"]]), shares=(0.42, 0.5)), dpi=90))
            for head in facts["heads"]
        ],
        "drop_figure": image(drop_figure(facts["explanation"]["drops"]), dpi=130),
        "probe": probe_line(metrics),
        "validation": split["participants"]["val"],
    }
    return render("demo_page.html.j2", context, title="VoxTune demo", simulated=True)


def named_scores(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The accuracies of ``metrics.json`` that there are, by the names people read."""
    return [
        (label, metrics[name])
        for name, label in MODELS
        if name in metrics and metrics[name]["value"] is not None
    ]


def probe_line(metrics: Mapping[str, Any]) -> str:
    """How the model stands to the linear probe on the same frozen base and training scans, in a sentence."""
    one = metrics.get("against/linear_probe/accuracy")
    if one is None or one["value"] is None:
        return ""
    low, high = one["low"], one["high"]
    told = low is not None and (low > 0 or high < 0)
    words = (
        ("beats" if one["value"] > 0 else "loses to")
        if told
        else ("is not told apart from" if one["value"] >= 0 else "is behind, within chance,")
    )
    interval = "" if low is None else f" (95% interval {100 * low:+.1f} to {100 * high:+.1f})"
    return f"Fine-tuning {words} the linear probe: {100 * one['value']:+.1f} points{interval}."


def accuracy_figure(bars: list[tuple[str, Mapping[str, float]]]) -> "Figure":
    """Accuracy of each model as a dot with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.4 * len(bars) + 0.9), layout="constrained")
    panel = figure.subplots()
    for place, (_, one) in enumerate(bars):
        color = ACCENT if place == 0 else "0.45"
        panel.plot(100 * one["value"], -place, "o", color=color)
        if one["low"] is not None:
            panel.plot([100 * one["low"], 100 * one["high"]], [-place, -place], color=color)
    panel.axvline(100 / 3, color="0.8", linestyle=":", zorder=0)
    panel.set(yticks=[-n for n in range(len(bars))], yticklabels=[label for label, _ in bars], xlim=(0, 100))
    panel.set_xlabel("three-way accuracy on held-out SIMULATED people, %\n(95% interval; dotted: chance)")
    panel.spines[["top", "right"]].set_visible(False)
    return figure


def drop_figure(drops: list[Mapping[str, Any]]) -> "Figure":
    """Fall of the log-odds when each region is hidden."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.35 * len(drops) + 0.9), layout="constrained")
    panel = figure.subplots()
    ordered = sorted(drops, key=lambda one: one["drop"])
    panel.barh(
        [one["region"].replace("_", " ") for one in ordered],
        [one["drop"] for one in ordered],
        color=ACCENT,
    )
    panel.axvline(0, color="0.3", linewidth=0.8)
    panel.set_xlabel("fall of the log-odds of AD when the region is hidden")
    panel.spines[["top", "right"]].set_visible(False)
    return figure
