"""How long a training is, when it looks at its validation scans, and whether they choose what is kept: by the number of scans.

Lengths are counted in optimiser steps. A pass over 24 scans is two steps, so patience and schedules in passes ended such runs before
they had begun, and six validation scans chose among ties (``docs/decisions/0100-training-is-measured-in-steps.md``). Settings that name
``training.epochs``, as papers and older runs do, count in passes.
"""

import math
from dataclasses import dataclass
from typing import Literal

from voxtune.config import OptimiserSettings, TrainingSettings

STEPS_A_ROOT_SCAN = 16
"""Default steps: this times the square root of the number of training scans (78 for 24, 243 for 230, 716 for 2,000)."""
ROUNDS = 10
"""Validations of a run whose length is in steps."""
ENOUGH_TO_CHOOSE = 60
"""Validation participants from which on they choose what is kept; below, the last step is kept."""
PLATEAU_EPOCHS = 5
"""Patience of the plateau schedule in passes (the paper's)."""
PLATEAU_SHARE = 0.2
"""The same as a share of a run whose length is in steps."""


@dataclass(frozen=True)
class Plan:
    """The course of a training, in optimiser steps."""

    steps: int
    """Of the whole run, should nothing stop it early."""
    round: int
    """Between two validations."""
    keep: Literal["best", "last"]
    """Whether validation chooses what is kept, or the last step is."""
    patience: int | None
    """Steps without a better validation before the run stops."""
    plateau: int
    """Validations without a better one before the plateau schedule lowers the rate."""
    why: str
    """How the plan came about, for people."""

    @property
    def rounds(self) -> int:
        """How often the run validates."""
        return math.ceil(self.steps / self.round)

    def steps_of(self, number: int) -> range:
        """The steps of a round, counted over the whole run."""
        return range(number * self.round, min((number + 1) * self.round, self.steps))


def default_steps(scans: int) -> int:
    """Optimiser steps for a number of training scans."""
    return max(1, round(STEPS_A_ROOT_SCAN * math.sqrt(scans)))


def steps_a_pass(scans: int, batch: int) -> int:
    """Batches of a pass over the training scans; a last batch of one scan joins the one before (``training/order.py``)."""
    return max(1, math.ceil(scans / batch) - (scans % batch == 1 and scans > batch))


def plan_of(
    settings: TrainingSettings, optimiser: OptimiserSettings, scans: int, validated: int | None = None
) -> Plan:
    """The plan of a training.

    Args:
        settings: of the training; what they leave open is decided here.
        optimiser: the schedule.
        scans: training scans.
        validated: participants of the validation side; ``None`` where nobody counted them: enough.
    """
    a_pass = steps_a_pass(scans, settings.batch_size)
    if settings.epochs is not None:
        keep: Literal["best", "last"] = "last" if settings.keep == "last" else "best"
        patience = None if settings.stop_after is None else settings.stop_after * a_pass
        waits = PLATEAU_EPOCHS if optimiser.plateau_patience is None else optimiser.plateau_patience
        said = f"{settings.epochs} epochs of {a_pass} steps, as the settings say"
        return Plan(settings.epochs * a_pass, a_pass, keep, patience, waits, f"{said}; {_kept(keep)}.")
    steps = settings.steps or default_steps(scans)
    each = min(steps, settings.validate_steps or math.ceil(steps / ROUNDS))
    few = validated is not None and validated < ENOUGH_TO_CHOOSE
    keep = ("last" if few else "best") if settings.keep == "auto" else settings.keep
    waits = optimiser.plateau_patience or math.ceil(PLATEAU_SHARE * steps)
    said = f"{steps} steps {'as the settings say' if settings.steps else f'by the number of training scans ({scans})'}"
    reason = (
        f": {validated} validation participants, {ENOUGH_TO_CHOOSE} are needed to choose"
        if few and settings.keep == "auto"
        else ""
    )
    return Plan(
        steps, each, keep, settings.stop_after, math.ceil(waits / each), f"{said}; {_kept(keep)}{reason}."
    )


def length_in_words(settings: TrainingSettings) -> str:
    """How long a training is by its settings, before the scans are counted."""
    if settings.epochs is not None:
        return f"{settings.epochs} epochs"
    if settings.steps is not None:
        return f"{settings.steps} steps"
    return f"{STEPS_A_ROOT_SCAN} steps times the square root of the number of training scans"


def choice_in_words(settings: TrainingSettings) -> str:
    """What is kept by its settings, before the validation side is counted."""
    best = f"what does best on validation by {settings.metric.replace('_', ' ')} is kept"
    if settings.keep == "last":
        return "the last step is kept"
    if settings.keep == "best" or settings.epochs is not None:
        return best
    return f"{best}, with fewer than {ENOUGH_TO_CHOOSE} validation participants the last step"


def _kept(keep: str) -> str:
    return "the last step is kept" if keep == "last" else "the best validation is kept"
