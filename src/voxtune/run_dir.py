"""The files of a run by name, and how JSON of ours is read; writing is ``storage``'s, by the names that every room knows."""

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from voxtune.config import RunConfig, explain
from voxtune.errors import DataError, StorageError
from voxtune.storage.failures import REFUSED, TODO
from voxtune.storage.lock import only_writer
from voxtune.storage.read import whole_bytes
from voxtune.storage.seal import read_sealed
from voxtune.storage.start import drop_empty, expect
from voxtune.storage.write import append_line, atomic_path, write_bytes, write_json, write_text

__all__ = [
    "LOCAL", "RunDir", "append_line", "atomic_path", "make_folder", "output_folder", "read_json", "shared_config", "write_bytes", "write_json", "write_text",
]  # fmt: skip


def make_folder(path: Path) -> None:
    """Make an output folder before anything is computed for it.

    Raises:
        StorageError: it cannot be made or written to.
    """
    expect(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        why = REFUSED.get(error.errno or 0, error.strerror or type(error).__name__)
        raise StorageError(
            f"The output folder '{path}' cannot be made or written to ({why}). {TODO} Another place: -o."
        ) from error


@contextmanager
def output_folder(path: Path | None) -> Iterator[None]:
    """Make an output folder before anything is computed for it, and hold it until it is filled; nothing for ``None``.

    Where the work fails and the folder is still empty, it goes again.

    Raises:
        StorageError: it cannot be made or written to.
        UsageError: another process fills it.
    """
    if path is None:
        yield
        return
    made = [one for one in (path, *path.parents) if not one.exists()]
    make_folder(path)
    try:
        with only_writer(path):
            yield
    except BaseException:
        drop_empty(made)
        raise


def read_json(path: Path, what: str, shape: type | None = None) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file.
        what: what it should be, for errors.
        shape: a ``TypedDict`` of the values that will be looked up; others may stand beside them.

    Raises:
        DataError: the file is missing, not strict JSON, not an object, not what was sealed, or a value is of another kind; a name
            that is looked up and is not there.
    """
    found = read_sealed(path, what)
    if shape is not None:
        try:
            _adapter(shape).validate_python(found)
        except ValidationError as error:
            raise DataError(f"{path.parent.name}/{path.name}: expected {what}; {explain(error)}") from None
    return found


@functools.lru_cache(maxsize=64)
def _adapter(shape: type) -> TypeAdapter[Any]:
    """Built once: a sweep reads the results of a thousand cells at every look."""
    return TypeAdapter(shape)


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
        return RunConfig.from_json(whole_bytes(self.config).decode("utf-8", "replace"))


LOCAL = ("weights", "tokenizer", "text_weights")
"""Settings of a backbone that are places on one machine."""


def shared_config(config: RunConfig) -> dict[str, Any]:
    """A configuration as JSON without places on this machine."""
    tree: dict[str, Any] = config.model_dump(mode="json")
    tree["backbone"] = {key: value for key, value in tree["backbone"].items() if key not in LOCAL}
    return tree
