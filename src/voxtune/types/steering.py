"""The figure that steers a training, as people read it: inside, greater is better, so errors and losses are kept as their negative."""

from collections.abc import Mapping
from types import MappingProxyType

ERRORS: Mapping[str, str] = MappingProxyType({
    "loss": "loss",
    "mae": "mean absolute error in standard deviations",
})  # fmt: skip
"""Metrics of which smaller is better, in words."""


def name_of(metric: str) -> str:
    """A metric of ``training.metric`` in words."""
    return ERRORS.get(metric) or {"auroc": "AUROC", "c_index": "C-index"}.get(
        metric, metric.replace("_", " ")
    )


def value_of(metric: str, steered: float) -> float:
    """The metric itself, of the number that is made as large as possible."""
    return -steered if metric in ERRORS else steered


def said(metric: str, steered: float, decimals: int = 3) -> str:
    """``balanced accuracy 0.712``, ``mean absolute error in standard deviations 0.541``."""
    return f"{name_of(metric)} {value_of(metric, steered):.{decimals}f}"
