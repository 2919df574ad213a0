"""How the learning rate falls, and its state as JSON."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from voxtune.config import OptimiserSettings


def make_schedule(optimiser: Optimizer, settings: OptimiserSettings, epochs: int) -> LRScheduler:
    """How the rate falls: on a plateau of the validation metric (paper), along a cosine, or not."""
    if settings.schedule == "plateau":
        return ReduceLROnPlateau(
            optimiser, mode="max", factor=settings.plateau_factor, patience=settings.plateau_patience
        )
    if settings.schedule == "cosine":
        return CosineAnnealingLR(optimiser, T_max=epochs)
    return ConstantLR(optimiser, factor=1.0)


def advance(schedule: LRScheduler, metric: float) -> None:
    """One epoch on."""
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(metric)
    else:
        schedule.step()


def schedule_state(schedule: LRScheduler) -> dict[str, Any]:
    """A schedule's state as JSON holds it; infinities are constants of its settings and stay out."""
    return {
        name: value
        for name, value in schedule.state_dict().items()
        if not (isinstance(value, float) and math.isinf(value))
    }
