"""The audit by a profile: its defining fields, its telling words, its class texts; and fields that nobody opened."""

from pathlib import Path

import pytest

from voxtune.audit.text import body, label_in_text
from voxtune.commands.audit import audit
from voxtune.commands.describe import describe
from voxtune.commands.split import split
from voxtune.data.manifest import write_manifest, write_reports
from voxtune.errors import LeakageError
from voxtune.profiles.blank import PROFILE as BLANK
from voxtune.reports.wording import write_report
from voxtune.types.profile import Profile, ReportField
from voxtune.types.records import ManifestRow, Report

PARKINSON = Profile(
    name="parkinson",
    classes=("HC", "PD"),
    class_texts=("A scan of {name}",),
    regions={"dat_ratio": ReportField(name="DaT ratio")},
    defining=("updrs*", "hoehn_yahr"),
    telling=("UPDRS", "parkinson", "tremor dominant"),
)


def people(count: int = 12) -> list[ManifestRow]:
    return [
        ManifestRow.model_validate(
            {
                "participant_id": f"p{n}", "scan_id": f"s{n}", "image": f"s{n}.nii", "diagnosis": ("HC", "PD")[n % 2],
                "dat_ratio": f"{1 + n / 10:.2f}", "updrs_total": f"{10 + n}", "Motor copy": f"{10 + n}", "ratio_copy": f"{1 + n / 10:.2f}",
            }
        )
        for n in range(count)
    ]  # fmt: skip


def reports(rows: list[ManifestRow], words: str, *fields: str) -> dict[str, Report]:
    """Texts in which ``{COLUMN}`` is the value of that column."""
    return {
        row.scan_id: Report(scan_id=row.scan_id, text=words.format(**row.model_dump()), fields=fields)
        for row in rows
    }


def reasons(words: str, *fields: str, profile: Profile = PARKINSON, opened: tuple[str, ...] = ()) -> str:
    rows = people()
    return " ".join(
        one.message for one in label_in_text(rows, reports(rows, words, *fields), profile, opened)
    )


def test_a_text_by_the_profile_passes() -> None:
    rows = people()
    texts = {row.scan_id: write_report(row, "fields", profile=PARKINSON) for row in rows}
    assert label_in_text(rows, texts, PARKINSON) == []
    assert body(texts["s1"].text, "PD", PARKINSON).startswith("The scan reveals")
    assert "say the class 'PD'" in " ".join(
        one.message for one in label_in_text(rows, texts, BLANK, ("dat_ratio",))
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("UPDRS of some height", "say 'UPDRS'"),
        ("A Parkinsonian gait", "say 'Parkinson'"),
        ("Tremor-dominant", "say 'Tremor-dominant'"),
        ("Hoehn-Yahr 2", "say 'Hoehn-Yahr'"),
        ("Motor: {updrs_total}", "hold the value of 'updrs_total' as 'motor'"),
    ],
)
def test_words_and_values_of_the_profile_are_found(words: str, why: str) -> None:
    assert why in reasons(words, "dat_ratio")


def test_a_field_that_defines_the_class_is_named_under_any_spelling() -> None:
    for spelled in ("updrs_total", "UPDRS.III", "HoehnYahr"):
        assert f"hold '{spelled}', which defines the class" in reasons("Text", spelled)


@pytest.mark.parametrize("profile", [PARKINSON, BLANK])
def test_a_field_that_the_profile_does_not_know_passes_no_audit_in_silence(profile: Profile) -> None:
    said = reasons("Text", "motor_copy", profile=profile)
    assert f"profile '{profile.name}' does not know" in said
    assert "--set report.fields=motor_copy" in said
    assert reasons("Text", "motor_copy", profile=profile, opened=("Motor copy",)) == ""
    # Under another name, by its value; a copy of an allowed column is that column.
    assert "the value of 'Motor copy' as 'power'" in reasons("Power: {updrs_total}", profile=profile)
    assert "ratio_copy" not in reasons("Ratio: {dat_ratio}", "dat_ratio", profile=PARKINSON)


def test_the_command_refuses_what_was_not_opened(tmp_path: Path) -> None:
    manifest = write_manifest(people(24), tmp_path / "m.tsv")
    sides = split(manifest, tmp_path / "split")
    describe(manifest, tmp_path / "reports.tsv", profile="blank", fields=("dat_ratio",))
    with pytest.raises(LeakageError, match=r"dat_ratio.*does not know"):
        audit(sides, images=False)
    audit(sides, images=False, fields=("dat_ratio",))
    rows = people(24)
    write_reports(reports(rows, "Score: {updrs_total}", "updrs_total").values(), tmp_path / "reports.tsv")
    with pytest.raises(LeakageError, match="updrs_total"):
        audit(sides, images=False, fields=("dat_ratio",))
    with pytest.raises(LeakageError, match="defines the class"):
        audit(sides, images=False, profile=PARKINSON)
