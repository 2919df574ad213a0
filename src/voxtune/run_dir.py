"""The files of a run by name, and how any file of ours is written: whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.config import RunConfig
from voxtune.errors import DataError, UsageError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well, and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays last: some libraries choose the format by it (.nii.gz).
    descriptor, name = tempfile.mkstemp(prefix=".part-", suffix="".join(path.suffixes[-2:]), dir=path.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make an output folder before anything is computed for it.

    Raises:
        UsageError: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(
            f"The output folder '{path}' cannot be made or written to ({error.strerror or type(error).__name__}). Choose another with -o."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write indented JSON whole or not at all; NaN is refused, missing is null."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: the file is missing, not JSON, or not an object; ``what`` says what it should have been.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path.parent.name}/{path.name}: no such file; expected {what}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path.name}: expected {what} as JSON; {type(error).__name__} while reading."
        ) from None
    if not isinstance(value, dict):
        raise DataError(f"{path.name}: expected {what} as a JSON object, got {type(value).__name__}.")
    return value


@dataclass(frozen=True)
class RunDir:
    """A run: JSON, safetensors, TSV and pages; nothing in it is executed when it is loaded."""

    root: Path

    @property
    def config(self) -> Path:
        """``config.json``: the ``RunConfig``."""
        return self.root / "config.json"

    @property
    def environment(self) -> Path:
        """``environment.json``: versions, hardware, git state."""
        return self.root / "environment.json"

    @property
    def split(self) -> Path:
        """``split.json``: scan IDs of each side, numbers of participants, the sha256 of the manifest."""
        return self.root / "split.json"

    @property
    def log(self) -> Path:
        """``log.jsonl``: one line an epoch."""
        return self.root / "log.jsonl"

    @property
    def checkpoints(self) -> Path:
        """``checkpoints/``: where the run stood last and the time before, and ``best``; each safetensors + JSON."""
        return self.root / "checkpoints"

    @property
    def adapter(self) -> Path:
        """``adapter/``: what ``export`` and ``predict`` take."""
        return self.root / "adapter"

    @property
    def control(self) -> "RunDir":
        """``control/``: what ``train --control`` taught nonsense; without ``config.json`` no command takes it for a run."""
        return RunDir(self.root / "control")

    @property
    def page(self) -> Path:
        """``page.html``."""
        return self.root / "page.html"

    @property
    def looks(self) -> Path:
        """``evaluation/looks.jsonl``: every look at a test set."""
        return self.root / "evaluation" / "looks.jsonl"

    def evaluation(self, cohort: str) -> Path:
        """``evaluation/<cohort>/``."""
        return self.root / "evaluation" / cohort

    def read_config(self) -> RunConfig:
        """The configuration of the run.

        Raises:
            DataError: not a run directory.
        """
        if not self.config.is_file():
            raise DataError(
                f"'{self.root.name}' is not a run: it has no config.json. 'voxtune train RECIPE -o RUN' makes one."
            )
        return RunConfig.from_json(self.config.read_text(encoding="utf-8"))


LOCAL = ("weights", "tokenizer", "text_weights")
"""Settings of a backbone that are places on one machine."""


def shared_config(config: RunConfig) -> dict[str, Any]:
    """A configuration as JSON without places on this machine."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    tree["backbone"] = {key: value for key, value in tree["backbone"].items() if key not in LOCAL}
    return tree
