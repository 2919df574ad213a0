"""Small NIfTI, FreeSurfer, NRRD and MetaImage files of every kind that tools write and copies spoil, each with what must come of it.

A case writes one file and returns it: ``read`` (the same voxels at the same places, nothing said), ``warned`` (read with a
reason not to pass) or ``refused`` (one sentence that matches).
"""

import bz2
import gzip
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np

Outcome = Literal["read", "warned", "refused"]
Array = np.ndarray[Any, Any]
VOXELS: Array = np.random.default_rng(0).integers(-900, 900, (12, 10, 9)).astype(np.float32)
AFFINE: Array = np.array([[-2.0, 0, 0, 30], [0, -2.5, 0, 12], [0, 0, 3.0, -40], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Case:
    """One file, what it stands for and what must come of it."""

    name: str
    group: str
    what: str
    outcome: Outcome
    says: str
    build: Callable[[Path], Path]
    orientation: str | None = None


CASES: list[Case] = []


def case(group: str, what: str, outcome: Outcome, says: str = "", orientation: str | None = None) -> Any:
    """Add a function to the cases."""

    def add(build: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES.append(Case(build.__name__, group, what, outcome, says, build, orientation))
        return build

    return add


def nifti(  # noqa: PLR0913  (what a header can hold)
    path: Path,
    *,
    voxels: Array = VOXELS,
    affine: Array = AFFINE,
    dtype: str = "f4",
    codes: tuple[int, int] = (1, 1),
    patch: dict[int, bytes] | None = None,
    tail: bytes = b"",
    kind: type = nibabel.Nifti1Image,
) -> Path:
    """Written by nibabel, then patched at byte offsets."""
    image = kind(voxels.astype(dtype), affine, dtype=dtype)
    image.set_qform(affine if codes[0] else None, codes[0])
    image.set_sform(affine if codes[1] else None, codes[1])
    data = bytearray(image.to_bytes())
    for offset, content in (patch or {}).items():
        data[offset : offset + len(content)] = content
    content = bytes(data) + tail
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def add(group: str, what: str, outcome: Outcome, says: str = "", end: str = ".nii", **how: Any) -> None:
    """A case of one call of ``nifti``."""
    orientation = how.pop("orientation", None)

    def build(folder: Path) -> Path:
        return nifti(folder / f"scan{end}", **how)

    build.__name__ = "".join(letter if letter.isalnum() else "_" for letter in f"{group}_{what}").lower()
    case(group, what, outcome, says, orientation)(build)


def floats(*values: float) -> bytes:
    """Little-endian single precision."""
    return struct.pack(f"<{len(values)}f", *values)


def shorts(*values: int) -> bytes:
    """Little-endian, 16 bits."""
    return struct.pack(f"<{len(values)}h", *values)


# ------------------------------------------------------------------------------------------ where
add("place", "qform alone", "read", codes=(1, 0))
add("place", "sform alone", "read", codes=(0, 1))
add("place", "codes of 0", "refused", "codes of qform and sform are both 0", codes=(0, 0))
add("place", "codes of 0, declared LPS", "warned", "declared to be LPS", codes=(0, 0), orientation="LPS")
add(
    "place",
    "a negative voxel size, qform alone",
    "refused",
    "negative voxel size",
    codes=(1, 0),
    patch={80: floats(-2)},
)
add("place", "a negative voxel size, sform alone", "read", codes=(0, 1), patch={80: floats(-2)})
add("place", "a negative voxel size, both forms", "warned", "sform was followed", patch={80: floats(-2)})
add("place", "voxel size 0, sform alone", "read", codes=(0, 1), patch={80: floats(0, 0, 0)})
add(
    "place",
    "a quaternion that is no rotation",
    "refused",
    "no rotation",
    codes=(1, 0),
    patch={256: floats(0.9, 0.9, 0.9)},
)
add("place", "first pixdim (qfac) 0", "read", codes=(1, 0), patch={76: floats(0)})
add(
    "place",
    "sform and qform mirror each other",
    "refused",
    "mirror each other",
    patch={280: floats(2, 0, 0, 8)},
)
add(
    "place",
    "sform the identity, qform real",
    "refused",
    "disagree",
    patch={280: floats(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)},
)
add("place", "sform and qform 30 mm apart", "warned", "in place by 30 mm", patch={280: floats(-2, 0, 0, 60)})
add(
    "place",
    "sform of other voxel sizes",
    "refused",
    "disagree about the voxel size",
    patch={280: floats(-0.7, 0, 0, 30, 0, -0.8, 0, 12, 0, 0, 1, -40)},
)
add("place", "sform of zeros", "refused", "singular", patch={280: floats(*[0] * 12)})
add("place", "NaN in the sform", "refused", "NaN", patch={280: floats(float("nan"))})
add("place", "units of metres", "read", affine=np.diag([1e-3, 1e-3, 1e-3, 1]) @ AFFINE, patch={123: b"\x01"})
add(
    "place",
    "units of metres that are millimetres",
    "warned",
    "millimetres were assumed",
    patch={123: b"\x01"},
)
add(
    "place",
    "an origin beyond what single precision tells",
    "refused",
    "mm away",
    codes=(0, 1),
    patch={292: floats(1e9)},
)
# ---------------------------------------------------------------------------------------- numbers
for _dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "f8"):
    add("numbers", f"stored as {_dtype}", "read", dtype=_dtype, voxels=np.abs(VOXELS) % 120)
add("numbers", "slope 0: not scaled", "read", dtype="i2", patch={112: floats(0, 7)})
add(
    "numbers",
    "slope and intercept NaN: not scaled",
    "read",
    dtype="i2",
    patch={112: floats(float("nan"), float("nan"))},
)
add("numbers", "intercept NaN", "refused", "scales voxels", dtype="i2", patch={112: floats(1, float("nan"))})
add(
    "numbers",
    "a few NaN",
    "read",
    voxels=np.where(np.arange(VOXELS.size).reshape(VOXELS.shape) == 5, np.nan, VOXELS),
)
add(
    "numbers",
    "NaN for the most part",
    "refused",
    "NaN or infinite",
    voxels=np.where(np.arange(12)[:, None, None] < 8, np.nan, VOXELS),
)
add("numbers", "one value", "refused", "constant", voxels=np.full(VOXELS.shape, 3.0))
add(
    "numbers",
    "whole numbers too far from 0 for single precision",
    "refused",
    "single precision keeps",
    dtype="i4",
    voxels=VOXELS.astype("i8") + 10**9,
)
add(
    "numbers",
    "an intent code of a statistic (z)",
    "warned",
    "a statistic (intent code 5)",
    patch={68: shorts(5)},
)
add("numbers", "an intent code of labels", "warned", "labels (intent code 1002)", patch={68: shorts(1002)})
add("numbers", "complex", "refused", "not one real number", dtype="c8")
add("numbers", "a number type with no name", "refused", "data type 17", patch={70: shorts(17)})
# ------------------------------------------------------------------------------------------ sizes
add("sizes", "NIfTI-2", "read", kind=nibabel.Nifti2Image)
add("sizes", "4D with one volume", "read", voxels=VOXELS[..., None])
add(
    "sizes",
    "4D with two volumes",
    "refused",
    "4D image with 2 volumes",
    voxels=np.stack([VOXELS, VOXELS], -1),
)
add("sizes", "one slice", "refused", "2D image", voxels=VOXELS[:, :, :1])
add("sizes", "no dimensions", "refused", "impossible dimensions", patch={40: shorts(0)})
add(
    "sizes",
    "half the voxels in the header",
    "refused",
    "beyond the voxels",
    voxels=np.tile(VOXELS, (1, 1, 6)),
    patch={46: shorts(27)},
)
add("sizes", "the file ends too soon", "refused", "cut short", patch={46: shorts(18)})
add("sizes", "voxels that begin inside the header", "refused", "begin at byte", patch={108: floats(100)})
add(
    "sizes",
    "more voxels than any scan has",
    "refused",
    "more than the limit",
    patch={42: shorts(4000, 4000, 4000)},
)


# ------------------------------------------------------------------------------------------ forms
@case("files", ".nii.gz of two gzip members", "read")
def two_members(folder: Path) -> Path:
    data = nifti(folder / "a.nii").read_bytes()
    (folder / "scan.nii.gz").write_bytes(gzip.compress(data[:900]) + gzip.compress(data[900:]))
    return folder / "scan.nii.gz"


@case("files", ".nii.gz cut short", "refused", "cut short")
def cut_gzip(folder: Path) -> Path:
    data = nifti(folder / "scan.nii.gz").read_bytes()
    (folder / "scan.nii.gz").write_bytes(data[:-200])
    return folder / "scan.nii.gz"


@case("files", ".nii.gz with a flipped bit", "refused", "damaged|cut short|CRC")
def flipped(folder: Path) -> Path:
    data = bytearray(nifti(folder / "scan.nii.gz").read_bytes())
    data[-6] ^= 0xFF  # of the checksum
    (folder / "scan.nii.gz").write_bytes(bytes(data))
    return folder / "scan.nii.gz"


@case("files", ".hdr and .img", "read")
def pair(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Pair(VOXELS, AFFINE), folder / "scan.img")
    return folder / "scan.hdr"


@case("files", ".img without its .hdr", "refused", "other half")
def half_pair(folder: Path) -> Path:
    pair(folder).unlink()
    return folder / "scan.img"


@case("files", "Analyze", "refused", "does not say where left is")
def analyze(folder: Path) -> Path:
    nibabel.save(nibabel.AnalyzeImage(VOXELS, AFFINE), folder / "scan.img")
    return folder / "scan.img"


@case("files", "zip of a NIfTI file", "read")
def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "scan.zip", "w") as archive:
        archive.writestr("study/a.nii", nifti(folder / "a.nii").read_bytes())
    return folder / "scan.zip"


@case("files", "zip of two NIfTI files", "refused", "holds 2 volumes")
def zipped_two(folder: Path) -> Path:
    with zipfile.ZipFile(zipped(folder), "a") as archive:
        archive.writestr("study/b.nii", (folder / "a.nii").read_bytes())
    return folder / "scan.zip"


@case("files", "an empty zip", "refused", "zip is empty")
def empty_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "scan.zip", "w"):
        pass
    return folder / "scan.zip"


@case("files", "packed with bzip2", "refused", "bzip2")
def bzipped(folder: Path) -> Path:
    (folder / "scan.nii.bz2").write_bytes(bz2.compress(nifti(folder / "a.nii").read_bytes()))
    return folder / "scan.nii.bz2"


@case("files", "packed with gzip twice", "refused", "gzip twice")
def gzipped_twice(folder: Path) -> Path:
    (folder / "scan.nii.gz").write_bytes(gzip.compress(gzip.compress(nifti(folder / "a.nii").read_bytes())))
    return folder / "scan.nii.gz"


@case("files", "a folder of a NIfTI file", "refused", "1 volume of another kind")
def folder_of_nifti(folder: Path) -> Path:
    (folder / "scan.d").mkdir()
    nifti(folder / "scan.d" / "a.nii")
    return folder / "scan.d"


def _text(what: str, content: bytes, says: str) -> None:
    def build(folder: Path) -> Path:
        (folder / "scan.nii.gz").write_bytes(content)
        return folder / "scan.nii.gz"

    build.__name__ = "".join(letter if letter.isalnum() else "_" for letter in what)
    case("files", what, "refused", says)(build)


_text("a web page", b"<!DOCTYPE html><html>Please log in</html>", "web page")
_text("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\nsize 4\n", "Git LFS pointer")
_text("a git-annex pointer", b"/annex/objects/MD5E-s1--d.nii.gz\n", "git-annex pointer")
_text("a .mha packed with gzip", gzip.compress(b"ObjectType = Image\n" * 30), "a .nrrd or .mha file packed")
_text("nothing", b"", "empty")
_text("a picture", b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG")


@case("files", "a link to content that is not here (DataLad)", "refused", "its content is not here")
def annexed(folder: Path) -> Path:
    (folder / "scan.nii.gz").symlink_to(".git/annex/objects/MD5E-s1--d.nii.gz")
    return folder / "scan.nii.gz"


@case("files", "links that lead to each other", "refused", "cannot be read")
def loop(folder: Path) -> Path:
    (folder / "a.nii").symlink_to("b.nii")
    (folder / "b.nii").symlink_to("a.nii")
    return folder / "a.nii"


# ---------------------------------------------------------------------------------- other formats
def mgh(path: Path, voxels: Array = VOXELS) -> Path:
    """Written by nibabel."""
    nibabel.save(nibabel.MGHImage(voxels, AFFINE), path)
    return path


def by_itk(
    path: Path, *, packed: bool = True, old: bytes = b"", new: bytes = b"", voxels: Array = VOXELS
) -> Path:
    """Written by SimpleITK, then a piece of its header replaced."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ AFFINE
    spacing = np.linalg.norm(AFFINE[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path), useCompression=packed)
    path.write_bytes(path.read_bytes().replace(old, new) if old else path.read_bytes())
    return path


case("formats", ".mgz", "read")(lambda folder: mgh(folder / "scan.mgz"))
case("formats", ".mgh", "read")(lambda folder: mgh(folder / "scan.mgh"))
case("formats", ".mgz with two frames", "refused", "4D")(
    lambda folder: mgh(folder / "scan.mgz", np.stack([VOXELS, VOXELS], -1))
)
for _end in (".nrrd", ".mha"):
    for _packed in (True, False):
        _how = "packed" if _packed else "not packed"
        case("formats", f"{_end}, {_how}", "read")(
            lambda folder, end=_end, packed=_packed: by_itk(folder / f"scan{end}", packed=packed)
        )
        case(
            "formats",
            f"{_end}, {_how}, half the voxels in its header",
            "refused",
            "more voxels than its header",
        )(
            lambda folder, end=_end, packed=_packed: by_itk(
                folder / f"scan{end}",
                packed=packed,
                voxels=np.tile(VOXELS, (1, 1, 4)),
                old=b"12 10 36",
                new=b"12 10 18",
            )
        )
case("formats", ".nrrd that does not say where left is", "refused", "does not say where left is")(
    lambda folder: by_itk(
        folder / "scan.nrrd", packed=False, old=b"left-posterior-superior", new=b"scanner-xyz"
    )
)
case("formats", ".mha without its matrix", "refused", "does not say where left is")(
    lambda folder: by_itk(folder / "scan.mha", packed=False, old=b"TransformMatrix", new=b"OtherMatrix")
)
case("formats", ".mha that does not say how large its voxels are", "refused", "how large its voxels are")(
    lambda folder: by_itk(folder / "scan.mha", packed=False, old=b"ElementSpacing", new=b"OtherSpacing")
)
case("formats", ".nrrd whose lengths are in metres", "warned", "millimetres were assumed")(
    lambda folder: by_itk(
        folder / "scan.nrrd", packed=False, old=b"encoding:", new=b'space units: "m" "m" "m"\nencoding:'
    )
)


def _cut(folder: Path, end: str, *, packed: bool) -> Path:
    path = by_itk(folder / f"scan{end}", packed=packed)
    path.write_bytes(path.read_bytes()[:-300])
    return path


for _end in (".nrrd", ".mha"):
    for _packed in (True, False):
        case(
            "formats", f"{_end}, {'packed' if _packed else 'not packed'}, cut short", "refused", "cut short"
        )(lambda folder, end=_end, packed=_packed: _cut(folder, end, packed=packed))
