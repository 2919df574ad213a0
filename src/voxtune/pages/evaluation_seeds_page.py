"""The page of several trainings that differ in their seed: mean ± sd, and beside it what the sd does not say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.findings_page import COLUMNS, OVERALL
from voxtune.pages.layout import render
from voxtune.pages.score_labels import BASELINES, NAMES, PER_CLASS, SHORT, interval_text
from voxtune.pages.seed_figure import seed_dots
from voxtune.types.records import Metric, OverSeeds

SHARES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision")
FINDINGS_SHARES = ("auroc", "average_precision", "accuracy", "macro_f1", "micro_f1")
"""What the figure shows: scores in 0..1 of which larger is better."""
GROUPS = {
    "fine_tuned_seen_classes": "fine-tuned, seen classes",
    "held_out_classes": "held-out classes",
}


@dataclass(frozen=True)
class SeedsFacts:
    """Everything the page shows."""

    model: str
    cohort: str
    kind: str
    classes: Sequence[str]
    """Or findings."""
    findings: bool
    runs: Mapping[int, str]
    """Folder name by seed."""
    metrics: Mapping[int, Mapping[str, Metric]]
    """Every score of every seed."""
    over: Mapping[str, OverSeeds]
    """Every score over the seeds."""
    minus: Mapping[str, OverSeeds]
    """Of each baseline: the model's headline score minus its own, seed by seed."""
    counts: Mapping[int, tuple[int, int]]
    """Scans and participants by seed."""
    one_side: bool
    """Whether all seeds are scored on the same scans."""
    test_side: str
    """What the seeds share, a sentence or two."""
    interval: tuple[float, float] | None = None
    """Over participants, of the headline's mean; only where all seeds are scored on the same scans."""
    leakage: Mapping[int, str] = field(default_factory=dict)
    looks: int | None = None
    label_map: str | None = None
    resamples: int = 2000
    confidence: float = 0.95
    citation: str = ""
    simulated: bool = False

    @property
    def headline(self) -> str:
        """The score that the page begins with."""
        return "auroc" if self.findings else "accuracy"

    @property
    def names(self) -> Mapping[str, str]:
        """Overall scores as a person says them, those that are there."""
        said = OVERALL if self.findings else {name: NAMES[name] for name in NAMES if name not in PLAIN}
        groups = {f"{place}/auroc": f"AUROC, mean over findings: {kind}" for place, kind in GROUPS.items()}
        return {
            name: label
            for name, label in ({**said, **groups} if self.findings else said).items()
            if name in self.over and (self.over[name].defined or not name.startswith("mmse"))
        }

    def each(self, name: str) -> dict[int, Metric | None]:
        """A score of every seed."""
        return {seed: some.get(name) for seed, some in self.metrics.items()}


PLAIN = ("sensitivity", "specificity", "f1")
"""Scores that stand for a class each, never for all."""


def seeds_page(facts: SeedsFacts) -> str:
    """The page as one HTML text: same facts, same text."""
    shares = [name for name in (FINDINGS_SHARES if facts.findings else SHARES) if name in facts.names]
    short = {name: facts.names[name].split(" (")[0] for name in shares}
    baselines = ["zero_shot"] if facts.findings else list(BASELINES)
    context = {
        "facts": facts,
        "figure_style": figures.STYLE,
        "title_score": "Mean AUROC" if facts.findings else "Accuracy",
        "headline_score": headline_name(facts),
        "headline": headline_text(facts),
        "people": people_text(facts),
        "p": f"{100 * facts.confidence:g}%",
        "spread": lambda name: spread_text(facts.over.get(name)),
        "number": interval_text,
        "dots": seed_dots(
            {short[name]: (facts.over[name], facts.each(name)) for name in shares}, "score", share=True
        ),
        "mmse": _mmse(facts),
        "mmse_scans": _scans_text(facts, "mmse_mae"),
        "key": _key(),
        "seeds": [
            (
                seed,
                run,
                facts.counts[seed],
                facts.metrics[seed].get(facts.headline),
                _bar(facts.metrics[seed].get(facts.headline)),
                facts.metrics[seed].get("average_precision" if facts.findings else "auroc"),
            )
            for seed, run in facts.runs.items()
        ],
        "second": "Average precision" if facts.findings else "AUROC",
        "overall": [(label, facts.over[name], _ends(facts, name)) for name, label in facts.names.items()],
        "per_class": _per_class(facts),
        "columns": COLUMNS if facts.findings else {},
        "rivals": [
            (
                BASELINES[name],
                spread_text(facts.over[f"baseline/{name}/{facts.headline}"]),
                points_text(facts.minus.get(name), findings=facts.findings),
                spread_text(
                    facts.over.get(f"baseline/{name}/{'average_precision' if facts.findings else 'auroc'}")
                ),
            )
            for name in baselines
            if f"baseline/{name}/{facts.headline}" in facts.over
        ],
        "leakage": _leakage(facts),
        "method": method_paragraph(facts),
        "citation": facts.citation,
    }
    title = f"{facts.model} on {facts.cohort}, {len(facts.runs)} seeds"
    return render("evaluation_seeds_page.html.j2", context, title=title, simulated=facts.simulated)


def headline_name(facts: SeedsFacts) -> str:
    """The headline's score in words."""
    return "Mean AUROC over findings" if facts.findings else "Accuracy"


def headline_text(facts: SeedsFacts) -> str:
    """``77.4 ± 2.0%``, of findings ``0.689 ± 0.010``; ``3 of 5 seeds`` where not all define it."""
    one = facts.over[facts.headline]
    if facts.findings or one.mean is None:
        return spread_text(one)
    sd = "" if one.sd is None else f" ± {100 * one.sd:.1f}"
    return f"{100 * one.mean:.1f}{sd}%{_some(one)}"


def people_text(facts: SeedsFacts) -> str:
    """What the sd does not say: how far other participants could move the figures."""
    scale, form, unit = (1, ".3f", "") if facts.findings else (100, ".1f", "%")
    confidence = f"{100 * facts.confidence:g}%"
    known = [one for one in facts.each(facts.headline).values() if one and one.low is not None]
    said = ""
    if facts.interval:
        low, high = (scale * one for one in facts.interval)
        said = f"Other participants could move that mean from {low:{form}} to {high:{form}}{unit} ({confidence} interval over participants). "
    if known:
        low, high = (
            scale * min(one.low or 0.0 for one in known),
            scale * max(one.high or 0.0 for one in known),
        )
        said += f"The intervals of the single runs reach from {low:{form}} to {high:{form}}{unit}."
    return said or "There are too few participants for an interval."


def spread_text(one: OverSeeds | None, digits: int = 3) -> str:
    """``0.774 ± 0.020``; ``n of k seeds`` is added where some seed does not define the score."""
    if one is None or one.mean is None:
        return "not defined"
    sd = "" if one.sd is None else f" ±\N{NO-BREAK SPACE}{one.sd:.{digits}f}"
    return f"{one.mean:.{digits}f}{sd}{_some(one)}"


def points_text(one: OverSeeds | None, *, findings: bool) -> str:
    """A difference over seeds: of accuracies in points of a percent, of findings in AUROC."""
    if one is None or one.mean is None:
        return "not defined"
    scale, form = (1, ".3f") if findings else (100, ".1f")
    sd = "" if one.sd is None else f" ±\N{NO-BREAK SPACE}{scale * one.sd:{form}}"
    return f"{scale * one.mean:+{form}}{sd}{_some(one)}"


def summary(facts: SeedsFacts) -> str:
    """A line for a person."""
    label = "SIMULATED scans: " if facts.simulated else ""
    return (
        f"{label}{facts.kind}: {headline_name(facts)} {headline_text(facts)} (mean ± sd of {len(facts.runs)} seeds). {facts.test_side} "
        f"{people_text(facts)}"
    )


def _some(one: OverSeeds) -> str:
    return "" if one.defined == one.seeds else f" ({one.defined} of {one.seeds} seeds)"


def _ends(facts: SeedsFacts, name: str) -> str:
    values = [one.value for one in facts.each(name).values() if one and one.value is not None]
    return f"{min(values):.3f} to {max(values):.3f}" if values else ""


def _scans_text(facts: SeedsFacts, name: str) -> str:
    """How many scans a score rests on: ``30``, or ``28 to 31`` where seeds differ."""
    counts = sorted({one.n_scans for one in facts.each(name).values() if one}) or [0]
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _bar(metric: Metric | None) -> Markup:
    return figures.interval_bar(metric.value, metric.low, metric.high) if metric else Markup("")


def _key() -> Markup:
    """What the marks of the figure are."""
    blue, red = "var(--class-0)", "var(--class-1)"
    signs = (
        (
            f'<line x1="0" x2="26" y1="7" y2="7" style="stroke:{blue}" stroke-width="2" opacity=".45"/><circle cx="13" cy="7" r="4" style="fill:{blue}"/>',
            "a seed, interval over participants",
        ),
        (
            f'<rect x="3" width="20" height="14" style="fill:{red}" opacity=".22"/><line x1="13" x2="13" y1="0" y2="14" style="stroke:{red}" stroke-width="2"/>',
            "mean ± sd over seeds",
        ),
    )
    return Markup(  # noqa: S704  constants
        "".join(
            f'<span class="key"><svg viewBox="0 0 26 14" width="26" height="14" aria-hidden="true">{sign}</svg>{said}</span>'
            for sign, said in signs
        )
    )


def _mmse(facts: SeedsFacts) -> Markup | None:
    names = {"mmse_mae": "MMSE: mean absolute error", "mmse_rmse": "MMSE: root mean squared error"}
    rows = {
        label: (facts.over[name], facts.each(name))
        for name, label in names.items()
        if name in facts.over and facts.over[name].defined
    }
    return seed_dots(rows, "points (smaller is better)", share=False) if rows else None


def _per_class(facts: SeedsFacts) -> list[tuple[str, list[str]]]:
    """A row for each score with a cell for each class; of findings a row for each finding with a cell for each score."""
    if facts.findings:
        return [
            (name, [spread_text(facts.over.get(f"{score}/{name}")) for score in ("auroc", *COLUMNS)])
            for name in facts.classes
        ]
    return [
        (
            SHORT.get(score, NAMES.get(score, score)),
            [spread_text(facts.over.get(f"{score}/{label}")) for label in facts.classes],
        )
        for score in PER_CLASS
        if score != "auroc_obuchowski"
        and any((one := facts.over.get(f"{score}/{label}")) and one.defined for label in facts.classes)
    ]


def _leakage(facts: SeedsFacts) -> list[str]:
    """What is known of leakage: once, where it is the same of all seeds."""
    if len(set(facts.leakage.values())) == 1 and len(facts.leakage) == len(facts.runs):
        return [next(iter(facts.leakage.values()))]
    said = [f"Seed {seed}: {text}" for seed, text in facts.leakage.items()]
    absent = [str(seed) for seed in facts.runs if seed not in facts.leakage]
    return said + ([f"Leakage was not audited for seed {', '.join(absent)}."] if absent else [])


def method_paragraph(facts: SeedsFacts) -> str:
    """How the figures were made, ready for a paper."""
    score = "mean AUROC over findings" if facts.findings else "accuracy"
    of_mean = (
        f" That of the mean over seeds, of {score}, draws a participant for all seeds together."
        if facts.interval
        else ""
    )
    return (
        f"We trained {facts.model} with {len(facts.runs)} seeds ({', '.join(str(seed) for seed in facts.runs)}) and the same settings, and scored each "
        f"on {facts.cohort}. {facts.test_side} Figures are the mean and the standard deviation (n - 1) over seeds; a score that some seed does not "
        "define says how many do. Temperature and thresholds are those that each run fixed on its own validation scans. "
        f"{100 * facts.confidence:g}% intervals rest on {facts.resamples} resamples of whole participants, within one run.{of_mean} "
        "Scans behind different seeds are not independent: the standard deviation is no standard error, and no test is made from it; "
        "'voxtune compare' of two such sets tests one method against another."
    )
