"""The figure of concepts/training-cost.md, from the stored measurements."""

import json
from collections.abc import Callable
from pathlib import Path

from drawing import COLOURS, canvas, svg
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "train" / "results"


def growth() -> str:
    """Seconds and memory of a step over tokens and scans, both axes logarithmic."""
    drawn = []
    for path in sorted(RESULTS.glob("growth--*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        figure, (seconds, memory) = canvas(2)
        for name, colour in zip(("tokens", "batch", "batch, chunk 2"), COLOURS, strict=False):
            points = record["curves"][name]["points"]
            # The smallest of each curve is 1, so that tokens and scans share an axis.
            times = [point["x"] / points[0]["x"] for point in points]
            for panel, what, unit in ((seconds, "seconds", "s a step"), (memory, "peak_mib", "MiB, peak")):
                slope = record["curves"][name][f"slope_{what}"]
                panel.plot(times, [point[what] for point in points], "o-", color=colour, label=f"{name}: slope {slope:.2f}")  # fmt: skip
                panel.set(xscale="log", yscale="log", xlabel="times the smallest", ylabel=unit)
                panel.legend(frameon=False, fontsize=8)
                for axis in (panel.xaxis, panel.yaxis):
                    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                    axis.set_minor_locator(NullLocator())
        drawn.append(svg(figure, f"Growth of the cost of a step on {record['device']}"))
    return "".join(drawn)


FIGURES: dict[str, Callable[[], str]] = {"training-growth": growth}
