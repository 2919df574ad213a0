"""Every kind of DICOM study of ``benchmarks/dicom/cases.py``: read as it is, read and said, never a pass, or refused."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pydicom
import pydicom.data
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxtune.errors import ScanError
from voxtune.imaging.dicom.series import read_study
from voxtune.imaging.dicom.stack import stacked
from voxtune.imaging.kind import Wanted
from voxtune.imaging.read import open_scan

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


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_a_study_of_this_kind(case: object, tmp_path: Path) -> None:
    path = case.build(tmp_path)
    if case.outcome == "refused":
        with pytest.raises(ScanError, match=case.says) as caught:
            open_scan(path, series=case.series)
        assert str(caught.value).startswith(path.name + ": ")
        assert str(tmp_path) not in str(caught.value)
        return
    scan = open_scan(path, series=case.series)
    truth = cases.expected(case, scan.volume.shape, scan.volume.affine)
    inside = scan.volume.voxels != scan.volume.voxels.min()
    if case.name in {"uneven", "rounded"}:
        assert np.corrcoef(scan.volume.voxels[inside], truth[inside])[0, 1] > 0.99
    else:
        assert np.array_equal(scan.volume.voxels[inside], truth[inside].astype(np.float32))
    said = [*scan.remarks, *scan.others]
    assert bool(scan.notes) == (case.outcome == "warned")
    assert case.outcome == "warned" or bool(said) == (case.outcome == "said")
    assert re.search(case.says, "; ".join([*scan.notes, *said]))


def test_the_table_has_every_case() -> None:
    import json

    found = json.loads((ROOT / "benchmarks" / "dicom" / "results" / "cases.json").read_text(encoding="utf-8"))
    assert [(row["name"], row["voxtune"]["outcome"]) for row in found["cases"]] == [
        (case.name, case.outcome) for case in cases.CASES
    ]


# ------------------------------------------------------------------------------------- properties
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(6)),
    slopes=st.lists(st.sampled_from([0.125, 0.25, 0.5, 1.0]), min_size=6, max_size=6),
    intercepts=st.lists(st.integers(-2048, 0), min_size=6, max_size=6),
    multi=st.booleans(),
)
def test_any_order_and_any_scaling_of_frames_is_the_same_volume(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    slopes: list[float],
    intercepts: list[int],
    *,
    multi: bool,
) -> None:
    folder = tmp_path_factory.mktemp("study")
    values = cases.hounsfield()[:, :, :6] + 600
    if multi:
        path = cases.enhanced(
            folder / "e.dcm", [values], order=order, rescale=lambda k: (slopes[k], float(intercepts[k]))
        )
    else:

        def edit(ds: pydicom.Dataset, k: int) -> None:
            ds.RescaleSlope, ds.RescaleIntercept = slopes[k], intercepts[k]
            cases.put(ds, np.round((values[:, :, k] - intercepts[k]) / slopes[k]))

        path = cases.classic(folder / "d", values, edit=edit, name=lambda k: f"{order[k]}.dcm")
    assert np.array_equal(open_scan(path).volume.voxels, values.astype(np.float32))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(angles=st.tuples(*[st.floats(-3, 3)] * 3), origin=st.tuples(*[st.floats(-200, 200)] * 3))
def test_any_orientation_places_every_slice_where_its_header_says(
    tmp_path_factory: pytest.TempPathFactory, angles: tuple[float, ...], origin: tuple[float, ...]
) -> None:
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", angles).as_matrix()
    places = [np.array(origin) + turn[:, 2] * cases.SPACING[2] * k for k in range(cases.SIZE[2])]

    def edit(ds: pydicom.Dataset, k: int) -> None:
        ds.ImageOrientationPatient = [float(f"{v:.8f}") for v in (*turn[:, 0], *turn[:, 1])]
        ds.ImagePositionPatient = [float(f"{v:.5f}") for v in places[k]]

    volume = open_scan(cases.classic(tmp_path_factory.mktemp("study") / "d", edit=edit)).volume
    for k in (0, 4, 9):
        at = volume.affine @ [0, 0, k, 1]
        assert np.allclose(at[:3] * (-1, -1, 1), places[k], atol=1e-3)
        assert np.array_equal(volume.voxels[:, :, k], cases.hounsfield()[:, :, k].astype(np.float32))


# ------------------------------------------------------------------- collections that packages ship
def pydicom_slices() -> list[Path]:
    """The CT and MR slices of pydicom's own test files."""
    root = Path(pydicom.data.__file__).parent / "test_files"
    names = [
        "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm", "MR_truncated.dcm", "693_J2KI.dcm",
        "J2K_pixelrep_mismatch.dcm",
    ]  # fmt: skip
    return [root / name for name in names]


REFUSED = {"MR_truncated.dcm": "end too soon"}


@pytest.mark.filterwarnings("ignore:The pixel data is:UserWarning")
@pytest.mark.parametrize("file", pydicom_slices(), ids=lambda file: file.name)
def test_a_slice_of_pydicoms_collection_equals_pydicoms_own_reading_or_is_refused(
    file: Path, tmp_path: Path
) -> None:
    """The slice five times, each a little higher, read here by GDCM and there by Pillow or its kin."""
    for k in range(5):
        ds = pydicom.dcmread(file)
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2.0 * k], [1, 0, 0, 0, 1, 0]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"2.25.{k + 1}"
        ds.save_as(tmp_path / f"{k}.dcm")
    if file.name in REFUSED:
        with pytest.raises(ScanError, match=REFUSED[file.name]):
            open_scan(tmp_path)
        return
    voxels = open_scan(tmp_path).volume.voxels
    twin = {"MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm"}.get(file.name, file.name)
    ds = pydicom.dcmread(file.with_name(twin))
    own = ds.pixel_array * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    assert np.array_equal(voxels[:, :, 2], own.T.astype(np.float32))


def test_every_other_file_of_pydicoms_collection_is_refused_with_a_sentence() -> None:
    root = Path(pydicom.data.__file__).parent
    files = [
        path for path in root.rglob("*") if path.is_file() and path.suffix not in {".py", ".json", ".pyc"}
    ]
    assert len(files) > 150
    for file in files:
        with pytest.raises(ScanError) as caught:
            open_scan(file)
        assert str(caught.value).startswith(f"{file.name}: ")
        assert "damaged, or of a form that is not known here" not in str(caught.value), caught.value


def test_the_series_of_pydicoms_disc_are_read_as_pydicom_reads_them() -> None:
    disc = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
    scan = open_scan(disc / "98892001" / "CT5N")
    slices = sorted(
        map(pydicom.dcmread, (disc / "98892001" / "CT5N").iterdir()),
        key=lambda ds: ds.ImagePositionPatient[2],
    )
    for k, ds in enumerate(slices):
        own = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        assert np.array_equal(scan.volume.voxels[:, :, k], own.T.astype(np.float32))
    with pytest.raises(ScanError, match="people"):
        open_scan(disc)


def corners(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The world places of the eight corners of a grid."""
    ends = np.array(np.meshgrid(*([0, n - 1] for n in shape))).reshape(3, -1).T
    return ends @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.filterwarnings("ignore:The DICOM readers:UserWarning")
def test_the_enhanced_mprage_that_nibabel_ships_lies_where_nibabel_puts_it(tmp_path: Path) -> None:
    """Its pixels are blank; its 176 frames have real functional groups of a Philips scanner."""
    import gzip

    from nibabel.nicom.dicomwrappers import wrapper_from_file

    packed = Path(nibabel.__file__).parent / "nicom" / "tests" / "data" / "philips_mprage.dcm.gz"
    file = tmp_path / "philips.dcm"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    [series] = read_study(file, file).series
    stack = stacked(series, lambda _: True)
    wrapper = wrapper_from_file(str(file))
    shape = (series.frames[0].columns, series.frames[0].rows, stack.count)
    ours, theirs = corners(stack.affine, shape), corners(wrapper.affine, wrapper.image_shape)
    assert all(np.abs(theirs - corner).max(axis=1).min() < 0.01 for corner in ours)


def test_the_mosaics_that_nibabel_ships_are_refused_by_name(tmp_path: Path) -> None:
    import gzip

    packed = Path(nibabel.__file__).parent / "nicom" / "tests" / "data" / "siemens_dwi_0.dcm.gz"
    file = tmp_path / "siemens.dcm"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    with pytest.raises(ScanError, match="Siemens mosaics"):
        open_scan(file)


PLAIN = (
    "plain",
    "implicit",
    "big_endian",
    "rle",
    "jpeg_lossless",
    "jpeg_2000",
    "signed",
    "intercepts",
    "enhanced_ct",
    "split_folders",
)


@pytest.mark.parametrize("name", PLAIN)
def test_dcm2niix_reads_the_same(name: str, tmp_path: Path) -> None:
    from dcm2niix import bin as program

    [case] = [one for one in cases.CASES if one.name == name]
    path = case.build(tmp_path)
    (tmp_path / "out").mkdir()
    single = ["-s", "y"] if path.is_file() else []
    subprocess.run(
        [program, "-o", tmp_path / "out", "-f", "x", "-z", "n", *single, path],
        capture_output=True,
        check=True,
    )
    theirs = nibabel.as_closest_canonical(nibabel.load(tmp_path / "out" / "x.nii"))
    volume = open_scan(path).volume
    ours = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume.voxels, volume.affine))
    assert np.array_equal(ours.get_fdata(), theirs.get_fdata())
    assert np.allclose(ours.affine, theirs.affine, atol=1e-4)


# --------------------------------------------------------------------------------------- hostile
def test_a_deflated_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxtune.imaging.limits.BIG_BYTES", 500)
    monkeypatch.setattr("voxtune.imaging.limits.MAX_RATIO", 0)
    path = cases.deflated(tmp_path)
    with pytest.raises(ScanError):
        open_scan(path)


def test_damaged_jpeg_costs_its_own_process_only(tmp_path: Path) -> None:
    path = cases.jpeg_lossless(tmp_path)
    for file in path.iterdir():
        data = file.read_bytes()
        assert b"\xff\xd8\xff" in data
        file.write_bytes(data.replace(b"\xff\xd8\xff", bytes(3)))
    with pytest.raises(ScanError, match=r"damaged|decode"):
        open_scan(path)


def test_where_no_program_may_be_started_pixels_are_decoded_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(subprocess, "run", refuse)
    voxels = open_scan(cases.jpeg_lossless(tmp_path)).volume.voxels
    assert np.array_equal(voxels, cases.hounsfield().astype(np.float32))


def test_decoding_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxtune.imaging.dicom.gdcm.SECONDS", 0.01)
    with pytest.raises(ScanError, match="longer than"):
        open_scan(cases.jpeg_lossless(tmp_path))


def test_what_the_preset_takes_decides_first(tmp_path: Path) -> None:
    cases.classic(tmp_path / "study" / "ct", number=3)
    cases.classic(
        tmp_path / "study" / "mr",
        cases.brightness()[:, :, :6],
        modality="MR",
        number=4,
        slope=None,
        description="T1",
    )
    assert (open_scan(tmp_path / "study").series or "").startswith("CHEST")
    assert (open_scan(tmp_path / "study", wanted=Wanted("MR")).series or "").startswith("T1")


def test_a_t1_goes_before_a_longer_flair(tmp_path: Path) -> None:
    values = cases.brightness()
    cases.classic(tmp_path / "s" / "a", values, modality="MR", number=3, slope=None, description="T2 FLAIR")
    cases.classic(
        tmp_path / "s" / "b", values[:, :, :6], modality="MR", number=4, slope=None, description="T1 MPRAGE"
    )
    assert (open_scan(tmp_path / "s", wanted=Wanted("MR", "T1")).series or "").startswith("T1 MPRAGE")
    assert (open_scan(tmp_path / "s").series or "").startswith("T2 FLAIR")
