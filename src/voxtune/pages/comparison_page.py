"""The page of a comparison: what differs between two models on the same scans, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from markupsafe import Markup

from voxtune.pages import figures
from voxtune.pages.evaluation_words import NAMES, SHORT, p_text
from voxtune.pages.layout import render
from voxtune.types.records import Comparison


@dataclass(frozen=True)
class ComparisonFacts:
    """Two models by name and their comparisons by cohort."""

    a: str
    b: str
    cohorts: Sequence[tuple[str, Sequence[Comparison]]]
    kinds: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    """What the figures of A and of B are called, by cohort."""
    simulated: bool = False


def comparison_page(facts: ComparisonFacts) -> str:
    """The page of a comparison as one HTML text."""
    cohorts = []
    for cohort, rows in facts.cohorts:
        span = _span(rows)
        cohorts.append(
            (cohort, headline(rows[0]), rows[0], f"{span:g}", [(one, _bar(one, span)) for one in rows])
        )
    context = {
        "facts": facts,
        "cohorts": cohorts,
        "figure_style": figures.STYLE,
        "p": p_text,
        "number": number_text,
        "name": score_name,
    }
    return render(
        "comparison_page.html.j2", context, title=f"{facts.a} against {facts.b}", simulated=facts.simulated
    )


def headline(one: Comparison) -> str:
    """The difference in accuracy in a sentence."""
    if one.difference is None or one.low is None or one.high is None:
        return "The difference in accuracy has no interval: too few participants."
    sure = (
        "no difference can be told"
        if one.low <= 0 <= one.high
        else f"{'A' if one.difference > 0 else 'B'} is better"
    )
    return (
        f"Accuracy of A minus B: {100 * one.difference:+.1f} points (95% interval {100 * one.low:+.1f} to "
        f"{100 * one.high:+.1f}): {sure}."
    )


def score_name(score: str) -> str:
    """The name of a score as a person says it: ``auroc/AD`` is AUROC, AD."""
    name, _, label = score.removeprefix("participant/").partition("/")
    said = (SHORT if label else NAMES).get(name) or NAMES.get(name, name)
    return (
        said
        + (f", {label}" if label else "")
        + (", by participant" if score.startswith("participant/") else "")
    )


def number_text(value: float | None, sign: str = "") -> str:
    """Three decimals; what is not defined says so."""
    return "not defined" if value is None else f"{value:{sign}.3f}"


def _span(rows: Sequence[Comparison]) -> float:
    """The end of the bars' range: the largest number in them, up to the next 0.1; MMSE, in points, has no bar."""
    shares = [one for one in rows if not one.score.startswith("mmse")]
    numbers = [abs(n) for one in shares for n in (one.difference, one.low, one.high) if n is not None]
    return max(ceil(10 * max(numbers, default=0.0)), 1) / 10


def _bar(one: Comparison, span: float) -> Markup:
    if one.score.startswith("mmse"):
        return Markup("")
    return figures.interval_bar(one.difference, one.low, one.high, -span, span)
