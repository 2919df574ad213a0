"""The page of a run: how it learned, what was trained, with which settings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxtune.pages.layout import image, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run_page(
    config: str,
    epochs: Sequence[Mapping[str, Any]],
    parts: Sequence[Mapping[str, Any]],
    metric: str,
    *,
    simulated: bool,
) -> str:
    """HTML from ``config.json``, the lines of ``log.jsonl`` and the parameter table (part, trained, frozen)."""
    total = sum(part["trained"] + part["frozen"] for part in parts)
    context = {
        "config": config,
        "epochs": epochs,
        "best": max((epoch for epoch in epochs if epoch["best"]), key=lambda epoch: epoch["epoch"]),
        "parts": [{**part, "share": part["trained"] / total} for part in parts],
        "trained": sum(part["trained"] for part in parts),
        "total": total,
        "metric": metric,
        "seconds": sum(epoch["seconds"] for epoch in epochs),
        "curves": image(curves(epochs, metric)),
    }
    return render("run_page.html.j2", context, title="Training run", simulated=simulated)


def curves(epochs: Sequence[Mapping[str, Any]], metric: str) -> "Figure":
    """Loss terms and the validation metric over epochs, the best epoch marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    number = [epoch["epoch"] + 1 for epoch in epochs]
    left.plot(number, [epoch["loss"] for epoch in epochs], label="total")
    left.plot(number, [epoch["contrastive"] for epoch in epochs], label="contrastive")
    known = [epoch for epoch in epochs if epoch["mmse"] is not None]
    if known:
        left.plot(
            [epoch["epoch"] + 1 for epoch in known],
            [epoch["mmse"] for epoch in known],
            label="MMSE (unweighted)",
        )
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    left.legend(frameon=False)
    right.plot(number, [epoch["metric"] for epoch in epochs], color="tab:green")
    best = max((epoch for epoch in epochs if epoch["best"]), key=lambda epoch: epoch["epoch"])
    right.axvline(best["epoch"] + 1, color="0.6", linestyle=":")
    right.set(xlabel="epoch", ylabel=f"{metric.replace('_', ' ')} on validation")
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.xaxis.get_major_locator().set_params(integer=True)
    return figure
