"""What a page says of several runs: each of them, mean ± sd, and beside it what the sd does not say."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.class_section import per_class_names
from voxtune.pages.evaluation_facts import EvaluationFacts, RunsFacts
from voxtune.pages.runs_figure import run_dots
from voxtune.pages.score_labels import (
    BASELINES,
    PER_FINDING,
    HeadlineScale,
    spread_text,
)
from voxtune.pages.task_words import WORDS, baseline_name
from voxtune.types.records import Metric

SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "auroc", "average_precision")
"""What the figure shows: scores in 0..1 of which larger is better."""
GROUPS = {
    "fine_tuned_seen_classes/auroc": "AUROC, mean over findings: fine-tuned, seen classes",
    "held_out_classes/auroc": "AUROC, mean over findings: held-out classes",
}


def runs_section(facts: EvaluationFacts, scale: HeadlineScale, names: Mapping[str, str]) -> dict[str, Any]:
    """The variables of its template."""
    runs, words = facts.runs, WORDS[facts.task]
    assert runs is not None
    known = {
        name: label
        for name, label in {**names, **GROUPS}.items()
        if name in runs.over and (runs.over[name].defined or name.rpartition("_")[0] not in facts.targets)
    }
    shares = {
        name: label.split(" (")[0]
        for name, label in known.items()
        if name in SHARES and not label.startswith("Micro F1 (one label")
    }
    errors = {
        name: label.partition(" (")[0]
        for name, label in known.items()
        if name.endswith(("_mae", "_rmse")) and runs.over[name].defined
    }
    return {
        "pooled": bool(facts.metrics),
        "word": runs.of,
        "people": people_of_runs(facts, scale),
        "dots": run_dots({label: (runs.over[name], runs.each(name)) for name, label in shares.items()}, "score", share=True)
        if shares
        else None,
        "errors": run_dots({label: (runs.over[name], runs.each(name)) for name, label in errors.items()}, "in the units of the target (smaller is better)", share=False)
        if errors
        else None,
        "error_scans": _scans_text(runs, next(iter(errors), "")),
        "key": _key(runs.of),
        "rows": [
            (run, folder, runs.counts[run], runs.metrics[run].get(facts.headline), _bar(runs.metrics[run].get(facts.headline), scale), runs.metrics[run].get(facts.second or ""))
            for run, folder in runs.runs.items()
        ],
        "overall": [(label, runs.over[name], _ends(runs, name)) for name, label in known.items()],
        "per_label": _per_label(facts, runs),
        "label_columns": ["AUROC", *PER_FINDING.values()] if words.label_columns else list(facts.classes),
        "spread": lambda name: spread_text(runs.over.get(name)),
        "rivals": [
            (
                baseline_name(name, facts.task),
                spread_text(runs.over[f"baseline/{name}/{facts.headline}"]),
                scale.spread_of_differences(runs.minus.get(name)),
                spread_text(runs.over.get(f"baseline/{name}/{facts.second}")),
            )
            for name in BASELINES
            if f"baseline/{name}/{facts.headline}" in runs.over
        ],
        "leakage": _leakage(runs),
    }  # fmt: skip


def headline_of_runs(facts: EvaluationFacts, scale: HeadlineScale) -> str:
    """``77.4 ± 2.0%``, of findings ``0.689 ± 0.010``."""
    assert facts.runs is not None
    return scale.spread(facts.runs.over.get(facts.headline))


def people_of_runs(facts: EvaluationFacts, scale: HeadlineScale) -> str:
    """How far other participants could move the figures."""
    runs = facts.runs
    assert runs is not None
    known = [one for one in runs.each(facts.headline).values() if one and one.low is not None]
    said = ""
    if runs.interval:
        low, high = runs.interval
        said = (
            f"Other participants could move that mean from {scale.plain(low)} to {scale.value(high)} "
            f"({100 * facts.confidence:g}% interval over participants). "
        )
    if known:
        low, high = min(one.low or 0.0 for one in known), max(one.high or 0.0 for one in known)
        said += f"The intervals of the single runs reach from {scale.plain(low)} to {scale.value(high)}."
    return said or "There are too few participants for an interval."


def _per_label(facts: EvaluationFacts, runs: RunsFacts) -> list[tuple[str, list[str]]]:
    """A row for each score with a cell for each class; of findings a row for each finding with a cell for each score."""
    columns = WORDS[facts.task].label_columns
    if columns:
        return [
            (name, [spread_text(runs.over.get(f"{score}/{name}")) for score in columns])
            for name in facts.classes
        ]
    return [
        (label, [spread_text(runs.over.get(f"{score}/{one}")) for one in facts.classes])
        for score, label in per_class_names(facts, runs.over).items()
        if score != "auroc_obuchowski"
        and any((over := runs.over.get(f"{score}/{one}")) and over.defined for one in facts.classes)
    ]


def _leakage(runs: RunsFacts) -> list[str]:
    """What is known of leakage: once, where it is the same of all runs."""
    if len(set(runs.leakage.values())) == 1 and len(runs.leakage) == len(runs.runs):
        return [next(iter(runs.leakage.values()))]
    said = [f"{runs.of.capitalize()} {run}: {text}" for run, text in runs.leakage.items()]
    absent = [run for run in runs.runs if run not in runs.leakage]
    return said + ([f"Leakage was not audited for {runs.of} {', '.join(absent)}."] if absent else [])


def _ends(runs: RunsFacts, name: str) -> str:
    values = [one.value for one in runs.each(name).values() if one and one.value is not None]
    return f"{min(values):.3f} to {max(values):.3f}" if values else ""


def _scans_text(runs: RunsFacts, name: str) -> str:
    """How many scans a score rests on: ``30``, or ``28 to 31`` where runs differ."""
    counts = sorted({one.n_scans for one in runs.each(name).values() if one}) or [0]
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _bar(metric: Metric | None, scale: HeadlineScale) -> Markup:
    if metric is None or scale.smaller_is_better:
        return Markup("")
    return figures.interval_bar(metric.value, metric.low, metric.high)


def _key(word: str) -> Markup:
    """What the marks of the figure are."""
    blue, red = "var(--class-0)", "var(--class-1)"
    signs = (
        (
            f'<line x1="0" x2="26" y1="7" y2="7" style="stroke:{blue}" stroke-width="2" opacity=".45"/><circle cx="13" cy="7" r="4" style="fill:{blue}"/>',
            f"a {word}, interval over participants",
        ),
        (
            f'<rect x="3" width="20" height="14" style="fill:{red}" opacity=".22"/><line x1="13" x2="13" y1="0" y2="14" style="stroke:{red}" stroke-width="2"/>',
            f"mean ± sd over {word}s",
        ),
    )
    return Markup(  # noqa: S704  constants
        "".join(
            f'<span class="key"><svg viewBox="0 0 26 14" width="26" height="14" aria-hidden="true">{sign}</svg>{said}</span>'
            for sign, said in signs
        )
    )
