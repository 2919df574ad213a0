"""What a page says of one class among several: confusion, ROC, calibration, scores by class."""

from collections.abc import Mapping
from typing import Any

from voxtune.pages import figures
from voxtune.pages.evaluation_facts import ClassFacts, EvaluationFacts
from voxtune.pages.score_labels import ERRORS, PER_CLASS
from voxtune.types.records import Metric


def class_section(facts: EvaluationFacts, labels: ClassFacts) -> dict[str, Any]:
    """The variables of its template."""
    return {
        "confusion": _confusion(facts, labels),
        "roc": figures.roc(labels.roc, facts.classes) if labels.roc else None,
        "roc_legend": figures.legend(facts.classes, dashes=True),
        "reliability": figures.reliability(labels.reliability)
        if any(one.count for one in labels.reliability)
        else None,
        "ece": facts.metrics.get("ece"),
        "per_class": [
            (label, [facts.metrics.get(f"{name}/{one}") for one in facts.classes])
            for name, label in per_class_names(facts, facts.metrics).items()
        ],
    }


def per_class_names(facts: EvaluationFacts, known: Mapping[str, object]) -> dict[str, str]:
    """The scores of each class that some class has, as a person says them; targets with nothing measured are left out."""
    names = dict(PER_CLASS)
    for target, one in facts.targets.items():
        unit = f" ({one.units})" if one.units else ""
        names |= {
            f"{target}_{name}": f"{one.label} {'R² within' if name == 'r2' else name.upper() + unit}"
            for name in ERRORS
            if one.points or facts.runs
        }
    return {
        name: label
        for name, label in names.items()
        if any(_there(known.get(f"{name}/{one}")) for one in facts.classes)
    }


def _there(metric: object) -> bool:
    return metric is not None and not (
        isinstance(metric, Metric) and metric.n_scans == 0 and metric.value is None
    )


def _confusion(
    facts: EvaluationFacts, labels: ClassFacts
) -> list[tuple[str, int, list[tuple[int, str, float]]]]:
    """A row for each true class: its name, its scans, and for each cell the count, the percent and the share."""
    rows = []
    for label, row in zip(facts.classes, labels.confusion, strict=False):
        total = sum(row)
        cells = [
            (int(n), f"{100 * n / total:.0f}%" if total else "", n / total if total else 0.0) for n in row
        ]
        rows.append((label, int(total), cells))
    return rows
