"""``voxtune curve``: how a recipe and what it must beat do with fewer training scans, on one test side."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.curve.results import Point, read_point, write_results
from voxtune.commands.train.one_run import Request, asked_for, looked_at, train_one, training_rows
from voxtune.commands.train.start import is_done
from voxtune.config import RunConfig
from voxtune.errors import DataError, SettingError, StoppedError, UsageError, VoxTuneError
from voxtune.run_dir import RunDir, read_json, write_json
from voxtune.storage.lock import only_writer
from voxtune.storage.start import nothing_left
from voxtune.types.stored import AdapterStated, CurveRequest

if TYPE_CHECKING:
    from voxtune.audit.images import Images
    from voxtune.data.splits import Split
    from voxtune.types.records import ManifestRow

Say = Callable[[str], None]
FACTS = "request.json"
ALL = "all"


@dataclass(frozen=True)
class Curve:
    """A finished learning curve."""

    folder: Path
    content: dict[str, Any]
    """``curve.json``."""
    summary: str
    failed: tuple[tuple[str, str], ...] = ()
    """Trainings that failed, with the reason."""


def curve(  # noqa: PLR0913  (the options of the command)
    recipe: str | Path,
    output: str | Path,
    *,
    data: str | Path | None,
    sizes: Sequence[str | int],
    seeds: int = 3,
    split_dir: str | Path | None = None,
    assignments: Sequence[str] = (),
    allow: Sequence[str] = (),
    say: Say = print,
) -> Curve:
    """Train a recipe on nested subsets of one train side, score every run on the one test side, and draw both beside the baselines.

    Of each seed the subsets are nested: who is in a smaller one is in every larger one. Every seed draws its own order of participants and
    trains with its own start. The validation side is the same for all sizes. What is done already stays; the same command goes on.

    Args:
        recipe: a name of ``voxtune info``, or the ``config.json`` of a run.
        output: the folder of the runs, the table, the figure and the page.
        data: ``manifest.tsv`` of preprocessed scans.
        sizes: numbers of training scans, ``all`` is the whole train side.
        seeds: trainings of each size.
        split_dir: a split folder; otherwise one is made by participant.
        assignments: ``PATH=VALUE`` edits of the recipe.
        allow: audit checks whose findings are accepted.
        say: takes lines for a person.

    Raises:
        UsageError: no data, no size, or a folder that holds another curve.
        SettingError: a size that the train side cannot give.
        DataError: every training failed.
        LeakageError: the audit refuses.
    """
    if data is None:
        raise UsageError("Say what to train on: --data OUT/manifest.tsv.")
    config = asked_for(str(recipe), assignments, say=say)
    root, folder = Path(output), None if split_dir is None else Path(split_dir)
    from voxtune.training.ranks import number_of

    mine = only_writer(root) if number_of() == 0 else nullcontext()  # the first process holds it for all
    with nothing_left(root, lambda: any(root.glob("runs/*/*/config.json"))), mine:
        return _drawn(config, Path(data), root, folder, sizes, seeds, allow, say)


def _drawn(  # noqa: PLR0913, PLR0917  (the options of the command)
    config: RunConfig,
    manifest: Path,
    root: Path,
    split_dir: Path | None,
    sizes: Sequence[str | int],
    seeds: int,
    allow: Sequence[str],
    say: Say,
) -> Curve:
    rows = training_rows(config, manifest, say)
    split = _split(rows, config, manifest, root, split_dir)
    wanted = _sizes(sizes, len(split.train))
    _claim(root, config, manifest, split)
    images = cache(lambda: looked_at(rows, manifest))
    points: list[Point] = []
    failed: list[tuple[str, str]] = []
    first: Exception | None = None
    for seed in range(seeds):
        folder = _seed_split(root, split, rows, manifest, [size for size in wanted if size is not None], seed)
        for size in wanted:
            run = root / "runs" / f"size-{size or ALL}" / f"seed-{seed}"
            request = Request(
                config.model_copy(update={"seed": seed}), manifest, tuple(allow), resume=True, train_size=size
            )
            try:
                points.append(_point(request, run, folder, images, say))
            except StoppedError:
                raise
            except Exception as error:  # noqa: BLE001  # one bad training must never stop the others
                text = str(error) if isinstance(error, VoxTuneError) else f"{type(error).__name__}: {error}"
                failed.append((f"size {size or ALL}, seed {seed}", text))
                first = first or error
                say(f"Size {size or ALL}, seed {seed} failed: {text}")
    if not points:
        assert first is not None
        raise first
    content = write_results(root, points, config, simulated=any(row.simulated for row in rows))
    said = f"{_said(content)}. Page: {root / 'page.html'}"
    return Curve(root, content, f"SIMULATED scans: {said}" if content["simulated"] else said, tuple(failed))


def _said(content: dict[str, Any]) -> str:
    """The score with the most training scans, or why it has none."""
    from voxtune.pages.task_words import WORDS

    best = content["sizes"][-1]
    own = best["models"].get("model")
    with_scans = f"{content['title']} with {best['n_train']} training scans"
    if own is None:
        return f"{with_scans} is not defined: {WORDS[content['task']].undefined}"
    return f"{with_scans}: {own['text']} over {own['n_seeds']} seeds{_beside(best)}"


def _beside(best: dict[str, Any]) -> str:
    probe = best["models"].get("linear_probe")
    return f"; linear probe {probe['text']}" if probe else ""


# -------------------------------------------------------------------------------------------- one split
def _split(
    rows: "Sequence[ManifestRow]", config: RunConfig, manifest: Path, root: Path, folder: Path | None
) -> "Split":
    """The split of all sizes and seeds, without rows that no training can use."""
    from voxtune.data.split_files import read_split, write_split
    from voxtune.data.splits import make_split
    from voxtune.storage.seal import file_sha256

    if folder is None:
        folder = root / "split"
        if not (folder / "split.json").is_file():
            write_split(make_split(rows, seed=config.seed), folder, file_sha256(manifest), manifest)
    split = read_split(folder)
    usable = {row.scan_id for row in rows}
    split = replace(split, train=tuple(scan for scan in split.train if scan in usable))
    for side in ("train", "test"):
        if not usable & set(split.sides()[side]):
            raise DataError(
                f"The {side} side of the split has no labelled scan; a learning curve needs some."
            )
    return split


def _sizes(sizes: Sequence[str | int], whole: int) -> list[int | None]:
    """The sizes in order, ``None`` for the whole train side.

    Raises:
        SettingError: no number, or more than there are.
    """
    found: list[int | None] = []
    for one in sizes:
        text = str(one).strip().lower()
        if text == ALL:
            continue
        if not text.isdigit() or not 1 <= int(text) <= whole:
            raise SettingError(
                "sizes", f"numbers of scans from 1 to {whole} (the train side), or '{ALL}'", one
            )
        found.append(int(text))
    numbers: list[int | None] = [*sorted({one for one in found if one is not None})]
    whole_too = any(str(one).strip().lower() == ALL for one in sizes)
    if not numbers and not whole_too:
        raise UsageError("Say the numbers of training scans: --sizes 24,48,96,all.")
    return [*numbers, None] if whole_too else numbers


def _seed_split(
    root: Path, split: "Split", rows: "Sequence[ManifestRow]", manifest: Path, sizes: list[int], seed: int
) -> Path:
    """The split with the nested subsets of one seed, as a folder; sizes that it has already stay as they are."""
    from voxtune.data.split_files import read_split, write_split
    from voxtune.data.splits import with_subsets

    folder = root / "splits" / f"seed-{seed}"
    if (folder / "split.json").is_file():
        sizes = sorted({*sizes, *read_split(folder).subsets})
    cut = with_subsets(split, rows, sizes, seed) if sizes else split
    sha = split.manifest_sha256 or _sha(manifest)
    return write_split(cut, folder, sha, manifest)


def _sha(manifest: Path) -> str:
    from voxtune.storage.seal import file_sha256

    return file_sha256(manifest)


def _claim(root: Path, config: RunConfig, manifest: Path, split: "Split") -> None:
    """Write down what the curve is of, or see that it is what stands here; sizes and seeds may become more.

    Raises:
        UsageError: the folder holds another curve.
    """
    import hashlib

    sides = {
        side: hashlib.sha256("\n".join(sorted(scans)).encode()).hexdigest()
        for side, scans in split.sides().items()
    }
    facts = {"manifest_sha256": _sha(manifest), "sides_sha256": sides}
    if not (root / FACTS).is_file():
        write_json(root / FACTS, facts | {"config": config.model_dump(mode="json")})
        return
    stored = read_json(root / FACTS, "what a learning curve is of", CurveRequest)
    same = RunConfig.from_json(json.dumps(stored["config"])).same_run(config)
    if not same or {name: one for name, one in stored.items() if name != "config"} != facts:
        what = "other settings" if not same else "other scans"
        raise UsageError(
            f"'{root.name}' holds a curve of {what}; give another -o, or the same recipe, --set, --data and --split."
        )


# -------------------------------------------------------------------------------------------- one run
def _point(request: Request, run: Path, split: Path, images: "Callable[[], Images]", say: Say) -> Point:
    """Train and score one run, each unless it is done."""
    from voxtune.commands.evaluate.write import scored, write_evaluation
    from voxtune.evaluation.evaluated_model import OWN, read_model
    from voxtune.evaluation.tables import FACTS as STATED

    name = f"{run.parent.name}, {run.name}"
    folder = RunDir(run).evaluation(OWN)
    if not is_done(run):
        say(f"{name}: training")
        train_one(request, run, split, say=lambda _: None, images=images)
    adapter = read_json(RunDir(run).adapter / "adapter.json", "the facts of an adapter", AdapterStated)[
        "adapter_sha256"
    ]
    stated = folder / STATED
    # The page is written last: an evaluation that was cut off before it is none.
    whole = stated.is_file() and stated.with_name("page.html").is_file()
    if not whole or read_json(stated, "an evaluation").get("adapter_sha256") != adapter:
        say(f"{name}: scoring")
        write_evaluation(
            scored(read_model(run), request.data, None, None, lambda _: None), folder, prints=False
        )
    return read_point(run, folder, request.train_size)
