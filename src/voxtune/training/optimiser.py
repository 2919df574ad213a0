"""AdamW without torch's compiler: torch imports it (over a second) when an optimiser is made, to keep itself out of compiled code.

Here no optimiser is ever inside compiled code (``training.compile`` compiles the blocks of the towers), so the methods are taken from
under those wrappers; they are torch's own, and so is every number.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import AdamW

STEP = inspect.unwrap(AdamW.step)


class PlainAdamW(AdamW):
    """``torch.optim.AdamW``; the same numbers to the bit."""

    add_param_group = inspect.unwrap(AdamW.add_param_group)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    state_dict = inspect.unwrap(AdamW.state_dict)
    load_state_dict = inspect.unwrap(AdamW.load_state_dict)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step from the gradients that are there."""
        with torch.no_grad():
            return STEP(self, closure)
