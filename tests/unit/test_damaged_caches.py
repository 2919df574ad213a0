"""A damaged array, index or entry of a cache is said, and made again where what it came from is there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from voxtune.data.feature_cache import FrozenFeatures
from voxtune.data.scans import ScanCache
from voxtune.errors import DataError, ScanError
from voxtune.imaging import template
from voxtune.imaging.presets import TINY
from voxtune.imaging.write import write_volume


@pytest.fixture
def cache(tmp_path: Path) -> ScanCache:
    image = write_volume(template.template(64), tmp_path / "a.nii.gz", "template")
    return ScanCache.build(tmp_path / "cache", {"a": image}, TINY)


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_array_is_made_again_from_its_volume(
    cache: ScanCache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, before = tmp_path / "a.nii.gz", cache["a"]
    [array] = cache.folder.glob("*.npy")
    flip(array)
    again = ScanCache(cache.folder)
    with pytest.raises(ScanError, match="missing or damaged"):
        again["a"]
    assert np.array_equal(again.read("a", image), before)
    assert "It is made again." in capsys.readouterr().err
    assert np.array_equal(ScanCache(cache.folder)["a"], before), "and stored"
    flip(array)
    assert np.array_equal(ScanCache.build(cache.folder, {"a": image}, TINY)["a"], before)


def test_an_array_of_another_volume_is_not_made_from_this_one(cache: ScanCache, tmp_path: Path) -> None:
    [array] = cache.folder.glob("*.npy")
    array.unlink()
    volume = template.template(64)
    other = write_volume(
        volume.with_voxels(volume.voxels * np.float32(0.5)), tmp_path / "b.nii.gz", "template"
    )
    with pytest.raises(ScanError, match="missing or damaged"):
        ScanCache(cache.folder).read("a", other)


def test_a_damaged_index_is_no_cache(cache: ScanCache) -> None:
    index = next(cache.folder.glob("*.json"))
    stored = json.loads(index.read_text(encoding="utf-8"))
    stored["dtype"] = "float16"
    index.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(DataError, match="Run 'voxtune preprocess' again"):
        ScanCache(cache.folder)


def test_a_volume_that_cannot_be_read_names_its_scan(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"no scan")
    with pytest.raises(ScanError, match=r"^a: its stored volume is damaged"):
        ScanCache.build(tmp_path / "cache", {"a": tmp_path / "a.nii.gz"}, TINY)


def test_a_damaged_entry_of_features_is_dropped_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[int] = []

    def make(batch: Tensor) -> Tensor:
        made.append(1)
        return batch * 2

    def features() -> FrozenFeatures:
        return FrozenFeatures(
            read=lambda _: torch.ones(3), make=make, folder=tmp_path, identity="x", in_memory=False
        )

    first = features()("a")
    assert torch.equal(features()("a"), first)
    assert len(made) == 1
    [entry] = [path for path in tmp_path.rglob("*") if path.is_file()]
    flip(entry)
    assert torch.equal(features()("a"), first)
    assert len(made) == 2
    assert "It is made again." in capsys.readouterr().err
