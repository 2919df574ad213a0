"""A person's answer in a few sentences, made by fixed rules from the numbers of the page; no language model.

Every sentence names the parts of the page it rests on, and every number of it stands there in the same digits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from voxtune.types.profile import inside
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats
from voxtune.types.target import MMSE, called

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
    found = [*_answer(prediction, caveats, facts), *_visits(caveats)]
    if standing is not None:
        found.append(_percentiles(standing))
    if similar is not None and caveats.verdict.answered:  # else the neighbours would be the answer
        found += _similar(similar, facts)
    found += _rests_on(caveats, facts)
    if caveats.verdict.answered and (change := what_would_change(prediction, facts)) is not None:
        found.append(Sentence(change["sentence"], ("change",)))
    return found


def _answer(prediction: Prediction, caveats: Caveats, facts: Mapping[str, Any]) -> list[Sentence]:
    verdict = caveats.verdict
    why = "; ".join(map(_clause, verdict.reasons))
    if not verdict.answered:
        return [Sentence(f"The model gives no answer for this scan: {why}.", ("verdict",))]
    found = ANSWERS.get(str(facts.get("task")), _chosen)(prediction, facts)
    found += _numbers(prediction, caveats)
    if why:
        found.append(Sentence(f"Take it with caution: {why}.", ("verdict",)))
    return found


REASONS: Mapping[str, str] = {
    "not sure": "the model is not sure",
    "at the edge": "the scan is at the edge",
    "unlike": "the scan is unlike",
}
"""How a reason of a verdict begins, and how a clause of a sentence does."""
QUALITY = "quality: "


def _clause(reason: str) -> str:
    if reason.startswith(QUALITY):
        return f"the quality check warns ({reason.removeprefix(QUALITY)})"
    begins = next((one for one in REASONS if reason.startswith(one)), "")
    return f"{REASONS.get(begins, '')}{reason.removeprefix(begins)}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _called(prediction: Prediction, facts: Mapping[str, Any]) -> list[Sentence]:
    limits = facts.get("thresholds", {})
    there = {name: value for name, value in prediction.probabilities.items() if value >= limits.get(name, 0.5)}  # fmt: skip
    named = sorted(there, key=lambda name: -there[name])[:NAMED]
    listed = _and([f"{name} ({there[name]:.3f})" for name in named])
    of = _counted(len(prediction.probabilities), "finding")
    most = ", those with the highest probability being " if len(there) > NAMED else ": "
    which = f"{len(there)} of {of}{most}{listed}" if there else f"none of {of}"
    return [Sentence(f"The model calls {which}.", ("answer",))]


def _chosen(prediction: Prediction, facts: Mapping[str, Any]) -> list[Sentence]:
    del facts
    if prediction.predicted is None:
        return []
    order = sorted(prediction.probabilities.items(), key=lambda item: (item[0] != prediction.predicted, -item[1]))  # fmt: skip
    next_one = f"; next comes {order[1][0]} with {order[1][1]:.3f}" if len(order) > 1 else ""
    said = f"The answer of the model is {order[0][0]}, with a probability of {order[0][1]:.3f}{next_one}."
    return [Sentence(said, ("answer",))]


def _risks(prediction: Prediction, facts: Mapping[str, Any]) -> list[Sentence]:
    name = str(facts["config"]["event"]["name"]).replace("_", " ")
    listed = _and([f"{value:.3f} by {horizon}" for horizon, value in prediction.probabilities.items()])
    # A risk below one half by the last horizon says nothing of a time after it.
    when = str(prediction.predicted).replace("after ", "not expected within ").replace("by ", "expected by ")
    return [Sentence(f"The risk of {name} is {listed}; it is {when}.", ("answer",))]


Answer = Callable[[Prediction, Mapping[str, Any]], list[Sentence]]
ANSWERS: Mapping[str, Answer] = {"findings": _called, "time_to_event": _risks}
"""How the answer is said, by the task of the adapter; of the others as one class of several."""


def _numbers(prediction: Prediction, caveats: Caveats) -> list[Sentence]:
    found = []
    for name, value in prediction.targets.items():
        interval = caveats.targets[name].interval if name in caveats.targets else None
        around = f", with an interval from {interval[0]:.1f} to {interval[1]:.1f}" if interval else ""
        what = f"an MMSE of {value:.1f} points" if name == MMSE else f"{value:.1f} for {name}"
        found.append(Sentence(f"The model estimates {what}{around}.", ("answer",)))
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
    start = (
        f"Against controls, adjusted for {standing['like']}, " if standing["like"] else "Against controls, "
    )
    odd = [one for one in standing["regions"] if not LOW < one["percentile"] < HIGH]
    odd.sort(key=lambda one: -abs(one["z"]))
    if not odd:
        known = len(standing["regions"])
        which = f"all {known} known regions lie" if known > 1 else f"the {known} known region lies"
        return Sentence(f"{start}{which} between the 5th and the 95th percentile.", ("percentiles",))
    listed = [f"{inside(one['name'])} is {_at(one['words'])} (z {one['z']:.2f})" for one in odd[:NAMED]]
    others = ", among other regions" if len(odd) > NAMED else ""
    return Sentence(f"{start}{_and(listed)}{others}.", ("percentiles",))


def _at(words: str) -> str:
    return words if words.startswith(("below", "above")) else f"at the {words}"


def _similar(similar: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Sentence]:
    spread, rows = similar["spread"], similar["neighbours"]
    how = {"image": "image", "text": "report", "both": "image and report"}[similar["by"]]
    people = spread["people"]
    who = f"participants nearest by {how}" if people > 1 else f"participant nearest by {how}"
    if similar["groups"]:
        who = f"participants in the {'group' if len(rows) == 1 else f'{len(rows)} groups'} nearest by {how}"
    numbers = _and([_level(similar, name) for name in spread["targets"]])
    alone = numbers and facts.get("task") == "regression" and not spread["classes"]
    if alone:
        start = f"Over the {people} {who} {numbers}" if people > 1 else f"For the {who} {numbers}"
        found = [Sentence(f"{start}.", ("similar",))]
    else:
        start = f"Of the {people} {who}" if people > 1 else f"The {who}"
        found = [
            Sentence(
                f"{start}{_became(spread, people, past=facts.get('task') == 'time_to_event')}.", ("similar",)
            )
        ]
    short = {kind: [inside(one) for one in rows[0]["short"][kind][:2]] for kind in ("agree", "differ")}
    said = [f"is alike in {_and(short['agree'])}"] if short["agree"] else []
    said += [f"differs in {_and(short['differ'])}"] if short["differ"] else []
    if said:
        who = (
            "The nearest group"
            if similar["groups"]
            else "The nearest of them"
            if people > 1
            else "That participant"
        )
        first = ", this person's value first" if any(" against " in one for one in said) else ""
        found.append(Sentence(f"{who} {' and '.join(said)}{first}.", ("similar",)))
    if numbers and not alone:
        start = f"Over these {people} participants" if people > 1 else "For that participant"
        found.append(Sentence(f"{start} {numbers}.", ("similar",)))
    return found


def _level(similar: Mapping[str, Any], name: str) -> str:
    """A number of some people beside that of the bank, to go on after 'over these people'."""
    level, label = similar["spread"]["targets"][name], called(name)
    what = f"the {label}" if similar["spread"]["people"] == 1 else f"the mean {label}"
    known = all(name in one["targets"] for one in similar["neighbours"])
    return f"{what}{'' if known else ', where it is known,'} is {level['mean']:.1f} (against {level['bank']:.1f} in the bank)"


def _became(spread: Mapping[str, Any], people: int, *, past: bool) -> str:
    """How the outcomes of some people go on after 'of these people'; after 'the participant' where it is one.

    ``past``: outcomes are events that came after the scan.
    """
    has, have = ("had", "had") if past else ("has", "have")
    classes = {name: one for name, one in spread["classes"].items() if one["count"]}
    outcomes = {name: one for name, one in spread["outcomes"].items() if one["count"]}
    others = ", among others" if len(outcomes) > NAMED else ""
    if people == 1:
        said = [f"is {name} (as are {one['share']:.0f}% of the bank)" for name, one in classes.items()]
        said += [f"{has} {inside(name)} (as {have} {one['share']:.0f}% of the bank)" for name, one in outcomes.items()][:NAMED]  # fmt: skip
        nothing = "none of the outcomes" if spread["outcomes"] else "no known diagnosis"
        return f" {_and(said)}{others}" if said else f" {has if spread['outcomes'] else 'has'} {nothing}"
    parts = [
        f"{_all(one['count'], people)} {'is' if one['count'] == 1 else 'are'} {name} (against {one['share']:.0f}% of the bank)"
        for name, one in classes.items()
    ]
    parts += [
        f"{_of_known(one, people)} {has if one['count'] == 1 else have} {inside(name)} (against {one['share']:.0f}% of the bank)"
        for name, one in outcomes.items()
    ][:NAMED]
    if parts:
        return f", {_and(parts)}{others}"
    return ", none of the outcomes is known to be there" if spread["outcomes"] else ", no diagnosis is known"


def _of_known(one: Mapping[str, Any], people: int) -> str:
    """How many have an outcome, and of how many it is known where it is not of all."""
    return _all(one["count"], people) if one["known"] == people else f"{one['count']} of {one['known']} known"


def _all(count: int, people: int) -> str:
    return f"all {count}" if count == people else str(count)


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
                f"The adapter learned from {_counted(training['scans']['train'], marked + 'scan')} of "
                f"{_counted(training['participants']['train'], 'participant')}.",
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
    sentence = f"Nearest to its threshold is {name}, which {way} with {value:.3f} against {limit:.3f}: a change of {_margin(apart[name])} in log-odds would turn it."  # fmt: skip
    return {
        "name": name,
        "margin": apart[name],
        "away": _margin(apart[name]),
        "sentence": sentence,
        "what": "the finding nearest to its threshold is",
    }


def _other_class(prediction: Prediction, facts: Mapping[str, Any]) -> Change:
    del facts
    order = sorted(prediction.probabilities.items(), key=lambda item: (item[0] != prediction.predicted, -item[1]))  # fmt: skip
    if prediction.predicted is None or len(order) < 2 or order[1][1] <= 0:
        return None
    margin = math.log(order[0][1] / order[1][1])
    sentence = f"The answer would be {order[1][0]} if the evidence for {order[1][0]} against {order[0][0]} rose by {_margin(margin)} in log-odds."
    return {
        "name": order[1][0],
        "margin": margin,
        "away": _margin(margin),
        "sentence": sentence,
        "what": "the nearest other answer is",
    }


CHANGES: Mapping[str, Callable[[Prediction, Mapping[str, Any]], Change]] = {
    "findings": _nearest_finding,
    "time_to_event": lambda *_: None,  # a risk is no choice that could turn
}
"""What would change the answer, by the task of the adapter."""


def _margin(value: float) -> str:
    return f"{value:.2f}" if value >= 0.005 else "less than 0.01"


def _odds(share: float) -> float:
    kept = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(kept / (1 - kept))


def _and(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
