"""The paragraph of a person: every number of it stands on the page, and it says what is known and no more."""

import html
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.pages.person_paragraph import person_paragraph, what_would_change
from voxtune.pages.similar_page import similar_page
from voxtune.reports.standing import Standing
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats, TargetCaveat
from voxtune.types.verdict import Verdict

NUMBER = re.compile(r"\d+(?:\.\d+)?")
NAMES = (
    "Hippocampal volume",
    "Ventricular size",
    "Whole brain volume",
    "Entorhinal cortex volume",
    "MTL volume",
)


def adapter(**changes: object) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "base": "tiny", "preset": "tiny", "licence": "Apache-2.0", "classes": ["NC", "MCI", "AD"], "task": "diagnosis", "thresholds": {},
        "simulated": True, "training": {"scans": {"train": 120}, "participants": {"train": 80}},
        "trust": {"familiar": {"limit": 1.5}},
    }  # fmt: skip
    return facts | changes


def person(
    seed: int, verdict: Verdict | None = None
) -> tuple[Prediction, Caveats, dict[str, Any], dict[str, Any]]:
    """Some person with neighbours and percentiles."""
    draw = np.random.default_rng(seed)
    chances = dict(zip(("NC", "MCI", "AD"), draw.dirichlet((1, 1, 1)).tolist(), strict=True))
    mmse = float(draw.uniform(10, 30))
    prediction = Prediction(
        scan_id="s",
        predicted=max(chances, key=lambda one: chances[one]),
        probabilities=chances,
        targets={"mmse": mmse},
    )
    caveats = Caveats(
        verdict=verdict or Verdict("answer with caution", ("it is not sure",)), confidence=max(chances.values()),
        targets={"mmse": TargetCaveat(interval=(mmse - 3, mmse + 2))}, distance=float(draw.uniform(0.5, 2)), unlike_training=False,
    )  # fmt: skip
    shares = draw.uniform(0, 100, len(NAMES)) if seed % 3 else draw.uniform(20, 80, len(NAMES))
    regions = [
        {
            "name": name,
            "percentile": float(share),
            "words": Standing(float(share), 0.0).words,
            "z": float((share - 50) / 20),
        }
        for name, share in zip(NAMES, shares, strict=True)
    ]
    standing = {
        "why": None,
        "like": "age 74, sex F and head size",
        "sentence": "Of 30 controls.",
        "regions": regions,
    }
    counts = draw.multinomial(5, (1 / 3,) * 3).tolist()
    near = {
        "by": ("image", "text", "both")[seed % 3], "groups": seed % 5 == 0, "bank": 80, "own": 1, "same_picture": 0, "simulated": True, "fewest": 5, "person_known": True,
        "neighbours": [
            {
                "name": f"n{number}", "participants": 1, "diagnosis": "NC", "targets": {"mmse": 28.0}, "image": 0.9, "text": 0.8,
                "outcomes": {}, "agree": ["Sex: F and F"], "differ": ["Age: 74 and 83"],
                "short": {"agree": ["Sex (F against F)"] if seed % 2 else [], "differ": ["Age (74 against 83)"] if seed % 4 else []},
            }
            for number in range(5)
        ],
        "spread": {
            "people": 5, "sentence": "1 of 5.", "outcomes": {}, "targets": {"mmse": {"mean": 28.0, "low": 28.0, "high": 28.0, "bank": 25.0}},
            "classes": {name: {"count": count, "share": 33.3} for name, count in zip(chances, counts, strict=True)},
        },
    }  # fmt: skip
    return prediction, caveats, near, standing


def texts(*parts: Any) -> str:
    return " ".join(one.text for one in person_paragraph(*parts))


@given(st.integers(0, 5000))
@settings(max_examples=60, deadline=None)
def test_every_number_stands_on_the_page_in_the_same_digits(seed: int) -> None:
    prediction, caveats, near, standing = person(seed)
    page = similar_page(prediction, caveats, adapter(), near, standing, simulated=True)
    paragraph = re.search(r'<p class="paragraph">(.*?)</p>', page, re.DOTALL)
    assert paragraph is not None
    rest = re.sub(r"<style.*?</style>", "", page.replace(paragraph.group(0), ""), flags=re.DOTALL)
    elsewhere = set(NUMBER.findall(html.unescape(re.sub(r"<[^>]+>", " ", rest))))
    said = html.unescape(re.sub(r"<[^>]+>", "", paragraph.group(1)))
    assert [one for one in NUMBER.findall(said) if one not in elsewhere] == []


@given(st.integers(0, 5000))
@settings(max_examples=40, deadline=None)
def test_every_sentence_is_whole_and_says_where_its_numbers_stand(seed: int) -> None:
    prediction, caveats, near, standing = person(seed)
    for one in person_paragraph(prediction, caveats, adapter(), near, standing):
        assert one.text[0].isupper()
        assert one.text.endswith(".")
        assert "  " not in one.text
        assert ".." not in one.text
        assert one.rests_on or not NUMBER.search(one.text)


def test_without_an_answer_none_is_hinted_at() -> None:
    prediction, caveats, near, standing = person(
        1, Verdict("no answer", ("the scan failed its quality check",))
    )
    said = texts(prediction, caveats, adapter(), near, standing)
    assert said.startswith("The model gives no answer for this scan: the scan failed its quality check.")
    assert "would be" not in said
    assert "rests on the picture" not in said
    assert "probability" not in said
    assert "nearest" not in said


def test_what_is_not_known_is_not_said() -> None:
    prediction, caveats, _, standing = person(1)
    bare = caveats.model_copy(update={"distance": None, "targets": {}, "verdict": Verdict()})
    said = texts(prediction, bare, adapter(training={}, trust={}))
    assert "percentile" not in said
    assert "nearest" not in said
    assert "learned from" not in said
    assert "interval" not in said
    beyond = standing | {"why": "age 99 is outside that of the controls (60 to 90)"}
    assert "No percentiles are given: age 99" in texts(prediction, caveats, adapter(), None, beyond)
    plain = standing | {
        "like": "",
        "regions": [one | {"percentile": 2.0, "words": "2nd percentile"} for one in standing["regions"][:1]],
    }
    assert "Against controls, hippocampal volume is at the 2nd percentile (z " in texts(
        prediction, caveats, adapter(), None, plain
    )
    usual = standing | {"like": "", "regions": [one | {"percentile": 50.0} for one in standing["regions"]]}
    assert "Against controls, all 5 known regions lie between the 5th and the 95th percentile." in texts(
        prediction, caveats, adapter(), None, usual
    )
    one = usual | {"regions": usual["regions"][:1]}
    assert "the 1 known region lies between" in texts(prediction, caveats, adapter(), None, one)
    low = standing | {
        "regions": [standing["regions"][4] | {"percentile": 0.2, "words": "below the 1st percentile"}]
    }
    assert "MTL volume is below the 1st percentile" in texts(prediction, caveats, adapter(), None, low)


def test_neighbours_without_diagnosis_and_scans_unlike_training() -> None:
    prediction, caveats, near, _ = person(2)
    unknown = near | {"spread": near["spread"] | {"classes": {}}}
    assert "no diagnosis is known" in texts(prediction, caveats, adapter(), unknown)
    far = caveats.model_copy(update={"distance": 1.72})
    assert "beyond the limit of 1.50" in texts(prediction, far, adapter(), near)
    named = Prediction(scan_id="s", predicted=None, probabilities={}, targets={"cdr_sb": 2.5})
    assert "The model estimates 2.5 for cdr_sb." in texts(
        named, caveats, adapter(task="regression", classes=[])
    )
    assert what_would_change(named, adapter(task="regression")) is None


def test_numbers_of_neighbours_are_said_beside_those_of_the_bank() -> None:
    prediction, caveats, near, _ = person(2)
    targets = {
        "mmse": {"mean": 23.71, "low": 20.0, "high": 28.0, "bank": 26.4},
        "cdr_sb": {"mean": 2.5, "low": 1.0, "high": 4.0, "bank": 1.2},
    }
    groupless = near | {"groups": False}
    found = groupless | {"spread": near["spread"] | {"targets": targets}}
    assert (
        "Over these 5 participants the mean MMSE is 23.7 (against 26.4 in the bank) and the mean cdr_sb, where it is known, is 2.5 (against 1.2 in the bank)."
        in texts(prediction, caveats, adapter(), found)
    )
    numbers = {"mmse": targets["mmse"]}
    alone = found | {
        "neighbours": near["neighbours"][:1],
        "spread": found["spread"] | {"people": 1, "targets": numbers},
    }
    assert "For that participant the MMSE is 23.7 (against 26.4 in the bank)." in texts(
        prediction, caveats, adapter(), alone
    )
    assert near["by"] == "both"
    regression = adapter(task="regression")
    only = found | {"spread": found["spread"] | {"classes": {}, "targets": numbers}}
    said = texts(prediction, caveats, regression, only)
    assert (
        "Over the 5 participants nearest by image and report the mean MMSE is 23.7 (against 26.4 in the bank)."
        in said
    )
    assert "no diagnosis" not in said
    one = alone | {"spread": alone["spread"] | {"classes": {}}}
    assert "For the participant nearest by image and report the MMSE is 23.7" in texts(
        prediction, caveats, regression, one
    )


def test_neighbours_are_no_answer_where_none_is_given() -> None:
    prediction, caveats, near, _ = person(1, Verdict("no answer", ("it is unlike",)))
    page = similar_page(prediction, caveats, adapter(), near, None, simulated=True)
    headline = re.search(r'<p class="headline">(.*?)</p>', page)
    assert headline is not None
    assert headline.group(1).startswith("No answer is given for this scan")


def test_findings_are_called_and_the_nearest_to_its_threshold_is_named() -> None:
    chances = {f"finding {number}": 0.9 - 0.1 * number for number in range(7)}
    prediction = Prediction(scan_id="s", predicted="x", probabilities=chances)
    caveats = Caveats(verdict=Verdict(), confidence=None)
    facts = adapter(task="findings", thresholds={"finding 6": 0.29})
    said = texts(prediction, caveats, facts)
    assert (
        "The model calls 6 of 7 findings, those with the highest probability being finding 0 (0.900), finding 1 (0.800), finding 2 (0.700) and finding 3 (0.600)."
        in said
    )
    change = what_would_change(prediction, facts)
    assert change is not None
    assert change["name"] == "finding 4"
    assert "is called with 0.500 against 0.500" in change["sentence"]
    none = Prediction(scan_id="s", predicted="", probabilities={"a": 0.1})
    assert "The model calls none of 1 finding." in texts(none, caveats, facts)
    assert "is not called" in str(what_would_change(none, facts))
    assert what_would_change(Prediction(scan_id="s", predicted="", probabilities={}), facts) is None
    page = similar_page(prediction, caveats, facts, person(3)[2], None, simulated=True)
    assert "threshold 0.290" in page


def test_one_is_said_as_one() -> None:
    prediction, caveats, near, _ = person(2)
    alone = {"people": 1, "classes": {"NC": {"count": 1, "share": 33.3}, "AD": {"count": 0, "share": 66.7}}}
    one = near | {"groups": False, "neighbours": near["neighbours"][:1], "spread": near["spread"] | alone}
    facts = adapter(training={"scans": {"train": 1}, "participants": {"train": 1}})
    said = texts(prediction, caveats, facts, one)
    assert "The participant nearest by " in said
    assert " is NC (as are 33% of the bank). That participant " in said
    assert "learned from 1 SIMULATED scan of 1 participant." in said
    unknown = one | {"spread": one["spread"] | {"classes": {}}}
    assert " has no known diagnosis." in texts(prediction, caveats, facts, unknown)
    group = one | {
        "groups": True,
        "spread": near["spread"] | {"classes": {"NC": {"count": 5, "share": 40.0}}},
    }
    assert "Of the 5 participants in the group nearest by" in texts(prediction, caveats, facts, group)
    assert ", all 5 are NC (against 40% of the bank). The nearest group " in texts(
        prediction, caveats, facts, group
    )


def test_outcomes_that_are_no_class_are_said() -> None:
    prediction, caveats, near, _ = person(2)
    counts = {
        "Lung nodule": {"count": 3, "known": 5, "share": 40.0},
        "Emphysema": {"count": 1, "known": 5, "share": 20.0},
    }
    found = near | {"groups": False, "spread": near["spread"] | {"classes": {}, "outcomes": counts}}
    said = texts(prediction, caveats, adapter(), found)
    assert (
        ", 3 have lung nodule (against 40% of the bank) and 1 has emphysema (against 20% of the bank)."
        in said
    )
    page = similar_page(prediction, caveats, adapter(), found, None, simulated=True)
    assert "<td>Lung nodule</td>" in page
    none = {name: one | {"count": 0} for name, one in counts.items()}
    assert "none of the outcomes is known" in texts(
        prediction, caveats, adapter(), near | {"spread": found["spread"] | {"outcomes": none}}
    )
    single = found | {"neighbours": found["neighbours"][:1], "spread": found["spread"] | {"people": 1}}
    assert " has lung nodule (as have 40% of the bank)" in texts(prediction, caveats, adapter(), single)
    bare = single | {"spread": single["spread"] | {"outcomes": none}}
    assert " has none of the outcomes." in texts(prediction, caveats, adapter(), bare)


def test_a_risk_says_nothing_of_the_time_behind_the_last_horizon() -> None:
    facts = adapter(task="time_to_event", config={"event": {"name": "conversion"}})
    late = Prediction(scan_id="s", predicted="after 3 years", probabilities={"1 year": 0.1, "3 years": 0.3})
    assert "is 0.100 by 1 year and 0.300 by 3 years; it is not expected within 3 years." in texts(
        late, person(1)[1], facts
    )
    soon = Prediction(scan_id="s", predicted="by 3 years", probabilities={"1 year": 0.1, "3 years": 0.6})
    assert "; it is expected by 3 years." in texts(soon, person(1)[1], facts)


def test_reasons_are_clauses() -> None:
    reasons = ("quality: it is noisy", "not sure (confidence 0.46; sure from 0.70 on)", "something else")
    prediction, caveats, _, _ = person(1, Verdict("answer with caution", reasons))
    assert (
        "Take it with caution: the quality check warns (it is noisy); the model is not sure (confidence 0.46; sure from 0.70 on); something else."
        in texts(prediction, caveats, adapter())
    )


@pytest.mark.parametrize("chances", [{"NC": 1.0}, {"NC": 1.0, "AD": 0.0}])
def test_without_another_answer_nothing_would_change_it(chances: dict[str, float]) -> None:
    assert (
        what_would_change(Prediction(scan_id="s", predicted="NC", probabilities=chances), adapter()) is None
    )
    said = texts(Prediction(scan_id="s", predicted="NC", probabilities=chances), person(1)[1], adapter())
    assert "The answer of the model is NC" in said


def test_what_is_listed_in_part_is_said_to_be() -> None:
    prediction, caveats, near, standing = person(2)
    low = [one | {"percentile": 2.0, "words": "2nd percentile", "z": -2.0} for one in standing["regions"]]
    assert "(z -2.00), among other regions." in texts(
        prediction, caveats, adapter(), None, standing | {"regions": low}
    )
    assert "among other" not in texts(prediction, caveats, adapter(), None, standing | {"regions": low[:4]})
    counts = {f"finding {letter}": {"count": 2, "known": 5, "share": 40.0} for letter in "abcde"}
    many = near | {"groups": False, "spread": near["spread"] | {"classes": {}, "outcomes": counts}}
    assert "2 have finding d (against 40% of the bank), among others." in texts(
        prediction, caveats, adapter(), many
    )


def test_one_value_of_both_is_nobodys_first() -> None:
    prediction, caveats, near, _ = person(2)
    rows = [
        near["neighbours"][0] | {"short": {"agree": ["Sex (F)"], "differ": []}},
        *near["neighbours"][1:],
    ]
    assert "The nearest of them is alike in sex (F)." in texts(
        prediction, caveats, adapter(), near | {"groups": False, "neighbours": rows}
    )


def test_a_change_of_nearly_nothing_is_no_zero() -> None:
    near_limit = Prediction(scan_id="s", predicted="a", probabilities={"a": 0.0681})
    facts = adapter(task="findings", thresholds={"a": 0.068})
    said = texts(near_limit, person(1)[1], facts)
    assert "a change of less than 0.01 in log-odds would turn it" in said
    assert "less than 0.01 away" in similar_page(
        near_limit, person(1)[1], facts, person(3)[2], None, simulated=True
    )


def test_events_of_neighbours_are_past_and_of_those_who_were_followed() -> None:
    _, caveats, near, _ = person(2)
    counts = {"conversion by 2 years": {"count": 2, "known": 3, "share": 40.0}}
    event = adapter(task="time_to_event", config={"event": {"name": "conversion"}})
    risks = Prediction(scan_id="s", predicted="after 2 years", probabilities={"2 years": 0.1})
    found = near | {"groups": False, "spread": near["spread"] | {"classes": {}, "outcomes": counts}}
    said = ", 2 of 3 known had conversion by 2 years (against 40% of the bank)."
    assert said in texts(risks, caveats, event, found)
    one = {"conversion by 2 years": {"count": 1, "known": 1, "share": 40.0}}
    alone = found | {
        "neighbours": near["neighbours"][:1],
        "spread": found["spread"] | {"people": 1, "outcomes": one},
    }
    assert " had conversion by 2 years (as had 40% of the bank)." in texts(risks, caveats, event, alone)
