"""The safe reader: what it takes, and a sentence for everything it refuses."""

import gzip
import os
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxtune.errors import ScanError
from voxtune.imaging.read import open_scan, read_map, read_scan

AFFINE = np.array([[-2.0, 0.1, 0, 10], [0.1, 3.0, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])
RAMP = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)


def write(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_number_type_reads_as_nibabel_does(tmp_path: Path, dtype: str, suffix: str) -> None:
    voxels = (RAMP % 120).astype(dtype)
    path = write(tmp_path / f"a{suffix}", voxels)
    volume = read_scan(path)
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, voxels.astype(np.float32))
    assert np.allclose(volume.affine, nibabel.load(path).affine)


def test_scaling_is_applied_once(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(RAMP, AFFINE)
    image.header.set_slope_inter(2.0, -1000.0)
    nibabel.save(image, tmp_path / "scaled.nii.gz")
    expected = np.asarray(nibabel.load(tmp_path / "scaled.nii.gz").dataobj, dtype=np.float32)
    assert np.allclose(read_scan(tmp_path / "scaled.nii.gz").voxels, expected)


def test_big_endian_and_nifti2(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(RAMP.astype(">i2"), AFFINE, header), tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == struct.pack(">i", 348)
    assert np.array_equal(read_scan(tmp_path / "big.nii").voxels, RAMP)
    nibabel.save(nibabel.Nifti2Image(RAMP, AFFINE), tmp_path / "two.nii.gz")
    assert np.array_equal(read_scan(tmp_path / "two.nii.gz").voxels, RAMP)


@pytest.mark.parametrize("half", ["a.hdr", "a.img"])
def test_a_pair_is_read_by_either_half(tmp_path: Path, half: str) -> None:
    nibabel.save(nibabel.Nifti1Pair(RAMP, AFFINE), tmp_path / "a.img")
    volume = read_scan(tmp_path / half)
    assert np.array_equal(volume.voxels, RAMP)
    assert np.allclose(volume.affine, AFFINE)


def test_gzip_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a.nii.gz", RAMP)
    (tmp_path / "a.nii.gz").rename(tmp_path / "b.nii")
    assert read_scan(tmp_path / "b.nii").shape == (6, 7, 8)


def test_one_volume_with_a_fourth_axis_is_3d(tmp_path: Path) -> None:
    assert read_scan(write(tmp_path / "a.nii", RAMP[..., None])).shape == (6, 7, 8)


@pytest.mark.parametrize("offset", [0.0, -1024.0, 1000.0])
def test_few_nan_become_as_dark_as_the_darkest(tmp_path: Path, offset: float) -> None:
    """0 would be water in a CT, and tissue in a scan that was shifted."""
    voxels = RAMP.astype(np.float32) + np.float32(offset)
    voxels[0] = np.nan
    scan = open_scan(write(tmp_path / "a.nii", voxels))
    assert scan.nonfinite == 56
    assert (scan.volume.voxels[0] == offset + 56).all()
    assert np.isfinite(scan.volume.voxels).all()


def test_a_place_by_quaternion_alone_and_a_slope_of_zero_are_read_as_the_standard_says(
    tmp_path: Path,
) -> None:
    image = nibabel.Nifti1Image(RAMP, None)
    square = np.array([[0, -3.0, 0, 10], [2.0, 0, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])
    image.header.set_qform(square, code=1)
    image.header.set_sform(None, code=0)
    nibabel.save(image, tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<2f", data, 112, 0.0, 5.0)  # scl_slope 0: the numbers stand as they are
    (tmp_path / "a.nii").write_bytes(data)
    found = read_scan(tmp_path / "a.nii")
    assert np.allclose(found.affine, square, atol=1e-4)
    assert np.array_equal(found.voxels, RAMP)


def test_link_to_a_scan_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "a.nii", RAMP)
    (tmp_path / "link.nii").symlink_to(tmp_path / "a.nii")
    assert read_scan(tmp_path / "link.nii").shape == (6, 7, 8)


# --------------------------------------------------------------------------------- hostile inputs
def patched(path: Path, offset: int, fmt: str, *values: float, base: np.ndarray = RAMP) -> Path:
    write(path, base)
    data = bytearray(path.read_bytes())
    struct.pack_into(fmt, data, offset, *values)
    path.write_bytes(data)
    return path


def truncated_gz(folder: Path) -> Path:
    path = write(
        folder / "a.nii.gz", np.random.default_rng(0).integers(0, 999, (40, 40, 40)).astype(np.int16)
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def damaged_gz(folder: Path) -> Path:
    path = write(
        folder / "a.nii.gz", np.random.default_rng(0).integers(0, 999, (40, 40, 40)).astype(np.int16)
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)
    return path


def truncated_nii(folder: Path) -> Path:
    path = write(folder / "a.nii", RAMP)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def header_only(folder: Path) -> Path:
    path = write(folder / "a.nii", RAMP)
    path.write_bytes(path.read_bytes()[:200])
    return path


def huge_header(folder: Path) -> Path:
    return patched(folder / "a.nii", 40, "<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1)


def overflowing_header(folder: Path) -> Path:
    return patched(folder / "a.nii", 40, "<8h", 7, 32767, 32767, 32767, 32767, 32767, 32767, 32767)


def zip_bomb(folder: Path) -> Path:
    """A small gzip whose honest header asks for 0.7 GB of zeros."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((700, 700, 700))
    header.set_data_dtype("i2")
    header["vox_offset"] = 352
    header.set_sform(np.eye(4), code=1)
    path = folder / "a.nii.gz"
    slab = gzip.compress(bytes(700 * 700 * 2 * 20))  # a gzip may consist of many, one after the other
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)) + slab * (700 // 20))
    return path


def long_tail(folder: Path) -> Path:
    """A gzip whose header asks for little and that unpacks to much more."""
    write(folder / "a.nii", RAMP)
    path = folder / "b.nii.gz"
    with gzip.open(path, "wb") as file:
        file.write((folder / "a.nii").read_bytes() + bytes(200 * 2**20))
    return path


def too_few_slices(folder: Path) -> Path:
    """The header describes half of the voxels."""
    write(folder / "s.nii.gz", np.arange(40 * 40 * 8, dtype=np.int16).reshape(40, 40, 8))
    raw = bytearray(gzip.decompress((folder / "s.nii.gz").read_bytes()))
    struct.pack_into("<h", raw, 46, 4)
    (folder / "s.nii.gz").write_bytes(gzip.compress(bytes(raw)))
    return folder / "s.nii.gz"


def half_the_bytes(folder: Path) -> Path:
    """The header says 2 bytes a voxel, the file holds 4."""
    write(folder / "s.nii", np.arange(40 * 40 * 8, dtype=np.int32).reshape(40, 40, 8))
    return patched(
        folder / "s.nii", 70, "<hh", 4, 16, base=np.arange(40 * 40 * 8, dtype=np.int32).reshape(40, 40, 8)
    )


def nan_intercept(folder: Path) -> Path:
    return patched(folder / "s.nii", 112, "<ff", 1.0, np.nan)


def all_nan(folder: Path) -> Path:
    return write(folder / "a.nii.gz", np.full((6, 7, 8), np.nan, dtype=np.float32))


def mostly_infinite(folder: Path) -> Path:
    voxels = RAMP.astype(np.float64)
    voxels[1:] = 1e300
    return write(folder / "a.nii", voxels)


def constant(folder: Path) -> Path:
    return write(folder / "a.nii", np.full((6, 7, 8), 7, dtype=np.int16))


def flat(folder: Path) -> Path:
    return write(folder / "a.nii", RAMP[:, :, :1])


def two_axes(folder: Path) -> Path:
    return write(folder / "a.nii", RAMP[:, :, 0])


def four_d(folder: Path) -> Path:
    return write(folder / "a.nii", np.stack([RAMP, RAMP], axis=3))


def negative_axis(folder: Path) -> Path:
    return patched(folder / "a.nii", 40, "<8h", 3, -6, 7, 8, 1, 1, 1, 1)


def _by_qform_alone(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into("<2h", data, 252, 1, 0)
    path.write_bytes(data)
    return path


def zero_spacing(folder: Path) -> Path:
    return _by_qform_alone(patched(folder / "a.nii", 80, "<f", 0.0))


def nan_spacing(folder: Path) -> Path:
    return _by_qform_alone(patched(folder / "a.nii", 84, "<f", float("nan")))


def singular_affine(folder: Path) -> Path:
    return patched(folder / "a.nii", 280, "<12f", 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0)


def zero_affine(folder: Path) -> Path:
    return patched(folder / "a.nii", 280, "<12f", *[0.0] * 12)


def nan_affine(folder: Path) -> Path:
    return patched(folder / "a.nii", 280, "<f", float("nan"))


def fine_spacing(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(RAMP, np.diag([1e-3, 2.0, 2.0, 1.0])), folder / "a.nii")
    return folder / "a.nii"


def wide_field(folder: Path) -> Path:
    nibabel.save(
        nibabel.Nifti1Image(np.repeat(RAMP, 20, axis=0), np.diag([90.0, 2.0, 2.0, 1.0])), folder / "a.nii"
    )
    return folder / "a.nii"


def rgb(folder: Path) -> Path:
    return patched(folder / "a.nii", 70, "<h", 128)


def wild_offset(folder: Path) -> Path:
    return patched(folder / "a.nii", 108, "<f", 1e30)


def wrong_endian(folder: Path) -> Path:
    """Little-endian numbers behind a size in the other order: dimensions become nonsense."""
    return patched(folder / "a.nii", 0, ">i", 348)


def analyze(folder: Path) -> Path:
    nibabel.save(nibabel.AnalyzeImage(RAMP, np.diag([-2.0, 2.0, 2.0, 1.0])), folder / "a.img")
    return folder / "a.hdr"


def half_a_pair(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Pair(RAMP, AFFINE), folder / "a.img")
    (folder / "a.hdr").unlink()
    return folder / "a.img"


def not_nifti(folder: Path) -> Path:
    path = folder / "a.nii.gz"
    path.write_text("<html>404 not found</html>" * 40)
    return path


def empty(folder: Path) -> Path:
    path = folder / "a.nii.gz"
    path.touch()
    return path


def missing(folder: Path) -> Path:
    return folder / "a.nii.gz"


def dangling_link(folder: Path) -> Path:
    path = folder / "a.nii.gz"
    path.symlink_to(folder / "nowhere.nii.gz")
    return path


def link_loop(folder: Path) -> Path:
    path = folder / "a.nii.gz"
    path.symlink_to(path)
    return path


def device(folder: Path) -> Path:
    path = folder / "a.nii"
    path.symlink_to("/dev/zero")
    return path


def pipe(folder: Path) -> Path:
    path = folder / "a.nii"
    os.mkfifo(path)
    return path


def unreadable(folder: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    path = write(folder / "a.nii", RAMP)
    path.chmod(0)
    return path


HOSTILE = [
    (truncated_gz, "cut short"), (damaged_gz, "damaged|cut short"), (truncated_nii, "cut short"),
    (header_only, "cut short"), (huge_header, "more than the limit"), (overflowing_header, "7D image"),
    (zip_bomb, "zip bomb"), (long_tail, "beyond the voxels"), (too_few_slices, "beyond the voxels"), (half_the_bytes, "beyond the voxels"), (nan_intercept, "adds nan"), (all_nan, "every voxel is NaN"),
    (mostly_infinite, "NaN or infinite"), (constant, "constant"), (flat, "2D image"), (two_axes, "2D image"),
    (four_d, "4D image"), (negative_axis, "impossible dimensions"), (zero_spacing, "spacing of 0"),
    (nan_spacing, "spacing of"), (singular_affine, "singular"), (zero_affine, "singular"), (nan_affine, "NaN"),
    (fine_spacing, "voxel spacing .* implausible"), (wide_field, "field of view .* implausible"), (rgb, "data type 128"), (wild_offset, "begin at byte"), (wrong_endian, "impossible|damaged|magic|limit|data type"),
    (analyze, "Analyze file does not say"), (half_a_pair, "other half"), (not_nifti, "not a NIfTI"), (empty, "empty"), (missing, "no such file"), (dangling_link, "does not exist"),
    (link_loop, "cannot be read"), (device, "neither a file"), (pipe, "neither a file"), (unreadable, "cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says"), HOSTILE, ids=[make.__name__ for make, _ in HOSTILE])
def test_hostile_input_is_refused_with_a_sentence(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    path = make(tmp_path)
    began = time.process_time()
    with pytest.raises(ScanError, match=says) as caught:
        read_scan(path)
    assert time.process_time() - began < 5
    message = str(caught.value)
    assert message.startswith(path.name + ": ")
    assert str(tmp_path) not in message
    assert "\n" not in message


def test_bomb_does_not_take_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = zip_bomb(tmp_path)
    tracemalloc.start()
    with pytest.raises(ScanError):
        read_scan(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 2**20


@pytest.mark.parametrize("packed", [False, True])
def test_a_series_is_asked_of_dicom_alone(tmp_path: Path, packed: bool) -> None:
    path = write(tmp_path / "a.nii", RAMP)
    if packed:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.write(path, "a.nii")
        path = tmp_path / "a.zip"
    with pytest.raises(ScanError, match="no DICOM, so no series 'T1'"):
        open_scan(path, series="T1")


def test_a_map_may_be_blank_where_a_scan_may_not(tmp_path: Path) -> None:
    """A lesion in two lungs, nothing between them."""
    voxels = np.zeros((20, 20, 20), np.float32)
    voxels[:5, 4:16, 4:16] = voxels[15:, 4:16, 4:16] = 1
    path = write(tmp_path / "map.nii", voxels)
    assert (read_map(path).voxels == voxels).all()
    with pytest.raises(ScanError, match="slices inside it are blank"):
        read_scan(path)
    assert not read_map(write(tmp_path / "none.nii", np.zeros((4, 4, 4), np.float32))).voxels.any()
