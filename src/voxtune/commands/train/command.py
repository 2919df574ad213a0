"""``voxtune train``: one run, the folds of a cross-validation, or a run whose settings are chosen first."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.commands.train.choose import read_choices, train_chosen
from voxtune.commands.train.folds import Crew, train_folds
from voxtune.commands.train.one_run import Request, Say, Trained, asked_for
from voxtune.errors import UsageError
from voxtune.storage.start import nothing_left

if TYPE_CHECKING:
    from voxtune.audit.images import Images

KEPT = ("*/config.json", "*/choice/*/config.json")
"""In a folder of folds: what is worth keeping where a start fails."""


def train(  # noqa: PLR0913  (the options of the command)
    recipe: str | Path,
    output: str | Path,
    *,
    data: str | Path | None = None,
    split_dir: str | Path | None = None,
    assignments: Sequence[str] = (),
    allow: Sequence[str] = (),
    resume: bool = False,
    control: bool = False,
    device: str = "auto",
    train_size: int | None = None,
    choose: Sequence[str] = (),
    workers: int = 1,
    shard: str | None = None,
    say: Say = print,
    images: "Images | Callable[[], Images] | None" = None,
) -> Trained:
    """Train an adapter and write its run directory; of the folds of a cross-validation one in each folder ``fold_N`` of ``output``.

    Args:
        recipe: a name of ``voxtune info``, or the ``config.json`` of another run.
        output: the run directory.
        data: ``manifest.tsv`` of preprocessed scans.
        split_dir: a split folder, or the folder of all folds; without one the cohort is split by participant with the recipe's seed.
        assignments: ``PATH=VALUE`` edits of the recipe.
        allow: audit checks whose findings are accepted and written down.
        resume: go on where this run stopped; of folds, finish those that are not done.
        control: train the control of the adapter as well (``RUN/control``), for what ``explain`` asks of a map.
        device: ``auto`` (as the recipe says, else a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        train_size: train on the subset of this size that ``voxtune split --train-size`` wrote, in place of the whole train side.
        choose: ``PATH=VALUE|VALUE``: settings to choose, each run (each fold) inside its own training side; several are combined.
        workers: processes that share the folds.
        shard: ``I/N``, the I-th of N parts of the folds, for job arrays.
        say: takes lines for a person.
        images: the audit's pictures of these scans, where the caller has other runs on the same manifest; a function that makes
            them is called once this run has seen that it may begin.

    Raises:
        UsageError: no data, an unknown recipe or setting, or a run that exists and is not resumed.
        DataError: scans or reports that do not fit.
        LeakageError: the audit refuses.
        SomeFoldsFailedError: some folds failed and the others are done.
        StoppedError: Ctrl-C or SIGTERM came; everything is saved.
    """
    from voxtune.data.split_files import fold_folders

    config = asked_for(str(recipe), assignments, device, say)
    if data is None:
        raise UsageError(
            "Say what to train on: --data OUT/manifest.tsv, as 'voxtune preprocess' or 'voxtune simulate' wrote it."
        )
    choices = read_choices(choose, config)
    request = Request(config, Path(data), tuple(allow), resume, control, train_size, choices)
    run, split = Path(output), None if split_dir is None else Path(split_dir)
    if split is not None and not (split / "train.tsv").is_file() and (folds := fold_folders(split)):
        with nothing_left(run, lambda: any(one for part in KEPT for one in run.glob(part))):
            return train_folds(request, folds, run, Crew(workers, shard), say)
    if workers > 1 or shard is not None:
        raise UsageError(
            "--workers and --shard share folds out: give --split the folder of 'voxtune split --folds K'."
        )
    return train_chosen(request, run, split, say=say, images=images)
