"""The page of a comparison: what differs between two models on the same scans, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.findings_page import OVERALL
from voxtune.pages.layout import render
from voxtune.pages.score_labels import NAMES, SHORT, no_interval, p_text
from voxtune.types.records import Comparison


@dataclass(frozen=True)
class SeedSpread:
    """A minus B over seeds: mean and standard deviation of a score's differences."""

    n_seeds: int
    """Seeds where both define the score."""
    sd: float | None
    each: Mapping[int, float | None]


@dataclass(frozen=True)
class ComparedCohort:
    """Two models on one cohort: every score of both with its test."""

    cohort: str
    """Name of its folder."""
    classes: Sequence[str]
    comparisons: Sequence[Comparison]
    kinds: tuple[str | None, str | None] = (None, None)
    """What the figures of A and of B are called."""
    said: str = ""
    """The cohort as a person says it, where that is known."""
    findings: bool = False
    """Many findings, each yes or no, in place of one class."""
    simulated: bool = False
    seeds: Sequence[int] = ()
    """Of several trainings of A and B the seeds they share."""
    spread: Sequence[SeedSpread] = ()
    """Of each comparison, where there are seeds."""
    notes: Sequence[str] = field(default_factory=tuple)
    """What else a reader must know, a sentence each."""


@dataclass(frozen=True)
class ComparisonFacts:
    """Two models by name and their comparisons by cohort."""

    a: str
    b: str
    cohorts: Sequence[ComparedCohort]


def comparison_page(facts: ComparisonFacts) -> str:
    """The page of a comparison as one HTML text."""
    cohorts = [(one, headline(one), f"{_span(one.comparisons):g}", _tables(one)) for one in facts.cohorts]
    context = {
        "facts": facts,
        "cohorts": cohorts,
        "diagnosis": any(not one.findings for one in facts.cohorts),
        "findings": any(one.findings for one in facts.cohorts),
        "single": any(not one.seeds for one in facts.cohorts),
        "seeds": any(one.seeds for one in facts.cohorts),
        "figure_style": figures.STYLE,
        "p": p_text,
        "number": number_text,
    }
    simulated = any(one.simulated for one in facts.cohorts)
    return render(
        "comparison_page.html.j2", context, title=f"{facts.a} against {facts.b}", simulated=simulated
    )


def _tables(
    cohort: ComparedCohort,
) -> list[tuple[str, list[tuple[Comparison, str, Markup, SeedSpread | None]]]]:
    """The rows of each test, under its name: comparison, name of the score, bar, spread over seeds."""
    span = _span(cohort.comparisons)
    spread: Sequence[SeedSpread | None] = cohort.spread or [None] * len(cohort.comparisons)
    tables: dict[str, list[tuple[Comparison, str, Markup, SeedSpread | None]]] = {}
    for one, over in zip(cohort.comparisons, spread, strict=True):
        test, by, unit = one.test.partition(", by ")
        name = score_name(one.score, findings=cohort.findings)
        if by and not name.endswith(unit):
            name += f", by {unit}"
        tables.setdefault(test, []).append((one, name, _bar(one, span), over))
    return list(tables.items())


def headline(cohort: ComparedCohort) -> str:
    """The difference in the first score in a sentence: accuracy in points of a percent, of findings the mean AUROC."""
    one = cohort.comparisons[0]
    name, unit, scale, form = (
        ("mean AUROC over findings", "", 1, "+.3f")
        if cohort.findings
        else ("accuracy", " points", 100, "+.1f")
    )
    over = f", mean of {cohort.spread[0].n_seeds} seeds" if cohort.seeds else ""
    if one.difference is None:
        return f"The difference in {name} is not defined on these scans."
    value = f"{name[0].upper()}{name[1:]} of A minus B{over}: {scale * one.difference:{form}}{unit}"
    interval = no_interval(one)
    if one.low is not None and one.high is not None:
        interval = f"95% interval {scale * one.low:{form}} to {scale * one.high:{form}}"
    sure = {1: "A is better", -1: "B is better", 0: "no difference can be told"}[one.sign]
    return f"{value} ({interval}; p {p_text(one.p_holm)}): {sure}."


def score_name(score: str, *, findings: bool = False) -> str:
    """The name of a score as a person says it: ``auroc/AD`` is AUROC, AD."""
    name, _, label = score.removeprefix("participant/").partition("/")
    known = OVERALL if findings else NAMES
    said = (SHORT if label else known).get(name) or known.get(name, name)
    return (
        said
        + (f", {label}" if label else "")
        + (", by participant" if score.startswith("participant/") else "")
    )


def number_text(value: float | None, sign: str = "") -> str:
    """Three decimals; what is not defined says so."""
    if value is None:
        return "not defined"
    text = f"{value:{sign}.3f}"
    return text if float(text) else "0.000"


def _span(rows: Sequence[Comparison]) -> float:
    """The end of the bars' range: the largest number in them, up to the next 0.1; MMSE, in points, has no bar."""
    shares = [one for one in rows if not one.score.startswith("mmse")]
    numbers = [abs(n) for one in shares for n in (one.difference, one.low, one.high) if n is not None]
    return max(ceil(10 * max(numbers, default=0.0)), 1) / 10


def _bar(one: Comparison, span: float) -> Markup:
    if one.score.startswith("mmse"):
        return Markup("")
    return figures.interval_bar(one.difference, one.low, one.high, -span, span)
