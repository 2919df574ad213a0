"""Checkpoints of a run: safetensors for tensors, JSON for the rest, each written whole or not at all; no pickles."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from voxtune.errors import DataError
from voxtune.run_dir import atomic_path, read_json, write_json


@dataclass(frozen=True)
class Progress:
    """Where a run stands after an epoch."""

    epoch: int
    best_metric: float | None = None
    best_epoch: int | None = None
    schedule: dict[str, Any] = field(default_factory=dict)
    finished: bool = False


def save_checkpoint(folder: Path, name: str, tensors: Mapping[str, Tensor], progress: Progress) -> None:
    """Write ``<name>.safetensors``, then ``<name>.json`` that names its sha256: the pair counts only when they agree."""
    path = folder / f"{name}.safetensors"
    with atomic_path(path) as part:
        save_file({key: value.contiguous() for key, value in tensors.items()}, part)
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
    write_json(folder / f"{name}.json", asdict(progress) | {"sha256": digest})


def load_checkpoint(folder: Path, name: str) -> tuple[dict[str, Tensor], Progress]:
    """Read a checkpoint back.

    Raises:
        DataError: it is missing, truncated or not the file its JSON was written for.
    """
    path = folder / f"{name}.safetensors"
    facts = read_json(folder / f"{name}.json", "the facts of a checkpoint")
    digest = facts.pop("sha256", None)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise DataError(
            f"checkpoints/{path.name} is missing or not the file that {name}.json describes (truncated or mixed up)."
        )
    try:
        return load_file(path), Progress(**facts)
    except (SafetensorError, TypeError) as error:
        raise DataError(f"checkpoints/{path.name} cannot be read: {error}.") from None


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimiser's state by name: ``optimiser.<parameter>.<what>``."""
    return {
        f"optimiser.{index}.{what}": torch.as_tensor(value).detach().cpu()
        for index, state in optimiser.state_dict()["state"].items()
        for what, value in state.items()
    }


def restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor], groups: str) -> None:
    """Put back what ``optimiser_tensors`` and ``optimiser_groups`` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, what = name.split(".")
            state.setdefault(int(index), {})[what] = value
    optimiser.load_state_dict({"state": state, "param_groups": json.loads(groups)})


def optimiser_groups(optimiser: Optimizer) -> str:
    """The settings of an optimiser's groups (rates move during training) as JSON."""
    return json.dumps(optimiser.state_dict()["param_groups"])
