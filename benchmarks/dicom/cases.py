"""Small DICOM studies of every kind that scanners, archives and copies make, each with its truth: built with pydicom, of numbers.

A case is a function that writes into a folder and returns what to read, with what must come of it: ``read`` (equal to the
truth, voxel by voxel), ``said`` (equal, and something is remarked), ``warned`` (near the truth, and never a pass) or
``refused`` (one sentence that matches).
"""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

Outcome = Literal["read", "said", "warned", "refused"]
Array = np.ndarray[Any, Any]
SIZE = (14, 12, 10)
SPACING = (1.5, 2.0, 3.0)
ROOT = "1.2.826.0.1.3680043.8.498."
CT, MR, ENHANCED_CT, ENHANCED_MR = (f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2", "4", "2.1", "4.1"))
OTHERS = {
    "ultrasound": "1.2.840.10008.5.1.4.1.1.3.1",
    "angiography": "1.2.840.10008.5.1.4.1.1.12.1",
    "dose": "1.2.840.10008.5.1.4.1.1.481.2",
    "capture": "1.2.840.10008.5.1.4.1.1.7.2",
    "segmentation": "1.2.840.10008.5.1.4.1.1.66.4",
}


@dataclass(frozen=True)
class Case:
    """One study, what it stands for and what must come of it."""

    name: str
    group: str
    what: str
    outcome: Outcome
    says: str
    """A pattern of the sentence, remark or note."""
    build: Callable[[Path], Path]
    truth: "Callable[[Array, Array, Array], Array]"
    """Number at a place (LPS, mm)."""
    series: str | None = None


CASES: list[Case] = []


def case(
    group: str,
    what: str,
    outcome: Outcome,
    says: str = "",
    truth: "Callable[[Array, Array, Array], Array] | None" = None,
    series: str | None = None,
) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Add a function to the cases."""

    def add(build: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES.append(Case(build.__name__, group, what, outcome, says, build, truth or at, series))
        return build

    return add


def at(x: Array, y: Array, z: Array) -> Array:
    """A smooth picture of space (mm), in Hounsfield units, without any symmetry."""
    return np.round(
        40 * np.sin(x / 6) + 30 * np.cos(y / 9 + 0.4) + 25 * np.sin(z / 11 + x / 19) - 300 * (x + y < 9)
    )


def grid(z: "Sequence[float] | None" = None) -> tuple[Array, Array, Array]:
    """Places of the plain grid's voxels, mm; ``z`` in millimetres."""
    depth = np.arange(SIZE[2]) * SPACING[2] if z is None else np.asarray(z, dtype=float)
    x, y, z_ = np.meshgrid(
        np.arange(SIZE[0]) * SPACING[0], np.arange(SIZE[1]) * SPACING[1], depth, indexing="ij"
    )
    return x, y, z_


def hounsfield() -> Array:
    """The truth of most cases."""
    return at(*grid())


def brightness() -> Array:
    """The truth of the MR cases: no number below 0."""
    return hounsfield() + 500


def expected(case_: Case, shape: tuple[int, ...], affine: Array) -> Array:
    """The truth of a case at the voxels of a volume (affine to RAS)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    place = (index @ affine[:3, :3].T + affine[:3, 3]) * (-1, -1, 1)
    x, y, z = np.moveaxis(np.round(place, 5) + 0.0, -1, 0)
    return case_.truth(x, y, z)


# ----------------------------------------------------------------------------------------- writing
def start(
    sop: str, modality: str, uid: str, description: str, number: int, syntax: str = ExplicitVRLittleEndian
) -> Dataset:
    """What every file has."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UID(sop)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID(uid)
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.Modality, ds.SeriesDescription, ds.SeriesNumber = modality, description, number
    ds.StudyInstanceUID, ds.SeriesInstanceUID = ROOT + "1", f"{ROOT}1.{number}"
    ds.PatientID, ds.ImageType = "somebody", ["ORIGINAL", "PRIMARY", "AXIAL"]
    return ds


def put(ds: Dataset, stored: Array, *, signed: bool = False) -> None:
    """Pixels (x, y) or (n, x, y), 16 bits."""
    planes = np.swapaxes(stored, -1, -2)
    ds.Rows, ds.Columns = planes.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(signed)
    order = ">" if ds.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    ds.PixelData = np.ascontiguousarray(planes.astype(f"{order}{'i' if signed else 'u'}2")).tobytes()
    ds["PixelData"].VR = "OW"


Edit = Callable[[Dataset, int], bool | None]


def classic(  # noqa: PLR0913  (what a slice may say)
    folder: Path,
    values: "Array | None" = None,
    *,
    modality: str = "CT",
    description: str = "CHEST",
    number: int = 2,
    syntax: str = ExplicitVRLittleEndian,
    slope: float | None = 1,
    intercept: float = -1024,
    signed: bool = False,
    z: "Sequence[float] | None" = None,
    edit: "Edit | None" = None,
    name: Callable[[int], str] = "{:03d}.dcm".format,
) -> Path:
    """A series of one file a slice; ``edit`` changes a slice, or drops it with False."""
    values = hounsfield() if values is None else values
    depth = np.arange(values.shape[2]) * SPACING[2] if z is None else z
    for k in range(values.shape[2]):
        ds = start(
            {"CT": CT, "MR": MR}[modality], modality, f"{ROOT}1.{number}.{k + 1}", description, number, syntax
        )
        ds.InstanceNumber, ds.AcquisitionNumber = k + 1, 1
        ds.ImagePositionPatient, ds.ImageOrientationPatient = (
            [0, 0, round(float(depth[k]), 4)],
            [1, 0, 0, 0, 1, 0],
        )
        ds.PixelSpacing, ds.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
        stored = values[:, :, k]
        if slope is not None:
            ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
            stored = np.round((stored - intercept) / slope)
        put(ds, stored, signed=signed)
        if edit is not None and edit(ds, k) is False:
            continue
        save(ds, folder / name(k))
    return folder


def save(ds: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def enhanced(  # noqa: PLR0913  (what a file may say)
    path: Path,
    volumes: Sequence[Array],
    *,
    sop: str = ENHANCED_CT,
    modality: str = "CT",
    order: "Sequence[int] | None" = None,
    rescale: Callable[[int], tuple[float, float]] = lambda _: (1.0, -1024.0),
    between: float | None = SPACING[2],
    lean: float = 0.0,
    turn: "Callable[[int], list[int]] | None" = None,
    edit: "Edit | None" = None,
) -> Path:
    """One multi-frame file with functional groups."""
    ds = start(sop, modality, ROOT + "1.5.1", "ENHANCED", 5)
    frames = [(t, k) for t in range(len(volumes)) for k in range(volumes[0].shape[2])]
    frames = frames if order is None else [frames[i] for i in order]
    groups, planes = [], []
    for t, k in frames:
        group, place, measures, values, plane = (Dataset() for _ in range(5))
        place.ImagePositionPatient = [0, round(lean * k, 4), SPACING[2] * k]
        measures.PixelSpacing, measures.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
        if between is not None:
            measures.SpacingBetweenSlices = between
        values.RescaleSlope, values.RescaleIntercept = rescale(k)
        plane.ImageOrientationPatient = turn(k) if turn else [1, 0, 0, 0, 1, 0]
        group.PlanePositionSequence, group.PixelMeasuresSequence = Items([place]), Items([measures])
        group.PixelValueTransformationSequence, group.PlaneOrientationSequence = (
            Items([values]),
            Items([plane]),
        )
        groups.append(group)
        content = Dataset()
        content.StackID, content.InStackPositionNumber, content.TemporalPositionIndex = "1", k + 1, t + 1
        content.DimensionIndexValues = [1, k + 1, t + 1]
        group.FrameContentSequence = Items([content])
        slope, intercept = rescale(k)
        planes.append(np.round((volumes[t][:, :, k] - intercept) / slope))
    ds.SharedFunctionalGroupsSequence = Items([Dataset()])
    ds.PerFrameFunctionalGroupsSequence = Items(groups)
    ds.NumberOfFrames = len(frames)
    put(ds, np.stack(planes))
    if edit is not None:
        edit(ds, 0)
    return save(ds, path)


def frames_only(path: Path, sop: str, modality: str, edit: "Edit | None" = None) -> Path:
    """A multi-frame file that says of no frame where it lies."""
    ds = start(sop, modality, ROOT + "1.9.1", "FRAMES", 9)
    put(ds, hounsfield().transpose(2, 0, 1) + 1024)
    ds.NumberOfFrames = SIZE[2]
    if edit is not None:
        edit(ds, 0)
    return save(ds, path)


def only(k: int, change: Callable[[Dataset], Any]) -> Edit:
    """An edit of one slice."""

    def edit(ds: Dataset, place: int) -> None:
        if place == k:
            change(ds)

    return edit


def compressed(compressor: str, kind: str = "<u2") -> Edit:
    """An edit that packs a slice as SimpleITK's GDCM does."""

    def edit(ds: Dataset, _: int) -> None:
        import pydicom
        import SimpleITK

        plane = np.frombuffer(ds.PixelData, kind).reshape(ds.Rows, ds.Columns)
        with tempfile.TemporaryDirectory() as scratch:
            writer = SimpleITK.ImageFileWriter()
            writer.UseCompressionOn()
            writer.SetCompressor(compressor)
            writer.SetFileName(f"{scratch}/a.dcm")
            writer.Execute(SimpleITK.GetImageFromArray(plane))
            other = pydicom.dcmread(f"{scratch}/a.dcm")
        assert other.file_meta.TransferSyntaxUID.is_encapsulated
        ds.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID
        ds.PixelData = other.PixelData
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True

    return edit


def zipped(path: Path, folder: Path, extra: "dict[str, bytes] | None" = None) -> Path:
    """A zip of a folder, and of other members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"study/{file.relative_to(folder)}")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return path


# --------------------------------------------------------------------------------- storage forms
@case("storage", "explicit VR little endian", "read")
def plain(folder: Path) -> Path:
    return classic(folder / "d")


@case("storage", "implicit VR", "read")
def implicit(folder: Path) -> Path:
    return classic(folder / "d", syntax=ImplicitVRLittleEndian)


@case("storage", "explicit VR big endian", "read")
def big_endian(folder: Path) -> Path:
    return classic(folder / "d", syntax=ExplicitVRBigEndian)


@case("storage", "deflated", "read")
def deflated(folder: Path) -> Path:
    return classic(folder / "d", syntax="1.2.840.10008.1.2.1.99")


@case("storage", "run-length encoded", "read")
def rle(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, _: ds.compress(RLELossless, generate_instance_uid=False))


@case("storage", "JPEG lossless", "read")
def jpeg_lossless(folder: Path) -> Path:
    return classic(folder / "d", edit=compressed("JPEG"))


@case("storage", "JPEG 2000 lossless", "read")
def jpeg_2000(folder: Path) -> Path:
    return classic(folder / "d", edit=compressed("JPEG2000"))


@case("storage", "JPEG 2000 of signed numbers that the header calls unsigned", "refused", "have a sign")
def jpeg_2000_signed(folder: Path) -> Path:
    pack = compressed("JPEG2000", "<i2")

    def edit(ds: Dataset, k: int) -> None:
        pack(ds, k)
        ds.PixelRepresentation = 0

    return classic(folder / "d", signed=True, intercept=0, edit=edit)


@case("storage", "MPEG-4 video", "refused", "compressed as MPEG-4")
def mpeg(folder: Path) -> Path:
    def edit(ds: Dataset, _: int) -> None:
        from pydicom.encaps import encapsulate

        ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
        ds.PixelData = encapsulate([b"\0" * 64])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True

    return classic(folder / "d", edit=edit)


@case("storage", "signed numbers, no intercept", "read")
def signed(folder: Path) -> Path:
    return classic(folder / "d", signed=True, intercept=0)


@case("storage", "12 signed bits in 16", "read")
def twelve_bits(folder: Path) -> Path:
    def edit(ds: Dataset, _: int) -> None:
        ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") & 0x0FFF).astype("<u2").tobytes()
        ds.BitsStored, ds.HighBit = 12, 11

    return classic(folder / "d", signed=True, intercept=0, edit=edit)


@case("storage", "numbers larger than the stated bits", "refused", "says 8 bits and holds larger numbers")
def too_few_bits(folder: Path) -> Path:
    def edit(ds: Dataset, _: int) -> None:
        ds.BitsStored, ds.HighBit = 8, 7

    return classic(folder / "d", edit=edit)


@case("storage", "no preamble", "read")
def no_preamble(folder: Path) -> Path:
    for file in classic(folder / "d").iterdir():
        file.write_bytes(file.read_bytes()[132:])
    return folder / "d"


@case("storage", "a bare data set, without file meta information", "read")
def bare(folder: Path) -> Path:
    import pydicom

    for file in classic(folder / "d").iterdir():
        ds = pydicom.dcmread(file)
        del ds.file_meta
        ds.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=False)
    return folder / "d"


@case("storage", "file names and instance numbers in any order", "read")
def shuffled(folder: Path) -> Path:
    order = np.random.default_rng(0).permutation(SIZE[2])
    return classic(
        folder / "d",
        name=lambda k: f"{order[k]:03d}",
        edit=lambda ds, k: setattr(ds, "InstanceNumber", int(order[k])),
    )


# --------------------------------------------------------------------------------------- numbers
@case("numbers", "the intercept differs from slice to slice, and the stored numbers with it", "read")
def intercepts(folder: Path) -> Path:
    def edit(ds: Dataset, k: int) -> None:
        if k % 3 == 1:
            ds.RescaleIntercept = -2048
            ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") + 1024).astype("<u2").tobytes()

    return classic(folder / "d", edit=edit)


@case(
    "numbers",
    "slope 1 in one slice, a small fraction in the others",
    "read",
    truth=lambda x, y, z: (at(x, y, z) + 500) * 0.25,
)
def fractions(folder: Path) -> Path:
    return classic(folder / "d", brightness() * 0.25, modality="MR", slope=0.25, intercept=0, edit=only(
        0, lambda ds: (setattr(ds, "RescaleSlope", 0.125), setattr(ds, "PixelData", (np.frombuffer(ds.PixelData, "<u2") * 2).astype("<u2").tobytes()))
    ))  # fmt: skip


@case("numbers", "one slice lacks the rescale tags of the others", "refused", "lack the rescale slope")
def forgotten_rescale(folder: Path) -> Path:
    def edit(ds: Dataset) -> None:
        del ds.RescaleSlope, ds.RescaleIntercept

    return classic(folder / "d", edit=only(0, edit))


@case(
    "numbers",
    "padding outside the picture",
    "read",
    truth=lambda x, y, z: np.where((x < 2) & (y < 3), -1024, at(x, y, z)),
)
def padding(folder: Path) -> Path:
    values = hounsfield()
    values[:2, :2] = -3024
    values[:2, :2, 0] = -1024  # air, not padding

    def edit(ds: Dataset, _: int) -> None:
        ds.PixelPaddingValue = -2000

    return classic(folder / "d", values, signed=True, edit=edit)


@case(
    "numbers",
    "padding of several numbers (PixelPaddingRangeLimit)",
    "read",
    truth=lambda x, y, z: np.where((x < 2) & (y < 3), -1024, at(x, y, z)),
)
def padding_range(folder: Path) -> Path:
    values = hounsfield()
    values[:2, :2] = -3024
    values[1, 1], values[0, 1] = -2900, -2700
    values[:2, :2, 0] = -1024

    def edit(ds: Dataset, _: int) -> None:
        ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = -2000, -1600

    return classic(folder / "d", values, signed=True, edit=edit)


@case("numbers", "CT that says MONOCHROME1 (its Hounsfield units stay)", "read")
def monochrome1_ct(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, _: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))


@case("numbers", "MR in MONOCHROME1", "said", "inverted", truth=lambda x, y, z: at(x, y, z) + 500)
def monochrome1_mr(folder: Path) -> Path:
    values = brightness()
    turned = values.max() + values.min() - values
    return classic(
        folder / "d", turned, modality="MR", slope=None,
        edit=lambda ds, _: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"),
    )  # fmt: skip


@case("numbers", "one slice in colour", "refused", "colour images")
def colour(folder: Path) -> Path:
    def edit(ds: Dataset) -> None:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.PixelData = bytes(3 * ds.Rows * ds.Columns)

    return classic(folder / "d", edit=only(4, edit))


@case("numbers", "one slice with a palette", "refused", "PALETTE COLOR")
def palette(folder: Path) -> Path:
    return classic(
        folder / "d", edit=only(4, lambda ds: setattr(ds, "PhotometricInterpretation", "PALETTE COLOR"))
    )


@case("numbers", "pixel data of one slice end too soon", "refused", "end too soon")
def short(folder: Path) -> Path:
    return classic(folder / "d", edit=only(4, lambda ds: setattr(ds, "PixelData", ds.PixelData[:100])))


@case("numbers", "one file cut short", "refused", "end too soon")
def cut(folder: Path) -> Path:
    file = sorted(classic(folder / "d").iterdir())[4]
    file.write_bytes(file.read_bytes()[:-60])
    return folder / "d"


# ---------------------------------------------------------------------------------------- places
@case("places", "slices missing in the middle", "refused", "slices are missing")
def missing(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda _, k: k not in (4, 5))


@case("places", "unevenly spaced slices", "warned", "uneven spacing")
def uneven(folder: Path) -> Path:
    z = [0, 2, 4, 6, 8, 10, 12.5, 15, 17.5, 20, 22.5, 25, 27]
    return classic(folder / "d", at(*grid(z)), z=z)


@case("places", "positions rounded by the scanner", "read")
def rounded(folder: Path) -> Path:
    return classic(folder / "d", z=[3.0 * k + (0.01, 0, -0.01)[k % 3] for k in range(SIZE[2])])


@case("places", "two acquisitions that overlap", "refused", "acquisitions that overlap")
def passes(folder: Path) -> Path:
    first, second = [3.0 * k for k in range(8)], [13.4 + 3.0 * k for k in range(5)]
    z = [*first, *second]
    return classic(
        folder / "d",
        at(*grid(z)),
        z=z,
        edit=lambda ds, k: setattr(ds, "AcquisitionNumber", 1 + (k >= len(first))),
    )


@case("places", "the same files twice", "said", "came twice")
def copies(folder: Path) -> Path:
    for file in list(classic(folder / "d").iterdir())[:3]:
        shutil.copy(file, file.with_name(f"{file.stem} (1).dcm"))
    return folder / "d"


@case("places", "two volumes at one place (4D)", "refused", "4D series")
def four_d(folder: Path) -> Path:
    classic(folder / "d")
    return classic(folder / "d", hounsfield() + 7, name="echo2-{:03d}.dcm".format)


@case("places", "a localizer with the series' UID", "said", "another direction")
def localizer(folder: Path) -> Path:
    values = np.concatenate([hounsfield(), hounsfield()[:, :, :1]], axis=2)
    return classic(
        folder / "d",
        values,
        edit=only(SIZE[2], lambda ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 0, 0, -1])),
    )


@case("places", "one image of another size", "warned", "another size")
def odd_size(folder: Path) -> Path:
    values = np.concatenate([hounsfield(), hounsfield()[:, :, :1]], axis=2)
    return classic(folder / "d", values, edit=only(SIZE[2], lambda ds: put(ds, np.zeros((8, 8)))))


@case("places", "a slice of another size inside the stack", "refused", "of another size a gap")
def odd_size_inside(folder: Path) -> Path:
    return classic(folder / "d", edit=only(4, lambda ds: put(ds, np.zeros((8, 8)))))


@case("places", "one image without a position", "warned", "without a position")
def no_position(folder: Path) -> Path:
    def edit(ds: Dataset) -> None:
        del ds.ImagePositionPatient

    values = np.concatenate([hounsfield(), hounsfield()[:, :, :1]], axis=2)
    return classic(folder / "d", values, edit=only(SIZE[2], edit))


@case("places", "one slice with another pixel spacing", "refused", "differ in pixel spacing")
def other_spacing(folder: Path) -> Path:
    return classic(folder / "d", edit=only(4, lambda ds: setattr(ds, "PixelSpacing", [1.0, 1.0])))


@case("places", "one slice beside the others", "refused", "beside the line")
def beside(folder: Path) -> Path:
    return classic(folder / "d", edit=only(4, lambda ds: setattr(ds, "ImagePositionPatient", [20, 0, 12])))


@case("places", "tilted gantry, by whole pixels", "said", "gantry tilted by 33.7 degrees")
def tilt(folder: Path) -> Path:
    x, y, z = grid()
    values = at(x, y + SPACING[1] * np.round(z / SPACING[2]), z)

    def edit(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = [0, SPACING[1] * k, SPACING[2] * k]

    return classic(folder / "d", values, edit=edit)


@case("places", "a tilt of the gantry that its positions deny", "warned", "tilted by 15 degrees")
def denied_tilt(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, _: setattr(ds, "GantryDetectorTilt", 15))


@case("places", "every other slice is missing, by number and thickness", "warned", "one of every 2 slices")
def every_other(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda _, k: k % 2 == 0)


@case("places", "slices that are thinner than their distance", "read")
def gaps_by_design(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, _: setattr(ds, "SliceThickness", SPACING[2] / 2))


@case("places", "two echoes in turn, of which one is another series", "read")
def numbers_in_turn(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, k: setattr(ds, "InstanceNumber", 2 * k + 1))


@case("places", "slices in three directions (a scout)", "refused", "several directions")
def scout(folder: Path) -> Path:
    turns = ([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])
    return classic(folder / "d", edit=lambda ds, k: setattr(ds, "ImageOrientationPatient", turns[k % 3]))


@case("places", "all slices in one plane", "refused", "in one plane")
def one_plane(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, k: setattr(ds, "ImagePositionPatient", [0, 40 * k, 0]))


@case("places", "two frames of reference under one series UID", "refused", "several frames of reference")
def two_references(folder: Path) -> Path:
    return classic(
        folder / "d", edit=lambda ds, k: setattr(ds, "FrameOfReferenceUID", ROOT + ("7" if k < 5 else "8"))
    )


@case("places", "an end is missing, by the instance numbers", "said", "begin at 4: slices may be missing")
def first_numbers_missing(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda _, k: k > 2)


@case(
    "places",
    "an end is missing, by the number of images acquired",
    "warned",
    "10 images were acquired; 8 are",
)
def acquired_more(folder: Path) -> Path:
    def edit(ds: Dataset, k: int) -> bool:
        ds.ImagesInAcquisition = 10
        return k < 8

    return classic(folder / "d", edit=edit)


# ---------------------------------------------------------------------------------- of one kind
def _between(what: str, name: str, values: tuple[Any, Any], modality: str) -> None:
    """Slices of two kinds in turn, each between those of the other: their places alone make an even stack."""

    def build(folder: Path) -> Path:
        def edit(ds: Dataset, k: int) -> None:
            setattr(ds, name, values[k % 2])

        if modality == "MR":
            return classic(folder / "d", brightness(), modality="MR", slope=None, edit=edit)
        return classic(folder / "d", edit=edit)

    build.__name__ = f"two_{name.lower()}"
    case("one kind", f"two {what} in one series, slice by slice", "refused", "differ in")(build)


_between("echo times", "EchoTime", (10, 90), "MR")
_between("inversion times", "InversionTime", (900, 2500), "MR")
_between("flip angles", "FlipAngle", (5, 20), "MR")
_between(
    "kinds (magnitude and phase)",
    "ImageType",
    (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]),
    "MR",
)
_between("reconstruction kernels", "ConvolutionKernel", ("B30f", "B70f"), "CT")
_between("tube voltages", "KVP", (80, 140), "CT")


@case("one kind", "two number types in one series", "warned", "different number types")
def two_number_types(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, k: setattr(ds, "PixelRepresentation", 1) if k % 2 else None)


@case("one kind", "one series UID, two people", "refused", "name 2 people")
def shared_uid(folder: Path) -> Path:
    return classic(
        folder / "d", edit=lambda ds, k: setattr(ds, "PatientID", "other" if k < 3 else "somebody")
    )


@case("one kind", "two modalities in one series", "refused", "of several modalities")
def two_modalities(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, k: setattr(ds, "Modality", "MR" if k == 3 else "CT"))


@case("one kind", "one series UID, two names and no ID", "refused", "name 2 people")
def shared_uid_names(folder: Path) -> Path:
    def edit(ds: Dataset, k: int) -> None:
        ds.PatientID, ds.PatientName = "", "Other^Body" if k < 3 else "Some^Body"

    return classic(folder / "d", edit=edit)


@case("one kind", "one series UID, two studies", "refused", "name 2 studies")
def shared_uid_studies(folder: Path) -> Path:
    return classic(folder / "d", edit=lambda ds, k: setattr(ds, "StudyInstanceUID", f"{ROOT}{1 + k // 5}"))


def _alone(name: str, what: str, says: str, modality: str, **tags: Any) -> None:
    """The only series of a folder, whose header says that it is no picture as it was acquired."""

    def build(folder: Path) -> Path:
        def edit(ds: Dataset, _: int) -> None:
            for tag, value in tags.items():
                setattr(ds, tag, value)

        if modality == "MR":
            return classic(folder / "d", brightness(), modality="MR", slope=None, edit=edit)
        return classic(folder / "d", edit=edit)

    build.__name__ = f"only_{name}"
    truth = (lambda x, y, z: at(x, y, z) + 500) if modality == "MR" else None
    case("studies", f"nothing but {what}", "warned", says, truth)(build)


_alone("localizer", "a localizer", "a localizer", "CT", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
_alone("projection", "a projection (MIP)", "a projection", "CT", ImageType=["DERIVED", "SECONDARY", "MIP"])
_alone("map", "a map (ADC)", "a map", "MR", ImageType=["DERIVED", "SECONDARY", "ADC"])
_alone("phase", "a phase image", "a phase", "MR", ImageType=["ORIGINAL", "PRIMARY", "P", "ND"])


@case(
    "studies",
    "a phase image of a lower number does not win",
    "said",
    "PHASE",
    truth=lambda x, y, z: at(x, y, z) + 500,
)
def phase_beside(folder: Path) -> Path:
    for number, part in ((3, "P"), (4, "M")):
        classic(
            folder / "d" / part, brightness() + 9 * (part == "P"), modality="MR", slope=None, number=number,
            description="PHASE" if part == "P" else "T1",
            edit=lambda ds, _, part=part: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", part]),
        )  # fmt: skip
    return folder / "d"


@case("studies", "screenshots among the slices, in their series", "read")
def captures(folder: Path) -> Path:
    import pydicom

    classic(folder / "d")
    ds = pydicom.dcmread(folder / "d" / "003.dcm")
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes(3 * ds.Rows * ds.Columns)
    return save(ds, folder / "d" / "shot.dcm").parent


@case("studies", "a header that holds letters for a number, in a shorter series", "said", "SHORT")
def letters_beside(folder: Path) -> Path:
    classic(folder / "d" / "a", hounsfield()[:, :, :6], number=3, description="SHORT")
    for file in (folder / "d" / "a").iterdir():
        file.write_bytes(file.read_bytes().replace(b"-1024", b"-1O24"))
    return classic(folder / "d" / "b", number=4) and folder / "d"


@case(
    "studies",
    "the same in a longer series, which may be the one that is meant",
    "warned",
    "LONG .* no number",
)
def letters_in_longer(folder: Path) -> Path:
    classic(folder / "d" / "a", number=3)
    z = [1.5 * k for k in range(2 * SIZE[2])]
    classic(folder / "d" / "b", at(*grid(z)), z=z, number=4, description="LONG")
    for file in (folder / "d" / "b").iterdir():
        file.write_bytes(file.read_bytes().replace(b"-1024", b"-1O24"))
    return folder / "d"


@case("studies", "a zip of slices that are called .img", "read")
def zip_of_img(folder: Path) -> Path:
    return zipped(folder / "a.zip", classic(folder / "d", name="image{:03d}.img".format))


@case("studies", "a zip with an empty text file beside another", "read")
def zip_with_empty_text(folder: Path) -> Path:
    return zipped(folder / "a.zip", classic(folder / "d"), {"study/a.txt": b"text", "study/b.txt": b""})


@case("numbers", "letters in a number of one header", "refused", "something that is no number")
def letters(folder: Path) -> Path:
    classic(folder / "d")
    file = min((folder / "d").iterdir())
    file.write_bytes(file.read_bytes().replace(b"-1024", b"-1O24"))
    return folder / "d"


# ----------------------------------------------------------------------------------- multi-frame
@case("multi-frame", "enhanced CT", "read")
def enhanced_ct(folder: Path) -> Path:
    return enhanced(folder / "e.dcm", [hounsfield()])


@case(
    "multi-frame", "slope and intercept of every frame's own", "read", truth=lambda x, y, z: at(x, y, z) * 0.5
)
def enhanced_slopes(folder: Path) -> Path:
    slopes = ((0.5, -1024.0), (0.25, -512.0), (0.125, -256.0))
    return enhanced(folder / "e.dcm", [hounsfield() * 0.5], rescale=lambda k: slopes[k % 3])


@case("multi-frame", "interleaved stacks", "read")
def enhanced_stacks(folder: Path) -> Path:
    return enhanced(
        folder / "e.dcm", [hounsfield()], order=[k for i in range(3) for k in range(i, SIZE[2], 3)]
    )


@case("multi-frame", "two volumes in one file", "refused", "4D series")
def enhanced_two(folder: Path) -> Path:
    return enhanced(folder / "e.dcm", [hounsfield(), hounsfield() + 9])


def _concatenated(folder: Path, here: Sequence[int]) -> Path:
    for part in here:

        def edit(ds: Dataset, _: int, part: int = part) -> None:
            ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = (
                ROOT + "6",
                part + 1,
                2,
            )
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"{ROOT}6.{part}")

        enhanced(folder / "d" / f"{part}.dcm", [hounsfield()], order=range(5 * part, 5 * part + 5), edit=edit)
    return folder / "d"


@case("multi-frame", "one image in two files (a concatenation)", "read")
def concatenation(folder: Path) -> Path:
    return _concatenated(folder, (0, 1))


@case("multi-frame", "a file of a concatenation is missing", "refused", "1 of the 2 files")
def half_concatenation(folder: Path) -> Path:
    return _concatenated(folder, (1,))


@case("multi-frame", "more frames in the pixel data than the header says", "refused", "more pixels than that")
def more_frames(folder: Path) -> Path:
    def edit(ds: Dataset, _: int) -> None:
        ds.NumberOfFrames = 8
        ds.PerFrameFunctionalGroupsSequence = Items(list(ds.PerFrameFunctionalGroupsSequence)[:8])

    return enhanced(folder / "e.dcm", [hounsfield()], edit=edit)


@case("multi-frame", "frames missing", "refused", "slices are missing")
def enhanced_missing(folder: Path) -> Path:
    return enhanced(folder / "e.dcm", [hounsfield()], order=[0, 1, 2, 3, 6, 7, 8, 9])


@case("multi-frame", "SpacingBetweenSlices against the positions", "said", "positions used")
def enhanced_between(folder: Path) -> Path:
    return enhanced(folder / "e.dcm", [hounsfield()], between=1.0)


@case("multi-frame", "frames in three directions (a scout)", "refused", "several directions")
def enhanced_scout(folder: Path) -> Path:
    turns = ([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])
    return enhanced(folder / "e.dcm", [hounsfield()], turn=lambda k: turns[k % 3])


@case(
    "multi-frame",
    "CT Image Storage with frames and one position",
    "refused",
    "where the frames lie is not said",
)
def frames_without_places(folder: Path) -> Path:
    def edit(ds: Dataset, _: int) -> None:
        ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing = (
            [0, 0, 0],
            [1, 0, 0, 0, 1, 0],
            [1, 1],
        )

    return frames_only(folder / "f.dcm", CT, "CT", edit)


@case("multi-frame", "Siemens mosaic", "refused", "mosaic")
def mosaic(folder: Path) -> Path:
    return classic(
        folder / "d", brightness(), modality="MR", slope=None,
        edit=lambda ds, _: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]),
    )  # fmt: skip


def _no_volume(name: str, sop: str) -> None:
    def build(folder: Path) -> Path:
        return frames_only(
            folder / "f.dcm", sop, {"ultrasound": "US", "angiography": "XA", "dose": "RTDOSE"}.get(name, "OT")
        )

    build.__name__ = f"no_volume_{name}"
    case("no volume", f"{name}, many frames", "refused", "slice of a CT, MR or PET volume")(build)


for _name, _sop in OTHERS.items():
    _no_volume(_name, _sop)


# ----------------------------------------------------------------------------------------- studies
@case("studies", "one series in several folders", "read")
def split_folders(folder: Path) -> Path:
    return classic(folder / "d", name=lambda k: f"S{k // 4}/{k}")


@case("studies", "the same in a zip", "read")
def split_zip(folder: Path) -> Path:
    return zipped(folder / "a.zip", split_folders(folder))


@case("studies", "a zip in a zip", "read")
def zip_in_zip(folder: Path) -> Path:
    inner = zipped(folder / "inner.zip", classic(folder / "d"))
    (folder / "empty").mkdir()
    return zipped(folder / "a.zip", folder / "empty", {"study.zip": inner.read_bytes()})


@case("studies", "a zip in a zip in a zip", "refused", "zips inside a zip")
def zip_in_zip_in_zip(folder: Path) -> Path:
    inner = zip_in_zip(folder).rename(folder / "middle.zip")
    return zipped(folder / "a.zip", folder / "empty", {"study.zip": inner.read_bytes()})


def _half_packed(folder: Path) -> tuple[Path, Path]:
    classic(folder / "d")
    (folder / "rest").mkdir()
    for file in sorted((folder / "d").iterdir())[5:]:
        file.rename(folder / "rest" / file.name)
    return folder / "d", folder / "rest"


@case("studies", "a part of the slices in a zip beside the others", "refused", "archive of DICOM files")
def zip_beside(folder: Path) -> Path:
    here, rest = _half_packed(folder)
    zipped(here / "rest.zip", rest)
    return here


@case("studies", "the same in a zip", "refused", "archive of DICOM files")
def zip_beside_in_zip(folder: Path) -> Path:
    return zipped(folder / "a.zip", zip_beside(folder))


@case("studies", "a part of the slices in a .tar.gz beside the others", "refused", "archive of DICOM files")
def tar_beside(folder: Path) -> Path:
    import tarfile

    here, rest = _half_packed(folder)
    with tarfile.open(here / "rest.tar.gz", "w:gz") as archive:
        archive.add(rest, "rest")
    return here


@case("studies", "a zip with a DICOM study and a NIfTI file", "refused", "which of them is the scan")
def zip_of_both(folder: Path) -> Path:
    import nibabel

    content = nibabel.Nifti1Image(hounsfield().astype(np.float32), np.eye(4)).to_bytes()
    return zipped(folder / "a.zip", classic(folder / "d"), {"mask.nii": content})


@case("studies", "a multi-frame file packed with gzip (.dcm.gz)", "refused", "DICOM file packed with gzip")
def packed_file(folder: Path) -> Path:
    import gzip

    path = folder / "e.dcm.gz"
    path.write_bytes(gzip.compress(enhanced(folder / "e.dcm", [hounsfield()]).read_bytes()))
    return path


@case("studies", "what a Mac leaves beside files", "read")
def mac(folder: Path) -> Path:
    for file in list(classic(folder / "d").iterdir()):
        file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(200))
    (folder / "d" / ".DS_Store").write_bytes(bytes(600))
    return folder / "d"


@case("studies", "a Mac's zip", "read")
def mac_zip(folder: Path) -> Path:
    extra = {f"__MACOSX/study/._{k:03d}.dcm": b"\x00\x05\x16\x07" + bytes(200) for k in range(SIZE[2])}
    return zipped(folder / "a.zip", classic(folder / "d"), extra)


@case("studies", "two series: the longer is read, both are named", "said", "SHORT")
def two_series(folder: Path) -> Path:
    classic(folder / "d" / "a", hounsfield()[:, :, :6] + 5, number=3, description="SHORT")
    return classic(folder / "d" / "b", number=4) and folder / "d"


@case("studies", "the shorter series by its description", "said", "LONG", series="wanted")
def named_series(folder: Path) -> Path:
    z = [1.5 * k for k in range(2 * SIZE[2])]
    classic(folder / "d" / "a", at(*grid(z)) + 5, z=z, number=3, description="LONG")
    return classic(folder / "d" / "b", number=4, description="WANTED") and folder / "d"


@case("studies", "a longer localizer does not win", "said", "TOPOGRAM")
def longer_localizer(folder: Path) -> Path:
    z = [1.5 * k for k in range(2 * SIZE[2])]
    classic(folder / "d" / "a", at(*grid(z)), z=z, number=1, description="TOPOGRAM")
    return classic(folder / "d" / "b", number=4) and folder / "d"


@case("studies", "scans of two people", "refused", "2 people")
def two_people(folder: Path) -> Path:
    classic(folder / "d" / "a", number=3)
    classic(folder / "d" / "b", number=4, edit=lambda ds, _: setattr(ds, "PatientID", "another"))
    return folder / "d"


@case("studies", "slices that are links to content that is not here (DataLad)", "refused", "links to content")
def annex(folder: Path) -> Path:
    for file in list(classic(folder / "d").iterdir())[:2]:
        file.unlink()
        file.symlink_to(f"../.git/annex/objects/{file.name}")
    return folder / "d"
