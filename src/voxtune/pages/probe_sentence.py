"""How a model stands to the linear probe on its own frozen base: what a person needs to know before anything else of a method."""

from typing import Literal

from voxtune.pages.evaluation_facts import EvaluationFacts
from voxtune.pages.score_labels import HeadlineScale, no_interval
from voxtune.types.records import Comparison

PROBE = "linear_probe"
Standing = Literal["above", "below", "not told apart"]
"""By the 95% interval of the paired difference in the headline score."""


def standing(facts: EvaluationFacts) -> Standing | None:
    """Whether the model is above or below the probe; ``None`` where no probe was fitted."""
    one = facts.against.get(PROBE)
    if one is None or one.difference is None:
        return None
    better = -1.0 if _smaller(facts) else 1.0
    low, high = sorted(better * end for end in _ends(one))
    return "above" if low > 0 else "below" if high < 0 else "not told apart"


def probe_sentence(facts: EvaluationFacts, scale: HeadlineScale) -> str:
    """``The model loses to a linear probe ...``; empty where no probe was fitted, and where the model is the base itself."""
    one, found = facts.against.get(PROBE), standing(facts)
    if one is None or one.difference is None or found is None or facts.kind == "zero-shot":
        return ""
    worse = (one.difference > 0) if scale.smaller_is_better else (one.difference < 0)
    words = {"above": "beats", "below": "loses to", "not told apart": "is not told apart from"}[found]
    by_chance = worse and found == "not told apart"
    words = "is behind" if by_chance else words
    interval = no_interval(one)
    if one.low is not None and one.high is not None:
        interval = f"{100 * facts.confidence:g}% interval {scale.plain(one.low, '+')} to {scale.plain(one.high, '+')}"
    return (
        f"The model {words} a linear probe on the frozen base, fitted on the same training scans{', within chance' if by_chance else ''}: "
        f"{scale.plain(one.difference, '+')}{scale.difference_unit} ({interval})."
    )


def _ends(one: Comparison) -> tuple[float, float]:
    """The interval; without one nothing is told apart."""
    if one.low is None or one.high is None:
        return (-1.0, 1.0)
    return one.low, one.high


def _smaller(facts: EvaluationFacts) -> bool:
    return facts.headline.endswith("_mae")
