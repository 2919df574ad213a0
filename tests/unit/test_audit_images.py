"""One person under two IDs and one scan under two names are found by their voxels; people who are merely alike are not."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.audit.chests import _picture, chest_pictures
from voxtune.audit.duplicates import CERTAIN_PICTURE, compare, permuted_sides, state
from voxtune.audit.fingerprints import fingerprint, picture
from voxtune.audit.images import Images, look_at
from voxtune.commands.audit import audit
from voxtune.commands.ingest.command import ingest
from voxtune.data.manifest import read_manifest, write_manifest
from voxtune.data.splits import Split
from voxtune.errors import LeakageError, ScanError
from voxtune.imaging.read import read_scan
from voxtune.simulate.chest import ChestSettings, Scanner, render, scans
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def head(person: int, likeness: float = 0.3, noise: float = 0.0, seed: int = 0) -> Volume:
    """A ball with texture; ``likeness`` is the share of texture that all people have."""
    grid = np.indices((36, 36, 36)) - 17.5
    ball = (grid**2).sum(0) < 14**2

    def texture(key: int) -> NDArray[np.float64]:
        rough = ndimage.gaussian_filter(np.random.default_rng(key).normal(size=ball.shape), 0.8)
        return rough / rough.std()

    values = 10 + likeness * texture(1) + (1 - likeness) * texture(100 + person)
    values = np.where(ball, values + noise * np.random.default_rng(10_000 + seed).normal(size=ball.shape), 0)
    return Volume(values.astype(np.float32), AFFINE)


def rows_of(volumes: dict[str, Volume], same: dict[str, str] | None = None) -> list[ManifestRow]:
    return [
        ManifestRow(
            participant_id=(same or {}).get(name, f"p_{name}"),
            scan_id=name,
            image=name,
            diagnosis=("NC", "AD")[i % 2],
        )
        for i, name in enumerate(volumes)
    ]


def pairs_of(images: Images) -> list[tuple[str, str]]:
    return [(images.scan_ids[one.first], images.scan_ids[one.second]) for one in compare(images).pairs]


def vectors(units: NDArray[np.float64], names: tuple[str, ...]) -> Images:
    shown = (units / np.linalg.norm(units, axis=1, keepdims=True)).astype(np.float16)
    none = np.zeros_like(shown)
    return Images(names, names, names, {"brain": shown, "body": none}, {"brain": none, "body": none}, {})


def halves(rows: list[ManifestRow], test: set[str]) -> Split:
    names = [row.scan_id for row in rows]
    return Split(tuple(n for n in names if n not in test), (), tuple(n for n in names if n in test), {})


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.8])
def test_people_who_are_merely_alike_are_not_flagged(likeness: float) -> None:
    volumes = {f"s{i}": head(i, likeness) for i in range(14)}
    images = look_at(rows_of(volumes), lambda row: volumes[row.scan_id], workers=1)
    assert pairs_of(images) == []


@pytest.mark.parametrize("likeness", [0.0, 0.5])
def test_a_test_scan_copied_into_train_with_other_noise_is_refused(likeness: float) -> None:
    volumes = {f"s{i}": head(i, likeness) for i in range(12)} | {"copy": head(3, likeness, noise=0.2, seed=1)}
    rows = rows_of(volumes)
    report = find_leaks(
        rows, halves(rows, {"s3", "s4"}), inputs=AuditInputs(read=lambda row: volumes[row.scan_id])
    )
    (found,) = report.refusals
    assert found.check == "near_duplicate"
    assert set(found.scans) == {"s3", "copy"}
    assert "s3 (test) and copy (train)" in found.message


def test_the_same_voxels_and_a_turned_grid() -> None:
    volumes = {f"s{i}": head(i) for i in range(12)}
    turned = np.flip(np.transpose(volumes["s5"].voxels, (2, 0, 1)), axis=0)
    affine = np.array([[0, 4.0, 0, 0], [0, 0, 4.0, 0], [-4.0, 0, 0, 4.0 * 35], [0, 0, 0, 1]])
    volumes |= {"same": volumes["s1"], "turned": Volume(np.ascontiguousarray(turned), affine)}
    rows = rows_of(volumes)
    report = find_leaks(
        rows, halves(rows, {"s1", "s5"}), inputs=AuditInputs(read=lambda row: volumes[row.scan_id])
    )
    assert {one.check: set(one.scans) for one in report.refusals} == {
        "same_image": {"s1", "same"},
        "near_duplicate": {"s5", "turned"},
    }
    both = find_leaks(rows, halves(rows, {"s7"}), inputs=AuditInputs(read=lambda row: volumes[row.scan_id]))
    assert not both.refusals
    assert {one.check for one in both.findings if one.level == "warn"} >= {"same_image", "near_duplicate"}


def test_a_cohort_within_a_cohort_does_not_make_people_duplicates() -> None:
    alike = {f"a{i}": head(i, 0.75) for i in range(10)}
    others = {f"b{i}": Volume(head(50 + i, 0.0).voxels[::-1].copy(), AFFINE) for i in range(30)}
    volumes = alike | others
    assert pairs_of(look_at(rows_of(volumes), lambda row: volumes[row.scan_id], workers=1)) == []


def test_nearest_strangers_of_a_cohort_of_few_kinds_are_not_duplicates() -> None:
    """Forty kinds of anatomy, each shared by a few people: everybody has a stranger who is far nearer than most are."""
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(40, 400))
    units = np.array([kinds[i % 40] + rng.uniform(0.75, 1.2) * rng.normal(size=400) for i in range(120)])
    names = tuple(f"s{i}" for i in range(120))
    assert pairs_of(vectors(units, names)) == []
    copied = np.concatenate([units, units[[7]] + 0.05 * rng.normal(size=(1, 400))])
    assert pairs_of(vectors(copied, (*names, "zz"))) == [("s7", "zz")]


@pytest.mark.parametrize("people", [12, 40])
@pytest.mark.parametrize("dose", [1, 0.5, 1.0])
def test_copies_are_found_at_every_dose_and_sides_that_hold_them_are_refused(
    people: int, dose: float
) -> None:
    """The property: however many people are there twice, each copy is found, and nobody else."""
    rng = np.random.default_rng(people)
    units = rng.normal(size=(people, 600))
    copies = (
        people
        if dose == 1.0 and isinstance(dose, float)
        else max(1, int(dose * people))
        if isinstance(dose, float)
        else 1
    )
    again = units[:copies] + 1.2 * rng.normal(size=(copies, 600))
    names = (*(f"s{i}" for i in range(people)), *(f"t{i}" for i in range(copies)))
    images = vectors(np.concatenate([units, again]), names)
    assert set(pairs_of(images)) == {(f"s{i}", f"t{i}") for i in range(copies)}
    rows = [ManifestRow(participant_id=name, scan_id=name, image=name) for name in names]
    report = find_leaks(
        rows, halves(rows, {f"t{i}" for i in range(copies)}), inputs=AuditInputs(images=images)
    )
    checks = {one.check for one in report.refusals}
    assert checks == ({"near_duplicate", "permuted_labels"} if copies >= 10 else {"near_duplicate"})


def test_one_person_under_every_id_is_found_though_nobody_else_is_there() -> None:
    rng = np.random.default_rng(2)
    person = rng.normal(size=600)
    images = vectors(person + 0.2 * rng.normal(size=(12, 600)), tuple(f"s{i:02d}" for i in range(12)))
    assert len(pairs_of(images)) == 66


def test_in_a_cohort_of_few_people_a_certain_copy_is_found_and_the_rest_is_said_not_to_be_done() -> None:
    """Too few strangers to know what is usual among them."""
    volumes = {f"s{i}": head(i, 0.0) for i in range(4)} | {"zz": head(2, 0.0, noise=0.1, seed=1)}
    rows = rows_of(volumes)
    inputs = AuditInputs(read=lambda row: volumes[row.scan_id])
    report = find_leaks(rows, halves(rows, {"zz"}), inputs=inputs)
    assert [one.pairs for one in report.refusals] == [(("s2", "zz"),)]
    assert "only 5 participants" in report.checked["near_duplicate"]
    assert "at least 9" in report.checked["near_duplicate"]


def test_whatever_a_reader_raises_stops_no_other_scan() -> None:
    volumes = {f"s{i}": head(i) for i in range(3)}

    def read(row: ManifestRow) -> Volume:
        if row.scan_id == "s1":
            raise ZeroDivisionError("in a library")
        return volumes[row.scan_id]

    images = look_at(rows_of(volumes), read, workers=1)
    assert images.scan_ids == ("s0", "s2")
    assert images.failed.keys() == {"s1"}
    assert images.failed["s1"].startswith("it cannot be read")
    assert "in a library" not in images.failed["s1"]


def test_scans_that_cannot_be_read_are_said() -> None:
    volumes = {f"s{i}": head(i) for i in range(9)}

    def read(row: ManifestRow) -> Volume:
        if row.scan_id == "s2":
            raise ScanError("s2.nii", "the file is cut short")
        return volumes[row.scan_id]

    rows = rows_of(volumes)
    report = find_leaks(rows, halves(rows, {"s1"}), inputs=AuditInputs(read=read))
    assert "s2" in report.checked["near_duplicate"]
    assert "not done [near_duplicate]" in report.text


def test_an_empty_scan_has_an_empty_picture() -> None:
    assert not picture(Volume(np.zeros((9, 9, 9), np.float32), AFFINE)).any()
    assert fingerprint(Volume(np.zeros((9, 9, 9), np.float32), AFFINE)).brain is None
    assert np.isfinite(picture(Volume(np.ones((3, 2, 1), np.float32), np.diag([50.0, 50, 50, 1])))).all()


def test_renamed_second_sessions_of_real_people_are_caught(shared_data: Path, tmp_path: Path) -> None:
    settings = {"diagnosis": "age<40:younger than 40;age>=40:40 and older"}
    manifest = ingest("folder", shared_data / "oasis1_brains", tmp_path / "manifest.tsv", settings).manifest
    rows = read_manifest(manifest)
    twice = [(a, b) for a, b in itertools.combinations(rows, 2) if a.participant_id == b.participant_id]
    assert twice
    renamed = {b.scan_id for _, b in twice}
    rows = [
        row.model_copy(update={"participant_id": f"new_{row.scan_id}"}) if row.scan_id in renamed else row
        for row in rows
    ]
    write_manifest(rows, manifest)
    folder = tmp_path / "split"
    folder.mkdir()
    one_side = {
        "train": [row.scan_id for row in rows if row.scan_id not in renamed],
        "val": [],
        "test": sorted(renamed),
    }
    for side, names in one_side.items():
        (folder / f"{side}.tsv").write_text("".join(f"{name}\n" for name in ["scan_id", *names]))
    with pytest.raises(LeakageError) as caught:
        audit(folder, manifest)
    for a, b in twice:
        assert f"{a.scan_id} (train) and {b.scan_id} (test)" in str(caught.value)
    images = look_at(rows, lambda row: read_scan(manifest.parent / row.image))
    found = {frozenset(pair) for pair in pairs_of(images)}
    assert found == {frozenset((a.scan_id, b.scan_id)) for a, b in twice}


def test_noise_on_a_real_scan_stays_above_what_is_certain(shared_data: Path) -> None:
    path = min((shared_data / "oasis1_brains").glob("*_T1w_brain.nii.gz"))
    volume = read_scan(path)
    noise = 0.05 * float(np.percentile(volume.voxels[volume.voxels > 0], 95))
    noisy = volume.with_voxels(
        (volume.voxels + np.random.default_rng(0).normal(0, noise, volume.shape)).astype(np.float32)
    )
    assert float(picture(volume).ravel() @ picture(noisy).ravel()) > CERTAIN_PICTURE


@pytest.mark.filterwarnings("error")
def test_sides_are_compared_without_scans_that_show_nothing() -> None:
    rng = np.random.default_rng(0)
    units = rng.normal(size=(14, 64))
    images = vectors(units, tuple(f"s{i}" for i in range(14)))
    images.vectors["brain"][3] = 0
    sides = {f"s{i}": ("train", "test")[i % 2] for i in range(14)}
    found, done = permuted_sides(images, sides, compare(images), 20)
    assert done == "done"
    assert np.isfinite(found[0].figures["excess"])


def test_scans_among_brains_that_show_none_are_said_to_be_looked_at_as_pictures_alone() -> None:
    units = np.random.default_rng(0).normal(size=(14, 64))
    images = vectors(units, tuple(f"s{i}" for i in range(14)))
    assert state(images, compare(images)) == "done"
    images.vectors["brain"][3] = 0
    assert "pictures alone: s3" in state(images, compare(images))
    images.vectors["brain"][:8] = 0  # mostly chests: a brain is the exception
    assert "pictures" not in state(images, compare(images))


# ------------------------------------------------------------------------------------ reconstructions of one chest
def _blurred(chest: Volume) -> Volume:
    return chest.with_voxels(ndimage.gaussian_filter(chest.voxels, 3 / np.array(chest.spacing)))


def _thick(chest: Volume) -> Volume:
    even = chest.shape[2] // 2 * 2
    affine = chest.affine @ np.diag([1, 1, 2, 1.0])
    affine[:3, 3] += chest.affine[:3, 2] / 2
    return Volume((chest.voxels[:, :, :even:2] + chest.voxels[:, :, 1:even:2]) / 2, affine)


def _narrow(chest: Volume) -> Volume:
    place = np.array([5, 5, 0])
    affine = chest.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ place
    return Volume(np.ascontiguousarray(chest.voxels[5:-5, 5:-5, :-5]), affine)


def _low_dose(chest: Volume) -> Volume:
    drawn = np.random.default_rng(0).normal(0, 60, chest.shape)
    return chest.with_voxels((chest.voxels + drawn).astype(np.float32))


def _windowed(chest: Volume) -> Volume:
    return chest.with_voxels(((np.clip(chest.voxels, -1000, 400) + 1000) / 1400).astype(np.float32))


@pytest.fixture(scope="module")
def chests() -> list[Volume]:
    settings = ChestSettings(participants=14, scans=1, seed=5)
    drawn = [render(settings, scan, Scanner.drawn(5, scan.scanner)) for scan in scans(settings)]
    return [Volume(one.voxels.astype(np.float32), one.grid.affine) for one in drawn]


@pytest.mark.parametrize("again", [_blurred, _thick, _narrow, _low_dose, _windowed])
@pytest.mark.parametrize("copies", [1, 14])
def test_reconstructions_of_one_chest_are_found_and_strangers_are_not(
    chests: list[Volume], again: Callable[[Volume], Volume], copies: int
) -> None:
    seen = {f"s{n}": one for n, one in enumerate(chests)}
    seen |= {f"t{n}": again(one) for n, one in enumerate(chests[:copies])}
    rows = [ManifestRow(participant_id=name, scan_id=name, image=f"{name}.nii.gz") for name in seen]
    images = look_at(rows, lambda row: seen[row.scan_id], workers=2)
    assert (images.vectors["chest middle"] != 0).any(axis=1).all()
    assert {frozenset(pair) for pair in pairs_of(images)} == {
        frozenset((f"s{n}", f"t{n}")) for n in range(copies)
    }


def test_a_picture_without_lungs_has_no_view_of_a_chest() -> None:
    box = np.zeros((40, 40, 40), np.float32)
    box[8:-8, 8:-8, 8:-8] = 100
    for voxels in (
        box,
        np.zeros_like(box),
        np.full_like(box, 3),
        np.random.default_rng(0).normal(0, 1, box.shape),
    ):
        assert chest_pictures(np.asarray(voxels, np.float32), np.diag([6.0, 6.0, 6.0, 1.0])) == {}
    hollow = box.copy()
    hollow[12:-12, 12:-12, 12:-12] = 0  # even inside and out: there is nothing to tell anybody by
    found = chest_pictures(hollow, np.diag([8.0, 8.0, 8.0, 1.0]))
    assert all(np.isfinite(one).all() for one in found.values())
    assert not _picture(np.ones((8, 8, 8), np.float32), np.zeros((8, 8, 8), bool)).any()
