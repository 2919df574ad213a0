"""``voxtune evaluate``: score a run on its test scans, or on another cohort, with intervals over participants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.errors import UsageError
from voxtune.run_dir import read_json, write_json, write_text
from voxtune.types.records import Prediction

if TYPE_CHECKING:
    from voxtune.commands.evaluate.subject import ScoredCohort, Subject
    from voxtune.evaluation.run_predictions import Answers
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.pages.evaluation_facts import EvaluationFacts

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
    run: Path,
    *,
    data: Path | None = None,
    classes: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    output: Path | None = None,
    say: Callable[[str], None] = print,
) -> Evaluated:
    """Predict and score; writes ``predictions.tsv``, ``metrics.json``, ``evaluation.json`` and ``page.html``.

    With the manifest the run was trained on (found again where it lay), its test side is scored; with any other manifest, all
    labelled scans of it (an external cohort). Each baseline's predictions go to ``baselines/<name>/predictions.tsv``.

    Args:
        run: the run directory; or a recipe (name or ``config.json``), whose base is then scored as published: zero-shot.
        data: ``manifest.tsv`` of preprocessed scans.
        classes: score and choose among these classes only; one that training never saw is scored by its class text.
        label_map: labels of the cohort to classes, as ``{"CN": "NC"}``.
        output: folder to write; otherwise ``RUN/evaluation/<cohort>``.
        say: takes lines for a person.

    Raises:
        UsageError: no manifest, no place to write to, impossible classes or labels.
        DataError: nothing to score.
    """
    from voxtune.commands.evaluate.facts import more_metrics, page_facts, stated_facts
    from voxtune.commands.evaluate.subject import (
        cohort_to_score,
        manifest_to_score,
        read_subject,
        thresholds_of,
        with_profile,
    )
    from voxtune.evaluation.metrics import evaluate_predictions
    from voxtune.evaluation.site_probe import probe_sites
    from voxtune.evaluation.tables import write_evaluation
    from voxtune.model.build import frozen_base
    from voxtune.pages.evaluation_page import evaluation_page

    subject = read_subject(run)
    if subject.config.classes.findings:
        from voxtune.commands.evaluate.findings import evaluate_findings

        return evaluate_findings(subject, data, classes, output, say)
    manifest = manifest_to_score(subject, data)
    subject = with_profile(subject, manifest)
    cohort = cohort_to_score(subject, manifest, classes, label_map)
    folder = output or (subject.run.evaluation(cohort.folder) if subject.run else None)
    if folder is None:
        raise UsageError("Say where to write the scores of a base: -o DIR.")
    if cohort.chosen.left_out:
        listed = ", ".join(f"{label} {count}" for label, count in cohort.chosen.left_out.items())
        say(f"Not scored, for their label: {listed}.")
    base = frozen_base(subject.config)
    found, of_base = subject.answers(cohort.chosen.rows, manifest, cohort.chosen.classes, base)
    rivals = _rivals(subject, cohort, of_base, base)
    thresholds = thresholds_of(subject, cohort.chosen)
    truth = {row.scan_id: row.mmse for row in cohort.chosen.rows if row.mmse is not None}
    metrics = evaluate_predictions(
        found.predictions,
        cohort.chosen.classes,
        mmse_true=truth,
        thresholds=thresholds,
        seed=subject.config.seed,
    )
    probe = probe_sites(cohort.chosen.rows, found.vectors, seed=subject.config.seed)
    facts = page_facts(subject, cohort, found, rivals, metrics, probe)
    stated = stated_facts(subject, cohort, facts, thresholds)
    write_evaluation(
        folder,
        found.predictions,
        cohort.chosen.classes,
        metrics | more_metrics(facts, probe),
        mmse=truth,
        rivals={f"{BASELINES}/{name}": some for name, some in rivals.items()},
    )
    write_json(folder / "evaluation.json", stated)
    write_text(folder / "page.html", evaluation_page(facts))
    summary = _summary(facts, folder)
    return Evaluated(folder, read_json(folder / "metrics.json", "metrics"), summary, stated)


def _rivals(
    subject: "Subject", cohort: "ScoredCohort", of_base: "Answers", base: "VisionLanguageModel"
) -> dict[str, list[Prediction]]:
    """What the model must beat, on the same scans: guesses from the table, a probe on the frozen base, the base alone."""
    from voxtune.evaluation.baselines import cross_fitted_baselines, run_baselines, unlabelled_texts
    from voxtune.evaluation.zero_shot import zero_shot

    rows, classes = cohort.chosen.rows, cohort.chosen.classes
    train_rows = [row for row in cohort.train_rows if row.diagnosis in classes]
    config = subject.config
    profile, seed = config.known_profile, config.seed
    texts = unlabelled_texts([*train_rows, *rows], config.report.template, profile, config.report.fields)
    if train_rows and cohort.training is not None:
        vectors = zero_shot(subject.config, train_rows, cohort.training, classes, base=base).vectors
        found = run_baselines(
            train_rows, rows, classes, texts, vectors | of_base.vectors, seed=seed, profile=profile
        )
    else:
        found = cross_fitted_baselines(rows, classes, texts, of_base.vectors, seed=seed, profile=profile)
    if subject.adapter is not None:
        found["zero_shot"] = of_base.predictions
    return found


def _summary(facts: "EvaluationFacts", folder: Path) -> str:
    accuracy = facts.metrics["accuracy"]
    value = "not defined" if accuracy.value is None else f"{accuracy.value:.3f}"
    interval = "" if accuracy.low is None else f" (95% interval {accuracy.low:.3f} to {accuracy.high:.3f})"
    label = "SIMULATED scans: " if facts.simulated else ""
    return (
        f"{label}{facts.kind}: accuracy {value}{interval} on {accuracy.n_scans} scans of {accuracy.n_participants} participants. "
        f"Page: {folder / 'page.html'}"
    )
