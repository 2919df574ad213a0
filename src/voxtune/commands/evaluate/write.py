"""What an evaluation leaves behind, and where."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.run_dir import read_json, write_json, write_text
from voxtune.storage.lock import waited
from voxtune.types.stored import EvaluationStated

if TYPE_CHECKING:
    from voxtune.evaluation.evaluated_model import EvaluatedModel
    from voxtune.evaluation.evaluation import Evaluation
    from voxtune.types.conformal import WantedSets

BASELINES = "baselines"
"""Folder of an evaluation with the predictions of each baseline, for ``voxtune compare``."""
LOCK = "evaluation"
"""Of two evaluations of the same scans at once one writes after the other: their files never mix."""


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
        stored = read_json(folder / FACTS, "the facts of an evaluation", EvaluationStated).get(
            "manifest_sha256"
        )
        if stored not in {own, None}:
            return folder.with_name(f"{folder.name}-{own[:8]}")
    return folder


def scored(
    model: "EvaluatedModel",
    data: Path | None,
    classes: Sequence[str] | None,
    label_map: Mapping[str, str] | None,
    say: Callable[[str], None],
    sets: "WantedSets | None" = None,
) -> "Evaluation":
    """A model with its profile, asked for the scans of a cohort, of one run and of each of several alike; what is left out is said.

    Raises:
        UsageError: no manifest, or impossible classes or labels.
        DataError: nothing to score.
    """
    from voxtune.evaluation.evaluated_model import manifest_to_score, with_profile
    from voxtune.evaluation.evaluation import evaluation_of
    from voxtune.tasks.task import scored_task

    model = with_profile(model, manifest_to_score(model, data))
    found = evaluation_of(model, scored_task(model), data, classes, label_map, sets)
    _tell_left_out(found, say)
    _tell_seen(found, say)
    return found


def _tell_seen(found: "Evaluation", say: Callable[[str], None]) -> None:
    """That the base had, or may have, seen the very cohort that is scored."""
    from voxtune.evaluation.base_seen import seen_verdict

    seen = seen_verdict(found.model.base, found.cohort.rows, found.cohort.manifest)
    if seen.alarms:
        say(f"Warning: {seen.text}")


def _tell_left_out(found: "Evaluation", say: Callable[[str], None]) -> None:
    """What is not scored, and what is reported beside the rest."""
    chosen = found.cohort.chosen
    if chosen.left_out:
        listed = ", ".join(f"{label} {count}" for label, count in chosen.left_out.items())
        say(f"Not scored, for their label: {listed}.")
    if chosen.held_out and chosen.parts and found.model.adapter is not None:
        say("Held-out findings are reported beside the others: training never saw their labels.")


def write_evaluation(found: "Evaluation", folder: Path, *, prints: bool = True) -> Evaluated:
    """Write everything an evaluation leaves behind, figures and tables for a paper unless it is one of several; the look is logged."""
    from voxtune.commands.evaluate.facts import page_facts, stated_facts
    from voxtune.evaluation.tables import FACTS, METRICS, write_metrics_json, write_predictions
    from voxtune.pages.evaluation_page import evaluation_page, summary
    from voxtune.pages.evaluation_prints import write_prints

    facts = page_facts(found)
    stated = stated_facts(found, facts)
    people = len(set(found.table.participants))
    with waited(folder, LOCK, every=0.1):
        write_predictions(folder, found.table)
        for name, rival in found.rivals.items():
            write_predictions(folder / BASELINES / name, rival)
        write_metrics_json(
            folder / METRICS, found.all_metrics(), n_scans=len(found.table), n_participants=people
        )
        write_json(folder / FACTS, stated)
        write_text(folder / "page.html", evaluation_page(facts))
        if prints:
            write_prints(facts, folder)
    return Evaluated(
        folder,
        read_json(folder / METRICS, "metrics"),
        f"{summary(facts)} Page: {folder / 'page.html'}",
        stated,
    )
