"""What a learning curve leaves behind: a row for each training, means by size, a figure, a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.config import RunConfig
from voxtune.errors import TableError
from voxtune.run_dir import read_json, write_json
from voxtune.types.records import Metric
from voxtune.types.stored import AdapterStated

OWN = "model"
BEFORE = "baseline/"


@dataclass(frozen=True)
class Point:
    """One training of one size: the headline score of the model and of everything beside it."""

    size: int | None
    """As asked for; ``None`` is the whole train side."""
    seed: int
    n_train: int
    n_train_participants: int
    n_val: int
    score: str
    task: str
    scores: Mapping[str, Metric]
    """By ``model`` or the name of a baseline."""


def read_point(run: Path, folder: Path, size: int | None) -> Point:
    """The point of a run that was scored.

    Args:
        run: its directory.
        folder: of its evaluation.
        size: as asked for.
    """
    from voxtune.evaluation.metrics import headline_names
    from voxtune.evaluation.tables import METRICS, PREDICTIONS, read_metrics, read_predictions
    from voxtune.run_dir import RunDir

    home = RunDir(run)
    facts = read_json(home.adapter / "adapter.json", "the facts of an adapter", AdapterStated)["training"]
    answers = read_predictions(folder / PREDICTIONS)
    score = headline_names(answers.scored())[0]
    found = read_metrics(folder / METRICS)
    if score not in found:
        raise TableError(
            folder / METRICS, f"no score '{score}'", "Remove that folder to score the run again."
        )
    scores = {OWN: found[score]} | {
        name.removeprefix(BEFORE).removesuffix(f"/{score}"): one
        for name, one in found.items()
        if name.startswith(BEFORE) and name.endswith(f"/{score}")
    }
    return Point(
        size,
        int(facts["seed"]),
        int(facts["scans"]["train"]),
        int(facts["participants"]["train"]),
        int(facts["scans"]["val"]),
        score,
        answers.task,
        scores,
    )


def write_results(
    root: Path, points: Sequence[Point], config: RunConfig, *, simulated: bool
) -> dict[str, Any]:
    """Write ``curve.tsv``, ``curve.json``, the figure, the tables and the page; what ``curve.json`` says."""
    from voxtune.data.manifest import write_table
    from voxtune.pages.curve_page import write_curve_page

    names = tuple(dict.fromkeys(name for point in points for name in point.scores))
    columns = ("size", "seed", "n_train", "n_train_participants", "n_val", "model", "score", "value", "low", "high")  # fmt: skip
    rows = [
        {
            "size": point.size or "all",
            "seed": point.seed,
            "n_train": point.n_train,
            "n_train_participants": point.n_train_participants,
            "n_val": point.n_val,
            "model": name,
            "score": point.score,
            "value": one.value,
            "low": one.low,
            "high": one.high,
        }
        for point in points
        for name, one in point.scores.items()
    ]
    write_table(root / "curve.tsv", columns, rows)
    sizes = list(
        dict.fromkeys(sorted((point.size for point in points), key=lambda size: (size is None, size)))
    )
    content: dict[str, Any] = {
        "recipe": config.name,
        "score": points[0].score,
        "task": points[0].task,
        "title": "",
        "simulated": simulated,
        "n_test": next(iter(points[0].scores.values())).n_scans,
        "n_test_participants": next(iter(points[0].scores.values())).n_participants,
        "sizes": [_of_size([point for point in points if point.size == size], names) for size in sizes],
    }
    write_curve_page(root, content)
    write_json(root / "curve.json", content)
    return content


def _of_size(points: Sequence[Point], names: Sequence[str]) -> dict[str, Any]:
    from voxtune.evaluation.runs import over_runs

    models = {}
    for name in names:
        each = {str(point.seed): point.scores[name].value for point in points if name in point.scores}
        over = over_runs(list(each.values()))
        if over.mean is not None:
            models[name] = {"mean": over.mean, "sd": over.sd, "n_seeds": over.defined, "each": each}
    return {
        "size": points[0].size or "all",
        "n_train": round(sum(point.n_train for point in points) / len(points)),
        "n_train_participants": round(sum(point.n_train_participants for point in points) / len(points)),
        "n_val": points[0].n_val,
        "models": models,
    }
