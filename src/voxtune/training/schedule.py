"""How the learning rate moves: with the steps that are done, or with the validation metric; its state as JSON."""

import math
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from voxtune.config import OptimiserSettings
from voxtune.training.plan import Plan


@dataclass(frozen=True)
class Schedule:
    """The rates of an optimiser's groups over a run."""

    optimiser: Optimizer
    settings: OptimiserSettings
    steps: int
    """Of the whole run."""
    starts: tuple[float, ...]
    """The rate of each group, as the settings state it."""
    plateau: ReduceLROnPlateau | None

    def before(self, step: int) -> None:
        """Set the rates for a step, counted over the whole run; a plateau leaves them as they are."""
        if self.plateau is not None:
            return
        share = factor(self.settings, step, self.steps)
        for group, start in zip(self.optimiser.param_groups, self.starts, strict=True):
            group["lr"] = start * share

    def after(self, metric: float) -> None:
        """A validation has been made."""
        if self.plateau is not None:
            self.plateau.step(metric)

    def state(self) -> dict[str, Any]:
        """What a plateau remembers, as JSON holds it; infinities are constants of its settings and stay out."""
        found = {} if self.plateau is None else self.plateau.state_dict()
        return {
            name: value
            for name, value in found.items()
            if not (isinstance(value, float) and math.isinf(value))
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        if self.plateau is not None:
            self.plateau.load_state_dict(state)


def make_schedule(optimiser: Optimizer, settings: OptimiserSettings, plan: Plan) -> Schedule:
    """How the rates move: on a plateau of the validation metric (paper), along a cosine after a warm-up, or not."""
    plateau = None
    if settings.schedule == "plateau":
        plateau = ReduceLROnPlateau(
            optimiser, mode="max", factor=settings.plateau_factor, patience=plan.plateau
        )
    starts = tuple(float(group["lr"]) for group in optimiser.param_groups)
    return Schedule(optimiser, settings, plan.steps, starts, plateau)


def factor(settings: OptimiserSettings, step: int, steps: int) -> float:
    """What the rate is multiplied by in a step (from 0) of so many: linear up to 1, then half a cosine down."""
    if settings.schedule != "cosine":
        return 1.0
    rise = round(settings.warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2
