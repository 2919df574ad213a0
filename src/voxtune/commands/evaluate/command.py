"""``voxtune evaluate``: score a run on its test scans or on another cohort, or several runs together, with intervals over participants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.errors import UsageError
from voxtune.run_dir import read_json, write_json, write_text

if TYPE_CHECKING:
    from voxtune.evaluation.evaluation import Evaluation

BASELINES = "baselines"
"""Folder of an evaluation with the predictions of each baseline, for ``voxtune compare``."""


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation: its folder, its metrics and facts as JSON, a line for a person."""

    folder: Path
    metrics: dict[str, Any]
    summary: str
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Metrics and facts as one JSON object."""
        return self.metrics | {"evaluation": self.facts}


def evaluate(
    run: str | Path | Sequence[str | Path],
    *,
    data: str | Path | None = None,
    classes: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> Evaluated:
    """Predict and score; writes ``predictions.tsv``, ``metrics.json``, ``evaluation.json`` and ``page.html``.

    With the manifest the run was trained on (found again where it lay), its test side is scored; with any other manifest, all scans of
    it of which something is known (an external cohort). Each baseline's predictions go to ``baselines/<name>/predictions.tsv``.

    Args:
        run: a run directory; or a recipe (name or ``config.json``), whose base is then scored as published: zero-shot; or several runs,
            or a folder that holds them: seeds of one recipe are given as mean and standard deviation, folds of a cross-validation pooled.
        data: ``manifest.tsv`` of preprocessed scans.
        classes: score and choose among these classes (findings) only; a class that training never saw is scored by its class text.
        label_map: labels of the cohort to classes, of findings columns to findings, as ``{"CN": "NC"}``.
        output: folder to write; otherwise ``RUN/evaluation/<cohort>``, of a folder of runs ``FOLDER/evaluation/<cohort>``.
        say: takes lines for a person.

    Raises:
        UsageError: no manifest, no place to write to, impossible classes or labels.
        DataError: nothing to score, or runs that are not of one question; the settings that differ are named.
    """
    from voxtune.commands.evaluate.runs import evaluate_runs
    from voxtune.evaluation.evaluated_model import read_model
    from voxtune.evaluation.evaluation import evaluation_of
    from voxtune.evaluation.run_list import run_folders
    from voxtune.tasks.task import scored_task

    sources = [Path(one) for one in ([run] if isinstance(run, str | Path) else run)]
    manifest, target = (None if one is None else Path(one) for one in (data, output))
    runs = run_folders(sources[0]) if len(sources) == 1 else sources
    if len(runs) > 1:
        home = sources[0] if len(sources) == 1 else None
        return evaluate_runs(
            runs, data=manifest, classes=classes, label_map=label_map, output=target, home=home, say=say
        )
    model = read_model(runs[0])
    if target is None and model.run is None:
        raise UsageError("Say where to write the scores of a base: -o DIR.")
    found = evaluation_of(model, scored_task(model), manifest, classes, label_map)
    tell_left_out(found, say)
    return write_evaluation(found, target or folder_of(found), say)


def folder_of(found: "Evaluation") -> Path:
    """Where the evaluation of a run lies inside it: never where that of other scans lies already."""
    assert found.model.run is not None
    return evaluation_folder(found.model.run.root / "evaluation", found)


def evaluation_folder(root: Path, found: "Evaluation") -> Path:
    """The folder of a cohort in ``root``; of another manifest by the same name the beginning of its sha256 is added."""
    from voxtune.data.manifest import file_sha256
    from voxtune.evaluation.tables import FACTS

    folder = root / found.cohort.folder
    own = file_sha256(found.cohort.manifest)
    if (folder / FACTS).is_file():
        stored = read_json(folder / FACTS, "the facts of an evaluation").get("manifest_sha256")
        if stored not in {own, None}:
            return folder.with_name(f"{folder.name}-{own[:8]}")
    return folder


def tell_left_out(found: "Evaluation", say: Callable[[str], None]) -> None:
    """What is not scored, and what is reported beside the rest."""
    chosen = found.cohort.chosen
    if chosen.left_out:
        listed = ", ".join(f"{label} {count}" for label, count in chosen.left_out.items())
        say(f"Not scored, for their label: {listed}.")
    if chosen.held_out and chosen.parts and found.model.adapter is not None:
        say("Held-out findings are reported beside the others: training never saw their labels.")


def write_evaluation(found: "Evaluation", folder: Path, say: Callable[[str], None]) -> Evaluated:
    """Write everything an evaluation leaves behind; the look at its scans is logged."""
    from voxtune.commands.evaluate.facts import page_facts, stated_facts
    from voxtune.evaluation.tables import FACTS, METRICS, write_metrics_json, write_predictions
    from voxtune.pages.evaluation_page import evaluation_page, summary

    del say
    facts = page_facts(found)
    stated = stated_facts(found, facts)
    write_predictions(folder, found.table)
    for name, rival in found.rivals.items():
        write_predictions(folder / BASELINES / name, rival)
    people = len(set(found.table.participants))
    write_metrics_json(folder / METRICS, found.all_metrics(), n_scans=len(found.table), n_participants=people)
    write_json(folder / FACTS, stated)
    write_text(folder / "page.html", evaluation_page(facts))
    return Evaluated(
        folder,
        read_json(folder / METRICS, "metrics"),
        f"{summary(facts)} Page: {folder / 'page.html'}",
        stated,
    )
