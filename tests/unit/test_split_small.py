"""Splits small enough to know the answer."""

import numpy as np
import pytest

from voxtune.data.split_strata import divide, strata_of, usual_label
from voxtune.data.splits import SplitSettings, make_folds, make_split, visit_order
from voxtune.errors import DataError, SettingError
from voxtune.types.records import ManifestRow


def row(
    person: str, visit: int, *, age: float | None = None, diagnosis: str = "NC", site: str = "A"
) -> ManifestRow:
    name = f"{person}_{visit}"
    return ManifestRow(
        participant_id=person, session_id=f"M{visit:03d}", scan_id=name, image=f"{name}.nii.gz", diagnosis=diagnosis, age=age, site=site
    )  # fmt: skip


@pytest.fixture
def cohort() -> list[ManifestRow]:
    """Twenty people; half have three visits, listed with the last one first."""
    rows = []
    for number in range(20):
        visits = (24, 12, 0) if number % 2 else (0,)
        rows += [
            row(f"P{number}", visit, age=60 + number + visit / 12, diagnosis="NC" if number < 10 else "AD")
            for visit in visits
        ]
    return rows


def test_baseline_only_keeps_the_first_visit_of_everybody(cohort: list[ManifestRow]) -> None:
    split = make_split(cohort, SplitSettings(baseline_only=True))
    kept = [*split.train, *split.val, *split.test]
    assert sorted(kept) == sorted(f"P{number}_0" for number in range(20))
    assert sorted(split.excluded) == sorted(one.scan_id for one in cohort if not one.scan_id.endswith("_0"))


@pytest.mark.parametrize("only", [True, False])
def test_folds_are_of_first_visits_only_where_asked(cohort: list[ManifestRow], only: bool) -> None:
    later = sorted(one.scan_id for one in cohort if not one.scan_id.endswith("_0")) if only else []
    for split in make_folds(cohort, SplitSettings(folds=4, baseline_only=only)):
        assert sorted(split.excluded) == later
        assert len([*split.train, *split.val, *split.test]) == (20 if only else 40)


def test_of_visits_that_nothing_tells_apart_the_first_in_the_manifest_is_kept() -> None:
    twice = ["s01", "s1"]
    for names in (twice, twice[::-1]):
        rows = [row("P", 0).model_copy(update={"scan_id": name}) for name in names]
        rows += [row("Q", 0), row("R", 0)]
        assert make_split(rows, SplitSettings(baseline_only=True)).excluded == (names[1],)


def test_without_it_all_visits_stay_together(cohort: list[ManifestRow]) -> None:
    split = make_split(cohort)
    assert sorted([*split.train, *split.val, *split.test]) == sorted(one.scan_id for one in cohort)
    assert split.excluded == ()
    assert (len(split.people("test")), len(split.people("val"))) == (4, 3)


def test_the_seed_is_zero_unless_said(cohort: list[ManifestRow]) -> None:
    assert make_split(cohort) == make_split(cohort, seed=0)
    assert make_split(cohort).seed == 0
    assert make_split(cohort, seed=1).test != make_split(cohort).test
    folds = SplitSettings(folds=4)
    assert make_folds(cohort, folds) == make_folds(cohort, folds, seed=0)


def test_visits_are_ordered_as_numbers_and_by_age_first() -> None:
    rows = [row("P", 100), row("P", 12), row("P", 2)]
    assert [one.scan_id for one in sorted(rows, key=visit_order)] == ["P_2", "P_12", "P_100"]
    named = [
        row("P", 0).model_copy(update={"session_id": session, "scan_id": scan})
        for session, scan in (("M12", "a"), ("M2", "b"), ("final", "d"), ("3", "c"))
    ]
    assert [one.session_id for one in sorted(named, key=visit_order)] == ["3", "M2", "M12", "final"]
    late, early = row("P", 0, age=80.0), row("P", 12, age=70.0)
    assert sorted([late, early], key=visit_order) == [early, late]
    assert min([row("P", 0), early], key=visit_order) == early, "a visit without an age comes last"


@pytest.mark.parametrize(("sites", "dots"), [(12, False), (13, True)])
def test_a_wrong_held_out_value_lists_the_first_twelve(sites: int, dots: bool) -> None:
    rows = [row(f"P{number}", 0, site=f"site{number:02d}") for number in range(sites)]
    with pytest.raises(SettingError) as error:
        make_split(rows, SplitSettings(holdout="site=elsewhere"))
    assert "site00, site01" in str(error.value)
    assert "site11" in str(error.value)
    assert "site12" not in str(error.value)
    assert (", ..." in str(error.value)) is dots


def test_held_out_people_are_held_out_whole(cohort: list[ManifestRow]) -> None:
    moved = [
        one.model_copy(update={"site": "B"}) if one.scan_id in {"P1_24", "P3_24", "P4_0"} else one
        for one in cohort
    ]
    split = make_split(moved, SplitSettings(holdout="site=B"))
    assert sorted(split.test) == ["P1_24", "P3_24", "P4_0"]
    assert sorted(split.excluded) == ["P1_0", "P1_12", "P3_0", "P3_12"]
    assert not {"P1", "P3", "P4"} & {*split.people("train"), *split.people("val")}
    assert len(split.people("val")) == round(0.15 * 17)
    assert sorted([*split.train, *split.val, *split.test, *split.excluded]) == sorted(
        one.scan_id for one in cohort
    )


@pytest.mark.parametrize("holdout", ["site", "nothing=1", "mmse=30"])
def test_a_column_that_is_not_there_or_has_no_value_is_said(cohort: list[ManifestRow], holdout: str) -> None:
    with pytest.raises(SettingError, match="COLUMN=VALUE with a column of the manifest that has values"):
        make_split(cohort, SplitSettings(holdout=holdout))


def test_something_must_be_left_to_train_on(cohort: list[ManifestRow]) -> None:
    with pytest.raises(SettingError, match="below 1"):
        make_split(cohort, SplitSettings(test=0.5, val=0.5))


def test_subsets_hold_whole_people_and_nest(cohort: list[ManifestRow]) -> None:
    split = make_split(cohort, SplitSettings(train_sizes=(8, 16)))
    small, large = split.subsets[8], split.subsets[16]
    assert set(small) < set(large) < set(split.train)
    assert 8 - 2 <= len(small) <= 8
    assert 16 - 2 <= len(large) <= 16
    for subset in (small, large):
        people = {split.participants[scan] for scan in subset}
        assert sorted(subset) == sorted(scan for scan in split.train if split.participants[scan] in people)


def test_subsets_have_the_classes_in_proportion() -> None:
    rows = [row(f"P{number:02d}", 0, diagnosis="AD" if number < 6 else "NC") for number in range(30)]
    split = make_split(rows, SplitSettings(train_sizes=(10,), test=0.2, val=0.0))
    ill = [scan for scan in split.subsets[10] if int(split.participants[scan][1:]) < 6]
    assert (len(split.subsets[10]), len(ill)) == (10, 2)


def test_a_rare_class_is_in_half_of_train_by_half() -> None:
    rows = [row(f"P{number:02d}", 0, diagnosis="AD" if number < 2 else "NC") for number in range(22)]
    for seed in range(5):
        split = make_split(rows, SplitSettings(train_sizes=(11,), test=0.0, val=0.0), seed)
        assert sum(split.participants[scan] in {"P00", "P01"} for scan in split.subsets[11]) == 1


# ------------------------------------------------------------------------------------------- strata
def test_ages_are_banded_by_ten_years() -> None:
    def orders(*ages: float) -> set[tuple[str, ...]]:
        rows = [row(f"P{age:g}", 0, age=age) for age in ages]
        return {tuple(strata_of(rows, np.random.default_rng(seed))["NC"]) for seed in range(20)}

    assert orders(69, 70) == {("P69", "P70")}
    assert orders(70, 79) == {("P70", "P79"), ("P79", "P70")}
    assert orders(79, 80) == {("P79", "P80")}
    followed = [row("first", 0, age=69), row("first", 24, age=71), row("second", 0, age=70)]
    for seed in range(20):
        assert strata_of(followed, np.random.default_rng(seed))["NC"] == ["first", "second"], (
            "by the age at the first scan"
        )


def test_without_an_age_people_come_before_their_sex() -> None:
    rows = [row("old", 0, age=5.0), row("unknown", 0)]
    assert strata_of(rows, np.random.default_rng(0))["NC"] == ["unknown", "old"]


def test_the_usual_label_is_the_most_frequent() -> None:
    assert (
        usual_label([row("P", 0, diagnosis="NC"), row("P", 1, diagnosis="AD"), row("P", 2, diagnosis="AD")])
        == "AD"
    )
    assert usual_label([row("P", 0, diagnosis="NC"), row("P", 1, diagnosis="AD")]) == "AD", (
        "the first by name among equals"
    )
    unlabelled = row("P", 0).model_copy(update={"diagnosis": None})
    assert usual_label([unlabelled]) == ""
    assert usual_label([unlabelled, row("P", 1)]) == "NC"


def sizes(rows: list[ManifestRow], fractions: tuple[float, ...], seed: int = 0) -> list[dict[str, int]]:
    """Participants of each class on each side, what is left first."""
    label = {one.participant_id: str(one.diagnosis) for one in rows}
    parts = divide(rows, fractions, np.random.default_rng(seed))
    names = sorted(set(label.values()))
    return [{name: sum(label[person] == name for person in part) for name in names} for part in parts]


@pytest.mark.parametrize(
    ("well", "ill", "fractions", "expected"),
    [
        (10, 10, (0.2,), [(8, 8), (2, 2)]),
        (16, 4, (0.25, 0.25), [(8, 2), (4, 1), (4, 1)]),
        (9, 3, (0.2, 0.0), [(8, 2), (1, 1), (0, 0)]),
        (30, 2, (0.1, 0.1), [(24, 1), (3, 0), (3, 1)]),
        (3, 0, (0.2, 0.15), [(1, 0), (1, 0), (1, 0)]),
        (3, 0, (0.6, 0.2), [(1, 0), (1, 0), (1, 0)]),
        (10, 10, (0.1,), [(9, 9), (1, 1)]),
        (10, 0, (0.1,), [(9, 0), (1, 0)]),
        (14, 6, (0.2,), [(11, 5), (3, 1)]),
    ],
)
def test_sides_by_hand(
    well: int, ill: int, fractions: tuple[float, ...], expected: list[tuple[int, int]]
) -> None:
    rows = [
        row(f"P{number:02d}", 0, diagnosis="NC" if number < well else "AD") for number in range(well + ill)
    ]
    found = [(side["NC"], side.get("AD", 0)) for side in sizes(rows, fractions)]
    assert found == expected


def test_one_person_of_each_class_still_leaves_one_to_train_on() -> None:
    rows = [row("a", 0, diagnosis="NC"), row("b", 0, diagnosis="MCI"), row("c", 0, diagnosis="AD")]
    assert [len(part) for part in divide(rows, (0.3, 0.9), np.random.default_rng(0))] == [1, 1, 1]
    assert [len(part) for part in divide(rows, (0.9, 0.05), np.random.default_rng(0))] == [1, 1, 1]


def test_who_is_alone_with_a_diagnosis_stays_to_train_on_while_others_can_be_spared() -> None:
    labels = {"a": "NC", "b": "NC", "c": "MCI", "d": "MCI", "e": "AD"}
    rows = [row(person, 0, diagnosis=label) for person, label in labels.items()]
    for seed in range(5):
        train, test, val = divide(rows, (0.6, 0.2), np.random.default_rng(seed))
        assert {labels[person] for person in train} == {"NC", "AD"}
        assert sorted(labels[person] for person in test) == ["MCI", "NC"]
        assert [labels[person] for person in val] == ["MCI"]


def test_too_few_people_are_refused() -> None:
    rows = [row("a", 0), row("b", 0)]
    assert [side["NC"] for side in sizes(rows, (0.5,))] == [1, 1]
    with pytest.raises(DataError, match="2 participants cannot be cut into 3 sides"):
        divide(rows, (0.2, 0.2), np.random.default_rng(0))


def test_neighbours_part() -> None:
    """Of ten people in order of age one of each pair of neighbours goes to the test side."""
    rows = [row(f"P{number:02d}", 0, age=41.0 + 10 * number / 2) for number in range(10)]
    for seed in range(10):
        test = divide(rows, (0.5,), np.random.default_rng(seed))[1]
        order = strata_of(rows, np.random.default_rng(seed))["NC"]
        places = sorted(order.index(person) for person in test)
        assert [place // 2 for place in places] == [0, 1, 2, 3, 4]
