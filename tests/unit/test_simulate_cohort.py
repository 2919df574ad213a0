"""The simulated cohort: reproducible, true to its own truth, within published ranges, and hard enough."""

import csv
import itertools
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxtune.cohorts.simulated import Simulated
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest
from voxtune.errors import SettingError, TableError, UsageError
from voxtune.simulate.anatomy import Shape, build, random_pose, smooth_field, smooth_grid
from voxtune.simulate.atlas import LABELS, REGIONS, SIZE, atlas
from voxtune.simulate.atrophy import atrophy_map
from voxtune.simulate.brains import anatomy_of, native_volumes
from voxtune.simulate.population import POPULATIONS, population
from voxtune.simulate.published import PUBLISHED
from voxtune.simulate.seeds import Branch, generator
from voxtune.simulate.simple_rules import volume_regression_accuracy
from voxtune.simulate.subjects import CLASSES, CohortSettings, participant, scans
from voxtune.types.records import REGION_COLUMNS


def plain_shape() -> Shape:
    return Shape(np.zeros((len(REGIONS), 2)), np.zeros((9, 9, 9, 3)), np.eye(3, 4))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort")
    simulate(out, participants=6, visits=3, seed=3, scanners=2)
    return out


def test_same_seed_gives_the_same_bytes(cohort: Path, tmp_path: Path) -> None:
    simulate(tmp_path, participants=6, visits=3, seed=3, scanners=2)
    assert files_of(tmp_path) == files_of(cohort)


def test_another_seed_gives_other_people(cohort: Path, tmp_path: Path) -> None:
    simulate(tmp_path, participants=6, visits=3, seed=4, scanners=2)
    ours, theirs = (read_manifest(folder / "manifest.tsv") for folder in (cohort, tmp_path))
    assert not {row.participant_id for row in ours} & {row.participant_id for row in theirs}
    assert not {row.hippocampus_mm3 for row in ours} & {row.hippocampus_mm3 for row in theirs}


def test_the_manifest_is_read_back_whole_and_says_simulated(cohort: Path) -> None:
    rows = read_manifest(cohort / "manifest.tsv")
    assert len({row.participant_id for row in rows}) == 6
    assert {row.source for row in rows} == {"SIMULATED"}
    assert all((cohort / row.image).is_file() for row in rows)
    assert all(row.diagnosis in CLASSES and row.mmse is not None and row.age is not None for row in rows)
    kept = list(Simulated(root=cohort).rows())
    assert [row.scan_id for row in kept] == [row.scan_id for row in rows]
    assert json.loads((cohort / "simulation.json").read_text(encoding="utf-8"))["source"] == "SIMULATED"


def test_a_folder_that_was_not_simulated_is_refused(cohort: Path, tmp_path: Path) -> None:
    text = (
        (cohort / "manifest.tsv")
        .read_text(encoding="utf-8")
        .replace("SIMULATED", "clinic")
        .replace("\ttrue\n", "\tfalse\n")
    )
    (tmp_path / "manifest.tsv").write_text(text)
    with pytest.raises(TableError, match="SIMULATED"):
        Simulated(root=tmp_path).read()


def test_a_scan_whose_file_is_gone_is_dropped_with_its_reason(tmp_path: Path) -> None:
    simulate(tmp_path, participants=2, visits=1, seed=1, scanners=1)
    gone = read_manifest(tmp_path / "manifest.tsv")[0]
    (tmp_path / gone.image).unlink()
    reading = Simulated(root=tmp_path).read()
    assert len(reading.rows) == 1
    assert [drop.what for drop in reading.dropped] == [gone.scan_id]


def test_scans_lie_on_the_template_grid_in_zero_to_one(cohort: Path) -> None:
    row = read_manifest(cohort / "manifest.tsv")[0]
    image = nibabel.load(cohort / row.image)
    voxels = image.get_fdata()
    assert voxels.shape == (SIZE, SIZE, SIZE)
    assert np.allclose(image.affine, atlas().affine)
    assert voxels.min() == 0
    assert voxels.max() == pytest.approx(1, abs=1e-6)
    assert 0.15 < (voxels > 0).mean() < 0.35  # a brain in a cube of 192 mm


def test_the_atrophy_map_shrinks_the_hippocampus_and_grows_the_ventricles(cohort: Path) -> None:
    with (cohort / "truth" / "truth.tsv").open() as file:
        facts = list(csv.DictReader(file, delimiter="\t"))
    sick = max(facts, key=lambda fact: float(fact["severity"]))
    change = nibabel.load(cohort / "truth" / sick["atrophy"]).get_fdata()
    hippocampus, ventricles = (
        atlas().maps[:, 4 + list(LABELS).index(name)].reshape(SIZE, SIZE, SIZE) > 0.9
        for name in ("hippocampus", "ventricles")
    )
    assert change[hippocampus].mean() < -0.05
    assert change[ventricles].mean() > 0.1


def test_people_are_the_same_whatever_the_number_of_participants() -> None:
    few, many = (participant(CohortSettings(participants=n, seed=9), 2) for n in (3, 300))
    assert few.cognition == many.cognition
    assert np.array_equal(few.shape.rates, many.shape.rates)


def test_visits_share_anatomy_and_progress() -> None:
    settings = CohortSettings(participants=30, visits=4, seed=2)
    visits: dict[str, list[float]] = {}
    for scan in scans(settings):
        visits.setdefault(scan.participant.participant_id, []).append(scan.severity)
    several = [values for values in visits.values() if len(values) > 1]
    assert several
    assert all(later >= earlier for values in several for earlier, later in itertools.pairwise(values))
    first, *rest = [
        scan for scan in scans(settings) if scan.participant.index == 0 or scan.participant.visits > 2
    ]
    again = next(scan for scan in scans(settings) if scan.scan_id == first.scan_id)
    assert np.array_equal(first.participant.shape.warp, again.participant.shape.warp)
    assert rest


@pytest.mark.parametrize("region", ["hippocampus", "ventricles", "entorhinal", "fusiform", "middle_temporal"])
def test_measured_volumes_follow_the_wanted_rate(region: str) -> None:
    rates = np.zeros(len(REGIONS))
    measured = []
    for rate in (-0.2, 0.0, 0.2):
        rates[REGIONS.index(region)] = rate
        measured.append(build(plain_shape().plus(rates)).volumes()[region])
    shrunk, grown = np.log(measured[0] / measured[1]), np.log(measured[2] / measured[1])
    assert -0.25 < shrunk < -0.1
    assert 0.1 < grown < 0.25


def test_an_unbent_template_keeps_its_volumes() -> None:
    anatomy = build(plain_shape())
    counted = anatomy.volumes()
    assert counted["hippocampus"] == pytest.approx(11657, rel=1e-3)  # voxels of the label in the atlas, 1 mm
    assert np.abs(atrophy_map(anatomy, np.zeros(len(REGIONS)))).max() == 0


def test_a_pose_moves_the_brain_and_keeps_its_volume() -> None:
    posed = build(plain_shape().posed(random_pose(np.random.default_rng(0), 3.0, 3.0)))
    rotation = random_pose(np.random.default_rng(0), 3.0, 3.0)[:, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert posed.volumes()["brain"] == pytest.approx(build(plain_shape()).volumes()["brain"], rel=0.01)


def test_smooth_fields_reproduce_a_constant() -> None:
    field = smooth_grid(np.ones((9, 9, 9)))
    middle = field[12:-12, 12:-12, 12:-12]
    assert np.allclose(middle, 1, atol=1e-3)
    assert field.min() > 0.3  # it may fall off at the faces of the cube, where no brain is
    assert np.array_equal(smooth_field(np.ones((9, 9, 9))), field.reshape(-1)[atlas().flat])


def test_separable_people_have_published_means_and_a_regression_on_their_volumes_is_right_in_80_to_90() -> (
    None
):
    settings = CohortSettings(participants=200, visits=1, seed=11)
    people = list(scans(settings))
    volumes = [native_volumes(scan, anatomy_of(settings, scan)) for scan in people]
    classes = np.array([scan.diagnosis for scan in people])
    for name in REGION_COLUMNS:
        table = np.array([row[name] for row in volumes])
        for kind in CLASSES:
            mean, sd = PUBLISHED[name.removesuffix("_mm3")][kind]
            own = table[classes == kind]
            assert abs(own.mean() - mean) < 0.5 * sd, (name, kind)
            assert own.std() < 1.2 * sd, (name, kind)
    for kind in CLASSES:
        mean, sd = PUBLISHED["mmse"][kind]
        assert abs(np.mean([scan.mmse for scan in people if scan.diagnosis == kind]) - mean) < 0.5 * sd
    accuracy = volume_regression_accuracy(
        volumes, list(classes), [scan.participant.participant_id for scan in people]
    )
    assert 0.80 <= accuracy <= 0.90


def test_proportions_are_kept_in_small_cohorts() -> None:
    settings = CohortSettings(participants=30, visits=1, seed=5, proportions=(0.5, 0.3, 0.2))
    counts = [sum(scan.diagnosis == kind for scan in scans(settings)) for kind in CLASSES]
    assert np.abs(np.array(counts) - [15, 9, 6]).max() <= 1


def test_harder_and_easier_change_the_people_not_the_classes() -> None:
    easy, hard = (CohortSettings(participants=40, visits=1, seed=6, difficulty=d) for d in (0.4, 2.0))
    assert [scan.diagnosis for scan in scans(easy)] == [scan.diagnosis for scan in scans(hard)]
    gap = {s.difficulty: np.std([scan.severity - scan.cognition for scan in scans(s)]) for s in (easy, hard)}
    assert gap[2.0] == pytest.approx(5 * gap[0.4])


@pytest.mark.parametrize("name", POPULATIONS)
def test_mmse_falls_with_cognition_and_stays_on_the_scale(name: str) -> None:
    expected = population(name).mmse.points
    points = [expected(c) for c in np.linspace(-0.5, 3, 50)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(points))
    assert min(points) >= 2
    assert expected(0.0, 10) == 30


def test_proportions_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        CohortSettings(proportions=(0.5, 0.5, 0.5))


def test_pretraining_and_cohorts_draw_from_streams_that_never_meet() -> None:
    branches = list(Branch)
    assert len({int(branch) for branch in branches}) == len(branches)
    first = {
        float(generator(branch, seed, *keys).uniform())
        for branch in branches
        for seed in range(20)
        for keys in ((0,), (1,), (0, 0), (0, 1))
    }
    assert len(first) == len(branches) * 20 * 4  # no two streams begin alike


def test_raw_heads_are_written_with_their_own_manifest(tmp_path: Path) -> None:
    simulate(tmp_path, participants=2, visits=1, seed=2, scanners=1, raw_heads=1)
    rows = read_manifest(tmp_path / "raw" / "manifest.tsv")
    assert [row.scan_id for row in rows] == ["SIM2P0001_M000_raw"]
    assert rows[0].source == "SIMULATED"
    image = nibabel.load(tmp_path / "raw" / rows[0].image)
    spacing = np.array(image.header.get_zooms())
    assert np.prod(image.shape * spacing) / 1e6 == pytest.approx(190 * 230 * 220 / 1e6, rel=0.05)
    head = image.get_fdata()
    litres = (head > 0.2 * np.percentile(head, 99)).sum() * np.prod(spacing) / 1e6
    assert 2.0 < litres < 6.0  # brain, scalp and neck
    assert spacing.max() > spacing.min()


def test_the_page_says_simulated_and_gives_the_counts(cohort: Path) -> None:
    page = (cohort / "page.html").read_text(encoding="utf-8")
    rows = read_manifest(cohort / "manifest.tsv")
    assert "SIMULATED" in page
    assert f"{len(rows)} scans of 6 participants" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_gives_what_can_be_reached_where_there_are_people_enough() -> None:
    from voxtune.pages.cohort_page import cohort_page
    from voxtune.types.records import ManifestRow

    row = ManifestRow(
        participant_id="<b>1", scan_id="a", image="a.nii.gz", diagnosis="NC", mmse=29, source="SIMULATED"
    )
    limits = {
        "best_possible": {"accuracy": 0.8512, "expected_accuracy": 0.8321},
        "rules": {"volumes": 0.7777, "voxel_count": 0.4444},
    }
    page = cohort_page([row], limits=limits)
    assert all(f"{value}%" in page for value in ("85.1", "83.2", "77.8", "44.4"))
    assert "accuracy" not in cohort_page([row])
    assert "<b>1" not in page


def test_another_cohort_does_not_mix_into_a_folder(cohort: Path) -> None:
    before = files_of(cohort)
    with pytest.raises(UsageError, match="other settings"):
        simulate(cohort, participants=6, visits=3, seed=4, scanners=2)
    assert files_of(cohort) == before


@pytest.mark.parametrize(
    "wrong", [{"participants": 0}, {"difficulty": -1.0}, {"proportions": (1.0, 1.0, 1.0)}]
)
def test_impossible_settings_are_named(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=next(iter(wrong))):
        simulate(tmp_path, **wrong)
    assert not list(tmp_path.iterdir())
