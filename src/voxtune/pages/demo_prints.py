"""What of the demo goes into a paper or a talk: ``figures/`` and ``tables/`` beside its page, SIMULATED on each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxtune.pages.demo_page import named_scores
from voxtune.pages.print_files import (
    Interval,
    clear_prints,
    height_of,
    intervals,
    write_figure,
    write_print_table,
)


def write_demo_prints(facts: Mapping[str, Any], folder: Path) -> None:
    """Accuracy of the model and of every comparator, and what hiding each region does to one answer."""
    clear_prints(folder)
    scores = named_scores(facts["metrics"])
    percent: list[Interval] = [
        (label, _percent(one["value"]), _percent(one["low"]), _percent(one["high"])) for label, one in scores
    ]
    write_figure(
        folder,
        "accuracy",
        intervals(percent, "three-way accuracy, %"),
        height=height_of(percent),
        simulated=True,
    )
    rows: list[dict[str, object]] = [
        {"model": label}
        | {name: one.get(name) for name in ("value", "low", "high", "n_scans", "n_participants")}
        for label, one in scores
    ]
    caption = "Three-way accuracy on held-out people; 95% intervals over participants."
    columns = ("model", "value", "low", "high", "n_scans", "n_participants")
    write_print_table(folder, "accuracy", columns, rows, caption=caption, simulated=True)
    drops = sorted(facts["explanation"]["drops"], key=lambda one: -one["drop"])
    fallen = [(one["region"].replace("_", " "), one["drop"], None, None) for one in drops]
    axis = "fall of the log-odds of AD when the region is hidden"
    write_figure(
        folder, "hidden_regions", intervals(fallen, axis, zero=True), height=height_of(fallen), simulated=True
    )
    listed = [{"region": name, "drop": drop} for name, drop, _, _ in fallen]
    caption = "One scan: fall of the log-odds of AD when the region is hidden."
    write_print_table(folder, "hidden_regions", ("region", "drop"), listed, caption=caption, simulated=True)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
