"""A CT that is not in Hounsfield units is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.errors import ScanError
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.hounsfield import check_hounsfield
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.presets import CT_CLIP, MERLIN
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume


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
