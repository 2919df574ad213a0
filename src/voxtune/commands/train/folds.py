"""``voxtune train --split FOLDS``: every fold of a cross-validation is a run; what failed does not stop the others and is tried again."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.commands.crew import run_crew
from voxtune.commands.shard import shard_of
from voxtune.commands.train.start import is_done
from voxtune.config import RunConfig
from voxtune.errors import SomeFoldsFailedError, StoppedError, StorageError, UsageError, VoxTuneError
from voxtune.evaluation.run_list import FOLDS
from voxtune.run_dir import RunDir, read_json, write_json
from voxtune.types.words import cleaned

if TYPE_CHECKING:
    from voxtune.audit.images import Images
    from voxtune.commands.train.one_run import Request, Trained

Say = Callable[[str], None]
FAILED = "failed.json"
"""In the folder of a fold: why the last try failed."""


@dataclass(frozen=True)
class Crew:
    """Who trains the folds."""

    workers: int = 1
    shard: str | None = None


def train_folds(
    request: "Request", folds: Sequence[Path], output: Path, crew: Crew, say: Say = print
) -> "Trained":
    """Train one run for each fold, in ``output/fold_N``; ``voxtune evaluate OUTPUT`` then pools them.

    Args:
        request: what is trained.
        folds: the split folders of the folds.
        output: the folder of the runs.
        crew: processes and shard.
        say: takes lines for a person.

    Raises:
        UsageError: the folder holds something else, or is not to be resumed; or a run of several devices.
        SomeFoldsFailedError: some folds failed and the rest are done.
        VoxTuneError: every fold failed; that of the first.
    """
    from voxtune.commands.train.one_run import Trained, looked_at, training_rows

    training = request.config.training
    if training.devices * training.nodes > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "A fold on several devices is trained by itself: --split FOLDS/fold_0 -o CV/fold_0, and so on; 'voxtune evaluate CV' pools them."
        )
    own = shard_of(folds, crew.shard)
    _claim(output, own, folds, request)
    request = replace(request, resume=True)
    if crew.workers > 1 and len(own) > 1:
        _together(request, own, output, min(crew.workers, len(own)), say)
    errors: dict[str, Exception] = {}
    # Looked at once for all of them, when the first has seen that it may begin.
    images = cache(
        lambda: looked_at(training_rows(request.config, request.data, lambda _: None), request.data)
    )
    for fold in own:
        told = output / fold.name / FAILED
        if crew.workers > 1 and told.is_file() and not is_done(output / fold.name):
            errors[fold.name] = VoxTuneError(str(read_json(told, "why a fold failed")["error"]))
            continue
        if (error := train_fold(request, fold, output, say, images)) is not None:
            errors[fold.name] = error
    if errors and len(errors) == len(own):
        raise next(iter(errors.values()))
    if errors:
        raise SomeFoldsFailedError({name: str(error) for name, error in errors.items()}, len(own))
    left = [fold.name for fold in folds if not is_done(output / fold.name)]
    more = f"still to train: {', '.join(left)}" if left else f"next: voxtune evaluate {output}"
    return Trained(output, f"{len(own)} of {len(folds)} folds are trained in {output}; {more}.")


def train_fold(
    request: "Request", fold: Path, output: Path, say: Say, images: "Callable[[], Images] | None" = None
) -> Exception | None:
    """Train the run of a fold, or leave it where it is finished; what went wrong, written down too."""
    from voxtune.commands.train.choose import train_chosen

    folder = output / fold.name
    if is_done(folder):
        say(f"{fold.name}: done before.")
        return None
    say(f"{fold.name}:")
    try:
        done = train_chosen(request, folder, fold, say=say, images=images)
    except (StoppedError, StorageError):
        raise
    except Exception as error:  # noqa: BLE001  # one bad fold must never stop the others
        text = str(error) if isinstance(error, VoxTuneError) else f"{type(error).__name__}: {error}"
        write_json(folder / FAILED, {"error": " ".join(text.split())[:1000]})
        say(f"{fold.name} failed: {text}")
        return error
    (folder / FAILED).unlink(missing_ok=True)
    say(f"{fold.name}: {done.summary}")
    return None


def _claim(output: Path, own: Sequence[Path], folds: Sequence[Path], request: "Request") -> None:
    """Write down which folds of what belong here, or see that it is what stands here; by any shard the same.

    Raises:
        UsageError: another cross-validation, a run, or one that is not to be resumed.
    """
    from voxtune.commands.train.one_run import refuse_other_scans, with_train_size
    from voxtune.data.manifest import file_sha256
    from voxtune.data.split_files import read_split

    if (output / "config.json").is_file():
        raise UsageError(f"'{output.name}' holds a run; give the folds a folder of their own with -o.")
    begun = [fold for fold in own if (output / fold.name / "config.json").is_file()]
    if begun and not request.resume:
        raise UsageError(
            f"'{output.name}' holds a cross-validation already; --resume finishes it, another -o starts a new one."
        )
    facts = {
        "folds": [fold.name for fold in folds],
        "manifest_sha256": file_sha256(request.data),
        "train_size": request.train_size,
    } | ({"choose": [list(edits) for edits in request.choices]} if request.choices else {})
    if (output / FOLDS).is_file():
        stored = read_json(output / FOLDS, "the folds of a cross-validation")
        same = RunConfig.from_json(json.dumps(stored.pop("config"))).same_run(request.config)
        if not same or stored != facts:
            what = "other settings" if not same else "other folds or another manifest"
            raise UsageError(
                f"'{output.name}' was started with {what}; --resume needs the same recipe, --set, --choose, --data, --split and --train-size."
            )
    else:
        write_json(output / FOLDS, facts | {"config": request.config.model_dump(mode="json")})
    for fold in begun:
        refuse_other_scans(RunDir(output / fold.name), with_train_size(read_split(fold), request.train_size))


def _together(request: "Request", folds: Sequence[Path], output: Path, workers: int, say: Say) -> None:
    """Share the folds among fresh processes; what one of them leaves behind is done by the caller."""
    run_crew(_worker, (request, tuple(folds), output), workers, say, "folds")


def _worker(request: "Request", folds: Sequence[Path], output: Path, place: int, workers: int) -> None:
    """One process of a crew: its folds."""
    for fold in list(folds)[place::workers]:
        (output / fold.name / FAILED).unlink(missing_ok=True)
        train_fold(request, fold, output, lambda line: print(cleaned(line), file=sys.stderr, flush=True))  # noqa: T201
