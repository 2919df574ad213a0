"""The paper's sentence to the character, missing values, user templates, and what may never be in a text."""

from pathlib import Path

import pytest

from voxtune.commands.describe import describe
from voxtune.data.manifest import read_reports, write_manifest
from voxtune.errors import DataError, LeakageError, SettingError, UsageError
from voxtune.reports.wording import BUILT_IN, class_text, label_sentence, load_template, write_report
from voxtune.types.records import ManifestRow, Report

PAPER = (
    "A photo of NC. The MRI scan reveals the following biomarkers: Hippocampal volume: 7323.00 mm^3, Ventricular size: 43767.00 mm^3, "
    "Whole brain volume: 968731.00 mm^3, Entorhinal cortex volume: 4056.00 mm^3, Fusiform gyrus volume: 18775.00 mm^3, "
    "Middle temporal gyrus volume: 17048.00 mm^3."
)


def scan(**changes: object) -> ManifestRow:
    values: dict[str, object] = {
        "participant_id": "p", "scan_id": "s", "image": "i", "diagnosis": "NC", "age": 70, "mmse": 29, "cdr": 0,
        "hippocampus_mm3": 7323, "ventricles_mm3": 43767, "whole_brain_mm3": 968731,
        "entorhinal_mm3": 4056, "fusiform_mm3": 18775, "middle_temporal_mm3": 17048,
    }  # fmt: skip
    return ManifestRow.model_validate(values | changes)


def test_the_papers_example_character_for_character() -> None:
    report = write_report(scan())
    assert report.text == PAPER
    assert report.fields[0] == "diagnosis"
    assert len(report.fields) == 7


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("omit", "Hippocampal volume: 7323.00 mm^3, Whole brain volume: 968731.00 mm^3, Entorhinal"),
        (
            "unavailable",
            "7323.00 mm^3, Ventricular size: data unavailable, Whole brain volume: 968731.00 mm^3, Entorhinal",
        ),
    ],
)
def test_a_missing_value_goes_with_its_comma_or_is_said(missing: str, words: str) -> None:
    report = write_report(scan(ventricles_mm3=None), missing=missing)  # type: ignore[arg-type]
    assert words in report.text
    assert "ventricles_mm3" not in report.fields


def test_first_last_and_all_missing() -> None:
    text = write_report(scan(hippocampus_mm3=None, middle_temporal_mm3=None)).text
    assert "biomarkers: Ventricular size: 43767.00 mm^3, " in text
    assert text.endswith("Fusiform gyrus volume: 18775.00 mm^3.")
    nothing = scan(**{name: None for name in scan().model_dump() if name.endswith("_mm3")})
    assert write_report(nothing).text == "A photo of NC."
    with pytest.raises(DataError, match="'s'"):
        write_report(nothing, label=False)


def test_the_published_codes_wording() -> None:
    text = write_report(scan(diagnosis="AD", entorhinal_mm3=None), "deft_code", missing="unavailable").text
    assert text == (
        "A photo of AD: Hippocampal Vol: 7323.00, Ventricular size: 43767.00, Whole brain Vol: 968731.00, Entorhinal Vol: Data unavailable"
    )


def test_oasis_has_its_own_fields() -> None:
    row = scan(age=87, etiv="1987", nwbv="0.696", asf="0.883")
    assert write_report(row, "oasis").text == (
        "A photo of NC. The MRI scan reveals the following biomarkers: Age: 87 years, "
        "Estimated total intracranial volume: 1987.00 cm^3, Normalized whole brain volume: 0.696, Atlas scaling factor: 0.883."
    )
    assert "volume: 1500.00 cm^3" in write_report(scan(icv_mm3=1_500_000), "oasis").text


@pytest.mark.parametrize("name", ["NC", "40 and older", "Alzheimer's <disease>"])
def test_any_class_name_stands_as_it_is(name: str) -> None:
    assert write_report(scan(diagnosis=name)).text.startswith(label_sentence(name))
    assert label_sentence(name) == class_text(name) + "." == f"A photo of {name}."
    for template in set(BUILT_IN) - {"ct_rate", "label"}:
        assert name not in write_report(scan(diagnosis=name), template, label=False).text


def test_a_ct_report_is_the_radiologists_words() -> None:
    row = ManifestRow.model_validate(
        {
            "participant_id": "p",
            "scan_id": "s",
            "image": "i",
            "findings": "No  nodule.",
            "impressions": "Normal.",
        }
    )
    assert write_report(row, "ct_rate") == Report(
        scan_id="s", text="No nodule. Normal.", fields=("findings", "impressions")
    )
    with pytest.raises(DataError, match="nothing to say"):
        write_report(scan(), "ct_rate")


def test_no_label_is_no_sentence() -> None:
    assert write_report(scan(diagnosis=None)).text == PAPER.removeprefix("A photo of NC. ")


def test_a_users_template(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(
        "A photo of {{ label }}.\n  {{ listed(('APOE', apoe4, '', 0), ('Sex code', age, 'y', 1)) }}\n"
    )
    with pytest.raises(LeakageError, match=r"report\.fields=apoe4"):
        write_report(scan(APOE4="1"), path)
    report = write_report(scan(APOE4="1"), path, policy={"APOE4": "training"})
    assert report.text == "A photo of NC. APOE: 1, Sex code: 70.0 y"
    assert report.fields == ("diagnosis", "age", "apoe4")


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("CDR {{ cdr }}", {}),
        ("score {{ mmse }}", {}),
        ("{{ diagnosis }}", {}),
        ("{{ scan_id }}", {}),
        ("{{ participant_id }}", {}),
        ("{{ site }}", {}),
        ("{{ group }}", {"Group": "Demented"}),
        ("{{ faq }}", {"FAQ": "3"}),
        ("{{ age }}", {"diagnosis_rule": "rule: age<40:younger than 40;age>=40:40 and older"}),
    ],
)
def test_a_field_that_defines_the_class_is_refused(
    tmp_path: Path, text: str, changes: dict[str, object]
) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(LeakageError, match=r"mine\.txt") as caught:
        write_report(scan(**changes), path)
    assert caught.value.exit_code == 4


def test_policy_opens_what_may_be_opened_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("{{ site }}")
    assert write_report(scan(site="x"), path, policy={"site": "training"}).text == "x"
    path.write_text("{{ cdr }}")
    with pytest.raises(SettingError, match=r"policy\.cdr"):
        write_report(scan(), path, policy={"cdr": "training"})


def test_at_inference_a_text_has_neither_label_nor_training_fields(tmp_path: Path) -> None:
    with pytest.raises(LeakageError, match="training only"):
        write_report(scan(), when="inference")
    path = tmp_path / "mine.txt"
    path.write_text("{% if label %}{{ label }}{% endif %} {{ age }} {{ sex }}")
    assert write_report(scan(sex="F"), path, when="inference").text == "70.0 F"


@pytest.mark.parametrize(
    "text",
    [
        "{{ nothing }}",
        "{{ age",
        "{% include 'other' %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ label.__init__.__globals__ }}",
        "{{ listed(('x', sex, '')) }}",
        "{{ listed(1) }}",
    ],
)
def test_a_wrong_or_hostile_template_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises((UsageError, DataError)):
        write_report(scan(sex="F"), path)


def test_an_unknown_template_names_the_known() -> None:
    with pytest.raises(UsageError, match="deft_code"):
        load_template("defd")


def test_describe_writes_and_shows(tmp_path: Path) -> None:
    rows = [
        scan(scan_id="a"),
        scan(scan_id="b", diagnosis="AD"),
        scan(scan_id="c", diagnosis=None, **{n: None for n in scan().model_dump() if n.endswith("_mm3")}),
    ]
    manifest = write_manifest(rows, tmp_path / "m.tsv")
    done = describe(manifest, tmp_path / "r.tsv")
    reports = read_reports(done.reports)
    assert list(reports) == ["a", "b"]
    assert reports["a"].text == PAPER
    said = done.summary.splitlines()
    assert said[0].startswith("2 reports, 2 different texts")
    assert PAPER in said[1]
    assert "(c)" in said[-2]
