"""Similar cases: never oneself, each person once, why, how outcomes spread; a bank that tells nobody apart; retrieval beside chance."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from voxtune.cases.bank import anonymous_bank, cases_of, grouped, read_bank
from voxtune.cases.beside import similar_groups
from voxtune.cases.nearest import Case, Neighbour, nearest
from voxtune.cases.outcomes import known_truth
from voxtune.cases.reasons import reasons, spread
from voxtune.cases.retrieval import Searched, retrieval, thirds
from voxtune.errors import DataError, SettingError, WeightsError
from voxtune.model.questions import FindingQuestion
from voxtune.profiles.read import read_profile
from voxtune.storage.seal import write_sealed
from voxtune.types.case_bank import BANK, CaseBank
from voxtune.types.records import ManifestRow

DEMENTIA = read_profile("dementia")
SHA = "a" * 64


def vector(*numbers: float) -> np.ndarray:
    found = np.array(numbers, dtype=float)
    return found / np.linalg.norm(found)


def cases(seed: int, count: int, visits: int = 2, size: int = 6) -> list[Case]:
    draw = np.random.default_rng(seed)
    return [
        Case(
            f"s{place}_{visit}", f"p{place}", vector(*draw.standard_normal(size)), vector(*draw.standard_normal(size)),
            ("NC", "MCI", "AD")[place % 3], {"mmse": float(20 + place % 10)},
            {"hippocampus_mm3": 6000.0 + 10 * place, "age": 60.0 + place, "sex": "FM"[place % 2]},
        )
        for place in range(count)
        for visit in range(visits)
    ]  # fmt: skip


def test_findings_of_neighbours_stand_beside_the_bank() -> None:
    vectors = np.eye(3)
    bank = [
        Case(f"s{n}", f"p{n}", vectors[n % 3], outcomes={"nodule": float(n % 2)} if n < 5 else {})
        for n in range(6)
    ]
    found = spread([Neighbour(one, 1.0, 1.0, None) for one in bank[3:]], bank)
    assert found.outcomes == {"nodule": (1, 2, 2 / 5)}
    assert found.sentence == "nodule: 1 of 2 neighbours (of the bank 40%)."
    none = spread([Neighbour(bank[0], 1.0, 1.0, None)], bank)
    assert none.sentence == "No neighbour is known to have any of these: nodule."
    people = [Case(f"a{n}", f"q{n}", vectors[n % 3], outcomes={"nodule": float(n < 3)}) for n in range(5)]
    (group,) = cases_of(anonymous_bank(people, "a" * 64), outcomes=("nodule",))
    assert (dict(group.outcomes), dict(group.values)) == ({"nodule": 0.6}, {})


@given(st.integers(0, 200), st.sampled_from(["image", "text", "both"]), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_a_person_is_never_their_own_neighbour_and_everyone_counts_once(
    seed: int, by: str, count: int
) -> None:
    bank = cases(seed, 9)
    found = nearest(bank[seed % 18], bank, by, count)  # type: ignore[arg-type]
    people = [one.case.participant for one in found.neighbours]
    assert bank[seed % 18].participant not in people
    assert len(set(people)) == len(people) == min(count, 8)
    scores = [one.score for one in found.neighbours]
    assert scores == sorted(scores, reverse=True)
    assert found.own == 2


def test_a_picture_whose_owner_nobody_said_is_told_by_itself() -> None:
    bank = cases(1, 6)
    unknown = Case("upload", None, bank[4].image)
    found = nearest(unknown, bank, "image", 9)
    assert "p2" not in {one.case.participant for one in found.neighbours}
    assert (found.own, found.same_picture) == (2, 2)
    other = Case("upload", None, vector(*(bank[4].image + 0.05)))
    assert nearest(other, bank, "image", 1).neighbours[0].case.participant == "p2"


def test_nobody_else_and_no_text_are_said() -> None:
    bank = cases(1, 6)
    with pytest.raises(DataError, match="nobody else"):
        nearest(bank[0], bank[:2], "image", 3)
    bare = [Case(one.name, one.participant, one.image) for one in bank]
    with pytest.raises(DataError, match="no facts"):
        nearest(bare[0], bank, "text", 3)
    with pytest.raises(DataError, match="no case of the bank"):
        nearest(bank[0], bare, "both", 3)
    mixed = [*bank[:4], *bare[4:]]
    assert {one.case.participant for one in nearest(bank[0], mixed, "text", 9).neighbours} == {"p1"}
    assert {one.text is None for one in nearest(bank[0], mixed, "image", 9).neighbours} == {True, False}
    assert len(nearest(bank[0], mixed, "image", 9).neighbours) == 5
    assert [nearest(bank[0], mixed, by, 9).wordless for by in ("image", "text", "both")] == [0, 4, 4]  # type: ignore[arg-type]


def test_a_bank_without_labels_has_unknown_outcomes() -> None:
    question = FindingQuestion({"Emphysema": ("Emphysema",), "Lung nodule": ("Lung nodule",)}, ("a", "b"))
    bare = ManifestRow(participant_id="p", scan_id="s", image="i")
    partly = ManifestRow.model_validate(bare.model_dump() | {"Lung nodule": "1"})
    assert np.isnan(known_truth(question, [bare, bare])).all()
    assert known_truth(question, [bare, partly])[1, 1] == 1
    assert np.isnan(known_truth(question, [bare, partly])[:, 0]).all()
    assert known_truth(question, []).shape == (0, 2)


def test_both_goes_by_both() -> None:
    query = Case("q", "q", vector(1, 0), vector(1, 0))
    bank = [
        Case("picture", "a", vector(1, 0.01), vector(0, 1)),
        Case("words", "b", vector(0, 1), vector(1, 0.01)),
        Case("middle", "c", vector(1, 0.2), vector(1, 0.2)),
    ]
    first = {by: nearest(query, bank, by, 1).neighbours[0].case.name for by in ("image", "text", "both")}  # type: ignore[arg-type]
    assert first == {"image": "picture", "text": "words", "both": "middle"}


def test_reasons_agree_or_differ_and_what_lies_between_is_neither() -> None:
    query = Case("q", "q", vector(1, 0), values={"hippocampus_mm3": 6000.0, "ventricles_mm3": 3e4, "fusiform_mm3": 1.0, "age": 70.0, "sex": "F"}, z={"hippocampus_mm3": -1.7, "ventricles_mm3": 0.0})  # fmt: skip
    case = Case("c", "c", vector(1, 0), values={"hippocampus_mm3": 6100.0, "ventricles_mm3": 6e4, "entorhinal_mm3": 1.0, "fusiform_mm3": 2.0, "age": 80.0, "sex": "F"}, z={"hippocampus_mm3": -1.6, "ventricles_mm3": 2.0})  # fmt: skip
    found = reasons(query, case, [query, case], DEMENTIA)
    assert [one.sentence for one in found.agree] == [
        "Sex: F and F",
        "Hippocampal volume, mm^3: 6000 (z -1.70) and 6100 (z -1.60)",
    ]
    assert [one.name for one in found.differ] == ["Age", "Ventricular size"]
    bank = cases(3, 9)
    by_spread = reasons(bank[0], bank[16], bank, DEMENTIA)
    assert {one.name for one in by_spread.differ} == {"Hippocampal volume", "Age"}
    between = reasons(bank[0], bank[4], bank, DEMENTIA)
    assert "Hippocampal volume" not in {one.name for one in (*between.agree, *between.differ)}
    assert "Sex" in {one.name for one in reasons(bank[0], bank[2], bank, DEMENTIA).differ}
    assert reasons(Case("q", "q", vector(1, 0)), case, bank, DEMENTIA).agree == ()
    nearly = reasons(bank[0], bank[8], bank, DEMENTIA)
    assert "Age" not in {one.name for one in (*nearly.agree, *nearly.differ)}


def test_outcomes_of_neighbours_stand_beside_the_bank() -> None:
    bank = cases(4, 9)
    near = nearest(bank[0], bank, "image", 3).neighbours
    found = spread(near, bank)
    assert found.people == 3
    assert sum(count for count, _ in found.classes.values()) == 3
    assert all(share == pytest.approx(1 / 3) for _, share in found.classes.values())
    mean, low, high, whole = found.targets["mmse"]
    assert low <= mean <= high
    assert whole == pytest.approx(24.0)
    assert "1 of 3 neighbours is " in found.sentence
    many = [Case(f"m{n}", f"m{n}", np.eye(3)[n % 3], outcomes=dict.fromkeys("abcde", 1.0)) for n in range(4)]
    assert spread([Neighbour(one, 1.0, 1.0, None) for one in many], many).sentence == "; ".join([*(f"{one}: 4 of 4 neighbours (of the bank 100%)" for one in "abc"), "2 more below."])  # fmt: skip
    numbers = [Case(f"m{n}", f"m{n}", np.eye(3)[n % 3], targets={"mmse": 20.0 + n}) for n in range(4)]
    assert spread([Neighbour(one, 1.0, 1.0, None) for one in numbers[:2]], numbers).sentence == "MMSE: 20.5 on average (20.0 to 21.0), 21.5 in the bank."  # fmt: skip
    bare = [Case(one.name, one.participant, one.image) for one in bank]
    assert "not known" in spread(nearest(bare[0], bare, "image", 3).neighbours, bare).sentence


@given(st.integers(5, 60), st.integers(5, 8), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_no_group_is_smaller_than_promised_and_everyone_is_in_one(count: int, fewest: int, seed: int) -> None:
    if count < fewest:
        count = fewest
    vectors = np.random.default_rng(seed).standard_normal((count, 4))
    groups = grouped(vectors, fewest)
    assert sorted(place for one in groups for place in one) == list(range(count))
    assert all(fewest <= len(one) < 2 * fewest for one in groups)


def test_a_bank_tells_nobody_apart_and_names_no_one(tmp_path: Path) -> None:
    bank = anonymous_bank(cases(5, 24), SHA, simulated=True)
    text = bank.model_dump_json()
    assert bank.participants == 24
    assert all(one.participants >= 5 for one in bank.groups)
    assert not any(f'"p{n}"' in text or f"s{n}_" in text for n in range(24))
    write_sealed(tmp_path / BANK, bank.model_dump(mode="json"))
    read = read_bank(tmp_path, SHA)
    assert read == bank
    near = nearest(Case("q", None, cases(5, 1)[0].image), cases_of(bank, ("mmse",)), "image", 2)
    assert len(near.neighbours) == 2
    assert near.neighbours[0].case.targets.keys() == {"mmse"}
    assert spread(near.neighbours, cases_of(bank, ("mmse",))).people == sum(
        one.case.participants for one in near.neighbours
    )
    assert read_bank(tmp_path / "none", SHA) is None
    with pytest.raises(WeightsError, match="another adapter"):
        read_bank(tmp_path, "b" * 64)


def test_a_bank_of_too_few_is_refused_and_rare_classes_are_left_out() -> None:
    with pytest.raises(SettingError, match="at least 5"):
        anonymous_bank(cases(5, 24), SHA, 3)
    with pytest.raises(DataError, match="No class has 5"):
        anonymous_bank(cases(5, 12), SHA)
    rare = [*cases(5, 15), Case("x", "x", vector(*range(1, 7)), diagnosis="FTD")]
    assert anonymous_bank(rare, SHA).left_out == 1


def test_a_whole_bank_is_near_to_nobody() -> None:
    bank = anonymous_bank(cases(5, 24), SHA)
    for groups, shown in ((1, 1), (2, 1), (3, 1), (4, 2), (6, 3), (9, 3)):
        some = CaseBank.model_validate(bank.model_dump() | {"groups": (bank.groups * 9)[:groups], "participants": sum(one.participants for one in (bank.groups * 9)[:groups])})  # fmt: skip
        found = similar_groups(some, cases(5, 1)[0].image, DEMENTIA, ("mmse",))
        assert len(found["neighbours"]) == shown


def test_a_damaged_bank_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = anonymous_bank(cases(5, 24), SHA).model_dump(mode="json")
    write_sealed(tmp_path / BANK, tree)
    path = tmp_path / BANK
    path.write_text(path.read_text().replace('"participants": 24', '"participants": 25'))
    with pytest.raises(WeightsError, match=r"bank\.json"):
        read_bank(tmp_path, SHA)
    write_sealed(path, tree | {"participants": 3})
    with pytest.raises(WeightsError, match="counted"):
        read_bank(tmp_path, SHA)
    for change in (
        {"fewest": 9},
        {"groups": [tree["groups"][0], tree["groups"][1] | {"vector": [1.0]}]},
        {"groups": []},
    ):
        with pytest.raises(ValidationError):
            CaseBank.model_validate(tree | change)
    monkeypatch.setattr("voxtune.cases.bank.LARGEST", 10)
    with pytest.raises(WeightsError, match="more than 10 bytes"):
        read_bank(tmp_path, SHA)
    assert json.loads(path.read_text())["fewest"] == 5


# ------------------------------------------------------------------------------------------------ retrieval
def searched(signal: float, count: int = 60, visits: int = 2) -> Searched:
    """Scans whose images tell the class by so much, and texts that tell the person by so much."""
    draw = np.random.default_rng(7)
    people = [f"p{place}" for place in range(count) for _ in range(visits)]
    kinds = [place % 3 for place in range(count) for _ in range(visits)]
    images = draw.standard_normal((len(people), 12)) + signal * np.eye(12)[kinds] * 4
    texts = signal * images + draw.standard_normal(images.shape)
    severity = [float(30 - 5 * kind) for kind in kinds]
    return Searched(images, people, [("NC", "MCI", "AD")[kind] for kind in kinds], texts, severity)


def test_without_signal_retrieval_is_chance_and_with_signal_above() -> None:
    none, much = (retrieval(searched(signal)) for signal in (0.0, 2.0))
    for name in ("precision@5", "text_to_image@5", "image_to_text@5", "severity@5"):
        low, high, chance = (none[name][part] for part in ("low", "high", "chance"))
        assert low is not None
        assert high is not None
        assert chance is not None
        assert low - 0.05 <= chance <= high + 0.05
        value, above = much[name]["value"], much[name]["chance"]
        assert value is not None
        assert above is not None
        assert value > above + 0.2
    assert much["precision@5/AD"]["n_participants"] == 20
    assert much["precision@1"]["n_scans"] == 120


def test_own_scans_are_no_hits_and_small_banks_have_fewer_figures() -> None:
    images = np.repeat(np.eye(4), 3, axis=0)
    twins = Searched(images, [f"p{n // 3}" for n in range(12)], ["NC", "NC", "NC", "AD", "AD", "AD"] * 2)
    found = retrieval(twins)
    assert set(found) == {"precision@1", "precision@1/NC", "precision@1/AD"}
    assert retrieval(Searched(images, [f"p{n // 3}" for n in range(12)], ["NC"] * 12)) == {}
    assert retrieval(Searched(np.eye(2), ["a", "b"], [None, None], np.full((2, 2), np.nan))) == {}
    assert retrieval(Searched(np.empty((0, 2)), [], [])) == {}


def test_a_person_without_severity_is_in_no_third() -> None:
    people = np.array(["a", "a", "b", "c", "d"])
    assert thirds([1.0, None, 2.0, 9.0, None], people).tolist() == ["0", "", "1", "2", ""]
    assert thirds([1.0, None, None, None, None], people).tolist() == [""] * 5


@given(st.integers(4, 30), st.integers(0, 99), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_space_that_tells_nothing_apart_reaches_chance_and_no_more(
    count: int, seed: int, sort: bool
) -> None:
    draw = np.random.default_rng(seed)
    kinds = list(draw.choice(["NC", "AD"], count))
    kinds = sorted(kinds) if sort else kinds
    said = [{"nodule": float(one == "AD"), "fluid": float(draw.integers(2))} for one in kinds]
    vectors = np.ones((count, 7)) * draw.uniform(0.1, 3)
    ages = [float(one) for one in draw.integers(60, 63, count)]
    found = retrieval(Searched(vectors, [f"p{n}" for n in range(count)], kinds, vectors, ages, said))
    assert found
    for name, one in found.items():
        assert one["value"] == pytest.approx(one["chance"]), name


@pytest.mark.parametrize("people", [1, 3, 12])
def test_a_figure_of_all_or_nothing_is_no_certainty(people: int) -> None:
    images = np.concatenate([np.tile([1.0, 0.0], (people, 1)), np.tile([0.0, 1.0], (20, 1))])
    names = [f"p{n}" for n in range(people + 20)]
    found = retrieval(Searched(images, names, ["AD"] * people + ["NC"] * 20))
    for name, one in found.items():
        low, high = one["low"], one["high"]
        assert low is not None
        assert high is not None
        assert 0 <= low < high <= 1, name
    rare = found["precision@1/AD"]
    assert rare["high"] - rare["low"] > {1: 0.9, 3: 0.6, 12: 0.2}[people]  # type: ignore[operator]


def test_neighbours_share_findings_and_events() -> None:
    draw = np.random.default_rng(3)
    there = draw.integers(0, 2, (60, 3)).astype(float)
    images = np.concatenate([3 * there, draw.standard_normal((60, 4))], axis=1)
    there[:, 2] = 1.0  # whom everybody has, nobody can be found by
    said = [
        {name: value for name, value in zip("abc", row, strict=True) if value is not None} for row in there
    ]
    said[0] = {}
    found = retrieval(Searched(images, [f"p{n // 2}" for n in range(60)], [None] * 60, outcomes=said))
    assert set(found) == {f"outcome@{k}{end}" for k in (1, 5, 10) for end in ("", "/a", "/b")}
    for name in ("outcome@5", "outcome@5/a", "outcome@5/b"):
        value, chance, low = (found[name][one] for one in ("value", "chance", "low"))
        assert value is not None
        assert chance is not None
        assert low is not None
        assert value > chance + 0.2
        assert low > chance
    assert retrieval(Searched(images, [f"p{n}" for n in range(60)], [None] * 60, outcomes=[{}] * 60)) == {}
    # Of whom nothing is known stands neither with nor without.
    half = [{"a": row[0]} if place % 2 else {} for place, row in enumerate(there)]
    whole = retrieval(Searched(images[1::2], [f"p{n}" for n in range(30)], [None] * 30, outcomes=half[1::2]))
    assert retrieval(Searched(images, [f"p{n}" for n in range(60)], [None] * 60, outcomes=half))[
        "outcome@5"
    ] == pytest.approx(whole["outcome@5"])
    few = [{"a": float(n % 2)} if n < 4 else {} for n in range(60)]
    assert set(retrieval(Searched(images, [f"p{n}" for n in range(60)], [None] * 60, outcomes=few))) == {
        "outcome@1",
        "outcome@1/a",
    }
