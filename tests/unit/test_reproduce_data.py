"""The scans of a reproduction: who may meet whom, one split with nested shares, and each model's own input."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.commands import preprocess as preprocess_module
from voxtune.commands.reproduce.data import Request, Sources, find_sources, prepared
from voxtune.commands.reproduce.externals import External
from voxtune.data.manifest import read_manifest, write_manifest
from voxtune.data.split_files import read_split
from voxtune.errors import DataError, SomeScansFailedError, UsageError
from voxtune.imaging.presets import DEFT, fits
from voxtune.imaging.read import read_scan
from voxtune.imaging.template import field_of_view
from voxtune.imaging.write import write_volume
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume
from voxtune_recipes.paper_deft import paper

CLASSES = ("NC", "MCI", "AD")


def cohort(folder: Path, people: int = 30, prefix: str = "p", grid: int = 64) -> Path:
    """A manifest of template-space volumes, all of them one file."""
    image = folder / "one.nii.gz"
    voxels = np.random.default_rng(0).random((grid,) * 3).astype(np.float32)
    write_volume(Volume(voxels, field_of_view(grid)), image, "template")
    rows = [
        ManifestRow(
            participant_id=f"{prefix}{number}",
            scan_id=f"{prefix}{number}_{visit}",
            image=str(image.resolve()),
            diagnosis=CLASSES[number % 3],
        )
        for number in range(people)
        for visit in range(2)
    ]
    return write_manifest(rows, folder / "manifest.tsv")


def quiet(_: str) -> None:
    """Nobody listens."""


def test_an_external_cohort_needs_a_training_cohort(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--external needs --data"):
        find_sources(tmp_path, paper(), Request(external=(External(tmp_path / "x.tsv"),)), (), quiet)


def test_the_external_cohort_holds_other_people(tmp_path: Path) -> None:
    own, other = cohort(tmp_path / "own"), cohort(tmp_path / "other", people=3)
    with pytest.raises(DataError, match="values of scan_id are in both cohorts"):
        find_sources(tmp_path / "out", paper(), Request(own, (External(other),)), (), quiet)


def test_the_folder_belongs_to_one_pair_of_cohorts(tmp_path: Path) -> None:
    own, other = cohort(tmp_path / "own"), cohort(tmp_path / "other", prefix="q")
    out = tmp_path / "out"
    find_sources(out, paper(), Request(own, (External(other),)), (), quiet)
    find_sources(out, paper(), Request(own, (External(other),)), (), quiet)
    with pytest.raises(UsageError, match="another external_sha256"):
        find_sources(out, paper(), Request(own), (), quiet)


def test_shares_are_nested_and_test_on_the_same_scans(tmp_path: Path) -> None:
    sources = find_sources(tmp_path / "out", paper(), Request(cohort(tmp_path / "own")), (0.25, 0.5), quiet)
    whole, half, quarter = (read_split(sources.split(share)) for share in (None, 0.5, 0.25))
    assert whole.test == half.test == quarter.test
    assert set(quarter.train) < set(half.train) < set(whole.train)
    assert set(quarter.val) <= set(half.val) <= set(whole.val)
    assert len(half.train) == pytest.approx(len(whole.train) / 2, abs=2)
    assert not set(whole.people("train")) & set(whole.people("test"))


def test_scans_of_the_preset_are_taken_as_they_are(tmp_path: Path) -> None:
    own = cohort(tmp_path / "own")
    sources = find_sources(tmp_path / "out", paper(), Request(own), (), quiet)
    assert prepared(sources, "own", "tiny") == own


def test_brains_in_template_space_are_resampled_to_another_grid(tmp_path: Path) -> None:
    sources = Sources(tmp_path / "out", {"own": cohort(tmp_path / "own", people=1)}, simulated=True)
    made = prepared(sources, "own", "deft")
    rows = read_manifest(made)
    assert len(rows) == 2
    assert fits(read_scan(made.parent / rows[0].image), DEFT)
    stamp = made.stat().st_mtime_ns
    assert prepared(sources, "own", "deft").stat().st_mtime_ns == stamp


def test_what_comes_from_a_scanner_is_preprocessed_and_may_lose_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = cohort(tmp_path / "own")
    for row in read_manifest(own)[:1]:
        write_volume(Volume(np.ones((20, 21, 22), np.float32), np.eye(4)), own.parent / row.image)
    asked = []

    def fake(manifest: Path, out: Path, *, preset: str, workers: int) -> Path:
        asked.append((manifest, preset, workers >= 1))
        write_manifest(read_manifest(manifest)[1:], out / "manifest.tsv")
        raise SomeScansFailedError(1, 60, out / "failed.tsv")

    monkeypatch.setattr(preprocess_module, "preprocess", fake)
    sources = find_sources(tmp_path / "out", paper(), Request(own), (), quiet)
    made = prepared(sources, "own", "deft")
    assert asked == [(own, "deft", True)]
    assert made == tmp_path / "out" / "data" / "own-deft" / "manifest.tsv"
