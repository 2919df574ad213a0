"""What a row will cost before it runs: time from finished cells of this folder, or from this machine's own matrix speed."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from voxtune.config import RunConfig
from voxtune.stages.reproduce_paper import Cell

TINY_SECONDS_A_SCAN = 0.022
"""CPU seconds of one training scan in one epoch of ``deft`` on ``tiny`` (one thread of the machine of ``benchmarks/reproduce``)."""
OVERHEAD_SECONDS = 20.0
"""Reading, auditing, calibrating and scoring of one cell."""
EFFICIENCY = 0.5
"""Share of the speed of a large matrix product that a tower reaches."""
BYTES_A_TOKEN_LAYER = 34
"""Activation bytes kept for the backward pass, over width and layer, at two bytes a number (Korthikanti et al. 2022, arXiv 2205.05198)."""


@dataclass(frozen=True)
class Cost:
    """Of all cells of a row that are still to do; ``None`` is not known."""

    seconds: float | None
    memory_bytes: float | None
    disk_bytes: float | None
    measured: bool = False
    """The seconds come from a finished cell of the same kind."""


def estimate(cells: list[Cell], scans: int, parameters: int, finished: Mapping[str, float]) -> Cost:
    """Expected cost of some cells of one row.

    Args:
        cells: still to do.
        scans: training scans of the whole cohort.
        parameters: of the base; 0 for the shipped one.
        finished: seconds of finished cells by the kind of their base and mode.
    """
    if not cells:
        return Cost(0.0, 0.0, 0.0)
    first = cells[0]
    tree: dict[str, Any] = first.config.model_dump(mode="json")
    kind = kind_of(first)
    tokens, width, depth = _sequence(first.config)
    epochs = first.config.training.epochs if first.mode == "trained" else 1
    passes = scans * epochs * (first.share or 1.0)
    seconds: float | None
    if kind in finished:
        seconds = finished[kind]
    elif tree["backbone"]["kind"] == "tiny":
        seconds = OVERHEAD_SECONDS + passes * TINY_SECONDS_A_SCAN
    elif tokens is None or not parameters:
        seconds = None
    else:
        # Two operations a parameter and token; backward through frozen layers once more, and once more for their own gradients.
        factor = 1 if first.mode != "trained" else 3 if _trains_all(tree) else 2
        seconds = OVERHEAD_SECONDS + passes * factor * 2 * parameters * tokens / (
            EFFICIENCY * operations_a_second()
        )
    batch = first.config.training.batch_size if first.mode == "trained" else 8
    kept = (
        0
        if tokens is None or width is None or depth is None
        else tokens * width * depth * BYTES_A_TOKEN_LAYER * 2 * batch
    )
    memory = 4.0 * parameters * (4 if _trains_all(tree) else 1) + (
        kept if first.mode == "trained" else kept / max(depth or 1, 1)
    )
    embedded = 0 if tokens is None or width is None else 4.0 * scans * tokens * width
    # Best, last with two moments, and the adapter: five copies of what is trained.
    trained = parameters if _trains_all(tree) else 0.06 * parameters
    disk = embedded + len(cells) * (5 * 4.0 * trained + 3e6 if first.mode == "trained" else 1e5)
    return Cost(
        None if seconds is None else seconds * len(cells), memory + 5e8, disk, measured=kind in finished
    )


def kind_of(cell: Cell) -> str:
    """Cells of one kind take about as long as each other."""
    return f"{cell.config.model_dump(mode='json')['backbone']['kind']}/{cell.mode}"


def _trains_all(tree: Mapping[str, Any]) -> bool:
    return any(method.get("kind") == "full" for method in tree["vision"])


def _sequence(config: RunConfig) -> tuple[int | None, int | None, int | None]:
    """Tokens, width and layers of the vision tower as far as its settings say so."""
    tree = config.model_dump(mode="json")["backbone"]
    sizes = tree.get("vision") if isinstance(tree.get("vision"), dict) else tree
    volume, patch = tree.get("input_volume") or tree.get("volume"), sizes.get("patch")
    width, depth = sizes.get("width"), sizes.get("depth")
    if isinstance(volume, list) and isinstance(patch, list) and len(volume) == len(patch):
        tokens = 1
        for size, step in zip(volume, patch, strict=True):
            tokens *= max(1, size // step)
        return tokens, width, depth
    return (2048, width or 768, depth or 12) if isinstance(volume, list) else (None, width, depth)


@cache
def operations_a_second() -> float:
    """Floating-point operations a second of a large matrix product on the device that training would take."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = 4096 if device.type == "cuda" else 1024
    a = torch.ones(size, size, device=device)
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        float((a @ a)[0, 0])
        best = min(best, time.perf_counter() - began)
    return 2.0 * size**3 / best


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
