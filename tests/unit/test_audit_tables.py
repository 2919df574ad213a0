"""Each leak that tables and texts can hold is refused with a sentence that names the rows; honest splits are not."""

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.audit.report import AuditReport
from voxtune.commands.audit import audit
from voxtune.commands.split import split
from voxtune.data.manifest import read_manifest, write_manifest, write_reports
from voxtune.data.splits import Split, make_split
from voxtune.errors import DataError, LeakageError, SettingError, UsageError
from voxtune.reports.wording import write_report
from voxtune.types.records import ManifestRow, Report

RULE = "column: diagnosis"


def cohort(people: int = 24, visits: int = 2, **changes: object) -> list[ManifestRow]:
    return [
        ManifestRow.model_validate(
            {
                "participant_id": f"p{person}", "session_id": f"M{visit}", "scan_id": f"s{person}_{visit}", "image": f"i/{person}_{visit}.nii",
                "diagnosis": ("NC", "AD")[person % 2], "diagnosis_rule": RULE, "age": 60 + person, "sex": "FM"[person % 3 == 0],
                "cdr": (0, 0.5, 0, 1)[person % 4], "mmse": 30 - person % 7, "hippocampus_mm3": 7000 + 37 * person + visit,
            }
            | changes
        )
        for person in range(people)
        for visit in range(visits)
    ]  # fmt: skip


def texts(rows: list[ManifestRow]) -> dict[str, Report]:
    return {row.scan_id: write_report(row) for row in rows}


def audited(*what: Any, allow: Collection[str] = ()) -> AuditReport:
    """What ``train`` does before it begins: look, then refuse."""
    report = find_leaks(*what, allow=allow)
    report.refuse()
    return report


def refused(report: AuditReport) -> set[str]:
    return {one.check for one in report.refusals}


def test_an_honest_split_is_not_refused() -> None:
    rows = cohort()
    report = audited(rows, make_split(rows), texts(rows))
    assert not report.refusals
    assert {check for check, state in report.checked.items() if state == "done"} >= {
        "participants",
        "same_text",
        "label_in_text",
        "text_probe",
    }
    assert report.checked["near_duplicate"] == "images were not read"
    assert "Nothing refuses training." in report.text


def test_a_split_by_file_is_refused_by_name() -> None:
    rows = cohort()
    names = tuple(row.scan_id for row in rows)
    by_file = Split(names[:30], names[30:37], names[37:], {row.scan_id: row.participant_id for row in rows})
    with pytest.raises(LeakageError) as caught:
        audited(rows, by_file)
    assert caught.value.exit_code == 4
    for word in ("p18", "s18_0", "s18_1", "val", "test", "--allow participants"):
        assert word in str(caught.value)


def test_a_scan_on_two_sides_and_a_file_under_two_names() -> None:
    rows = cohort()
    honest = make_split(rows)
    with pytest.raises(LeakageError, match=honest.test[0]):
        audited(rows, replace(honest, train=(*honest.train, honest.test[0])))
    image = next(row.image for row in rows if row.scan_id == honest.train[0])
    copied = [
        row.model_copy(update={"image": image}) if row.scan_id == honest.test[0] else row for row in rows
    ]
    with pytest.raises(LeakageError, match=rf"{honest.train[0]}.*{honest.test[0]}"):
        audited(copied, honest)


def test_the_same_text_on_both_sides_is_refused_and_a_bare_label_is_not() -> None:
    rows = cohort()
    honest, reports = make_split(rows), texts(rows)
    reports[honest.test[0]] = reports[honest.test[0]].model_copy(
        update={"text": reports[honest.train[0]].text}
    )
    report = find_leaks(rows, honest, reports)
    (same,) = [one for one in report.findings if one.check == "same_text"]
    assert same.level == "refuse"
    assert set(same.scans) >= {honest.test[0], honest.train[0]}
    bare = {row.scan_id: Report(scan_id=row.scan_id, text=f"A photo of {row.diagnosis}.") for row in rows}
    assert not refused(find_leaks(rows, honest, bare))


@pytest.mark.parametrize(
    ("addition", "changes", "words"),
    [
        (" CDR: {row.cdr}.", {}, ["CDR"]),
        (" Clinical Dementia Rating {row.cdr}.", {}, ["Clinical Dementia Rating"]),
        (" This looks like {row.diagnosis}.", {}, ["'AD'"]),
        (" Staging score: {row.cdr}.", {}, ["'cdr'", "staging score"]),
        (" Points: {row.mmse}.", {}, ["'mmse'", "points"]),
        (" Age: {row.age:.0f}.", {"diagnosis_rule": "rule: age<70:NC;age>=70:AD"}, ["'age'"]),
    ],
)
def test_a_text_that_gives_the_label_away_is_refused(
    addition: str, changes: dict[str, object], words: list[str]
) -> None:
    rows = cohort(**changes)
    reports = {
        name: report.model_copy(update={"text": report.text + addition.format(row=row)})
        for row, (name, report) in zip(rows, texts(rows).items(), strict=True)
    }
    with pytest.raises(LeakageError) as caught:
        audited(rows, make_split(rows), reports)
    for word in [*words, "s0_0", "--allow label_in_text"]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "addition",
    [
        " From the Alzheimer's Disease Neuroimaging Initiative.",
        " Family history of dementia unknown.",
        " AD protocol.",
    ],
)
def test_words_that_are_the_same_for_all_are_a_note(addition: str) -> None:
    rows = cohort()
    reports = {
        name: report.model_copy(update={"text": report.text + addition})
        for name, report in texts(rows).items()
    }
    found = [
        one for one in find_leaks(rows, make_split(rows), reports).findings if one.check == "label_in_text"
    ]
    assert {one.level for one in found} == {"note"}


def test_one_report_with_cdr_is_enough() -> None:
    rows = cohort()
    reports = texts(rows)
    reports["s3_1"] = reports["s3_1"].model_copy(update={"text": reports["s3_1"].text + " CDR 0.5"})
    report = find_leaks(rows, make_split(rows), reports)
    assert [one.scans for one in report.refusals] == [("s3_1",)]


def test_wording_that_depends_on_the_class_is_refused_and_noise_is_not() -> None:
    rows = cohort()
    worded = {
        row.scan_id: Report(scan_id=row.scan_id, text=f"A photo of {row.diagnosis}. {'Volume' if row.diagnosis == 'NC' else 'Size'}: {row.hippocampus_mm3}")
        for row in rows
    }  # fmt: skip
    report = find_leaks(rows, make_split(rows), worded)
    assert refused(report) == {"text_probe"}
    (probe,) = [one for one in report.findings if one.check == "text_probe"]
    assert probe.figures["auc"] > 0.95
    noise = {
        row.scan_id: Report(scan_id=row.scan_id, text=f"A photo of {row.diagnosis}. {('Volume', 'Size', 'Bulk')[hash((i * 7919) % 101) % 3]}: {row.hippocampus_mm3}")
        for i, row in enumerate(rows)
    }  # fmt: skip
    assert not refused(find_leaks(rows, make_split(rows), noise))


def test_participants_an_ancestor_has_seen_are_refused() -> None:
    rows = cohort()
    honest = make_split(rows)
    person = honest.people("test")[0]
    report = find_leaks(rows, honest, inputs=AuditInputs(ancestors={"stage_one": [person]}))
    assert refused(report) == {"ancestors"}
    assert "stage_one" in report.refusals[0].message
    assert not refused(
        find_leaks(rows, honest, inputs=AuditInputs(ancestors={"stage_one": honest.people("train")}))
    )


def test_what_is_accepted_is_written_down() -> None:
    rows = cohort()
    names = tuple(row.scan_id for row in rows)
    by_file = Split(names[:30], names[30:37], names[37:], {})
    report = audited(rows, by_file, allow=["participants"])
    assert report.as_json()["allowed"] == ["participants"]
    assert "accepted [participants]" in report.text
    with pytest.raises(SettingError, match="near_duplicate"):
        audited(rows, by_file, allow=["everything"])


def test_a_site_that_tells_the_diagnosis_is_refused() -> None:
    rows = [row.model_copy(update={"site": "A" if row.diagnosis == "NC" else "B"}) for row in cohort()]
    report = find_leaks(rows, make_split(rows))
    (site,) = [one for one in report.findings if one.check == "shortcut"]
    assert site.level == "refuse"
    assert site.figures["cramers_v"] > 0.98


# ------------------------------------------------------------------------------------- the stages
def test_split_and_audit_on_disk(tmp_path: Path) -> None:
    rows = cohort()
    manifest = write_manifest(rows, tmp_path / "study" / "manifest.tsv")
    folder = split(manifest, tmp_path / "study" / "split")
    assert {path.name for path in folder.iterdir()} == {
        "split.json",
        "train.tsv",
        "val.tsv",
        "test.tsv",
        "audit.json",
    }
    stored = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    assert stored["manifest"] == "../manifest.tsv"
    assert str(tmp_path) not in (folder / "split.json").read_text(encoding="utf-8")
    assert split(manifest, folder) == folder, "the very same split stays"
    with pytest.raises(UsageError, match="already"):
        split(manifest, folder, seed=1)
    write_reports(texts(rows).values(), manifest.parent / "reports.tsv")
    report = audit(folder, images=False)
    assert report.checked["same_text"] == "done"
    written = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    assert written["refused"] is False
    write_reports(
        [Report(scan_id=row.scan_id, text=f"A photo of {row.diagnosis}. CDR {row.cdr}") for row in rows],
        manifest.parent / "reports.tsv",
    )
    with pytest.raises(LeakageError, match="CDR"):
        audit(folder, images=False)
    assert json.loads((folder / "audit.json").read_text(encoding="utf-8"))["refused"] is True
    audit(folder, images=False, allow=["label_in_text", "same_text", "text_probe"])


def test_a_hand_made_split_needs_a_manifest_that_has_its_scans(tmp_path: Path) -> None:
    rows = cohort()
    manifest = write_manifest(rows, tmp_path / "manifest.tsv")
    folder = tmp_path / "mine"
    folder.mkdir()
    for side, scan in (("train", "s0_0"), ("val", "s1_0"), ("test", "s0_1")):
        (folder / f"{side}.tsv").write_text(f"scan_id\n{scan}\n")
    with pytest.raises(UsageError, match="--data"):
        audit(folder, images=False)
    with pytest.raises(LeakageError, match=r"p0.*s0_0.*s0_1"):
        audit(folder, manifest, images=False)
    (folder / "test.tsv").write_text("scan_id\nelse\n")
    with pytest.raises(DataError, match="else"):
        audit(folder, manifest, images=False)
    with pytest.raises(UsageError, match="no split folder"):
        audit(tmp_path, manifest)


def test_folds_are_audited_one_by_one_and_a_changed_manifest_is_said(tmp_path: Path) -> None:
    rows = cohort()
    manifest = write_manifest(rows, tmp_path / "manifest.tsv")
    folder = split(manifest, tmp_path / "folds", folds=3)
    assert json.loads((folder / "split.json").read_text(encoding="utf-8"))["folds"] == [
        "fold_0",
        "fold_1",
        "fold_2",
    ]
    assert all((folder / f"fold_{i}" / "audit.json").is_file() for i in range(3))
    changed = [
        row.model_copy(update={"participant_id": "else"}) if row.scan_id == "s3_0" else row
        for row in read_manifest(manifest)
    ]
    write_manifest(changed, manifest)
    text = audit(folder, images=False).text
    assert "fold_2: " in text
    assert "sha256" in text
    assert "s3_0" in text
