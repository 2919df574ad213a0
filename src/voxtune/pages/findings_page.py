"""The page of an evaluation of many findings: base against tuned, seen against held-out, each finding by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.finding_figures import Interval, base_and_tuned, distribution, paired_bars, radar
from voxtune.pages.layout import render
from voxtune.pages.score_labels import interval_text
from voxtune.types.records import Metric

Kind = Literal["zero-shot", "fine-tuned, seen classes", "held-out classes"]

OVERALL: Mapping[str, str] = {
    "auroc": "AUROC, mean over findings",
    "average_precision": "Average precision, mean over findings",
    "accuracy": "Accuracy, mean over findings",
    "sensitivity": "Sensitivity, mean over findings",
    "specificity": "Specificity, mean over findings",
    "macro_f1": "F1 of the positive class, mean over findings (macro)",
    "micro_f1": "F1 of the positive class, all findings together (micro)",
    "weighted_f1": "F1 of the positive class, findings weighted by their number (weighted)",
    "samples_f1": "F1 of the positive class, mean over scans (samples)",
    "ct_clip_f1": "Weighted F1 as CT-CLIP prints it: present and absent together",
    "brier": "Brier score (smaller is better)",
}
COLUMNS: Mapping[str, str] = {
    "average_precision": "Average precision",
    "f1": "F1, positive class",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
}


@dataclass(frozen=True)
class Group:
    """Findings of one kind: how the model and the base do on them."""

    kind: Kind
    findings: int
    model: Metric
    base: Metric | None
    gain: Metric | None


@dataclass(frozen=True)
class FindingsFacts:
    """Everything the page shows."""

    model: str
    cohort: str
    kinds: Mapping[str, Kind]
    """What each finding is to the model, in their order."""
    metrics: Mapping[str, Metric]
    thresholds: Mapping[str, float]
    threshold_rule: str
    """Where the thresholds come from, one sentence."""
    groups: Sequence[Group]
    base_metrics: Mapping[str, Metric] = field(default_factory=dict)
    """Of the base as published; empty where the model is the base."""
    gain: Mapping[str, Metric] = field(default_factory=dict)
    """AUROC of the model minus that of the base."""
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Scans that have each finding, side by side of ``sides``."""
    sides: Sequence[str] = ("test",)
    side_sizes: Sequence[int] = ()
    """Scans of each side."""
    merged: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Labels of the cohort that stand for several findings."""
    leakage: str | None = None
    leakage_alarms: bool = False
    looks: int | None = None
    resamples: int = 2000
    seed: int = 0
    confidence: float = 0.95
    citation: str = ""
    """The papers of the recipe and of the profile."""
    simulated: bool = False
    augmentation: Markup | None = None
    """Slices before and after augmentation, as the source of an image."""


def findings_page(facts: FindingsFacts) -> str:
    """The page as one HTML text: same facts, same text."""
    names = list(facts.kinds)
    tuned = bool(facts.base_metrics)
    base_name, model_name = ("Zero-shot base", "This model") if tuned else ("", facts.model)
    rows = {
        name: (
            _interval(facts.base_metrics.get(f"auroc/{name}")),
            _interval(facts.metrics.get(f"auroc/{name}")),
        )
        for name in names
    }
    overall_rows = {
        label.split(",")[0] + (" (macro)" if name == "macro_f1" else ""): (
            _interval(facts.base_metrics.get(name)), _interval(facts.metrics.get(name))
        )
        for name, label in OVERALL.items()
        if name in {"auroc", "average_precision", "accuracy", "macro_f1", "sensitivity", "specificity"}
    }  # fmt: skip
    context = {
        "facts": facts,
        "figure_style": figures.STYLE,
        "tuned": tuned,
        "several_kinds": len(set(facts.kinds.values())) > 1,
        "number": interval_text,
        "p": f"{100 * facts.confidence:g}%",
        "headline": facts.metrics.get("auroc"),
        "gain": facts.gain.get("auroc"),
        "distribution": distribution(facts.counts, facts.sides) if facts.counts else None,
        "bars": paired_bars(overall_rows, f"Scores of {facts.model}", "score", chance=-1),
        "per_finding": paired_bars(rows, f"AUROC of each of {len(names)} findings", "AUROC"),
        "radar": radar(
            {name: _value(facts.base_metrics.get(f"auroc/{name}")) for name in names},
            {name: _value(facts.metrics.get(f"auroc/{name}")) for name in names},
            f"AUROC of each of {len(names)} findings, as a radar",
        ),
        "key": base_and_tuned(base_name, model_name) if tuned else None,
        "overall": [
            (label, facts.base_metrics.get(name), facts.metrics[name])
            for name, label in OVERALL.items()
            if name in facts.metrics
        ],
        "columns": COLUMNS,
        "rows": [_row(facts, number, name) for number, name in enumerate(names, start=1)],
        "undefined": [name for name in names if _value(facts.metrics.get(f"auroc/{name}")) is None],
        "method": method_paragraph(facts),
        "citation": facts.citation,
    }
    title = f"{facts.model} on {facts.cohort}"
    return render("findings_page.html.j2", context, title=title, simulated=facts.simulated)


def _row(facts: FindingsFacts, number: int, name: str) -> dict[str, object]:
    area = facts.metrics.get(f"auroc/{name}")
    present = facts.counts.get(name, ())
    return {
        "number": number,
        "name": name,
        "kind": facts.kinds[name],
        "present": present[-1] if present else None,
        "known": area.n_scans if area else 0,
        "base": facts.base_metrics.get(f"auroc/{name}"),
        "model": area,
        "gain": facts.gain.get(f"auroc/{name}"),
        "threshold": facts.thresholds.get(name),
        "more": [facts.metrics.get(f"{score}/{name}") for score in COLUMNS],
    }


def _value(metric: Metric | None) -> float | None:
    return None if metric is None else metric.value


def _interval(metric: Metric | None) -> Interval:
    return (None, None, None) if metric is None else (metric.value, metric.low, metric.high)


def method_paragraph(facts: FindingsFacts) -> str:
    """How the figures were made, ready for a paper."""
    whole = facts.metrics.get("auroc")
    counts = f"{whole.n_scans} scans of {whole.n_participants} participants" if whole else "no scans"
    merged = "".join(
        f" The label {label} was scored by the largest probability of {' and '.join(parts)}."
        for label, parts in facts.merged.items()
    )
    return (
        f"We scored {facts.model} on {counts} from {facts.cohort}. Each volume was encoded once and compared with a pair of texts for each of "
        f"{len(facts.kinds)} findings ('is present', 'is not present'); the probability is the softmax over the pair.{merged} {facts.threshold_rule} "
        f"Because scans of one participant are not independent, {100 * facts.confidence:g}% intervals rest on {facts.resamples} resamples of whole "
        f"participants (seed {facts.seed}); the gain over the base is taken on the same resamples. Findings that no scan here has, or all have, are left "
        "out of means. Unknown labels are left out, never taken as absent. F1 is that of the positive class unless it says CT-CLIP, whose script prints "
        "scikit-learn's weighted F1 of present and absent together, with thresholds chosen on the test set itself, which ours never are."
    )
