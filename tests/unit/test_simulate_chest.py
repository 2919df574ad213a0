"""The simulated chests: findings where the truth says, tables as CT-RATE's, Hounsfield units, the same bytes again."""

import json
from pathlib import Path

import numpy as np
import pytest

from voxtune.cohorts.ct_rate import FINDINGS, CtRate
from voxtune.commands.simulate.chest import map_name, simulate_chest
from voxtune.data.manifest import read_manifest, read_table
from voxtune.errors import SettingError, UsageError
from voxtune.imaging.hounsfield import check_hounsfield
from voxtune.imaging.read import read_scan
from voxtune.simulate.chest import ChestSettings, Scan, Scanner, draw, render, report, scans
from voxtune.simulate.chest_anatomy import Grid, Person, build
from voxtune.simulate.chest_findings import DRAWN

NEVER = {"Peribronchial thickening", "Bronchiectasis", "Interlobular septal thickening"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ten people."""
    return simulate_chest(tmp_path_factory.mktemp("chest") / "c", participants=10, seed=4).parent


def only(finding: str | None, amount: float = 0.9) -> Scan:
    first = next(iter(scans(ChestSettings(participants=1))))
    amounts = {finding: amount} if finding else {}
    heart = 1.5 if finding == "Cardiomegaly" else 1.0
    return Scan(**{**vars(first), "amounts": amounts, "person": Person(heart=heart), "pose": (0, 0, 0, 0)})


def test_fifteen_of_eighteen_can_be_drawn() -> None:
    assert set(FINDINGS) - set(DRAWN) == NEVER
    assert set(DRAWN) <= set(FINDINGS)


@pytest.mark.parametrize("finding", sorted(set(DRAWN) - {"Cardiomegaly"}))
def test_a_finding_changes_the_chest_where_the_truth_says_and_hardly_elsewhere(finding: str) -> None:
    healthy, with_it = draw(only(None), 0)[0].voxels, draw(only(finding), 0)
    changed, part = np.abs(with_it[0].voxels - healthy), with_it[1][finding].part
    inside = part > 0.5
    assert inside.sum() > 5
    assert changed[inside].mean() > 20
    assert changed[inside].mean() > 20 * changed[part < 0.02].mean()
    assert set(finding.lower().split()) & set(
        with_it[1][finding].words.lower().replace(",", "").replace(":", "").split()
    )


def test_cardiomegaly_is_a_larger_heart() -> None:
    grid = Grid.of(1.0)
    small, large = (float(build(Person(heart=size), grid).heart.sum()) for size in (1.0, 1.4))
    assert large > 1.8 * small


def test_one_finding_more_leaves_the_others_as_they_are() -> None:
    both = only("Lung nodule")
    both = Scan(**{**vars(both), "amounts": {"Lung nodule": 0.9, "Medical material": 0.5}})
    alone = draw(only("Lung nodule"), 0)[1]["Lung nodule"]
    together = draw(both, 0)[1]["Lung nodule"]
    assert np.array_equal(alone.part, together.part)
    assert alone.words == together.words


def test_scans_are_in_hounsfield_units(cohort: Path) -> None:
    for row in read_manifest(cohort / "manifest.tsv"):
        volume = read_scan(cohort / row.image)
        check_hounsfield(volume, "refuse")
        assert volume.voxels.min() >= -1024
        assert 0.02 < np.mean((volume.voxels > 0) & (volume.voxels < 100)) < 0.6


def test_the_download_is_read_as_ct_rate_and_says_simulated(cohort: Path) -> None:
    rows = list(CtRate(root=cohort).rows())
    assert len(rows) == len(read_manifest(cohort / "manifest.tsv"))
    assert all("SIMULATED" in (row.source or "") for row in rows)
    assert {row.model_extra["hu"] for row in rows if row.model_extra} == {"yes"}
    assert "SIMULATED" in (cohort / "page.html").read_text(encoding="utf-8")
    assert json.loads((cohort / "simulation.json").read_text(encoding="utf-8"))["source"] == "SIMULATED"


def test_labels_maps_and_reports_tell_one_story(cohort: Path) -> None:
    truth = {(line["scan_id"], line["finding"]): line for line in read_table(cohort / "truth" / "truth.tsv")}
    for row in read_manifest(cohort / "manifest.tsv"):
        extra = row.model_extra or {}
        for finding in FINDINGS:
            there = (row.scan_id, finding) in truth
            assert extra[finding] == str(int(there))
            assert (cohort / "truth" / row.scan_id / map_name(finding)).is_file() == there
            if there:
                line = truth[row.scan_id, finding]
                place = read_scan(cohort / "truth" / line["map"]).voxels
                voxel = float(np.prod(read_scan(cohort / row.image).spacing))
                assert place.sum() * voxel == pytest.approx(float(line["volume_mm3"]), rel=0.02, abs=voxel)
                assert line["words"] in extra["findings"]
                assert finding.lower() in extra["impressions"].lower()


def test_texts_of_different_people_differ(cohort: Path) -> None:
    texts = {
        row.participant_id: (row.model_extra or {})["findings"]
        for row in read_manifest(cohort / "manifest.tsv")
    }
    assert len(set(texts.values())) == len(texts)


def test_the_same_settings_give_the_same_bytes(cohort: Path, tmp_path: Path) -> None:
    again = simulate_chest(tmp_path / "again", participants=10, seed=4).parent
    for path in sorted(cohort.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(cohort)).read_bytes(), path.name


def test_another_cohort_in_the_same_folder_is_refused(cohort: Path) -> None:
    with pytest.raises(UsageError, match="other settings"):
        simulate_chest(cohort, participants=3)
    with pytest.raises(SettingError, match="difficulty"):
        simulate_chest(cohort / "x", difficulty=0.01)


def test_findings_are_as_frequent_as_said() -> None:
    everyone = list(scans(ChestSettings(participants=400, scans=1)))
    for finding, kind in DRAWN.items():
        share = np.mean([finding in scan.amounts for scan in everyone])
        assert abs(share - kind.share) < 0.09, finding


def test_difficulty_makes_findings_slighter() -> None:
    easy, hard = (
        np.mean(
            [a for scan in scans(ChestSettings(participants=60, difficulty=d)) for a in scan.amounts.values()]
        )
        for d in (0.5, 4.0)
    )
    assert hard < 0.5 * easy


def test_a_report_is_two_texts() -> None:
    settings = ChestSettings(participants=1)
    scan = only("Pleural effusion")
    findings, impressions = report(scan, render(settings, scan, Scanner.drawn(0, 0)), 0)
    assert "Pleural effusion on the" in findings
    assert impressions == "Pleural effusion."
    none = only(None)
    assert report(none, render(settings, none, Scanner.drawn(0, 0)), 0)[1] == "No pathological finding."
