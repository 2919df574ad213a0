"""The model card of an adapter (its README.md): what it is for, what it was made from, what is known about it. No IDs, no paths."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from voxtune.pages.score_labels import BASELINES, ERRORS, target_score_names
from voxtune.pages.task_words import WORDS, baseline_name
from voxtune.weights.licences import terms
from voxtune.weights.seen import SEEN

SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "c_index", "auroc", "average_precision", "brier", "ece")
"""Scores over all classes or findings, where a task has them."""


def model_card(
    facts: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    *,
    leakage: str | None = None,
) -> str:
    """Markdown from the facts of an adapter and, once evaluated, of its own test scans; of a control, that it is one.

    Args:
        facts: of ``adapter.json``.
        metrics: of ``metrics.json``.
        evaluation: of ``evaluation.json``; scores on other classes than the adapter's are not shown.
        leakage: verdict of the audit of the run's split.
    """
    # Markdown, not HTML: escaping would spoil it, and every value is ours or a class name checked below.
    environment = Environment(  # noqa: S701
        loader=PackageLoader("voxtune.pages"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    if facts["control_of"] is not None:
        return environment.get_template("control_card.md.j2").render(
            facts=facts, rules=terms(facts["licence"]).rules
        )
    if metrics is not None and evaluation and list(evaluation["classes"]) != list(facts["classes"]):
        metrics = None
    found = metrics or {}

    def defined(name: str) -> bool:
        return name in found and found[name]["value"] is not None

    per_class = [
        (label, [found[f"{score}/{label}"] for score in ("sensitivity", "specificity", "auroc")])
        for label in facts["classes"]
        if all(defined(f"{score}/{label}") for score in ("sensitivity", "specificity", "auroc"))
    ]
    task = facts.get("task", "diagnosis")
    names = {name: label for name, label in WORDS[task].names.items() if name in SHOWN}
    for target in (evaluation or {}).get(
        "targets", ["mmse"] if f"mmse_{next(iter(ERRORS))}" in found else []
    ):
        names |= target_score_names(target, *(("MMSE", "points") if target == "mmse" else (target, "")))
    headline = next((name for name in ("accuracy", "c_index", "auroc", *names) if defined(name)), "accuracy")
    baselines = [
        (baseline_name(name, task), found[f"baseline/{name}/{headline}"])
        for name in BASELINES
        if defined(f"baseline/{name}/{headline}")
    ]
    return environment.get_template("model_card.md.j2").render(
        facts=facts,
        rules=terms(facts["licence"]).rules,
        seen=SEEN.get(facts["base"]),
        metrics=metrics,
        evaluation=evaluation if metrics else None,
        leakage=leakage,
        rows=[(label, found[name]) for name, label in names.items() if defined(name)],
        headline=names.get(headline, headline),
        targets=predicted_numbers(facts),
        per_class=per_class,
        baselines=baselines,
        number=_number,
    )


def predicted_numbers(facts: Mapping[str, Any]) -> list[str]:
    """The numbers an adapter predicts, as a person says them."""
    config = facts["config"]
    mmse = ["MMSE"] if config.get("mmse", {}).get("enabled") else []
    return mmse + [
        one["name"] if isinstance(one, Mapping) else str(one) for one in config.get("targets") or ()
    ]


def _number(metric: Mapping[str, Any]) -> str:
    if metric["low"] is None or metric["high"] is None:
        return f"{metric['value']:.3f} (no interval)"
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"
