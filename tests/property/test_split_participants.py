"""Splits keep participants together, fill every side, keep classes in proportion, and repeat with their seed."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.data.split_strata import usual_label
from voxtune.data.splits import SIDES, Split, SplitSettings, make_folds, make_split
from voxtune.errors import DataError
from voxtune.types.records import ManifestRow


def together(split: Split, rows: list[ManifestRow]) -> None:
    """Every scan is on one side or excluded, and no participant is on two sides."""
    scans = [scan for side in SIDES for scan in split.sides()[side]]
    assert sorted([*scans, *split.excluded]) == sorted(row.scan_id for row in rows)
    people = [set(split.people(side)) for side in SIDES]
    assert not people[0] & people[1] | people[0] & people[2] | people[1] & people[2]


@st.composite
def cohorts(draw: st.DrawFn) -> list[ManifestRow]:
    rows = []
    for person in range(draw(st.integers(1, 30))):
        label = draw(st.sampled_from(["NC", "AD", "MCI", None]))
        age, sex = draw(st.one_of(st.none(), st.floats(20, 95))), draw(st.sampled_from(["F", "M", None]))
        rows += [
            ManifestRow(
                participant_id=f"p{person}",
                scan_id=f"s{person}_{visit}",
                image="i",
                diagnosis=label,
                age=age,
                sex=sex,
            )
            for visit in range(draw(st.integers(1, 4)))
        ]
    return draw(st.permutations(rows))


@given(
    cohorts(),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.05, 0.2, 0.5, 0.8]),
    st.sampled_from([0.0, 0.15]),
)
@settings(max_examples=150, deadline=None)
def test_any_cohort_is_cut_by_participant_with_no_empty_side(
    rows: list[ManifestRow], seed: int, test: float, val: float
) -> None:
    people = len({row.participant_id for row in rows})
    asked = SplitSettings(test=test, val=val)
    if people < 1 + (test > 0) + (val > 0):
        with pytest.raises(DataError, match=str(people)):
            make_split(rows, asked, seed)
        return
    split = make_split(rows, asked, seed)
    together(split, rows)
    assert split.train
    assert bool(split.test) == (test > 0)
    assert bool(split.val) == (val > 0)
    assert make_split(rows, asked, seed) == split


@given(cohorts(), st.integers(0, 1000), st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_every_participant_is_tested_once_in_folds(rows: list[ManifestRow], seed: int, folds: int) -> None:
    people = {row.participant_id for row in rows}
    if len(people) < folds or len(people) - -(-len(people) // folds) < 2:
        return
    splits = make_folds(rows, SplitSettings(folds=folds), seed)
    for split in splits:
        together(split, rows)
        assert split.train
        assert split.val
    assert Counter(person for split in splits for person in split.people("test")) == dict.fromkeys(people, 1)


@given(cohorts(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_training_subsets_are_nested_and_by_participant(rows: list[ManifestRow], seed: int) -> None:
    if len({row.participant_id for row in rows}) < 3:
        return
    scans = len(make_split(rows, SplitSettings(), seed).train)
    sizes = sorted({max(4, scans // 2), max(4, scans)})
    if sizes[-1] > scans:
        return
    split = make_split(rows, SplitSettings(train_sizes=tuple(sizes)), seed)
    previous: set[str] = set()
    for size in sizes:
        subset = set(split.subsets[size])
        assert previous <= subset <= set(split.train)
        assert len(subset) <= size
        own = {split.participants[scan] for scan in subset}
        assert subset == {scan for scan in split.train if split.participants[scan] in own}
        previous = subset


def test_oasis_2_for_a_hundred_seeds(shared_data: Path) -> None:
    with (shared_data / "tables" / "oasis_longitudinal.csv").open() as file:
        table = list(csv.DictReader(file))
    rows = [
        ManifestRow(participant_id=row["Subject ID"], scan_id=row["MRI ID"], image="i", diagnosis=row["Group"],
                    age=float(row["Age"]), sex=row["M/F"])  # type: ignore[arg-type]
        for row in table
    ]  # fmt: skip
    assert (len(rows), len({row.participant_id for row in rows})) == (373, 150)
    per_person: dict[str, list[ManifestRow]] = {}
    for row in rows:
        per_person.setdefault(row.participant_id, []).append(row)
    seen = set()
    for seed in range(100):
        split = make_split(rows, SplitSettings(), seed)
        together(split, rows)
        seen.add(split.test)
        assert len(split.people("test")) == 30
        tested = Counter(usual_label(per_person[person]) for person in split.people("test"))
        # 72/64/14 participants: a fifth of each, to the nearest participant or its neighbour.
        assert abs(tested["Nondemented"] - 14.4) <= 1
        assert abs(tested["Demented"] - 12.8) <= 1
        assert abs(tested["Converted"] - 2.8) <= 1
    assert len(seen) == 100
