"""Checkpoints of a run: safetensors for tensors, JSON for the rest, each written whole or not at all; no pickles.

``epoch-EEEE-step-SSSSSS`` is where a run stood; the last and the one before are kept, so that a damaged one costs minutes.
``best`` is what the best epoch made, for people: a run never reads it, since every checkpoint carries the best itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from voxtune.errors import DataError
from voxtune.storage.seal import file_sha256, read_sealed, write_sealed
from voxtune.storage.write import atomic_path
from voxtune.weights.memory import read_tensors

KEPT = 2


@dataclass(frozen=True)
class Standing:
    """Where a run stands: the epoch in progress, the steps of it that are done, and what has been summed up on the way."""

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best_metric: float | None = None
    best_loss: float | None = None
    best_epoch: int | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    """Of the run as it was begun; a later version may plan otherwise."""
    schedule: dict[str, Any] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    """Settings of the optimiser's groups; rates move during training."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """The lines of ``log.jsonl`` so far."""

    @property
    def name(self) -> str:
        """Of its files; sorts by position."""
        return f"epoch-{self.epoch:04d}-step-{self.step:06d}"


def save_checkpoint(folder: Path, name: str, tensors: Mapping[str, Tensor], standing: Standing) -> None:
    """Write ``<name>.safetensors``, then ``<name>.json`` that names its sha256 and is sealed: the pair counts only when all agree."""
    path = folder / f"{name}.safetensors"
    with atomic_path(path, room=True) as part:
        save_file({key: value.contiguous() for key, value in tensors.items()}, part)
        digest = file_sha256(part)
    write_sealed(folder / f"{name}.json", asdict(standing) | {"sha256": digest})


def save_standing(folder: Path, tensors: Mapping[str, Tensor], standing: Standing) -> None:
    """Write a checkpoint under its position; of those up to it the last and the one before stay."""
    save_checkpoint(folder, standing.name, tensors, standing)
    for old in [name for name in standings(folder) if name <= standing.name][:-KEPT]:
        for ending in ("json", "safetensors"):
            (folder / f"{old}.{ending}").unlink(missing_ok=True)


def standings(folder: Path) -> list[str]:
    """The names of a run's checkpoints, the last one last."""
    return sorted(
        {path.stem for path in folder.glob("epoch-*-step-*") if path.suffix in {".json", ".safetensors"}}
    )


def finished(folder: Path) -> bool:
    """Whether a checkpoint was ever finished: its JSON, which comes last, is there. Tensors alone are what a killed process left."""
    return any(folder.glob("epoch-*-step-*.json"))


def position(folder: Path) -> tuple[int, int]:
    """Epoch and step of the last checkpoint by its name, whole or not; (0, 0) without one."""
    names = standings(folder)
    if not names:
        return 0, 0
    _, epoch, _, step = names[-1].split("-")
    return int(epoch), int(step)


def load_last(folder: Path, say: Callable[[str], None]) -> tuple[dict[str, Tensor], Standing] | None:
    """The last checkpoint that is whole; one that is not is named aloud and the one before is taken. ``None``: none was finished.

    Raises:
        DataError: there are some and none is whole.
    """
    names = standings(folder)[::-1]
    for name in names:
        try:
            tensors, standing = load_checkpoint(folder, name)
        except DataError as error:
            say(f"{error} It is not used{'; the one before is tried' if name != names[-1] else ''}.")
            continue
        if name != names[0]:
            say(f"Going on from checkpoints/{name}.")
        return tensors, standing
    if finished(folder):
        raise DataError(
            f"No checkpoint of this run is whole ({', '.join(names)}); remove the run's folder to start again."
        )
    return None


def load_checkpoint(folder: Path, name: str) -> tuple[dict[str, Tensor], Standing]:
    """Read a checkpoint back.

    Raises:
        DataError: it is missing, truncated or not the file its JSON was written for.
    """
    path = folder / f"{name}.safetensors"
    facts = read_sealed(folder / f"{name}.json", "the facts of a checkpoint")
    digest = facts.pop("sha256", None)
    if not path.is_file() or file_sha256(path) != digest:
        raise DataError(
            f"checkpoints/{path.name} is missing or not the file that {name}.json describes (truncated or altered)."
        )
    try:
        return dict(read_tensors(path)), _standing(facts, name)
    except (SafetensorError, TypeError, ValueError) as error:
        raise DataError(f"checkpoints/{path.name} cannot be read: {error}.") from None


def _standing(facts: Mapping[str, Any], name: str) -> Standing:
    """Where a run stands, from the facts of a checkpoint.

    Raises:
        ValueError: a value is missing or of another kind, or a finished epoch left no best.
    """
    found = TypeAdapter(Standing).validate_python(dict(facts))
    past = name.startswith("epoch-") and found.epoch > 0
    if past and (
        None in {found.best_epoch, found.best_metric} or not any(one.get("best") for one in found.history)
    ):
        raise ValueError(f"{found.epoch} epochs are done and none is the best")
    return found


def forget(folder: Path) -> None:
    """Remove the checkpoints of an earlier run in the same place."""
    for name in [*standings(folder), "best"]:
        for ending in ("json", "safetensors"):
            (folder / f"{name}.{ending}").unlink(missing_ok=True)
