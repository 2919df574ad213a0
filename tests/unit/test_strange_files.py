"""Files as people have them that are no scan as they stand: each is refused by its own name; and series that are not one thing."""

import gzip
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pydicom
import pytest

from voxtune.errors import ScanError
from voxtune.imaging.dicom.read import read_dicom
from voxtune.imaging.grid_sizes import check_grid_sizes
from voxtune.imaging.kind import Kind, Wanted, check_kind
from voxtune.imaging.read import read_scan
from voxtune.imaging.slice_order import check_slice_order
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume

ROOT = Path(__file__).resolve().parents[2]


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dicom_cases", ROOT / "benchmarks" / "dicom" / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dicom_cases"] = module
    spec.loader.exec_module(module)
    return module


cases = _module()
CHEST_KIND = Wanted("CT", region="chest")


def scan(folder: Path) -> Path:
    voxels = np.random.default_rng(0).normal(0, 100, (12, 11, 10)).astype(np.float32)
    return write_volume(Volume(voxels, np.diag([2.0, 2, 2, 1])), folder / "scan.nii")


def chest(first: int = 0, last: int = 48) -> Volume:
    """A body with two lungs in the middle of it, from one slice to another of 6 mm."""
    x, y, z = np.meshgrid(*(np.arange(-32, 32) * 5.0,) * 2, np.arange(-24, 24) * 6.0, indexing="ij")
    voxels = np.full(x.shape, -1000.0)
    voxels[(x / 150) ** 2 + (y / 110) ** 2 < 1] = 40
    for side in (-70, 70):
        voxels[((x - side) / 55) ** 2 + (y / 75) ** 2 + (z / 110) ** 2 < 1] = -820
    voxels += np.random.default_rng(0).normal(0, 12, x.shape)
    return Volume(voxels[:, :, first:last].astype(np.float32), np.diag([5.0, 5.0, 6.0, 1.0]))


def test_what_is_packed_is_named(tmp_path: Path) -> None:
    plain = scan(tmp_path).read_bytes()
    (tmp_path / "twice.nii.gz").write_bytes(gzip.compress(gzip.compress(plain)))
    with pytest.raises(ScanError, match="packed with gzip twice"):
        read_scan(tmp_path / "twice.nii.gz")
    for start in (b"NRRD0004\n", b"ObjectType = Image\n"):
        (tmp_path / "a.gz").write_bytes(gzip.compress(start + b"\n" * 400))
        with pytest.raises(ScanError, match=r"a \.nrrd or \.mha file packed with gzip"):
            read_scan(tmp_path / "a.gz")


def test_a_folder_of_other_volumes_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    scan(tmp_path / "f")
    with pytest.raises(ScanError, match=r"f: the folder holds no DICOM series, and 1 volume of another kind"):
        read_scan(tmp_path / "f")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScanError, match="this holds no DICOM series"):
        read_scan(tmp_path / "empty")


def test_a_series_of_two_modalities_is_refused(tmp_path: Path) -> None:
    folder = cases.classic(tmp_path / "s", cases.hounsfield())
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    header = pydicom.dcmread(files[3])
    header.Modality = "MR"
    header.save_as(files[3])
    with pytest.raises(ScanError, match=r"of several modalities \(CT, MR\)"):
        read_dicom(folder if isinstance(folder, Path) else tmp_path)


def test_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    cases.classic(tmp_path / "s", cases.hounsfield())
    file = next(p for p in sorted(tmp_path.rglob("*")) if p.is_file())
    data = file.read_bytes()
    assert b"-1024" in data
    file.write_bytes(data.replace(b"-1024", b"-1O24"))
    with pytest.raises(ScanError, match="a DICOM header in it holds something that is no number"):
        read_dicom(tmp_path)


def test_noise_is_no_picture() -> None:
    noise = np.random.default_rng(0).normal(0, 300, (40, 40, 40)).astype(np.float32)
    with pytest.raises(ScanError, match="neighbouring voxels have nothing in common"):
        check_grid_sizes("a", Volume(noise, np.eye(4)))


def test_copies_of_slices_are_noted() -> None:
    voxels = chest().voxels
    doubled = np.repeat(voxels[:, :, ::2], 2, axis=2)
    assert any("exact copies" in note for note in check_slice_order("a", Volume(doubled, np.eye(4))))
    assert not any("exact copies" in note for note in check_slice_order("a", Volume(voxels, np.eye(4))))


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_lungs_that_are_cut_off_are_noted(way: float) -> None:
    affine = np.diag([5.0, 5.0, 6.0 * way, 1.0])
    whole, upper, lower = chest(), chest(0, 26), chest(22, 48)
    names = {1.0: ("upper", "lower"), -1.0: ("lower", "upper")}[way]

    def said(volume: Volume) -> str:
        return " ".join(check_kind("a", Kind(), Volume(volume.voxels, affine), CHEST_KIND))

    assert "lungs" not in said(whole)
    assert f"beyond its {names[0]} end" in said(upper)
    assert f"beyond its {names[1]} end" in said(lower)
    blank = whole.voxels.copy()
    blank[:, :, 26:] = -1000
    assert f"beyond its {names[0]} end" in said(Volume(blank, affine))
