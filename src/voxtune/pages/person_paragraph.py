"""A person's answer in a few sentences, made by fixed rules from the numbers of the page; no language model.

Every sentence names the parts of the page it rests on, and every number of it stands there in the same digits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats
from voxtune.types.target import MMSE

Part = Literal["answer", "verdict", "percentiles", "similar", "change", "adapter", "visits"]
LOW, HIGH = 5.0, 95.0
"""Percentiles from which a region is named."""
NAMED = 4
"""Regions, or findings, that a sentence names."""


@dataclass(frozen=True)
class Sentence:
    """One sentence and the parts of the page where its numbers stand."""

    text: str
    rests_on: tuple[Part, ...]


def person_paragraph(
    prediction: Prediction,
    caveats: Caveats,
    facts: Mapping[str, Any],
    similar: Mapping[str, Any] | None = None,
    standing: Mapping[str, Any] | None = None,
) -> list[Sentence]:
    """The answer, the percentiles, the similar cases, what the answer rests on and what would change it.

    Args:
        prediction: what is given of the answer.
        caveats: what stands beside it.
        facts: of ``adapter.json``.
        similar: the neighbours as their table shows them; ``None``: there is no bank.
        standing: the percentiles as their table shows them; ``None``: no volumes are known.
    """
    found = [*_answer(prediction, caveats, facts), *_numbers(prediction, caveats), *_visits(caveats)]
    if standing is not None:
        found.append(_percentiles(standing))
    if similar is not None and caveats.verdict.answered:  # else the neighbours would be the answer
        found += _similar(similar)
    found += _rests_on(caveats, facts)
    if caveats.verdict.answered and (change := what_would_change(prediction, facts)) is not None:
        found.append(Sentence(change["sentence"], ("change",)))
    return found


def _answer(prediction: Prediction, caveats: Caveats, facts: Mapping[str, Any]) -> list[Sentence]:
    verdict = caveats.verdict
    if not verdict.answered:
        return [Sentence(f"The model gives no answer for this scan: {'; '.join(verdict.reasons)}.", ("verdict",))]  # fmt: skip
    found = ANSWERS.get(str(facts.get("task")), _chosen)(prediction, facts)
    if verdict.reasons:
        found.append(Sentence(f"Take it with caution: {'; '.join(verdict.reasons)}.", ("verdict",)))
    return found


def _called(prediction: Prediction, facts: Mapping[str, Any]) -> list[Sentence]:
    limits = facts.get("thresholds", {})
    called = {name: value for name, value in prediction.probabilities.items() if value >= limits.get(name, 0.5)}  # fmt: skip
    named = sorted(called, key=lambda name: -called[name])[:NAMED]
    listed = ", ".join(f"{name} ({called[name]:.3f})" for name in named)
    which = f": {listed}{' first' if len(called) > NAMED else ''}" if called else ""
    text = f"The model calls {len(called)} of {len(prediction.probabilities)} findings{which}."
    return [Sentence(text, ("answer",))]


def _chosen(prediction: Prediction, facts: Mapping[str, Any]) -> list[Sentence]:
    del facts
    if prediction.predicted is None:
        return []
    order = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    next_one = f"; next comes {order[1][0]} with {order[1][1]:.3f}" if len(order) > 1 else ""
    said = f"The answer of the model is {order[0][0]}, with a probability of {order[0][1]:.3f}{next_one}."
    return [Sentence(said, ("answer",))]


def _risks(prediction: Prediction, facts: Mapping[str, Any]) -> list[Sentence]:
    name = str(facts["config"]["event"]["name"]).replace("_", " ")
    listed = [f"{value:.3f} by {horizon}" for horizon, value in prediction.probabilities.items()]
    return [
        Sentence(f"The risk of {name} is {_and(listed)}; it is expected {prediction.predicted}.", ("answer",))
    ]


Answer = Callable[[Prediction, Mapping[str, Any]], list[Sentence]]
ANSWERS: Mapping[str, Answer] = {"findings": _called, "time_to_event": _risks}
"""How the answer is said, by the task of the adapter; of the others as one class of several."""


def _numbers(prediction: Prediction, caveats: Caveats) -> list[Sentence]:
    found = []
    for name, value in prediction.targets.items():
        interval = caveats.targets[name].interval if name in caveats.targets else None
        around = f", with an interval from {interval[0]:.1f} to {interval[1]:.1f}" if interval else ""
        what = "an MMSE" if name == MMSE else f"a value of {name}"
        unit = " points" if name == MMSE else ""
        found.append(Sentence(f"It estimates {what} of {value:.1f}{unit}{around}.", ("answer",)))
    return found


def _visits(caveats: Caveats) -> list[Sentence]:
    visits = caveats.visits
    if visits is None or not caveats.verdict.answered:
        return []
    found = []
    if visits.read:
        when = _and([f"{one.years:.2f}" for one in reversed(visits.read)])
        scans = "a scan" if len(visits.read) == 1 else f"{len(visits.read)} scans"
        found.append(Sentence(f"It was read together with {scans} of the same person, {when} years before.", ("visits",)))  # fmt: skip
    return found + [Sentence(one.sentence, ("visits",)) for one in visits.changes]


def _percentiles(standing: Mapping[str, Any]) -> Sentence:
    if standing["why"] is not None:
        return Sentence(f"No percentiles are given: {standing['why']}.", ("percentiles",))
    like = f" for {standing['like']}" if standing["like"] else ""
    odd = [one for one in standing["regions"] if not LOW < one["percentile"] < HIGH]
    odd.sort(key=lambda one: -abs(one["z"]))
    if not odd:
        known = len(standing["regions"])
        text = f"All {known} known regions lie between the 5th and the 95th percentile{like}."
        return Sentence(text, ("percentiles",))
    listed = [f"{_inside(one['name'])} is {_at(one['words'])} (z {one['z']:.2f})" for one in odd[:NAMED]]
    start = f"For {standing['like']}, " if standing["like"] else ""
    text = f"{start}{_and(listed)}."
    return Sentence(text[0].upper() + text[1:], ("percentiles",))


def _at(words: str) -> str:
    return words if words.startswith(("below", "above")) else f"at the {words}"


def _similar(similar: Mapping[str, Any]) -> list[Sentence]:
    spread, rows = similar["spread"], similar["neighbours"]
    how = {"image": "look", "text": "report", "both": "look and report"}[similar["by"]]
    people = spread["people"]
    start = f"Of the {people} participants nearest by {how}"
    if similar["groups"]:
        start = f"Of the {people} participants in the {len(rows)} groups nearest by {how}"
    parts = [
        f"{one['count']} {'is' if one['count'] == 1 else 'are'} {name} (against {one['share']:.0f}% of the bank)"
        for name, one in spread["classes"].items()
        if one["count"]
    ]
    if not parts:
        return [Sentence(f"{start}, no diagnosis is known.", ("similar",))]
    found = [Sentence(f"{start}, {_and(parts)}.", ("similar",))]
    short = {kind: [_inside(one) for one in rows[0]["short"][kind][:2]] for kind in ("agree", "differ")}
    said = [f"agrees in {_and(short['agree'])}"] if short["agree"] else []
    said += [f"differs in {_and(short['differ'])}"] if short["differ"] else []
    if said:
        found.append(
            Sentence(f"The nearest of them {' and '.join(said)}, this person's value first.", ("similar",))
        )
    return found


def _rests_on(caveats: Caveats, facts: Mapping[str, Any]) -> list[Sentence]:
    found = []
    if caveats.verdict.answered:
        pictures = "picture" if caveats.visits is None or not caveats.visits.read else "pictures"
        found.append(
            Sentence(f"The answer rests on the {pictures} alone: neither volumes nor similar cases are part of it.", ())
        )  # fmt: skip
    training = facts.get("training") or {}
    if training.get("scans"):
        marked = "SIMULATED " if facts.get("simulated") else ""
        found.append(
            Sentence(
                f"The adapter learned from {training['scans']['train']} {marked}scans of {training['participants']['train']} participants.",
                ("adapter",),
            )
        )
    familiar = facts["trust"].get("familiar") if facts.get("trust") else None
    if familiar and caveats.distance is not None:
        side = "beyond" if caveats.distance > familiar["limit"] else "within"
        found.append(
            Sentence(
                f"The scan lies at a distance of {caveats.distance:.2f} from the training scans, {side} the limit of {familiar['limit']:.2f}.",
                ("verdict",),
            )
        )
    return found


def what_would_change(prediction: Prediction, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The other answer that is nearest and how far it is, with a sentence; ``None`` where only numbers are given."""
    return CHANGES.get(str(facts.get("task")), _other_class)(prediction, facts)


Change = dict[str, Any] | None


def _nearest_finding(prediction: Prediction, facts: Mapping[str, Any]) -> Change:
    limits = facts.get("thresholds", {})
    apart = {name: abs(_odds(value) - _odds(limits.get(name, 0.5))) for name, value in prediction.probabilities.items()}  # fmt: skip
    if not apart:
        return None
    name = min(apart, key=lambda one: (apart[one], one))
    value, limit = prediction.probabilities[name], limits.get(name, 0.5)
    way = "is called" if value >= limit else "is not called"
    sentence = f"Nearest to its threshold is {name}, which {way} with {value:.3f} against {limit:.3f}: {apart[name]:.2f} in log-odds would turn it."  # fmt: skip
    return {"name": name, "margin": apart[name], "sentence": sentence}


def _other_class(prediction: Prediction, facts: Mapping[str, Any]) -> Change:
    del facts
    order = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    if prediction.predicted is None or len(order) < 2 or order[1][1] <= 0:
        return None
    margin = math.log(order[0][1] / order[1][1])
    sentence = f"The answer would be {order[1][0]} if the evidence for {order[1][0]} against {order[0][0]} rose by {margin:.2f} in log-odds."
    return {"name": order[1][0], "margin": margin, "sentence": sentence}


CHANGES: Mapping[str, Callable[[Prediction, Mapping[str, Any]], Change]] = {
    "findings": _nearest_finding,
    "time_to_event": lambda *_: None,  # a risk is no choice that could turn
}
"""What would change the answer, by the task of the adapter."""


def _odds(share: float) -> float:
    kept = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(kept / (1 - kept))


def _inside(name: str) -> str:
    """A name or reason inside a sentence: ``hippocampal volume``; abbreviations and codes stay."""
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
