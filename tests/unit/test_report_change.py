"""What a report says of change: percent a year, since the earliest scan, and never from a scan after the moment."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.commands.train.texts import say_of_texts
from voxtune.config import ReportSettings, RunConfig, read_recipe
from voxtune.data.examples import reports_of
from voxtune.errors import SettingError
from voxtune.profiles.read import read_profile
from voxtune.reports.change import change_sentence, changes, said_of_change, with_changes, yearly_change
from voxtune.types.records import ManifestRow, Report

DEMENTIA = read_profile("dementia")


def row(name: str, when: object, volume: object = 7000, person: str = "A", **more: object) -> ManifestRow:
    return ManifestRow.model_validate(
        {
            "participant_id": person,
            "scan_id": name,
            "image": "a.nii",
            "diagnosis": "MCI",
            "visit_years": when,
            "hippocampus_mm3": volume,
        }
        | more
    )


def test_a_fall_a_rise_and_nothing() -> None:
    assert change_sentence("Hippocampal volume", -4.13) == "Hippocampal volume fell by 4.1% a year."
    assert change_sentence("Ventricular size", 6.96) == "Ventricular size rose by 7.0% a year."
    assert change_sentence("Whole brain volume", -0.04) == "Whole brain volume did not change."


def test_the_text_of_a_training_says_it_only_where_it_was_asked_for() -> None:
    rows = [
        row("a", 0.0, 7000, ventricles_mm3=30000),
        row("b", 2.0, 6426, ventricles_mm3=30000),
        row("c", 5.0, 7000, "B"),
    ]
    plain = reports_of(rows, ReportSettings(), DEMENTIA)
    said = reports_of(rows, ReportSettings(change=True), DEMENTIA)
    assert (
        said["b"].text
        == f"{plain['b'].text} Hippocampal volume fell by 4.1% a year. Ventricular size did not change."
    )
    assert (said["a"], said["c"]) == (plain["a"], plain["c"]), "nobody has an earlier scan"
    assert {"hippocampus_mm3", "ventricles_mm3"} <= set(said["b"].fields)


def test_nothing_is_said_of_the_change_of_what_is_predicted() -> None:
    rows = [row("a", 0.0, 7000, ventricles_mm3=30000), row("b", 2.0, 6426, ventricles_mm3=33000)]
    plain = {one.scan_id: Report(scan_id=one.scan_id, text="A scan.", fields=()) for one in rows}
    said = with_changes(plain, rows, DEMENTIA, ["ventricles_mm3"])
    assert said["b"].text == "A scan. Hippocampal volume fell by 4.1% a year."
    assert "Ventricular size rose" in with_changes(plain, rows, DEMENTIA)["b"].text


def test_texts_of_a_file_say_nothing_of_change_and_are_not_asked_to() -> None:
    with pytest.raises(SettingError, match="whose texts are taken as they are"):
        reports_of([row("a", 0.0)], ReportSettings(change=True, file="reports.tsv"), DEMENTIA)


def test_how_many_texts_say_a_change_is_said() -> None:
    rows = [row("a", 0.0, 7000), row("b", 2.0, 6426), row("c", "n/a", 7000, "B")]
    assert said_of_change(rows, DEMENTIA).startswith(
        "report.change: 1 of 3 texts say how volumes changed; the others have no scan"
    )
    said: list[str] = []
    config = read_recipe("deft").edit("report.change=true").edit("profile=dementia")
    say_of_texts(rows, config, said.append)
    assert any(one.startswith("report.change: 1 of 3") for one in said)


def test_settings_of_before_are_written_as_before() -> None:
    config = read_recipe("deft")
    assert "change" not in config.to_json()
    edited = config.edit("report.change=true")
    assert edited.report.change
    assert RunConfig.from_json(edited.to_json()) == edited


@pytest.mark.parametrize(
    "others",
    [
        [row("later", 3.0)], [row("same", 2.0)], [row("near", 1.7)], [row("undated", "n/a")], [row("other", 0.0, person="B")],
        [row("lost", 0.0, "n/a")], [row("wrong", 0.0, 500)],
    ],
)  # fmt: skip
def test_what_says_nothing_of_change(others: list[ManifestRow]) -> None:
    now = row("now", 2.0, 6000)
    assert changes(now, [now, *others], DEMENTIA) == {}


def test_a_scan_without_a_time_or_a_volume_has_no_change() -> None:
    assert changes(row("now", "n/a"), [row("a", 0.0)], DEMENTIA) == {}
    assert changes(row("now", 2.0, "n/a"), [row("a", 0.0)], DEMENTIA) == {}
    for never in ("inf", "-inf", "nan", "M012"):
        assert changes(row("now", never), [row("a", 0.0)], DEMENTIA) == {}
        assert changes(row("now", 2.0), [row("a", never)], DEMENTIA) == {}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(4000, 9000)), min_size=1, max_size=6))
def test_it_is_the_change_since_the_earliest_scan(some: list[tuple[float, float]]) -> None:
    rows = [row(f"s{place}", when, volume) for place, (when, volume) in enumerate(some)]
    for now in rows:
        found = changes(now, rows, DEMENTIA)
        whole = changes(
            now,
            [
                one
                for one in rows
                if float(one.model_extra["visit_years"]) <= float(now.model_extra["visit_years"])
            ],
            DEMENTIA,
        )  # type: ignore[index]
        assert found == whole, "no later scan says anything"
        for value in found.values():
            first = min(rows, key=lambda one: (float(one.model_extra["visit_years"]), one.scan_id))  # type: ignore[index]
            gap = float(now.model_extra["visit_years"]) - float(first.model_extra["visit_years"])  # type: ignore[index]
            assert value == pytest.approx(yearly_change(first.hippocampus_mm3, now.hippocampus_mm3, gap))  # type: ignore[arg-type]
