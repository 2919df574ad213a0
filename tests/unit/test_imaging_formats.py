"""FreeSurfer, NRRD and MetaImage volumes are read as NIfTI is: the same voxels at the same places, or a sentence."""

import gzip
import struct
import tarfile
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxtune.errors import ScanError
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.orient import axis_codes, orient
from voxtune.imaging.packed import FOREIGN, holds_dicom
from voxtune.imaging.presets import TINY
from voxtune.imaging.read import open_scan
from voxtune.imaging.template import template
from voxtune.types.volume import Volume

CODES = ["RAS", "LIA", "PSR"]
AFFINE = np.array([[1.9, 0.3, 0, -7], [-0.3, 2.8, 0, 11], [0, 0, 4.0, 5], [0, 0, 0, 1]])


def volume(code: str) -> Volume:
    voxels = np.random.default_rng(0).integers(0, 900, (6, 7, 8)).astype(np.float32)
    return orient(Volume(voxels, AFFINE), code)


def mgh(path: Path, what: Volume, dtype: str = "f4") -> Path:
    nibabel.save(nibabel.MGHImage(what.voxels.astype(dtype), what.affine), path)
    return path


def by_itk(path: Path, what: Volume, *, packed: bool = True) -> Path:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(what.voxels.astype(np.int16).transpose(2, 1, 0)))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ what.affine
    image.SetSpacing([float(step) for step in what.spacing])
    image.SetDirection((lps[:3, :3] / what.spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path), useCompression=packed)
    return path


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", ["a.mgz", "a.mgh", "a.nrrd", "a.mha"])
def test_every_format_holds_the_same_scan(tmp_path: Path, name: str, code: str) -> None:
    what = volume(code)
    path = mgh(tmp_path / name, what) if name.startswith("a.mg") else by_itk(tmp_path / name, what)
    scan = open_scan(path)
    assert np.array_equal(scan.volume.voxels, what.voxels)
    assert np.allclose(scan.volume.affine, what.affine, atol=1e-4)
    assert scan.notes == ()


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4"])
def test_every_number_type_of_freesurfer(tmp_path: Path, dtype: str) -> None:
    what = volume("RAS")
    what = what.with_voxels((what.voxels % 120).astype(np.float32))
    scan = open_scan(mgh(tmp_path / "a.mgz", what, dtype))
    assert np.array_equal(scan.volume.voxels, what.voxels)


@pytest.mark.parametrize("name", ["a.mgz", "a.nrrd", "a.mha"])
def test_the_chain_makes_the_same_volume_of_each(tmp_path: Path, name: str) -> None:
    still = template(64)
    what = orient(still.with_voxels(np.round(still.voxels * 800).astype(np.float32)), "LIA")
    path = mgh(tmp_path / name, what) if name == "a.mgz" else by_itk(tmp_path / name, what)
    nifti = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(what.voxels, what.affine), nifti)
    first, other = (preprocess_scan(one, TINY, stripped=True, registered=True) for one in (nifti, path))
    assert np.abs(first.volume.voxels - other.volume.voxels).max() < 1e-3


def patched(path: Path, offset: int, fmt: str, *values: float) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into(fmt, data, offset, *values)
    path.write_bytes(data)
    return path


def replaced(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    return path


def test_freesurfer_without_directions_is_refused_unless_declared(tmp_path: Path) -> None:
    path = patched(mgh(tmp_path / "a.mgh", volume("RAS")), 28, ">h", 0)
    with pytest.raises(ScanError, match="goodRASFlag 0"):
        open_scan(path)
    scan = open_scan(path, orientation="LIA")
    assert axis_codes(scan.volume.affine) == "LIA"
    assert "declared to be LIA" in scan.notes[0]


def test_nrrd_without_a_space_is_refused_unless_declared(tmp_path: Path) -> None:
    head = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 6 7 8\nspacings: 1 2 3\nendian: little\nencoding: raw\n\n"
    path = tmp_path / "a.nrrd"
    path.write_bytes(head + np.arange(336, dtype="<i2").tobytes())
    with pytest.raises(ScanError, match="does not say where left is"):
        open_scan(path)
    scan = open_scan(path, orientation="RAS")
    assert scan.volume.spacing == pytest.approx((1, 2, 3))
    assert scan.notes


def test_metaimage_without_directions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    head = b"ObjectType = Image\nNDims = 3\nDimSize = 6 7 8\nElementSpacing = 1 2 3\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    path.write_bytes(head + np.arange(336, dtype="<i2").tobytes())
    with pytest.raises(ScanError, match="TransformMatrix"):
        open_scan(path)


def short(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def elsewhere(folder: Path) -> Path:
    (folder / "secret").write_bytes(bytes(2 * 336))
    return replaced(by_itk(folder / "a.mha", volume("RAS"), packed=False), b"LOCAL", b"secret")


def detached(folder: Path) -> Path:
    path = folder / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nsizes: 6 7 8\nencoding: raw\ndata file: ../x.raw\n\n"
    )
    return path


def huge(folder: Path) -> Path:
    path = folder / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 4000 4000 4000\n"
        b"space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: gzip\n\n"
        + gzip.compress(b"0" * 99)
    )
    return path


def bomb(folder: Path) -> Path:
    path = folder / "a.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 700 700 700\n"
        b"space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\nencoding: gzip\n\n"
        + gzip.compress(b"0" * 99)
    )
    return path


def several(folder: Path) -> Path:
    what = np.stack([volume("RAS").voxels] * 2, axis=3)
    nibabel.save(nibabel.MGHImage(what, AFFINE), folder / "a.mgz")
    return folder / "a.mgz"


def colour(folder: Path) -> Path:
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.zeros((8, 7, 6, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(image, str(folder / "a.mha"))
    return folder / "a.mha"


HOSTILE = [
    (lambda folder: short(mgh(folder / "a.mgh", volume("RAS"))), "cut short"),
    (lambda folder: short(mgh(folder / "a.mgz", volume("RAS"))), "cut short|damaged"),
    (lambda folder: short(by_itk(folder / "a.nrrd", volume("RAS"), packed=False)), "damaged or cut short"),
    (lambda folder: short(by_itk(folder / "a.mha", volume("RAS"), packed=False)), "damaged or cut short"),
    (lambda folder: patched(mgh(folder / "a.mgh", volume("RAS")), 0, ">i", 7), "version is not 1"),
    (lambda folder: patched(mgh(folder / "a.mgh", volume("RAS")), 20, ">i", 9), "number type 9"),
    (lambda folder: patched(mgh(folder / "a.mgh", volume("RAS")), 4, ">i", 90000), "limit"),
    (lambda folder: patched(mgh(folder / "a.mgh", volume("RAS")), 30, ">f", 0.0), "singular"),
    (elsewhere, "another file"), (detached, "another file"), (huge, "limit"), (bomb, "zip bomb"), (several, "2 volumes"),
    (colour, "several numbers a voxel"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "says"), HOSTILE, ids=[says for _, says in HOSTILE])
def test_what_cannot_be_read_is_refused_with_a_sentence(tmp_path: Path, make, says: str) -> None:  # type: ignore[no-untyped-def]
    path = make(tmp_path)
    with pytest.raises(ScanError, match=says) as caught:
        open_scan(path)
    message = str(caught.value)
    assert message.startswith(f"{path.name}: ")
    assert str(tmp_path) not in message
    assert "itk" not in message.lower()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_more_voxels_than_the_header_describes_are_refused(
    tmp_path: Path, name: str, *, packed: bool
) -> None:
    """A part would pass for the whole, as in NIfTI."""
    rng = np.random.default_rng(0)
    what = Volume(rng.integers(0, 900, (16, 16, 32)).astype(np.float32), AFFINE)
    path = by_itk(tmp_path / name, what, packed=packed)
    assert open_scan(path).volume.shape == (16, 16, 32)
    replaced(path, b"16 16 32", b"16 16 16")
    with pytest.raises(ScanError, match="holds more voxels than its header describes"):
        open_scan(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"encoding: raw", b"encoding: hex"),
        (b"encoding: raw", b"encoding: bzip2"),
        (b"encoding: raw", b"byte skip: -1\nencoding: raw"),
    ],
)
def test_encodings_whose_length_cannot_be_judged_are_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = replaced(by_itk(tmp_path / "a.nrrd", volume("RAS"), packed=False), old, new)
    with pytest.raises(ScanError, match=r"^a\.nrrd: "):
        open_scan(path)


def test_a_metaimage_of_text_is_refused(tmp_path: Path) -> None:
    path = by_itk(tmp_path / "a.mha", volume("RAS"), packed=False)
    replaced(path, b"BinaryData = True", b"BinaryData = False")
    with pytest.raises(ScanError, match="stored as 'text', which is not read"):
        open_scan(path)


# --------------------------------------------------------------------------- named by first bytes
def tarred(folder: Path, mode: str) -> bytes:
    (folder / "inside").write_bytes(bytes(2000))
    with tarfile.open(folder / "made", mode) as archive:  # type: ignore[call-overload]
        archive.add(folder / "inside", "inside")
    return (folder / "made").read_bytes()


DICOM_START = bytes(128) + b"DICM" + bytes(200)


@pytest.mark.parametrize("mark", [mark for mark, _, _ in FOREIGN])
def test_a_foreign_file_is_named(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(mark + bytes(400))
    [(says, todo)] = [(what, todo) for known, what, todo in FOREIGN if known == mark]
    with pytest.raises(ScanError) as caught:
        open_scan(path)
    assert str(caught.value) == f"scan.nii.gz: {says}." + (f" {todo}" if todo else "")


@pytest.mark.parametrize("end", ["dcm.gz", "nii.gz", "gz"])
def test_a_packed_dicom_file_is_not_called_a_bad_nifti(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"scan.{end}"
    path.write_bytes(gzip.compress(DICOM_START))
    with pytest.raises(ScanError, match="this is a DICOM file packed with gzip") as caught:
        open_scan(path)
    assert "NIfTI" not in str(caught.value)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_named(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "scan.tar"
    path.write_bytes(tarred(tmp_path, mode))
    with pytest.raises(ScanError, match=r"tar archive|bzip2|xz"):
        open_scan(path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_of_dicom_files_is_told_from_others(tmp_path: Path, mode: str) -> None:
    assert not holds_dicom(tmp_path / "absent")
    (tmp_path / "plain").write_bytes(tarred(tmp_path, mode))
    assert not holds_dicom(tmp_path / "plain")
    (tmp_path / "slice").write_bytes(DICOM_START)
    with tarfile.open(tmp_path / "a", mode) as archive:  # type: ignore[call-overload]
        archive.add(tmp_path, "folder", recursive=False)
        archive.add(tmp_path / "slice", "slice")
    assert holds_dicom(tmp_path / "a")
    (tmp_path / "cut").write_bytes((tmp_path / "a").read_bytes()[:40])
    assert not holds_dicom(tmp_path / "cut")
    assert not holds_dicom(tmp_path / "slice")


def test_members_of_an_archive_are_looked_at_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxtune.imaging.packed.MOST_MEMBERS", 1)
    for name, content in (("1", b"x" * 200), ("2", DICOM_START)):
        (tmp_path / name).write_bytes(content)
    with tarfile.open(tmp_path / "a.tar", "w") as archive, zipfile.ZipFile(tmp_path / "a.zip", "w") as other:
        for name in ("1", "2"):
            archive.add(tmp_path / name, name)
            other.write(tmp_path / name, name)
    assert not holds_dicom(tmp_path / "a.tar")
    assert not holds_dicom(tmp_path / "a.zip")
