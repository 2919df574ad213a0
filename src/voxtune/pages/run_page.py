"""The page of a run: how it learned, what was trained, with which settings."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxtune.pages.layout import ACCENT, image, render
from voxtune.pages.norms_figure import Regions, norms_section
from voxtune.types.steering import name_of, said, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def run_page(  # noqa: PLR0913  (what a run has)
    config: str,
    epochs: Sequence[Mapping[str, Any]],
    parts: Sequence[Mapping[str, Any]],
    metric: str,
    plan: Mapping[str, Any],
    *,
    simulated: bool,
    environment: Mapping[str, Any] | None = None,
    norms: Mapping[str, Any] | None = None,
    regions: Regions | None = None,
) -> str:
    """HTML from ``config.json``, the lines of ``log.jsonl``, the parameter table (part, trained, frozen), the plan and ``environment.json``.

    With ``norms``, the normative model of the texts, its curves are drawn; ``regions`` are names and units of its columns.
    """
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
        "choice": plan.get("choice"),
        "chosen": plan["keep"] == "best",
        "step": steps_done(epochs, kept),
        "cost": cost(epochs, environment or {}),
        "environment": environment,
        "norms": norms_section(norms, regions or {}),
        "losses": image(losses(epochs)),
        "validation": image(validation(epochs, metric)),
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


def losses(epochs: Sequence[Mapping[str, Any]]) -> "Figure":
    """The training loss and its terms over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 3.0), layout="constrained")
    panel = figure.subplots()
    number = [steps_done(epochs, place) for place in range(len(epochs))]
    panel.plot(number, [epoch["loss"] for epoch in epochs], color=ACCENT, linewidth=2, label="total")
    dashes = iter(("--", ":", "-.", *[(0, (5, 1 + gap)) for gap in range(8)]))
    panel.plot(
        number,
        [epoch["contrastive"] for epoch in epochs],
        color="0.4",
        linestyle=next(dashes),
        label="contrastive",
    )
    others = {name: f"{name} (unweighted)" for epoch in epochs for name in epoch.get("targets", {})}
    terms = {"mmse": "MMSE (unweighted)"} | others | {"classes": "class texts (unweighted)"}
    for term, label in terms.items():
        values = [epoch["targets"][term] if term in others else epoch.get(term) for epoch in epochs]
        known = [(place, value) for place, value in zip(number, values, strict=True) if value is not None]
        if known:
            panel.plot(*zip(*known, strict=True), color="0.4", linestyle=next(dashes, "-"), label=label)
    panel.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    panel.legend(frameon=False)
    return _bare(figure, panel, number)


def validation(epochs: Sequence[Mapping[str, Any]], metric: str) -> "Figure":
    """The validation metric over steps, what was kept marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 3.0), layout="constrained")
    panel = figure.subplots()
    number = [steps_done(epochs, place) for place in range(len(epochs))]
    panel.plot(number, [value_of(metric, epoch["metric"]) for epoch in epochs], color=ACCENT, linewidth=2)
    kept = max(place for place, epoch in enumerate(epochs) if epoch["best"])
    panel.axvline(steps_done(epochs, kept), color="0.5", linestyle=":")
    panel.set(xlabel="step", ylabel=f"{name_of(metric)} on validation")
    return _bare(figure, panel, number)


def _bare(figure: "Figure", panel: "Axes", steps: Sequence[int]) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    panel.spines[["top", "right"]].set_visible(False)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(steps) == 1:  # one validation is a point, not a line
        for line in panel.lines:
            line.set_marker("o")
        panel.set_xlim(steps[0] - 1, steps[0] + 1)
    return figure
