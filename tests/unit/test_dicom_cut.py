"""A file of a series that was cut short never makes a shorter volume that passes for the whole one."""

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from voxtune.errors import ScanError
from voxtune.imaging.read import open_scan

BLOCK = (np.arange(8 * 10 * 12).reshape(8, 10, 12) % 900).astype(np.uint16)  # (z, y, x)
MR = "1.2.840.10008.5.1.4.1.1.4"


def write_series(folder: Path, description: str = "T1 MPRAGE", number: int = 3, slices: int = 8) -> Path:
    """A series of slices 2 mm apart."""
    folder.mkdir(parents=True, exist_ok=True)
    for z in range(slices):
        plane = BLOCK[z % 8]
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = MR
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"2.25.{number}.{z + 1}"
        one.Modality, one.SeriesDescription, one.SeriesNumber = "MR", description, number
        one.StudyInstanceUID, one.SeriesInstanceUID, one.InstanceNumber = "2.25.1", f"2.25.100{number}", z + 1
        one.ImagePositionPatient = [-10, -20, 5 + 2 * z]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [0.75, 0.5], 2
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.Rows, one.Columns = plane.shape
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.PixelData = plane.tobytes()
        one.save_as(folder / f"s{number}_{z:03d}.dcm", enforce_file_format=True)
    return folder


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"study/series/{file.name}")
    return path


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from([0, 3, 7]), share=st.floats(0, 0.999), zip_it=st.booleans())
@example(which=0, share=0.1524, zip_it=False)  # within the four letters behind the preamble
@example(which=7, share=0.1512, zip_it=True)
def test_a_slice_cut_anywhere_is_refused_or_told(
    tmp_path_factory: pytest.TempPathFactory, which: int, share: float, zip_it: bool
) -> None:
    folder = write_series(tmp_path_factory.mktemp("cut") / "d")
    file = sorted(folder.iterdir())[which]
    raw = file.read_bytes()
    file.write_bytes(raw[: int(share * len(raw))])
    where = zipped(folder.parent / "d.zip", folder) if zip_it else folder
    said = ""
    try:
        said = " ".join(open_scan(where).notes)  # what cannot be parsed may be anything
    except ScanError as error:
        said = str(error)
    assert re.search("cut short|end too soon|no pixel data|missing|cannot be read", said), said


@pytest.mark.parametrize("keep", [0.0, 0.06, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.72, 0.74, 0.76, 0.78, 0.9])
@pytest.mark.parametrize("which", [0, 7])
def test_a_slice_at_the_end_that_is_cut_is_refused(tmp_path: Path, which: int, keep: float) -> None:
    folder = write_series(tmp_path / "d")
    file = sorted(folder.iterdir())[which]
    raw = file.read_bytes()
    file.write_bytes(raw[: int(keep * len(raw))])
    with pytest.raises(ScanError, match=r"cut short|end too soon|no pixel data"):
        open_scan(folder)


def test_an_empty_file_that_is_named_otherwise_is_nothing(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d")
    (folder / "LOCKFILE").write_bytes(b"")
    (folder / "VERSION").write_bytes(b"1.0")
    scans = [open_scan(folder), open_scan(zipped(tmp_path / "d.zip", folder))]
    for scan in scans:
        assert np.array_equal(scan.volume.voxels, BLOCK.transpose(2, 1, 0))
        assert scan.notes == ()


def test_a_cut_file_of_another_series_spoils_nothing(tmp_path: Path) -> None:
    write_series(tmp_path / "d" / "a", number=3)
    other = max(write_series(tmp_path / "d" / "b", "other", 4, slices=5).iterdir())
    other.write_bytes(other.read_bytes()[:500])
    assert open_scan(tmp_path / "d").volume.shape == (12, 10, 8)


def test_a_series_of_cut_files_alone_says_so(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d")
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(ScanError, match="8 of its files are cut short"):
        open_scan(folder)


def test_slices_packed_one_by_one_are_not_left_out(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "d")
    for file in sorted(folder.iterdir())[5:]:
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    (folder / "notes.gz").write_bytes(gzip.compress(b"text"))
    (folder / "broken.gz").write_bytes(b"\x1f\x8b\x08")
    for where in (folder, zipped(tmp_path / "d.zip", folder)):
        with pytest.raises(ScanError, match="3 of its files are DICOM packed with gzip"):
            open_scan(where)


def test_a_linked_folder_of_slices_is_not_left_out(tmp_path: Path) -> None:
    whole = write_series(tmp_path / "store")
    (tmp_path / "d" / "a").mkdir(parents=True)
    (tmp_path / "rest").mkdir()
    for k, file in enumerate(sorted(whole.iterdir())):
        file.rename((tmp_path / "rest" if k > 4 else tmp_path / "d" / "a") / file.name)
    (tmp_path / "d" / "up").symlink_to(tmp_path)
    (tmp_path / "d" / "again").symlink_to("a")
    assert open_scan(tmp_path / "d").volume.shape == (12, 10, 5)
    (tmp_path / "d" / "b").symlink_to(tmp_path / "rest")
    with pytest.raises(ScanError, match="links to folders are not followed"):
        open_scan(tmp_path / "d")


def edited(folder: Path, last: int, **tags: object) -> Path:
    """The last slices of a series say something else."""
    for file in sorted(folder.iterdir())[-last:]:
        one = dcmread(file)
        for name, value in tags.items():
            setattr(one, name, value)
        one.save_as(file)
    return folder


def test_slices_of_two_people_are_no_series(tmp_path: Path) -> None:
    folder = edited(write_series(tmp_path / "d"), 4, PatientID="other")
    with pytest.raises(ScanError, match="scans of 2 people"):
        open_scan(folder)


def test_an_image_that_is_hardly_turned_is_no_localizer(tmp_path: Path) -> None:
    turned = [1, 0, 0, 0, 0.9962, 0.0872]
    scan = open_scan(edited(write_series(tmp_path / "d", slices=12), 1, ImageOrientationPatient=turned))
    assert "another direction" in scan.notes[0]
    across = [1, 0, 0, 0, 0, -1]
    scan = open_scan(edited(write_series(tmp_path / "e", slices=12), 1, ImageOrientationPatient=across))
    assert scan.notes == ()
    assert "localizer" in scan.remarks[0]
