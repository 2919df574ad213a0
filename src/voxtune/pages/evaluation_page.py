"""The page of an evaluation: the headline with its interval first, then what a reviewer asks next.

One page for every task and for one run or several: what a task adds is a section of it, several runs are columns of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.class_section import class_section
from voxtune.pages.evaluation_facts import ClassFacts, EvaluationFacts, EventFacts, FindingsFacts
from voxtune.pages.event_section import event_section
from voxtune.pages.findings_section import findings_section
from voxtune.pages.layout import render
from voxtune.pages.method_paragraph import method_paragraph
from voxtune.pages.probe_sentence import probe_sentence, standing
from voxtune.pages.runs_section import headline_of_runs, people_of_runs, runs_section
from voxtune.pages.score_labels import (
    BASELINES,
    COLUMNS,
    HeadlineScale,
    interval_text,
    no_interval,
    p_text,
    target_score_names,
    within,
)
from voxtune.pages.sets_section import sets_section
from voxtune.pages.task_words import WORDS, baseline_name, headline_scale
from voxtune.types.records import Comparison, Metric


def evaluation_page(facts: EvaluationFacts) -> str:
    """The page of an evaluation as one HTML text: same facts, same text."""
    scale = scale_of(facts)
    context = {
        "facts": facts,
        "figure_style": figures.STYLE,
        "headline": facts.metrics.get(facts.headline),
        "headline_text": headline_text(facts),
        "second_name": _score_name(facts, facts.second) if facts.second else None,
        "number": interval_text,
        "scale": scale,
        "p_value": p_text,
        "p": f"{100 * facts.confidence:g}%",
        "not_scored": f"have no {WORDS[facts.task].nothing} to score",
        "verdict": verdict(facts),
        "probe": probe_sentence(facts, scale),
        "probe_standing": standing(facts),
        "never_said": never_said(facts),
        "overall": _overall(facts),
        "rivals": _rivals(facts, scale),
        "absent": _absent(facts),
        "bar": _bar,
        "column_names": COLUMNS,
        "subgroup_scores": _subgroup_scores(facts),
        "spread": wording_spread(facts),
        "targets": [_target(facts, name) for name in facts.targets],
        "words": WORDS[facts.task],
        "method": method_paragraph(facts),
        "classes": class_section(facts, facts.labels) if isinstance(facts.labels, ClassFacts) else None,
        "findings": findings_section(facts, facts.labels)
        if isinstance(facts.labels, FindingsFacts)
        else None,
        "event": event_section(facts, facts.labels) if isinstance(facts.labels, EventFacts) else None,
        "sets": sets_section(facts, facts.sets) if facts.sets else None,
        "runs": runs_section(facts, scale, names_of(facts)) if facts.runs else None,
    }
    title = f"{facts.model} on {facts.cohort}"
    if facts.runs:
        title += f", {len(facts.runs.runs)} {facts.runs.of}s"
    return render("evaluation_page.html.j2", context, title=title, simulated=facts.simulated)


def scale_of(facts: EvaluationFacts) -> HeadlineScale:
    """How the headline score is written."""
    target = facts.targets.get(facts.headline.rpartition("_")[0])
    return headline_scale(
        facts.headline, facts.task, target.label if target else "", target.units if target else ""
    )


def names_of(facts: EvaluationFacts) -> dict[str, str]:
    """Overall scores as a person says them, whether or not they are there."""
    found = dict(WORDS[facts.task].names)
    for name, target in facts.targets.items():
        found |= target_score_names(name, target.label, target.units)
    return found


def _score_name(facts: EvaluationFacts, score: str) -> str:
    return names_of(facts).get(score, score).partition(",")[0].partition(" (")[0]


def headline_text(facts: EvaluationFacts) -> str:
    """``Accuracy 78.8% (95% interval 70.1 to 86.6%)``; of seeds ``Accuracy 77.4 ± 2.0%``."""
    scale = scale_of(facts)
    name = scale.name[:1].upper() + scale.name[1:]
    if facts.runs and not facts.metrics:
        return f"{name} {headline_of_runs(facts, scale)}"
    metric = facts.metrics.get(facts.headline)
    if metric is None or metric.value is None:
        return f"{name} not defined: {WORDS[facts.task].undefined}"
    value = scale.value(metric.value)
    if metric.low is None or metric.high is None:
        return f"{name} {value} (too few participants for an interval)"
    return f"{name} {value} ({100 * facts.confidence:g}% interval {scale.plain(metric.low)} to {scale.value(metric.high)})"


def summary(facts: EvaluationFacts) -> str:
    """A line for a person at a terminal."""
    label = "SIMULATED scans: " if facts.simulated else ""
    if facts.runs and not facts.metrics:
        said = f"{headline_text(facts)} (mean ± sd of {len(facts.runs.runs)} {facts.runs.of}s)"
        return f"{label}{facts.kind}: {within(said)}. {facts.runs.test_side} {people_of_runs(facts, scale_of(facts))}"
    metric = facts.metrics[facts.headline]
    counts = f"{metric.n_scans} scans of {metric.n_participants} participants"
    if isinstance(facts.labels, FindingsFacts) and len(facts.labels.groups) > 1:
        groups = [
            f"{group.kind}: mean AUROC {interval_text(group.model)}, {group.findings} findings"
            + (f", {interval_text(group.gain)} over zero-shot" if group.gain else "")
            for group in facts.labels.groups
        ]
        return f"{label}{'; '.join(groups)}; {counts}."
    parts = [
        f"{label}{facts.kind}: {within(headline_text(facts))} on {counts}.",
        verdict(facts),
        probe_sentence(facts, scale_of(facts)),
        never_said(facts),
    ]
    return " ".join(filter(None, parts))


def verdict(facts: EvaluationFacts) -> str:
    """The paired difference to the best baseline: the sentence under the headline."""
    scale, own = scale_of(facts), facts.metrics.get(facts.headline)
    known: list[tuple[float, str]] = [
        (score, rival)
        for rival, found in facts.baselines.items()
        if facts.headline in found and (score := found[facts.headline].value) is not None
    ]
    if not known or own is None or own.value is None:
        return ""
    best, rival = min(known) if scale.smaller_is_better else max(known)
    name = f"the best baseline ({within(baseline_name(rival, facts.task))}, {scale.value(best)})"
    one = facts.against.get(rival)
    if one is None or one.difference is None:
        return f"On the same scans {name}; the difference is not defined."
    interval = no_interval(one)
    if one.low is not None and one.high is not None:
        interval = f"{100 * facts.confidence:g}% interval {scale.plain(one.low, '+')} to {scale.plain(one.high, '+')}"
    words = ("better than", "worse than") if scale.smaller_is_better else ("above", "below")
    place = {1: words[0], -1: words[1], 0: "not told apart from"}[scale.better(one)]
    return (
        f"The model is {place} {name}: {scale.plain(one.difference, '+')}{scale.difference_unit} on the same scans "
        f"({interval}; p {p_text(one.p_holm)})."
    )


def never_said(facts: EvaluationFacts) -> str:
    """The classes that the model says of no scan, in a sentence; empty where it says them all."""
    if not facts.never_said:
        return ""
    return f"Never said, though there are such scans here: {', '.join(facts.never_said)}."


@dataclass(frozen=True)
class RivalRow:
    """The model or a baseline on the page."""

    name: str
    note: str
    scores: Mapping[str, Metric]
    bar: Markup
    """Of the headline."""
    against: Comparison | None
    """The model minus the baseline."""
    raw: Metric | None
    """The headline before calibration."""


def _rivals(facts: EvaluationFacts, scale: HeadlineScale) -> list[RivalRow]:
    """The model and its baselines, a row each."""
    bar = (lambda _: Markup("")) if scale.smaller_is_better else _bar

    def row(key: str, name: str, found: Mapping[str, Metric]) -> RivalRow:
        note, against = facts.baseline_notes.get(key, ""), facts.against.get(key)
        raw = facts.raw.get(key, {}).get(facts.headline)
        return RivalRow(name, note, found, bar(found[facts.headline]), against, raw)

    rows = {"model": ("This model", facts.metrics)} | {
        name: (baseline_name(name, facts.task), found) for name, found in facts.baselines.items()
    }
    return [row(key, name, found) for key, (name, found) in rows.items() if facts.headline in found]


def _absent(facts: EvaluationFacts) -> list[str]:
    """The baselines that were not run, with the reason where it is known."""
    spared = WORDS[facts.task].never_absent | set(facts.baselines)
    if facts.kind == "zero-shot":
        spared = spared | {"zero_shot"}
    if not facts.classes:
        spared = spared | set(facts.targets)  # a target is no baseline of itself
    return [
        label + (f" ({facts.baseline_notes[name]})" if name in facts.baseline_notes else "")
        for name, label in BASELINES.items()
        if name not in spared
    ]


def _overall(facts: EvaluationFacts) -> list[tuple[str, Metric, Metric | None]]:
    """Scores over all classes, findings or scans: name, by scan, by participant."""
    rows = []
    for name, label in names_of(facts).items():
        one = facts.metrics.get(name)
        # A model without a head for a target, or a cohort without measured ones, has no rows of it; the page says so.
        if one is None or (name.rpartition("_")[0] in facts.targets and one.n_scans == 0):
            continue
        rows.append((label, one, facts.metrics.get(f"participant/{name}")))
    return rows


def _target(facts: EvaluationFacts, name: str) -> dict[str, object]:
    """One predicted number: figure, error overall and within each class."""
    target, words = facts.targets[name], WORDS[facts.task]
    marked = facts.classes if words.marks_by_class else ()
    figure = None
    if target.points:
        figure = figures.target(target.points, marked, target.label, target.units, highest=target.highest)
    return {
        "label": target.label,
        "units": target.units,
        "figure": figure,
        "legend": figures.legend(marked, dashes=False),
        "scans": len(target.points),
        "mae": facts.metrics.get(f"{name}_mae"),
        "interval": target.interval,
    }


def _subgroup_scores(facts: EvaluationFacts) -> list[tuple[str, str]]:
    """The scores of the table of subgroups: name and title."""
    names = list(facts.subgroups[0].scores) if facts.subgroups else []
    return [(name, _score_name(facts, name)) for name in names[:2]]


def wording_spread(facts: EvaluationFacts) -> str:
    """From the worst to the best wording, in a sentence."""
    known = [
        value for found in facts.templates.values() if (value := found[facts.headline].value) is not None
    ]
    if len(known) < 2:
        return ""
    scale = scale_of(facts)
    return f"From {scale.plain(min(known))} to {scale.value(max(known))} with the wording alone."


def _bar(metric: Metric) -> Markup:
    return figures.interval_bar(metric.value, metric.low, metric.high)
