"""A figure that is kept as its negative is never shown so: not in a summary, a line of progress, a page or a comparison."""

from typing import get_args

import pytest

from voxtune.commands.train.probe import Probe
from voxtune.config import TrainingSettings
from voxtune.pages.run_page import run_page, validation
from voxtune.types.steering import ERRORS, name_of, said, value_of

METRICS = get_args(TrainingSettings.model_fields["metric"].annotation)


def epoch(metric: float, *, best: bool) -> dict[str, object]:
    return {
        "epoch": 0, "loss": 1.0, "contrastive": 1.0, "mmse": None, "metric": metric, "rate": 1e-3, "temperature": 10.0, "scans": 8,
        "seconds": 1.0, "best": best, "steps": 1, "step": 1, "memory_mib": 10.0,
    }  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_shown_as_it_is(metric: str) -> None:
    own, rival = (-0.5, -0.75) if metric in ERRORS else (0.75, 0.5)
    line = said(metric, own)
    assert line == f"{name_of(metric)} {abs(own):.3f}"
    beside = Probe(metric, rival, 80).beside(own)
    assert f"reaches {name_of(metric)} {abs(rival):.3f}" in beside
    assert f"above it with {abs(own):.3f}" in beside if metric not in ERRORS else "better than it" in beside
    history = [epoch(own, best=False), epoch(own, best=True)]
    page = run_page(
        "{}", history, [{"part": "x", "trained": 1, "frozen": 1, "trained_bytes": 4}], metric, {"why": "w", "probe": beside, "keep": "best"}, simulated=True
    )  # fmt: skip
    assert line in page
    assert "-0." not in page.split("<figure>")[0]
    axes = validation(history, metric).axes[0]
    assert axes.get_ylabel() == f"{name_of(metric)} on validation"
    assert {float(value) for value in axes.lines[0].get_ydata()} == {value_of(metric, own)}
