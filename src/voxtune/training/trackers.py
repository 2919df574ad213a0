"""Where else the log of a run goes, when asked: TensorBoard, Weights & Biases, Trackio. Each is an extra of the package."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from voxtune.errors import UsageError
from voxtune.extras import install_line

Values = Mapping[str, float]


class Tracker(Protocol):
    """Takes figures as the run makes them."""

    def log(self, values: Values, step: int) -> None:
        """Figures by name, at a step of the whole run."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class TensorBoard:
    """Event files in the run's own folder; nothing leaves the machine."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        writer = _needed("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self.writer = writer(log_dir=str(folder / "tensorboard"))
        self.writer.add_text("config", f"{name}: {dict(config)}")

    def log(self, values: Values, step: int) -> None:
        """One scalar for each figure."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class Online:
    """Weights & Biases or Trackio, which share an interface; the package's own settings decide whether data leave the machine."""

    def __init__(self, package: str, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        self.package = _needed(package, package)
        where = {"dir": str(folder)} if package == "wandb" else {}
        self.run = self.package.init(project="voxtune", name=name, config=dict(config), **where)

    def log(self, values: Values, step: int) -> None:
        """All figures of a step together."""
        self.package.log(dict(values), step=step)

    def close(self) -> None:
        """Send what is left."""
        self.package.finish()


def start_trackers(names: Sequence[str], folder: Path, name: str, config: Mapping[str, Any]) -> list[Tracker]:
    """The trackers of a run.

    Args:
        names: ``tensorboard``, ``wandb``, ``trackio``.
        folder: the run's.
        name: of the recipe; no participant, no path.
        config: the shareable configuration.

    Raises:
        UsageError: a package that is not installed.
    """
    return [
        TensorBoard(folder, name, config) if one == "tensorboard" else Online(one, folder, name, config)
        for one in names
    ]


def _needed(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UsageError(
            f"training.trackers asks for {extra}, which is not installed: {install_line(extra)}, or leave it out."
        ) from None
