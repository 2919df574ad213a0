"""The page of a run: how it learned, what was trained, with which settings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxtune.pages.layout import image, render
from voxtune.types.steering import name_of, said, value_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def run_page(
    config: str,
    epochs: Sequence[Mapping[str, Any]],
    parts: Sequence[Mapping[str, Any]],
    metric: str,
    plan: Mapping[str, Any],
    *,
    simulated: bool,
    environment: Mapping[str, Any] | None = None,
) -> str:
    """HTML from ``config.json``, the lines of ``log.jsonl``, the parameter table (part, trained, frozen), the plan and ``environment.json``."""
    total = sum(part["trained"] + part["frozen"] for part in parts)
    kept = max(place for place, epoch in enumerate(epochs) if epoch["best"])
    context = {
        "config": config,
        "epochs": epochs,
        "best": epochs[kept],
        "parts": [{**part, "share": part["trained"] / total} for part in parts],
        "trained": sum(part["trained"] for part in parts),
        "total": total,
        "reached": said(metric, epochs[kept]["metric"]),
        "plan": plan["why"],
        "probe": plan["probe"],
        "chosen": plan["keep"] == "best",
        "step": steps_done(epochs, kept),
        "cost": cost(epochs, environment or {}),
        "environment": environment,
        "curves": image(curves(epochs, metric)),
    }
    return render("run_page.html.j2", context, title="Training run", simulated=simulated)


def cost(epochs: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run cost, as words and figures: device time, rate, waiting, memory, energy."""
    seconds = sum(epoch["seconds"] for epoch in epochs)
    training = sum(epoch["seconds"] - epoch.get("validation_seconds", 0.0) for epoch in epochs)
    processes = int(environment.get("processes", 1))
    device = environment.get("accelerator") or environment.get("processor") or "processor"
    rows = [
        ("time", f"{clock(seconds)}{f' in {processes} processes' if processes > 1 else ''} on {device}"),
        ("device time", clock(seconds * processes)),
        (
            "training rate",
            f"{sum(epoch['scans'] for epoch in epochs) / max(training, 1e-9):.3g} scans a second",
        ),
        ("steps", f"{sum(epoch.get('steps', 0) for epoch in epochs):,}, {len(epochs)} validations"),
        (
            "waiting for scans",
            f"{100 * sum(epoch.get('data_seconds', 0.0) for epoch in epochs) / max(training, 1e-9):.1f}% of the training time",
        ),
        ("peak memory", f"{max(epoch.get('memory_mib', 0.0) for epoch in epochs) / 1024:.2f} GiB a process"),
    ]
    energy = [epoch["energy_wh"] for epoch in epochs if epoch.get("energy_wh") is not None]
    if energy:
        rows.append(("energy", f"{sum(energy) * processes:.3g} Wh, {epochs[-1]['energy_from']}"))
    return rows


def steps_done(epochs: Sequence[Mapping[str, Any]], place: int) -> int:
    """Steps of the run that were done at a line of its log; logs of before do not say, so they are counted."""
    known = epochs[place].get("step")
    return int(known) if known is not None else sum(epoch.get("steps", 0) for epoch in epochs[: place + 1])


def clock(seconds: float) -> str:
    """A duration in the units a person would use."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def curves(epochs: Sequence[Mapping[str, Any]], metric: str) -> "Figure":
    """Loss terms and the validation metric over steps, what was kept marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    number = [steps_done(epochs, place) for place in range(len(epochs))]
    left.plot(number, [epoch["loss"] for epoch in epochs], label="total")
    left.plot(number, [epoch["contrastive"] for epoch in epochs], label="contrastive")
    others = {name: f"{name} (unweighted)" for epoch in epochs for name in epoch.get("targets", {})}
    terms = {"mmse": "MMSE (unweighted)"} | others | {"classes": "class texts (unweighted)"}
    for term, label in terms.items():
        values = [epoch["targets"][term] if term in others else epoch.get(term) for epoch in epochs]
        known = [(place, value) for place, value in zip(number, values, strict=True) if value is not None]
        if known:
            left.plot(*zip(*known, strict=True), label=label)
    left.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    left.legend(frameon=False)
    right.plot(number, [value_of(metric, epoch["metric"]) for epoch in epochs], color="tab:green")
    kept = max(place for place, epoch in enumerate(epochs) if epoch["best"])
    right.axvline(steps_done(epochs, kept), color="0.6", linestyle=":")
    right.set(xlabel="step", ylabel=f"{name_of(metric)} on validation")
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.xaxis.get_major_locator().set_params(integer=True)
    return figure
