"""DICOM folders and zips: the series is chosen and named; what is no regular volume is refused."""

import stat
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from voxtune.errors import ScanError
from voxtune.imaging.read import open_scan, read_scan

BLOCK = (np.arange(8 * 10 * 12).reshape(8, 10, 12) % 900).astype(np.int16)  # (z, y, x)


def write_series(
    folder: Path,
    description: str = "T1 MPRAGE",
    number: int = 3,
    slices: int = 8,
    *,
    step: float = 2.0,
    tilt: float = 0.0,
) -> Path:
    """A series of slices, rows to the left and columns to posterior, ``step`` mm apart."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for z in range(slices):
        image = SimpleITK.GetImageFromArray(BLOCK[z % 8])
        image.SetSpacing([0.5, 0.75])
        tags = {
            "0008|0060": "MR", "0008|103e": description, "0020|0011": str(number), "0020|0013": str(z),
            "0020|000e": f"1.2.826.0.1.3680043.2.1125.{number}", "0020|000d": "1.2.826.0.1.3680043.2.1125.0",
            "0008|0018": f"1.2.826.0.1.3680043.2.1125.{number}.{z}",
            "0020|0032": f"-10\\{-20 + tilt * z}\\{5 + step * z}", "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": str(step),
        }  # fmt: skip
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"s{number}_{z:03d}.dcm"))
        writer.Execute(image)
    return folder


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def series_members(folder: Path) -> dict[str, bytes]:
    return {f"study/series/{file.name}": file.read_bytes() for file in sorted(folder.iterdir())}


def test_voxels_and_places(tmp_path: Path) -> None:
    scan = open_scan(write_series(tmp_path / "dicom"))
    assert np.array_equal(scan.volume.voxels, BLOCK.transpose(2, 1, 0))
    assert np.allclose(scan.volume.affine, [[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 2, 5], [0, 0, 0, 1]])
    assert scan.series == "T1 MPRAGE (series 3, MR, 8 images)"
    assert scan.modality == "MR"


def test_the_longest_series_is_chosen_and_the_rest_listed(tmp_path: Path) -> None:
    write_series(tmp_path / "dicom" / "a", "localizer", 1, slices=4)
    write_series(tmp_path / "dicom" / "b", "T1 MPRAGE", 2)
    scan = open_scan(tmp_path / "dicom")
    assert scan.series == "T1 MPRAGE (series 2, MR, 8 images)"
    assert scan.others == ("localizer (series 1, MR, 4 images)",)
    assert open_scan(tmp_path / "dicom", "localizer").volume.shape == (12, 10, 4)
    assert open_scan(tmp_path / "dicom", "1").volume.shape == (12, 10, 4)
    with pytest.raises(ScanError, match=r"called 'T2'; there are: T1 MPRAGE .*; localizer"):
        open_scan(tmp_path / "dicom", "T2")


def test_zip_is_the_same_volume(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "dicom")
    path = zipped(tmp_path / "study.zip", series_members(folder))
    assert np.array_equal(read_scan(path).voxels, read_scan(folder).voxels)


def test_zip_of_one_nifti(tmp_path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(BLOCK, np.eye(4)), tmp_path / "a.nii.gz")
    path = zipped(tmp_path / "a.zip", {"deep/a.nii.gz": (tmp_path / "a.nii.gz").read_bytes()})
    assert np.array_equal(read_scan(path).voxels, BLOCK)


# --------------------------------------------------------------------------------- hostile inputs
def gap(folder: Path) -> Path:
    write_series(folder / "d")
    (folder / "d" / "s3_004.dcm").unlink()
    return folder / "d"


def two_at_one_place(folder: Path) -> Path:
    write_series(folder / "d")
    for file in list((folder / "d").iterdir()):
        whole = SimpleITK.ReadImage(str(file))
        image = whole + 1
        for key in whole.GetMetaDataKeys():
            image.SetMetaData(key, whole.GetMetaData(key))
        image.SetMetaData("0008|0018", whole.GetMetaData("0008|0018") + "9")
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(file.with_name("echo2_" + file.name)))
        writer.Execute(image)
    return folder / "d"


def sizes_differ(folder: Path) -> Path:
    file = write_series(folder / "d") / "s3_005.dcm"
    whole = SimpleITK.ReadImage(str(file))
    image = whole[:8, :8]  # leaves the tags behind
    for key in whole.GetMetaDataKeys():
        image.SetMetaData(key, whole.GetMetaData(key))
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(file))
    writer.Execute(image)
    return folder / "d"


def one_slice(folder: Path) -> Path:
    return write_series(folder / "d") / "s3_000.dcm"


def two_volumes(folder: Path) -> Path:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(BLOCK, np.eye(4)), folder / "a.nii.gz")
    data = (folder / "a.nii.gz").read_bytes()
    return zipped(folder / "a.zip", {"a.nii.gz": data, "b.nii.gz": data})


def few(folder: Path) -> Path:
    return write_series(folder / "d", slices=2)


def no_series(folder: Path) -> Path:
    (folder / "d").mkdir()
    (folder / "d" / "notes.txt").write_text("nothing here")
    return folder / "d"


def empty_folder(folder: Path) -> Path:
    (folder / "d").mkdir()
    return folder / "d"


def garbage_file(folder: Path) -> Path:
    path = folder / "a.dcm"
    path.write_bytes(bytes(128) + b"DICM" + b"\xff" * 500)
    return path


def traversal(folder: Path) -> Path:
    return zipped(folder / "a.zip", {"../../escaped.dcm": b"x" * 100})


def absolute(folder: Path) -> Path:
    return zipped(folder / "a.zip", {"/etc/escaped.dcm": b"x" * 100})


def linked(folder: Path) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo("link.dcm")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    return path


def bomb(folder: Path) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.dcm", "w") as member:
        for _ in range(300):
            member.write(bytes(2**20))
    return path


def many(folder: Path) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(20_001):
            archive.writestr(str(number), b"")
    return path


def cut_short(folder: Path) -> Path:
    path = zipped(folder / "a.zip", {"a.dcm": np.random.default_rng(0).bytes(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    return path


def nothing_inside(folder: Path) -> Path:
    return zipped(folder / "a.zip", {"notes.txt": b"nothing here"})


def retagged(folder: Path, **tags: str) -> Path:
    """One slice of a series with other tags; an empty value takes the tag away."""
    file = write_series(folder / "d") / "s3_005.dcm"
    image = SimpleITK.ReadImage(str(file))
    for name, value in tags.items():
        key = name.removeprefix("t").replace("_", "|")
        if value:
            image.SetMetaData(key, value)
        else:
            image.EraseMetaData(key)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(file))
    writer.Execute(image)
    return folder / "d"


def scout(folder: Path) -> Path:
    return retagged(folder, t0020_0037="0\\1\\0\\0\\0\\-1")


def colour(folder: Path) -> Path:
    (folder / "d").mkdir()
    block = np.stack([BLOCK % 255] * 3, axis=-1).astype(np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(block, isVector=True), folder / "d" / "a.dcm")
    return folder / "d" / "a.dcm"


def encrypted(folder: Path) -> Path:
    path = zipped(folder / "a.zip", {"a.dcm": b"x" * 100})
    data = bytearray(path.read_bytes())
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        data[data.index(mark) + (6 if mark.endswith(b"\x04") else 8)] |= 1
    path.write_bytes(data)
    return path


def understated(folder: Path) -> Path:
    """A member that unpacks to more than the archive says."""
    path = zipped(folder / "a.zip", {"a.dcm": bytes(5000)})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    return path


HOSTILE = [
    (scout, "several directions"), (colour, "Secondary Capture"), (encrypted, "encrypted"), (understated, "more than it says|damaged"),
    (gap, "slices are missing"), (two_at_one_place, "4D series"),
    (few, "at least 4"), (no_series, "no DICOM series"), (empty_folder, "no DICOM series"),
    (garbage_file, "cannot be read"), (traversal, "leads out"), (absolute, "leads out"), (linked, "a link"),
    (sizes_differ, "differ in size"), (one_slice, "one slice. Give the folder"), (two_volumes, "2 volumes"),
    (bomb, "zip bomb"), (many, "more than the limit"), (cut_short, "damaged"), (nothing_inside, "no DICOM series"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says"), HOSTILE, ids=[make.__name__ for make, _ in HOSTILE])
def test_hostile_input_is_refused_with_a_sentence(tmp_path: Path, make: object, says: str) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    began = time.process_time()
    with pytest.raises(ScanError, match=says) as caught:
        read_scan(path)
    assert time.process_time() - began < 5
    assert str(caught.value).startswith(path.name + ": ")
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path.parent / "escaped.dcm").exists()


def test_a_folder_of_too_many_files_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxtune.imaging.limits.MAX_MEMBERS", 7)
    with pytest.raises(ScanError, match="more than 7 files"):
        read_scan(write_series(tmp_path / "d"))


def test_a_volume_of_too_many_voxels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxtune.imaging.limits.MAX_VOXELS", 900)
    with pytest.raises(ScanError, match="12 x 10 x 8 voxels are more than the limit of 900"):
        read_scan(write_series(tmp_path / "d"))


def test_a_file_that_is_no_dicom_does_not_hide_the_series_beside_it(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d")
    (folder / "notes.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 500)
    scan = open_scan(folder)
    assert np.array_equal(scan.volume.voxels, BLOCK.transpose(2, 1, 0))
    assert scan.notes == ("1 file beside the slices cannot be read and may be slices too",)


def test_frames_whose_places_are_not_said_are_no_volume(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(BLOCK.astype(np.uint16)), tmp_path / "d" / "a.dcm")
    for path in (tmp_path / "d" / "a.dcm", tmp_path / "d"):
        with pytest.raises(ScanError, match="Secondary Capture"):
            read_scan(path)


def test_a_tilted_gantry_is_straightened_and_said(tmp_path: Path) -> None:
    scan = open_scan(write_series(tmp_path / "d", tilt=0.75))
    # One pixel further each slice: whole pixels are moved without interpolation.
    assert scan.volume.shape == (12, 17, 8)
    for z in range(8):
        assert np.allclose(scan.volume.voxels[:, z : z + 10, z], BLOCK[z].T, atol=1e-3)
    assert np.allclose(scan.volume.affine, [[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 2, 5], [0, 0, 0, 1]])
    assert "gantry tilted by 20.6 degrees" in scan.remarks[0]


def test_real_series(shared_data: Path) -> None:
    folders = sorted(path for path in (shared_data / "dicom").iterdir() if path.is_dir())
    if not folders:
        pytest.skip("no DICOM series among the real scans")
    for folder in folders:
        scan = open_scan(folder)
        assert min(scan.volume.shape) >= 4
        assert scan.modality in {"CT", "MR"}
        assert scan.series
