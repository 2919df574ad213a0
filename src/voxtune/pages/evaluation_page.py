"""The page of an evaluation: the headline with its interval first, then what a reviewer asks next."""

from collections.abc import Mapping

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.evaluation_facts import EvaluationFacts
from voxtune.pages.layout import render
from voxtune.pages.score_labels import (
    BASELINES,
    COLUMNS,
    NAMES,
    PER_CLASS,
    SHORT,
    difference_text,
    interval_text,
    method_paragraph,
    p_text,
    percent_text,
    spread,
    verdict,
)
from voxtune.types.records import Comparison, Metric


def evaluation_page(facts: EvaluationFacts) -> str:
    """The page of an evaluation as one HTML text: same facts, same text."""
    people = {
        name.removeprefix("participant/"): m
        for name, m in facts.metrics.items()
        if name.startswith("participant/")
    }
    scans = {
        name: m for name, m in facts.metrics.items() if not name.startswith(("participant/", "baseline/"))
    }
    # A model without an MMSE head, or a cohort without scores, has no MMSE rows; the page says so under the figures.
    scans = {name: m for name, m in scans.items() if not (name.startswith("mmse") and m.n_scans == 0)}
    context = {
        "facts": facts,
        "figure_style": figures.STYLE,
        "headline": scans.get("accuracy"),
        "percent": percent_text,
        "number": interval_text,
        "difference": difference_text,
        "p_value": p_text,
        "p": f"{100 * facts.confidence:g}%",
        "overall": [
            (name, label, scans[name], people.get(name)) for name, label in NAMES.items() if name in scans
        ],
        "per_class": [
            (
                SHORT.get(name, NAMES.get(name, name)),
                [scans.get(f"{name}/{label}") for label in facts.classes],
            )
            for name in PER_CLASS
            if any(f"{name}/{label}" in scans for label in facts.classes)
        ],
        "confusion": _confusion(facts),
        "roc": figures.roc(facts.roc, facts.classes) if facts.roc else None,
        "reliability": figures.reliability(facts.reliability)
        if any(b.count for b in facts.reliability)
        else None,
        "mmse": figures.mmse(facts.mmse, facts.classes) if facts.mmse else None,
        "roc_legend": figures.legend(facts.classes, dashes=True),
        "mmse_legend": figures.legend(facts.classes, dashes=False),
        "rivals": _rivals(facts, scans),
        "verdict": verdict(facts, scans),
        "absent": [
            label + (f" ({facts.baseline_notes[name]})" if name in facts.baseline_notes else "")
            for name, label in BASELINES.items()
            if name not in facts.baselines and not (name == "zero_shot" and facts.kind == "zero-shot")
        ],
        "subgroups": [
            (COLUMNS.get(one.column, one.column), one, _bar(one.accuracy)) for one in facts.subgroups
        ],
        "templates": [(text, found, _bar(found["accuracy"])) for text, found in facts.templates.items()],
        "spread": spread(facts),
        "method": method_paragraph(facts),
    }
    return render(
        "evaluation_page.html.j2",
        context,
        title=f"{facts.model} on {facts.cohort}",
        simulated=facts.simulated,
    )


def _rivals(
    facts: EvaluationFacts, scans: Mapping[str, Metric]
) -> list[tuple[str, str, Mapping[str, Metric], Markup, Comparison | None]]:
    """The model and its baselines, a row each: name, note, scores, bar of the accuracy, the model minus the baseline."""
    rows: list[tuple[str, str, Mapping[str, Metric], Comparison | None]] = [("This model", "", scans, None)]
    rows += [
        (BASELINES.get(name, name), facts.baseline_notes.get(name, ""), found, facts.against.get(name))
        for name, found in facts.baselines.items()
    ]
    return [
        (name, note, found, _bar(found["accuracy"]), against)
        for name, note, found, against in rows
        if "accuracy" in found
    ]


def _confusion(facts: EvaluationFacts) -> list[tuple[str, int, list[tuple[int, str, float]]]]:
    """A row for each true class: its name, its scans, and for each cell the count, the percent and the share."""
    rows = []
    for label, row in zip(facts.classes, facts.confusion, strict=False):
        total = sum(row)
        cells = [
            (int(n), f"{100 * n / total:.0f}%" if total else "", n / total if total else 0.0) for n in row
        ]
        rows.append((label, int(total), cells))
    return rows


def _bar(metric: Metric) -> Markup:
    return figures.interval_bar(metric.value, metric.low, metric.high)
