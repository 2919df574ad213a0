"""The page of a comparison: what differs between two models on the same scans, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.layout import render
from voxtune.pages.score_labels import ERRORS, PER_CLASS, no_interval, p_text
from voxtune.pages.task_words import WORDS, headline_scale
from voxtune.types.records import Comparison


@dataclass(frozen=True)
class RunSpread:
    """A minus B over several runs: mean and standard deviation of a score's differences."""

    n_runs: int
    """Runs where both define the score."""
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
    task: str = "diagnosis"
    """``diagnosis``, ``findings`` (each yes or no) or ``regression`` (numbers alone)."""
    simulated: bool = False
    of: Literal["seed", "fold"] = "seed"
    """What several trainings of A and B are."""
    runs: Sequence[int] = ()
    """Of several trainings of A and B the seeds or folds they share."""
    spread: Sequence[RunSpread] = ()
    """Of each comparison, where there are several runs."""
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
        **{task: any(one.task == task for one in facts.cohorts) for task in WORDS},
        "errors": any(is_error(row.score) for one in facts.cohorts for row in one.comparisons),
        "single": any(not one.runs for one in facts.cohorts),
        "several": next((f"{one.of}s" for one in facts.cohorts if one.runs), ""),
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
) -> list[tuple[str, list[tuple[Comparison, str, Markup, RunSpread | None]]]]:
    """The rows of each test, under its name: comparison, name of the score, bar, spread over runs."""
    span = _span(cohort.comparisons)
    spread: Sequence[RunSpread | None] = cohort.spread or [None] * len(cohort.comparisons)
    tables: dict[str, list[tuple[Comparison, str, Markup, RunSpread | None]]] = {}
    for one, over in zip(cohort.comparisons, spread, strict=True):
        test, by, unit = one.test.partition(", by ")
        name = score_name(one.score, cohort.task)
        if by and not name.endswith(unit):
            name += f", by {unit}"
        tables.setdefault(test, []).append((one, name, _bar(one, span), over))
    return list(tables.items())


def headline(cohort: ComparedCohort) -> str:
    """The difference in the first score in a sentence: accuracy in points of a percent, of findings the mean AUROC, of numbers the error."""
    one = cohort.comparisons[0]
    scale = headline_scale(one.score, cohort.task)
    name, unit = scale.name, scale.difference_unit
    over = f", mean of {cohort.spread[0].n_runs} {cohort.of}s" if cohort.runs else ""
    if one.difference is None:
        return f"The difference in {name} is not defined on these scans."
    value = f"{name[0].upper()}{name[1:]} of A minus B{over}: {scale.plain(one.difference, '+')}{unit}"
    interval = no_interval(one)
    if one.low is not None and one.high is not None:
        interval = f"95% interval {scale.plain(one.low, '+')} to {scale.plain(one.high, '+')}"
    sure = {1: "A is better", -1: "B is better", 0: "no difference can be told"}[scale.better(one)]
    return f"{value} ({interval}; p {p_text(one.p_holm)}): {sure}."


def is_error(score: str) -> bool:
    """Whether a score is an error of a predicted number, in its units: the smaller is better."""
    return score.rpartition("_")[2] in ERRORS


def score_name(score: str, task: str = "diagnosis") -> str:
    """The name of a score as a person says it: ``auroc/AD`` is AUROC, AD."""
    name, _, label = score.removeprefix("participant/").partition("/")
    known = WORDS[task].names
    said = (PER_CLASS if label else known).get(name) or known.get(name, name)
    if is_error(name):
        target, _, error = name.rpartition("_")
        said = f"{'MMSE' if target == 'mmse' else target}: {ERRORS[error]}" + (
            " (points)" if target == "mmse" else ""
        )
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
    """The end of the bars' range: the largest number in them, up to the next 0.1; an error, in units of its own, has no bar."""
    shares = [one for one in rows if not is_error(one.score)]
    numbers = [abs(n) for one in shares for n in (one.difference, one.low, one.high) if n is not None]
    return max(ceil(10 * max(numbers, default=0.0)), 1) / 10


def _bar(one: Comparison, span: float) -> Markup:
    if is_error(one.score):
        return Markup("")
    return figures.interval_bar(one.difference, one.low, one.high, -span, span)
