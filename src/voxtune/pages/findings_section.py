"""What a page says of findings: base against tuned, seen against held-out, each finding by itself."""

from typing import Any

from voxtune.pages.evaluation_facts import EvaluationFacts, FindingsFacts
from voxtune.pages.finding_figures import Interval, base_and_tuned, distribution, paired_bars, radar
from voxtune.pages.score_labels import FINDINGS_NAMES, PER_FINDING
from voxtune.types.records import Metric

BARS = ("auroc", "average_precision", "accuracy", "macro_f1", "sensitivity", "specificity")


def findings_section(facts: EvaluationFacts, labels: FindingsFacts) -> dict[str, Any]:
    """The variables of its template."""
    names, tuned = list(labels.kinds), bool(labels.base_metrics)
    base_name, model_name = ("Zero-shot base", "This model") if tuned else ("", facts.model)
    areas = {
        name: (labels.base_metrics.get(f"auroc/{name}"), facts.metrics.get(f"auroc/{name}")) for name in names
    }
    overall = {
        FINDINGS_NAMES[name].split(",")[0] + (" (macro)" if name == "macro_f1" else ""): (
            _interval(labels.base_metrics.get(name)),
            _interval(facts.metrics.get(name)),
        )
        for name in FINDINGS_NAMES
        if name in BARS
    }
    return {
        "labels": labels,
        "tuned": tuned,
        "several_kinds": len(set(labels.kinds.values())) > 1,
        "gain": labels.gain.get("auroc"),
        "distribution": distribution(labels.counts, labels.sides) if labels.counts else None,
        "bars": paired_bars(overall, f"Scores of {facts.model}", "score", chance=-1),
        "per_finding": paired_bars(
            {name: (_interval(base), _interval(own)) for name, (base, own) in areas.items()},
            f"AUROC of each of {len(names)} findings",
            "AUROC",
        ),
        "radar": radar(
            {name: _value(base) for name, (base, _) in areas.items()},
            {name: _value(own) for name, (_, own) in areas.items()},
            f"AUROC of each of {len(names)} findings, as a radar",
        ),
        "key": base_and_tuned(base_name, model_name) if tuned else None,
        "overall": [
            (label, labels.base_metrics.get(name), facts.metrics[name])
            for name, label in FINDINGS_NAMES.items()
            if name in facts.metrics
        ],
        "columns": PER_FINDING,
        "rows": [_row(facts, labels, number, name) for number, name in enumerate(names, start=1)],
        "undefined": [name for name, (_, own) in areas.items() if _value(own) is None],
    }


def _row(facts: EvaluationFacts, labels: FindingsFacts, number: int, name: str) -> dict[str, object]:
    area = facts.metrics.get(f"auroc/{name}")
    present = labels.counts.get(name, ())
    return {
        "number": number,
        "name": name,
        "kind": labels.kinds[name],
        "present": present[-1] if present else None,
        "known": area.n_scans if area else 0,
        "base": labels.base_metrics.get(f"auroc/{name}"),
        "model": area,
        "gain": labels.gain.get(f"auroc/{name}"),
        "threshold": labels.thresholds.get(name),
        "more": [facts.metrics.get(f"{score}/{name}") for score in PER_FINDING],
    }


def _value(metric: Metric | None) -> float | None:
    return None if metric is None else metric.value


def _interval(metric: Metric | None) -> Interval:
    return (None, None, None) if metric is None else (metric.value, metric.low, metric.high)
