"""What a row will cost before it runs: time from finished cells of this folder, or from this machine's own matrix speed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

from voxtune.commands.reproduce.paper import Cell
from voxtune.config import RunConfig
from voxtune.training.plan import plan_of

TINY_SECONDS_A_SCAN = 0.022
"""CPU seconds of one training scan in one step of ``deft`` on ``tiny`` (one thread of the machine of ``benchmarks/reproduce``)."""
OVERHEAD_SECONDS = 20.0
"""Reading, auditing, calibrating and scoring of one cell."""
EFFICIENCY = 0.5
"""Share of the speed of a large matrix product that a tower reaches."""
PROGRAM_BYTES = 5e8
"""Of Python, torch and the scans of a batch."""
SCORED_AT_ONCE = 8
TRAINED_SHARE = 0.06
"""Of a tower's parameters, in a row that does not train them all."""
USUAL_TOKENS = 2048
BYTES_A_TOKEN_LAYER = 34
"""Activation bytes kept for the backward pass, over width and layer, at two bytes a number (Korthikanti et al. 2022, arXiv 2205.05198)."""


@dataclass(frozen=True)
class Cost:
    """Of all cells of a row that are still to do; ``None`` is not known."""

    seconds: float | None
    memory_bytes: float
    disk_bytes: float


@dataclass(frozen=True)
class Tower:
    """A vision tower as far as its settings say what it costs."""

    tokens: int | None
    width: int
    depth: int
    parameters: int


def estimate(cells: Sequence[Cell], scans: int, parameters: int, finished: Mapping[str, float]) -> Cost:
    """Expected cost of some cells of one row.

    Args:
        cells: still to do.
        scans: training scans of the whole cohort.
        parameters: of the vision tower; 0 for a shipped one.
        finished: mean seconds of finished cells by ``kind_of``.
    """
    if not cells:
        return Cost(0.0, 0.0, 0.0)
    cell = cells[0]
    tower = _tower(cell.config, parameters)
    seconds = finished.get(kind_of(cell), _seconds(cell, tower, scans))
    return Cost(
        None if seconds is None else seconds * len(cells),
        _memory(cell, tower),
        len(cells) * _disk(cell, tower),
    )


def _seconds(cell: Cell, tower: Tower, scans: int) -> float | None:
    """Of one cell, from this machine's matrix speed; of ``tiny`` from a measured rate."""
    own = scans * (cell.share or 1.0)
    training = cell.config.training
    plan = plan_of(training, cell.config.optimiser, max(1, round(own)))
    passes = plan.steps * min(own, training.batch_size) if cell.mode == "trained" else own
    if kind_of(cell).startswith("tiny/"):
        return OVERHEAD_SECONDS + passes * TINY_SECONDS_A_SCAN
    if tower.tokens is None or not tower.parameters:
        return None
    # Two operations a parameter and token; backward through frozen layers once more, and once more for gradients of their own.
    directions = 1 if cell.mode != "trained" else 3 if _trains_all(cell) else 2
    operations = passes * directions * 2 * tower.parameters * tower.tokens
    return OVERHEAD_SECONDS + operations / (EFFICIENCY * operations_a_second())


def _memory(cell: Cell, tower: Tower) -> float:
    """Weights (with gradients and two moments where all are trained), and what a batch keeps for the backward pass."""
    weights = 4.0 * tower.parameters * (4 if _trains_all(cell) else 1)
    a_layer = (tower.tokens or 0) * tower.width * BYTES_A_TOKEN_LAYER * 2  # in 32 bits
    if cell.mode != "trained":
        return PROGRAM_BYTES + weights + SCORED_AT_ONCE * a_layer
    return PROGRAM_BYTES + weights + cell.config.training.batch_size * tower.depth * a_layer


def _disk(cell: Cell, tower: Tower) -> float:
    """Of one cell: the best state, the last with two moments, the adapter, and pages."""
    if cell.mode != "trained":
        return 1e5
    trained = tower.parameters if _trains_all(cell) else TRAINED_SHARE * tower.parameters
    return 5 * 4.0 * trained + 3e6


def embedded_bytes(cell: Cell, scans: int) -> float:
    """Of all scans as the frozen front of a tower leaves them: kept once for all cells on one base."""
    tower = _tower(cell.config, 0)
    return 4.0 * scans * (tower.tokens or 0) * tower.width


def kind_of(cell: Cell) -> str:
    """Cells of one kind take about as long as each other."""
    return f"{cell.config.model_dump(mode='json')['backbone']['kind']}/{cell.mode}"


def _trains_all(cell: Cell) -> bool:
    return any(method["kind"] == "full" for method in cell.config.model_dump(mode="json")["vision"])


def _tower(config: RunConfig, parameters: int) -> Tower:
    """Tokens, width and layers from the settings; a tower that states no patch is taken as usual ones are."""
    tree = config.model_dump(mode="json")["backbone"]
    sizes = tree["vision"] if isinstance(tree.get("vision"), dict) else tree
    volume, patch = tree.get("input_volume") or tree.get("volume"), sizes.get("patch")
    width, depth = sizes.get("width") or 768, sizes.get("depth") or 12
    if not isinstance(volume, list):
        return Tower(None, width, depth, parameters)
    if not isinstance(patch, list) or len(volume) != len(patch):
        return Tower(USUAL_TOKENS, width, depth, parameters)
    tokens = prod(max(1, size // step) for size, step in zip(volume, patch, strict=True))
    return Tower(tokens, width, depth, parameters)


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
