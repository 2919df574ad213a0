"""The tensors of a run: trained parameters, the best epoch's, and what the optimiser remembers; taken out and put back."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from voxtune.errors import DataError
from voxtune.training.devices import like, whole

Named = Mapping[str, nn.Parameter]


def values(trained: Named) -> dict[str, Tensor]:
    """Copies of the trained parameters in main memory; every process must ask."""
    return {name: whole(value.detach()).cpu().clone() for name, value in trained.items()}


def taken(trained: Named, best: Mapping[str, Tensor], optimiser: Optimizer) -> dict[str, Tensor]:
    """Everything a checkpoint holds, by name: ``model.*``, ``best.*``, ``optimiser.<parameter>.<what>``."""
    tensors = {f"model.{name}": value for name, value in values(trained).items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for index, state in optimiser.state_dict()["state"].items():
        for what, value in state.items():
            tensors[f"optimiser.{index}.{what}"] = whole(torch.as_tensor(value).detach()).cpu().clone()
    return tensors


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def put_back(trained: Named, found: Mapping[str, Tensor]) -> None:
    """Copy values into the trained parameters.

    Raises:
        DataError: they are not those of this model.
    """
    wrong = sorted(trained.keys() ^ found.keys())
    wrong += [name for name in trained.keys() & found.keys() if trained[name].shape != found[name].shape]
    if wrong:
        raise DataError(
            f"The checkpoint is of another model: {', '.join(wrong[:5])} differ{'s' if len(wrong) == 1 else ''}."
        )
    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(like(found[name], value))


def restore_optimiser(
    optimiser: Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Put back what an optimiser remembered of each parameter, and the settings of its groups."""
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, what = name.split(".")
        one = parameters[int(index)]
        state.setdefault(int(index), {})[what] = value if what == "step" else like(value, one)
    optimiser.load_state_dict({"state": state, "param_groups": groups})
