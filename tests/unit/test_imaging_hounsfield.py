"""A CT that is not in Hounsfield units is refused."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.errors import ScanError
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.hounsfield import check_hounsfield, unlike_hounsfield
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.presets import CT_CLIP, CT_CLIP_SMALL, MERLIN
from voxtune.imaging.tissue_peaks import Peaks, off_scale, tissue_peaks
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


def chest(seed: int = 0) -> Volume:
    """Air, lung, soft tissue, bone and the padding outside the scanner's circle, in HU."""
    rng = np.random.default_rng(seed)
    voxels = np.full((60, 60, 30), -1000.0)
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in voxels.shape), indexing="ij")
    body = (x / 0.8) ** 2 + (y / 0.6) ** 2 < 1
    voxels[body] = 40
    for side in (-0.35, 0.35):
        voxels[((x - side) / 0.25) ** 2 + (y / 0.4) ** 2 < 1] = -850
    voxels[(x / 0.08) ** 2 + ((y - 0.45) / 0.08) ** 2 < 1] = 700
    voxels += rng.normal(0, 20, voxels.shape)
    voxels[x**2 + y**2 > 1.2] = -1024
    return Volume(np.maximum(voxels, -1024).astype(np.float32), np.diag([-5.0, -5.0, 5.0, 1.0]))


def test_hounsfield_units_pass() -> None:
    check_hounsfield(chest(), "refuse")


def padded(seed: int, value: float) -> Volume:
    """Half a chest, and padding in place of air outside the scanner's circle."""
    volume = chest(seed)
    voxels = volume.voxels[:40].copy()
    voxels[voxels == -1024] = value
    return Volume(voxels, volume.affine)


@pytest.mark.parametrize("padding", [-1024, -2000, -3024, -32768])
def test_padding_and_half_a_chest_are_hounsfield_units(padding: float) -> None:
    check_hounsfield(padded(0, padding), "refuse")


def said(volume: Volume) -> str:
    """``refused``, ``doubted`` or nothing."""
    why, doubt = unlike_hounsfield(volume.voxels)
    return "refused" if why else "doubted" if doubt else ""


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 5), shift=st.floats(46, 400), sign=st.sampled_from([1, -1]), small=st.floats(-15, 15)
)
def test_a_small_shift_is_told_where_air_is_in_view(seed: int, shift: float, sign: int, small: float) -> None:
    volume = chest(seed)
    found = said(volume.with_voxels(volume.voxels + np.float32(sign * shift)))
    assert found == "refused" if shift > 60 else found
    assert said(volume.with_voxels(volume.voxels + np.float32(small))) == ""


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 5),
    off=st.floats(0.06, 0.4),
    sign=st.sampled_from([1, -1]),
    small=st.floats(-0.01, 0.01),
)
def test_a_small_scale_is_told_where_air_is_in_view(seed: int, off: float, sign: int, small: float) -> None:
    volume = chest(seed)
    assert said(volume.with_voxels(volume.voxels * np.float32(1 + sign * off))) == "refused"
    assert said(volume.with_voxels(volume.voxels * np.float32(1 + small))) == ""


def crops(shared_data: Path) -> list[Volume]:
    from voxtune.imaging.read import read_scan

    found = [read_scan(path) for path in sorted((shared_data / "chest_ct").glob("*.nii.gz"))]
    if not found:
        pytest.skip("no chest CT among the real scans")
    return found


@pytest.mark.parametrize("shift", [-200, -100, -50, 40, 100, 200])
def test_a_shift_of_a_real_chest_never_passes(shift: int, shared_data: Path) -> None:
    for volume in crops(shared_data):
        found = said(volume.with_voxels(volume.voxels + np.float32(shift)))
        assert found == "refused" if abs(shift) > 60 else found


@pytest.mark.parametrize("scale", [0.8, 0.9, 0.95, 1.05, 1.1])
def test_a_scale_of_a_real_chest_never_passes(scale: float, shared_data: Path) -> None:
    for volume in crops(shared_data):
        assert said(volume.with_voxels(volume.voxels * np.float32(scale)))


def test_a_part_of_a_real_chest_is_not_refused(shared_data: Path) -> None:
    rng = np.random.default_rng(0)
    found = []
    for volume in crops(shared_data):
        for _ in range(12):
            size = [int(n * rng.uniform(0.4, 1)) for n in volume.shape]
            start = [int(rng.integers(0, n - k + 1)) for n, k in zip(volume.shape, size, strict=True)]
            box = tuple(slice(a, a + k) for a, k in zip(start, size, strict=True))
            found.append(said(volume.with_voxels(np.ascontiguousarray(volume.voxels[box]))))
    assert found.count("refused") == 0
    assert found.count("doubted") <= 2


def test_fat_alone_tells_a_shift_where_no_air_is_in_view() -> None:
    rng = np.random.default_rng(0)
    voxels = np.where(rng.random((40, 40, 40)) < 0.4, -100.0, 50.0) + rng.normal(0, 15, (40, 40, 40))
    fat = Volume(voxels.astype(np.float32), np.diag([3.0, 3.0, 3.0, 1.0]))
    for shift, says in ((0, ""), (20, ""), (60, "doubted"), (-80, "refused")):
        peaks = tissue_peaks(fat.voxels.ravel() + np.float32(shift), np.zeros(0, np.float32))
        assert peaks.air is None
        why, doubt = off_scale(peaks)
        assert ("refused" if why else "doubted" if doubt else "") == says
    nothing = tissue_peaks(np.zeros(1000, np.float32) - 480, np.zeros(0, np.float32))
    assert nothing == Peaks(None, False, None, None)
    assert off_scale(nothing) == (None, None)


def test_a_doubt_is_a_reason_of_the_verdict_and_a_field_of_view_that_no_body_has_too(tmp_path: Path) -> None:
    volume = chest()
    # A body that fills the picture, with a windpipe of air that is not quite where air lies.
    lung = volume.with_voxels(np.ascontiguousarray(volume.voxels[16:44, 14:46, :]))
    rng = np.random.default_rng(0)
    lung.voxels[lung.voxels < -700] += rng.normal(60, 50, int(np.count_nonzero(lung.voxels < -700)))
    lung.voxels[12:17, 14:18] = rng.normal(-940, 12, lung.voxels[12:17, 14:18].shape)
    result = preprocess_scan(write_volume(lung, tmp_path / "ct.nii.gz"), CT_CLIP_SMALL)
    assert result.record.qc.verdict == "warn"
    assert "air near -9" in " ".join(result.record.qc.reasons)
    for factor, extent in ((0.1, "30 x 30 x 15"), (5, "1500 x 1500 x 750")):
        small = Volume(volume.voxels, np.diag([factor] * 3 + [1.0]) @ volume.affine)
        result = preprocess_scan(write_volume(small, tmp_path / "small.nii.gz"), CT_CLIP_SMALL)
        assert result.record.qc.verdict != "pass"
        assert f"its field of view is {extent} mm" in " ".join(result.record.qc.reasons)


@pytest.mark.parametrize(
    ("kind", "refused"), [("HU", False), ("US", False), ("", False), ("MGML", True), ("Z_EFF", True)]
)
def test_a_header_that_says_other_units_is_believed(kind: str, refused: bool, tmp_path: Path) -> None:
    volume = chest()
    cases.classic(
        tmp_path / "ct", volume.voxels.round(), signed=True, intercept=0, z=[5.0 * k for k in range(30)],
        edit=lambda ds, _: setattr(ds, "RescaleType", kind),
    )  # fmt: skip
    if refused:
        with pytest.raises(ScanError, match=f"its numbers are {kind}, not Hounsfield units"):
            preprocess_scan(tmp_path / "ct", CT_CLIP_SMALL)
    else:
        preprocess_scan(tmp_path / "ct", CT_CLIP_SMALL)


OFFSETS = (0, 1000, 1024, -1000, -1024, 8192, -8192, 32768, -32768)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([-1.0, 0.001, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0]),
    st.sampled_from(OFFSETS),
    st.sampled_from([-1024, -2000, -3024]),
    st.integers(0, 5),
)
def test_other_scales_and_offsets_are_refused(scale: float, offset: float, padding: float, seed: int) -> None:
    volume = padded(seed, padding)
    moved = volume.with_voxels((volume.voxels * scale + offset).astype(np.float32))
    if (scale, offset) == (1.0, 0):
        check_hounsfield(moved, "refuse")
    else:
        with pytest.raises(ScanError, match="Hounsfield"):
            check_hounsfield(moved, "refuse")


@given(
    st.sampled_from([(-1000, 1000), (-1000, 400), (-160, 240)]), st.sampled_from([(0, 255), (0, 1), (-1, 1)])
)
def test_windows_are_refused(window: tuple[float, float], scale: tuple[float, float]) -> None:
    volume = chest()
    share = (np.clip(volume.voxels, *window) - window[0]) / (window[1] - window[0])
    with pytest.raises(ScanError, match="spans only"):
        check_hounsfield(volume.with_voxels(share * (scale[1] - scale[0]) + np.float32(scale[0])), "refuse")


def test_an_mr_scan_is_no_ct() -> None:
    from voxtune.imaging.template import template

    head = template(64)
    with pytest.raises(ScanError, match="Hounsfield"):
        check_hounsfield(head.with_voxels(head.voxels * np.float32(1200)), "refuse")


@pytest.mark.parametrize("intercept", [-1024.0, -1000.0])
def test_double_rescale_is_refused(intercept: float) -> None:
    volume = chest()
    with pytest.raises(ScanError, match="rescaled twice"):
        check_hounsfield(volume.with_voxels(volume.voxels + np.float32(intercept)), "refuse")


def test_stored_values_are_refused() -> None:
    volume = chest()
    with pytest.raises(ScanError, match="never rescaled"):
        check_hounsfield(volume.with_voxels(volume.voxels + 1024), "refuse")


def test_trust_takes_it(tmp_path: Path) -> None:
    volume = chest()
    path = write_volume(volume.with_voxels(volume.voxels - 1024), tmp_path / "ct.nii.gz")
    with pytest.raises(ScanError, match=r"^ct\.nii\.gz: this CT was rescaled twice"):
        preprocess_scan(path, MERLIN)
    trusting = MERLIN.model_copy(update={"steps": Hounsfield(policy="trust")})
    assert preprocess_scan(path, trusting).volume.shape == MERLIN.size


def test_real_chest_passes(shared_data: Path) -> None:
    crops = sorted((shared_data / "chest_ct").glob("*.nii.gz"))
    if not crops:
        pytest.skip("no chest CT among the real scans")
    for crop in crops:
        result = preprocess_scan(crop, MERLIN)
        assert result.record.qc.verdict == "pass"
        from voxtune.imaging.read import read_scan

        volume = read_scan(crop)
        with pytest.raises(ScanError, match="rescaled twice"):
            check_hounsfield(volume.with_voxels(volume.voxels - 1024), "refuse")
    assert CT_CLIP.steps == Hounsfield()


def test_the_stage_refuses_or_trusts(tmp_path: Path) -> None:
    from voxtune.commands.preprocess import preprocess
    from voxtune.errors import DataError

    volume = chest()
    write_volume(volume.with_voxels(volume.voxels - 1024), tmp_path / "in" / "ct.nii.gz")
    manifest = tmp_path / "in" / "manifest.tsv"
    manifest.write_text("participant_id\tscan_id\timage\na\tct\tct.nii.gz\n")
    with pytest.raises(DataError, match="rescaled twice"):
        preprocess(manifest, tmp_path / "out", preset="merlin")
    done = preprocess(manifest, tmp_path / "out", preset="merlin", hu_policy="trust")
    assert done.is_file()
    assert (tmp_path / "out" / "cache" / "merlin" / "index.json").is_file()


@settings(max_examples=20, deadline=None)
@given(value=st.sampled_from([0, 1000, 3071, 32767, 62512, -500, -800]), seed=st.integers(0, 3))
def test_surroundings_filled_with_anything_but_air_are_refused(value: int, seed: int) -> None:
    """Masked or padded with 0, which is water, or with a number beyond those of the picture."""
    volume = chest(seed)
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in volume.shape), indexing="ij")
    filled = np.where(x**2 + y**2 > 0.95, value, volume.voxels).astype(np.float32)
    with pytest.raises(ScanError, match="Hounsfield units"):
        check_hounsfield(volume.with_voxels(filled), "refuse")
