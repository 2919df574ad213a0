"""Splits small enough to know the answer."""

import pytest

from voxtune.data.splits import SplitSettings, make_folds, make_split, visit_order
from voxtune.errors import SettingError
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
