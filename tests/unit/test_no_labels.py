"""A manifest without labels says so from the first step, not at training."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.audit.checks import find_leaks
from voxtune.cli import main
from voxtune.cohorts.reading import Reading
from voxtune.commands.ingest.command import summary
from voxtune.commands.split import split
from voxtune.data.manifest import unlabelled_note, write_manifest
from voxtune.data.splits import make_split
from voxtune.errors import DataError
from voxtune.tasks.classification import labelled
from voxtune.types.records import ManifestRow

TODO = "--set diagnosis=COLUMN"


def rows(**more: object) -> list[ManifestRow]:
    return [
        ManifestRow.model_validate(
            {"participant_id": f"P{n}", "scan_id": f"S{n}", "image": f"{n}.nii.gz", "site": "AB"[n % 2]}
            | more
        )
        for n in range(19)
    ]


def test_ingest_and_split_say_which_step_knows_the_labels(tmp_path: Path) -> None:
    write_manifest(rows(), tmp_path / "manifest.tsv")
    said: list[str] = []
    split(tmp_path / "manifest.tsv", tmp_path / "split", say=said.append)
    notes = [*summary(Reading(rows=rows())), *said]
    assert sum("note: no scan has a label" in line and TODO in line for line in notes) == 2
    assert unlabelled_note(rows(diagnosis="AD")) is None
    assert unlabelled_note([*rows()[1:], rows(diagnosis="AD")[0]]) is None


@pytest.mark.parametrize(("cell", "label"), [("0", True), ("1.0", True), ("n/a", False), ("3", False)])
def test_findings_are_labels_too(cell: str, label: bool) -> None:
    assert (unlabelled_note(rows(Emphysema=cell)) is None) == label


def test_the_audit_does_not_say_that_it_checked_classes_that_are_not_there() -> None:
    some = rows()
    report = find_leaks(some, make_split(some, seed=0), {})
    for check in ("classes", "shortcut", "label_in_text"):
        assert f"not done [{check}] no scan has a diagnosis" in report.text
        assert check not in report.text.split("Checked:")[1]
    some = [row.model_copy(update={"diagnosis": "NC"}) for row in some]
    assert (
        "Checked: participants, same_person, classes, shortcut"
        in find_leaks(some, make_split(some, seed=0)).text
    )


def test_training_says_what_to_do(tmp_path: Path) -> None:
    write_manifest(rows(), tmp_path / "manifest.tsv")
    done = CliRunner().invoke(
        main, ["train", "deft", "-o", str(tmp_path / "run"), "--data", str(tmp_path / "manifest.tsv")]
    )
    assert done.exit_code == 3
    assert "No scan of 19 has a diagnosis" in done.output
    assert TODO in done.output
    with pytest.raises(DataError, match="among NC, AD: the manifest has FTD"):
        labelled(rows(diagnosis="FTD"), ("NC", "AD"), print)
