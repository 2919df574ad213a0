"""The training cache gives back the preset's tensor, fast, and never a stale one."""

import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxtune.data.scans import CacheDtype, ScanCache
from voxtune.errors import DataError, ScanError
from voxtune.imaging import template
from voxtune.imaging.presets import DEFT, M3D, MERLIN, RADFM, TINY
from voxtune.imaging.read import read_scan
from voxtune.imaging.tensor import to_tensor
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume


def store(path: Path, size: int = 64, gain: float = 1.0) -> Path:
    volume = template.template(size)
    return write_volume(volume.with_voxels(volume.voxels * np.float32(gain)), path, "template")


@pytest.mark.parametrize(("dtype", "step"), [("uint8", 0.5 / 255), ("float16", 5e-4)])
def test_it_gives_back_the_tensor(tmp_path: Path, dtype: CacheDtype, step: float) -> None:
    image = store(tmp_path / "a.nii.gz")
    cache = ScanCache.build(tmp_path / "cache", {"a": image}, TINY, dtype)
    array = ScanCache(tmp_path / "cache")["a"]
    assert array.dtype == np.float32
    assert array.shape == TINY.tensor_shape
    assert np.abs(array - to_tensor(read_scan(image), TINY)).max() <= step + 1e-6
    assert list(cache) == ["a"]


def test_hounsfield_range_and_channels(tmp_path: Path) -> None:
    small = MERLIN.model_copy(update={"size": (20, 20, 10)})
    ct = Volume(
        np.linspace(-1200, 1400, 4000, dtype=np.float32).reshape(20, 20, 10), np.diag([1.5, 1.5, 3.0, 1.0])
    )
    cache = ScanCache.build(tmp_path / "ct", {"a": write_volume(ct, tmp_path / "ct.nii")}, small, "uint8")
    assert np.abs(cache["a"] - to_tensor(ct, small)).max() <= 0.5 / 255 + 1e-6
    three = RADFM.model_copy(update={"size": (32, 32, 8)})
    cache = ScanCache.build(tmp_path / "rgb", {"a": store(tmp_path / "b.nii")}, three, "uint8")
    assert cache["a"].shape == (3, 32, 32, 8)
    assert np.array_equal(cache["a"][0], cache["a"][2])


def test_building_again_makes_only_what_changed(tmp_path: Path) -> None:
    images = {name: store(tmp_path / f"{name}.nii.gz", gain=gain) for name, gain in (("a", 1.0), ("b", 0.9))}
    folder = tmp_path / "cache"
    first = ScanCache.build(folder, images, TINY)
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    store(images["b"], gain=0.5)
    second = ScanCache.build(folder, images, TINY)
    kept = {path.name for path in folder.glob("*.npy") if stamps.get(path.name) == path.stat().st_mtime_ns}
    assert len(kept) == 1
    assert len(list(folder.glob("*.npy"))) == 2
    assert second["b"].max() < first["a"].max() * 0.6
    before, changed = second["a"], TINY.model_copy(update={"axes": "SPL"})
    assert not np.array_equal(ScanCache.build(folder, images, changed)["a"], before)


def test_only_the_right_preset_is_found(tmp_path: Path) -> None:
    image = store(tmp_path / "a.nii.gz")
    ScanCache.build(tmp_path / "cache" / "tiny", {"a": image}, TINY)
    assert ScanCache.beside(tmp_path / "manifest.tsv", TINY) is not None
    assert ScanCache.beside(tmp_path / "manifest.tsv", M3D) is None
    assert ScanCache.beside(tmp_path / "manifest.tsv", TINY.model_copy(update={"axes": "LPS"})) is None


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training cache"):
        ScanCache(tmp_path)
    cache = ScanCache.build(tmp_path / "cache", {"a": store(tmp_path / "a.nii.gz")}, TINY)
    next((tmp_path / "cache").glob("*.npy")).write_bytes(b"not an array")
    with pytest.raises(ScanError, match="a: its array in the training cache is missing or damaged"):
        cache["a"]


def test_it_is_ten_times_faster_than_gzip(tmp_path: Path) -> None:
    """Fastest of several, as float32, against nibabel on the stored volume."""
    rng = np.random.default_rng(0)
    volume = template.template(128)
    noisy = volume.with_voxels(
        (volume.voxels + (volume.voxels > 0) * rng.normal(0, 0.02, volume.shape)).astype(np.float32)
    )
    image = write_volume(noisy, tmp_path / "a.nii.gz", "template")
    cache = ScanCache.build(tmp_path / "cache", {"a": image}, DEFT)

    def fastest(read: object) -> float:
        times = []
        for _ in range(7):
            began = time.perf_counter()
            read()  # type: ignore[operator]
            times.append(time.perf_counter() - began)
        return min(times)

    slow = fastest(lambda: nibabel.load(image).get_fdata(dtype=np.float32))
    fast = fastest(lambda: cache["a"])
    assert slow > 10 * fast
