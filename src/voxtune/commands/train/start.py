"""What can be known to be wrong before a training writes its first file and looks at its first image."""

import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from voxtune.catalog import PRESETS, load
from voxtune.config import RunConfig
from voxtune.errors import UsageError, WeightsError
from voxtune.extras import install_line
from voxtune.run_dir import LOCAL, RunDir
from voxtune.storage.lock import only_writer
from voxtune.storage.start import nothing_left
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from voxtune.commands.train.one_run import Request

P = ParamSpec("P")
T = TypeVar("T")
LOCK = "train"
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Of each tracker, the module it needs."""


def alone(
    train: Callable[Concatenate["Request", Path, P], T],
) -> Callable[Concatenate["Request", Path, P], T]:
    """A training that holds its run directory against a second process, and leaves nothing there when it fails before its first step.

    Raises:
        UsageError: another process trains there.
    """

    @functools.wraps(train)
    def held(request: "Request", output: Path, /, *args: P.args, **kwargs: P.kwargs) -> T:
        from voxtune.training.ranks import number_of

        if number_of() != 0:  # the first process holds the run for all
            return train(request, output, *args, **kwargs)
        run = RunDir(output)
        with nothing_left(output, lambda: has_progress(run)), only_writer(output, LOCK, "trains"):
            return train(request, output, *args, **kwargs)

    return held


def is_done(folder: Path) -> bool:
    """Whether the run of a folder is finished: its page is the last file that a training writes."""
    run = RunDir(folder)
    return (run.adapter / "adapter.safetensors").is_file() and run.page.is_file()


def has_progress(run: RunDir) -> bool:
    """Whether a run has something to keep: a finished checkpoint or an adapter. A start that came no further is begun anew."""
    from voxtune.training.checkpoint import finished

    return run.config.exists() and (finished(run.checkpoints) or run.adapter.is_dir())


def check_start(config: RunConfig, rows: Sequence[ManifestRow]) -> None:
    """See that weights, tokenizer, preset, device, packages and columns are there; costs seconds at most, reads no image.

    Args:
        config: of the run, settled.
        rows: of the training side.

    Raises:
        WeightsError: a file is missing, or no whole safetensors file.
        SettingError: a device that is not there.
        UsageError: a package that is not installed.
        DataError: a target without values.
        UsageError: signs are asked for of a class that the graph knows none of.
    """
    from voxtune.commands.train.fit import training_scales
    from voxtune.model.device import torch_device
    from voxtune.tasks.task import task_of

    _check_files(config)
    load(PRESETS, config.preset, "preset")
    if config.training.accelerator != "auto":
        torch_device(config.training.accelerator)
    wanted = {PACKAGES[one]: one for one in config.training.trackers} | (
        {"monai": "augment"} if config.augment.enabled else {}
    )
    for module, extra in wanted.items():
        if importlib.util.find_spec(module) is None:
            raise UsageError(
                f"The settings ask for {extra}, which is not installed: {install_line(extra)}; or leave it out."
            )
    training_scales(config, list(rows))
    if config.classes.signs:
        task_of(config).taught(rows).class_texts()  # a class without signs is refused here


def _check_files(config: RunConfig) -> None:
    from voxtune.weights.load import check_whole

    for name in LOCAL:
        value = getattr(config.backbone, name, None)
        if value is None:
            continue
        if name == "tokenizer":
            if not Path(value).exists():
                raise WeightsError(f"Setting 'backbone.tokenizer': no file or folder '{Path(value).name}'.")
        else:
            check_whole(Path(value))
