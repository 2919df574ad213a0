"""``voxtune train --choose PATH=A|B``: a setting chosen inside the training side, before validation and test scans are looked at."""

import itertools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.commands.train.start import has_progress, is_done
from voxtune.config import HOW, RunConfig
from voxtune.errors import UsageError
from voxtune.evaluation.choice import CHOICE, Candidate, Choice, best_of
from voxtune.run_dir import RunDir, read_json, write_json
from voxtune.storage.start import nothing_left
from voxtune.types.steering import ERRORS

if TYPE_CHECKING:
    from voxtune.audit.images import Images
    from voxtune.commands.train.one_run import Request, Trained
    from voxtune.data.splits import Split

    MadeOrToBe = Images | Callable[[], Images] | None

Say = Callable[[str], None]
FOLDER = "choice"
"""In the folder of a run: its inner split and a run for each candidate."""
ASKED = "asked.json"
INNER_VALIDATION = 0.25
"""Share of the participants of the training side that the candidates are scored on."""
NAMES = {"peft": "vision"}
"""What people call a setting."""
FIXED = {"seed": "the choice would be of chance", "name": "it changes nothing", "citation": "it changes nothing"} | dict.fromkeys(
    ("classes.names", "classes.findings", "classes.held_out", "training.metric"), "the candidates could not be compared"
) | dict.fromkeys((f"training.{name}" for name in HOW), "it says how a run is computed, not what")  # fmt: skip


def read_choices(options: Sequence[str], config: RunConfig) -> tuple[tuple[str, ...], ...]:
    """Every combination of what may be chosen, each as the edits of ``--set``; empty without options.

    Args:
        options: ``PATH=VALUE|VALUE``.
        config: that they change.

    Raises:
        UsageError: fewer than two values, two that are the same, a setting that cannot be chosen by a score, or no such setting.
    """
    columns = [_values(option, config) for option in options]
    paths = [column[0].partition("=")[0] for column in columns]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise UsageError(f"--choose {twice[0]} is given twice: list its values in one, {twice[0]}=A|B|C.")
    found = tuple(itertools.product(*columns)) if columns else ()
    made = [edited(config, edits) for edits in found]
    for place, one in enumerate(made):
        if one in made[:place]:
            same = " ".join(found[made.index(one)])
            raise UsageError(f"--choose: '{' '.join(found[place])}' and '{same}' are the same settings.")
    return found


def _values(option: str, config: RunConfig) -> list[str]:
    path, equals, text = option.partition("=")
    path = NAMES.get(path.strip(), path.strip())
    values = [value.strip() for value in text.split("|")]
    if not equals or len(values) < 2 or "" in values:
        raise UsageError(f"--choose takes PATH=VALUE|VALUE, two values or more, got '{option}'.")
    of_errors = config.training.metric in ERRORS or not config.classes.asked
    compared = of_errors and path.partition(".")[0] in {"loss", "targets"}
    why = FIXED.get(path) or (
        "the candidates could not be compared" if path == "classes" or compared else None
    )
    if why is not None:
        raise UsageError(f"--choose: '{path}' cannot be chosen by a score ({why}); set it by --set.")
    return [f"{path}={value}" for value in values]


def edited(config: RunConfig, edits: Sequence[str]) -> RunConfig:
    """The settings with the edits of a candidate."""
    for edit in edits:
        config = config.edit(edit)
    return config


def train_chosen(
    request: "Request",
    output: Path,
    split_dir: Path | None,
    *,
    say: Say = print,
    images: "MadeOrToBe" = None,
) -> "Trained":
    """Choose, where something is to be chosen, then train on the whole training side; see :func:`voxtune.commands.train.command.train`.

    Raises:
        UsageError: no split, a run of several devices, or a folder in which another choice was begun.
    """
    from voxtune.commands.train import one_run
    from voxtune.data.split_files import read_split

    if not request.choices:
        return one_run.train_one(request, output, split_dir, say=say, images=images)
    training = request.config.training
    if training.devices * training.nodes > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("--choose trains on one device: without devices, nodes and torchrun.")
    if split_dir is None:
        raise UsageError("--choose needs --split: a folder, or the folds, of 'voxtune split'.")
    one_run.refuse_progress(RunDir(output), request.resume)
    split = one_run.with_train_size(read_split(split_dir), request.train_size)
    home = output / FOLDER
    with nothing_left(output, lambda: any(has_progress(RunDir(one)) for one in home.glob("[0-9]*"))):
        choice = choose(request, split, output, say, images)
    taken = choice.candidates[choice.chosen].edits
    say(f"Chosen inside the training side: {choice.words}")
    chosen = replace(request, config=edited(request.config, taken), choices=())
    return one_run.train_one(chosen, output, split_dir, say=say, images=_of_the_same(request, chosen, images))


def _of_the_same(request: "Request", chosen: "Request", images: "MadeOrToBe") -> "MadeOrToBe":
    """Pictures made before, unless the settings that were chosen take other scans."""
    return images if chosen.config.training.unlabelled == request.config.training.unlabelled else None


def choose(
    request: "Request", split: "Split", output: Path, say: Say = print, images: "MadeOrToBe" = None
) -> Choice:
    """Train every candidate on a part of the training side and take what does best on the rest of it; written to ``choice.json``.

    No scan of a participant on another side is read, and no label: candidates see the rows of the training side alone.

    Args:
        request: what is trained, with the candidates.
        split: the split of the run.
        output: of the run.
        say: takes lines for a person.
        images: the audit's pictures, where the caller has them.

    Raises:
        UsageError: another choice was begun in this folder.
        DataError: too few participants for an inner split.
    """
    from voxtune.commands.train.one_run import looked_at, train_one, training_rows
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.split_files import read_split, write_split
    from voxtune.data.splits import SplitSettings, make_split

    home, sha256 = output / FOLDER, file_sha256(request.data)
    held = {*split.people("val"), *split.people("test")}
    inside = frozenset(row.scan_id for row in read_manifest(request.data) if row.participant_id not in held)
    within = replace(request, only=inside)
    rows = training_rows(request.config, request.data, say, only=inside)
    labelled = set(split.train)
    inner = make_split(
        [row for row in rows if row.scan_id in labelled], SplitSettings(test=0.0, val=INNER_VALIDATION), request.config.seed
    )  # fmt: skip
    _claim(home, request, sha256, inner)
    if not (home / "split" / "split.json").is_file():
        write_split(inner, home / "split", sha256)
    inner = read_split(home / "split")
    candidates = []
    for place, edits in enumerate(request.choices):
        folder = home / str(place)
        if not is_done(folder):
            say(f"Candidate {place + 1} of {len(request.choices)}: {' '.join(edits)}")
            images = images or cache(lambda: looked_at(rows, request.data))
            asked = replace(
                within, config=edited(request.config, edits), choices=(), control=False, train_size=None, resume=True
            )  # fmt: skip
            train_one(
                asked, folder, home / "split", say=_silence, images=_of_the_same(request, asked, images)
            )
        candidates.append(Candidate(edits, *_reached(RunDir(folder))))
    choice = Choice(
        tuple(candidates),
        best_of(candidates),
        RunDir(home / "0").read_config().training.metric,  # which stands in where no class is asked
        {side: len(inner.people(side)) for side in ("train", "val")},
    )
    write_json(output / CHOICE, choice.as_json(), shared=True)
    return choice


def _silence(_: str) -> None:
    """A candidate is one line; what its training says is in its folder."""


def _reached(run: RunDir) -> tuple[float, float | None]:
    """The validation metric and loss of what a run kept."""
    lines = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    kept = next(line for line in reversed(lines) if line["best"])
    return float(kept["metric"]), kept.get("validation_loss")


def _claim(home: Path, request: "Request", sha256: str, inner: "Split") -> None:
    """Write down what is chosen among on which scans, or see that it is what was begun here."""
    asked = {
        "candidates": [list(edits) for edits in request.choices],
        "config": request.config.model_dump(mode="json"),
        "manifest_sha256": sha256,
        "scans": {side: list(scans) for side, scans in inner.sides().items()},
    }
    if (home / ASKED).is_file():
        stored = read_json(home / ASKED, "what a run chooses among")
        same = RunConfig.from_json(json.dumps(stored["config"])).same_run(request.config)
        if not same or any(stored[name] != asked[name] for name in asked if name != "config"):
            raise UsageError(
                f"'{home.parent.name}' was begun with another choice, other settings or other scans; "
                "--resume needs the same --choose, --set, --data and --split, another -o starts anew."
            )
    else:
        write_json(home / ASKED, asked)
