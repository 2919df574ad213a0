"""Which scans of a cohort are scored for findings and for numbers, and what is said of the others."""

import pytest

from voxtune.errors import DataError, SettingError
from voxtune.evaluation.cohort_selection import choose_findings, choose_measured, kind_of
from voxtune.types.records import ManifestRow

NAMES = ("Emphysema", "Lung opacity")


def row(number: int, **columns: object) -> ManifestRow:
    return ManifestRow(
        **{"participant_id": f"p{number}", "scan_id": f"s{number}", "image": "x.nii.gz"} | columns
    )


# ------------------------------------------------------------------------------------------------ findings
def test_a_column_that_is_mapped_is_the_finding() -> None:
    rows = [row(1, Emphysema="1", GGO="0"), row(2, Emphysema="n/a", GGO="1")]
    found = choose_findings(rows, NAMES, (), renamed={"GGO": "Lung opacity", "Emphysema": "Emphysema"})
    assert found.classes == NAMES
    assert [(one.model_extra or {})["Lung opacity"] for one in found.rows] == ["0", "1"]
    assert all("GGO" not in (one.model_extra or {}) for one in found.rows)
    assert found.label_map == "GGO as Lung opacity"
    assert found.left_out == {}


@pytest.mark.parametrize(
    ("renamed", "said"),
    [
        ({"Nowhere": "Emphysema"}, "columns of this cohort: Emphysema, GGO"),
        ({"GGO": "Pneumonia"}, "a finding of the run: Emphysema, Lung opacity"),
        ({"GGO": "Emphysema"}, "one column that is 'Emphysema'"),
    ],
)
def test_a_column_that_cannot_be_mapped_is_refused(renamed: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        choose_findings([row(1, Emphysema="1", GGO="0")], NAMES, (), renamed=renamed)


def test_two_columns_are_not_one_finding() -> None:
    with pytest.raises(SettingError, match="one column that is 'Lung opacity'"):
        choose_findings([row(1, a="1", b="0")], NAMES, (), renamed={"a": "Lung opacity", "b": "Lung opacity"})


def test_only_the_test_side_is_scored_and_what_is_unknown_is_counted() -> None:
    rows = [row(1, Emphysema="1"), row(2, Emphysema="n/a"), row(3, Emphysema="0")]
    sides = {"train": {"s3"}, "val": set(), "test": {"s1", "s2"}}
    found = choose_findings(rows, NAMES, {"Emphysema"}, sides=sides)
    assert [one.scan_id for one in found.rows] == ["s1"]
    assert found.left_out == {"no known finding": 1}
    assert found.held_out == ("Emphysema",)
    assert kind_of("Emphysema", found, adapted=True) == "held-out classes"
    assert kind_of("Emphysema", found, adapted=False) == "zero-shot"


def test_a_label_of_several_findings_stands_where_its_parts_have_no_column() -> None:
    parts = ("Arterial wall calcification", "Coronary artery wall calcification")
    found = choose_findings([row(1, Calcification="1")], (*NAMES, *parts), ())
    assert dict(found.parts) == {"Calcification": parts}
    with_part = choose_findings([row(1, **{"Calcification": "1", parts[0]: "1"})], (*NAMES, *parts), ())
    assert dict(with_part.parts) == {parts[0]: (parts[0],)}


def test_findings_that_cannot_be_scored_are_refused() -> None:
    rows = [row(1, Emphysema="1")]
    with pytest.raises(SettingError, match="some of Emphysema, Lung opacity"):
        choose_findings(rows, NAMES, (), asked=("Pneumonia",))
    with pytest.raises(DataError, match="--map COLUMN=FINDING"):
        choose_findings(rows, NAMES, (), asked=("Lung opacity",))
    with pytest.raises(DataError, match="This cohort has no scan with a known finding of Emphysema"):
        choose_findings([row(1, Emphysema="n/a")], NAMES, ())
    with pytest.raises(DataError, match="The run's test side has no scan"):
        choose_findings(rows, NAMES, (), sides={"train": {"s1"}, "val": set(), "test": set()})


# ------------------------------------------------------------------------------------------------- numbers
def test_a_scan_with_any_measured_number_is_scored_and_the_others_are_counted() -> None:
    rows = [row(1), row(2), row(3), row(4)]
    targets = {"mmse": {"s1": 20.0}, "age": {"s2": 70.0, "s4": 60.0}}
    found = choose_measured(rows, targets)
    assert ([one.scan_id for one in found.rows], found.classes) == (["s1", "s2", "s4"], ())
    assert found.left_out == {"no measured target": 1}
    assert found.people == 3
    own = choose_measured(rows, targets, {"train": {"s1"}, "val": set(), "test": {"s2", "s4"}})
    assert ([one.scan_id for one in own.rows], own.left_out) == (["s2", "s4"], {})


def test_where_nothing_was_measured_there_is_nothing_to_score() -> None:
    with pytest.raises(DataError, match="No scan of this cohort has a measured mmse or age"):
        choose_measured([row(1)], {"mmse": {}, "age": {}})
    with pytest.raises(DataError, match="No scan of the test side of the run"):
        choose_measured([row(1)], {"mmse": {"s1": 3.0}}, {"train": {"s1"}, "val": set(), "test": set()})
