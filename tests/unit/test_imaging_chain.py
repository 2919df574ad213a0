"""The chain on a stripped phantom with a known side, and on real heads."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxtune.errors import ScanError
from voxtune.imaging import template
from voxtune.imaging.chain import Preprocessed, preprocess_scan
from voxtune.imaging.denoise import Denoise, denoise, noise
from voxtune.imaging.intensity import Intensity, to_unit
from voxtune.imaging.orient import axis_codes, orient
from voxtune.imaging.presets import DEFT, TINY
from voxtune.imaging.qc import Qc, dice, judged, missing_ends
from voxtune.imaging.read import read_scan
from voxtune.imaging.resample import resample
from voxtune.imaging.skull import looks_stripped
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume

SIDE_MM = (-38.0, -20.0, 25.0)
"""Where the phantom carries its mark: the person's left."""
HEAD = Path(template.__file__).parents[1] / "simulate" / "assets" / "head_pddl" / "T1w_2mm.nii.gz"


def phantom() -> Volume:
    """The template's brain, darkened in a ball on the left."""
    volume = template.template(96)
    places = np.indices(volume.shape).reshape(3, -1).T @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    far = np.linalg.norm(places - SIDE_MM, axis=1).reshape(volume.shape)
    return volume.with_voxels((volume.voxels * np.where(far < 14, 0.35, 1.0) * 700).astype(np.float32))


def moved(volume: Volume, degrees: tuple[float, float, float], shift: float) -> Volume:
    """The volume turned and shifted in its header: an oblique scan."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    motion[:3, 3] = shift
    return Volume(volume.voxels, motion @ volume.affine)


def turned_voxels(volume: Volume, degrees: tuple[float, float, float], shift: float) -> Volume:
    """The volume turned and shifted by resampling: the patient lay askew."""
    back = np.linalg.inv(moved(volume, degrees, shift).affine @ np.linalg.inv(volume.affine))
    margin = 24
    affine = volume.affine.copy()
    affine[:3, 3] -= volume.affine[:3, :3] @ np.full(3, margin)
    i, j, k = (n + 2 * margin for n in volume.shape)
    return resample(volume, (i, j, k), affine, back)


def darkest(volume: Volume, mask: np.ndarray) -> np.ndarray:
    """World place of the darkest ball of the brain's inside."""
    from scipy.ndimage import binary_erosion, gaussian_filter

    smooth = gaussian_filter(volume.voxels, 8.0 / volume.spacing[0])
    smooth[~binary_erosion(mask, iterations=round(12 / volume.spacing[0]))] = np.inf
    return volume.affine[:3, :3] @ np.unravel_index(np.argmin(smooth), smooth.shape) + volume.affine[:3, 3]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Preprocessed:
    return preprocess_scan(
        write_volume(phantom(), tmp_path_factory.mktemp("plain") / "a.nii"), TINY, registered=False
    )


@pytest.fixture(scope="module")
def askew() -> Volume:
    return turned_voxels(phantom(), (11.0, -9.0, 14.0), 30.0)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_turned_shifted_and_in_any_axis_order(
    tmp_path: Path, plain: Preprocessed, askew: Volume, axes: str
) -> None:
    result = preprocess_scan(write_volume(orient(askew, axes), tmp_path / "askew.nii"), TINY)
    assert axis_codes(result.volume.affine) == "RAS"
    assert np.allclose(result.volume.affine, template.field_of_view(64))
    assert np.abs(result.volume.voxels - plain.volume.voxels).mean() <= 0.01
    assert result.record.qc.dice is not None
    assert result.record.qc.dice > 0.95
    # Left stays left.
    assert np.linalg.norm(darkest(result.volume, result.mask) - SIDE_MM) < 8


def test_oblique_header_is_followed(tmp_path: Path) -> None:
    result = preprocess_scan(
        write_volume(moved(phantom(), (20.0, 0.0, -15.0), 30.0), tmp_path / "a.nii.gz"), TINY
    )
    assert np.linalg.norm(darkest(result.volume, result.mask) - SIDE_MM) < 8
    back = np.asarray(result.record.transform)
    assert np.allclose(
        Rotation.from_matrix(back[:3, :3]).as_euler("xyz", degrees=True), (20, 0, -15), atol=1.5
    )


def test_a_registered_brain_stays_where_it_is(tmp_path: Path) -> None:
    volume = template.template(64)
    result = preprocess_scan(write_volume(volume, tmp_path / "a.nii.gz"), TINY)
    steps = {step.name: step for step in result.record.steps}
    assert steps["register"].result == {"in_template_space": True}
    assert steps["skull"].parameters == {"method": "none", "stripped": True, "stripped_by": "seen"}
    assert np.array_equal(result.record.transform, np.eye(4))


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    path = write_volume(moved(phantom(), (5.0, 0.0, 0.0), 3.0), tmp_path / "a.nii.gz")
    first, second = preprocess_scan(path, TINY), preprocess_scan(path, TINY, cache=tmp_path / "cache")
    third = preprocess_scan(path, TINY, cache=tmp_path / "cache")
    for other in (second, third):
        assert np.array_equal(first.volume.voxels, other.volume.voxels)
        assert first.record == other.record


def test_a_mask_handed_in_as_a_scan_is_refused(tmp_path: Path) -> None:
    flat = template.template(64).with_voxels(template.brain_mask(64).astype(np.float32))
    with pytest.raises(ScanError, match="mask or a label image"):
        preprocess_scan(write_volume(flat, tmp_path / "flat.nii.gz"), TINY)


def test_blank_slices_between_others_are_said(tmp_path: Path) -> None:
    voxels = phantom().voxels.copy()
    voxels[40:50] = 0
    result = preprocess_scan(write_volume(phantom().with_voxels(voxels), tmp_path / "a.nii"), TINY)
    assert "10 slices inside it are blank" in result.record.qc.notes
    assert result.record.qc.verdict != "pass"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_scan_of_which_slices_are_missing_is_refused(tmp_path: Path, axis: int) -> None:
    voxels = phantom().voxels.copy()
    np.moveaxis(voxels, axis, 0)[::2] = 0
    with pytest.raises(ScanError, match=r"of the \d+ slices inside it are blank"):
        read_scan(write_volume(phantom().with_voxels(voxels), tmp_path / "a.nii"))


@pytest.mark.parametrize(("degrees", "verdict"), [(44, "pass"), (46, "warn"), (59, "warn"), (61, "fail"), (180, "fail")])  # fmt: skip
def test_a_header_that_another_order_of_axes_fits_better_than_fails(degrees: float, verdict: str) -> None:
    assert judged(Qc(turned=degrees)).verdict == verdict


@pytest.mark.parametrize("order", [(1, 2, 0), (1, 0, 2)], ids=["cyclic", "turned by 90 degrees"])
def test_axes_in_another_order_than_the_header_says_fail(tmp_path: Path, order: tuple[int, int, int]) -> None:
    """What the registration makes good looks like any brain, but nobody knows which of its sides is left."""
    voxels = phantom().voxels.transpose(order)
    if order == (1, 0, 2):
        voxels = voxels[::-1]
    lying = phantom().with_voxels(np.ascontiguousarray(voxels))
    result = preprocess_scan(write_volume(lying, tmp_path / "a.nii"), TINY)
    assert result.record.qc.verdict == "fail"
    assert any("sides may be wrong" in reason for reason in result.record.qc.reasons)


def test_one_brightness_is_refused() -> None:
    flat = template.template(64).with_voxels(template.brain_mask(64).astype(np.float32))
    with pytest.raises(ScanError, match="no contrast"):
        to_unit(flat, template.brain_mask(64), Intensity())


def test_white_noise_is_refused(tmp_path: Path) -> None:
    """deepbet sees a brain in anything; the first look must not."""
    voxels = np.random.default_rng(0).normal(100, 30, (40, 40, 40)).astype(np.float32)
    path = write_volume(Volume(voxels, np.diag([4.0, 4.0, 4.0, 1.0])), tmp_path / "noise.nii.gz")
    with pytest.raises(ScanError, match="it is noise"):
        preprocess_scan(path, TINY)


def test_denoise_lowers_noise_and_keeps_edges() -> None:
    volume = template.template(128)
    mask = template.brain_mask(128)
    noisy = volume.with_voxels(
        volume.voxels + np.random.default_rng(0).normal(0, 0.05, volume.shape).astype(np.float32)
    )
    measured = noise(noisy.voxels, mask)
    assert measured == pytest.approx(0.05, rel=0.2)
    clean, sigma = denoise(noisy, mask, Denoise())
    assert sigma == measured
    before = np.abs(noisy.voxels - volume.voxels)[mask].mean()
    after = np.abs(clean.voxels - volume.voxels)[mask].mean()
    assert after < 0.62 * before
    coarse = Volume(noisy.voxels, np.diag([2.0, 2.0, 2.0, 1.0]))
    assert denoise(coarse, mask, Denoise())[0] is coarse


def test_verdicts() -> None:
    good = Qc(brain_ml=1400, dice=0.96, correlation=0.6, scale=1.2, clipped=0.002, slice_mm=1.0)
    assert judged(good).verdict == "pass"
    thick = judged(good.model_copy(update={"slice_mm": 5.0}))
    assert (thick.verdict, thick.reasons) == ("warn", ("voxels are 5.0 mm apart along one axis",))
    lost = judged(good.model_copy(update={"slice_mm": 5.0, "dice": 0.4}))
    assert lost.verdict == "fail"
    assert len(lost.reasons) == 2


@pytest.mark.parametrize("grid", [64, 128])
@pytest.mark.parametrize(
    ("axis", "end"),
    [(0, "left"), (0, "right"), (1, "posterior"), (1, "anterior"), (2, "inferior"), (2, "superior")],
)
def test_an_end_that_was_cut_off_is_told_and_a_smaller_brain_is_not(axis: int, end: str, grid: int) -> None:
    from scipy.ndimage import binary_erosion

    from voxtune.imaging.template import brain_mask

    whole = brain_mask(grid)
    assert missing_ends(whole) == ()
    assert missing_ends(binary_erosion(whole, iterations=grid // 64)) == ()
    where = np.flatnonzero(whole.any(axis=tuple(i for i in range(3) if i != axis)))
    for share in (0.1, 0.15, 0.25):
        slab = where if end in {"left", "posterior", "inferior"} else where[::-1]
        cut = whole.copy()
        np.moveaxis(cut, axis, 0)[slab[: round(share * where.size)]] = False
        [said] = missing_ends(cut)
        assert f"its {end} end" in said


def test_dice_of_masks() -> None:
    a = np.array([True, True, False])
    assert dice(a, a) == 1.0
    assert dice(a, ~a) == 0.0
    assert dice(a, np.array([True, False, False])) == pytest.approx(2 / 3)


# ------------------------------------------------------------------------------------- real heads
def test_the_shipped_head(tmp_path: Path) -> None:
    assert not looks_stripped(orient(read_scan(HEAD)))
    result = preprocess_scan(HEAD, DEFT, cache=tmp_path)
    figures = result.record.qc
    assert figures.verdict == "pass"
    assert figures.dice is not None
    assert figures.dice > 0.95
    assert figures.correlation is not None
    assert figures.correlation > 0.6
    assert result.volume.shape == (128, 128, 128)
    assert result.volume.voxels.min() == 0
    assert result.volume.voxels.max() == 1
    assert not result.volume.voxels[~result.mask].any()


@pytest.mark.slow
def test_real_heads_agree_with_another_segmentation(shared_data: Path) -> None:
    """Brain masks of raw heads against DLMUSE, for every head with one."""
    import nibabel

    from voxtune.imaging.skull import find_brain

    labels = sorted((shared_data / "ixi_heads_2mm").glob("*_DLMUSE.nii.gz"))
    if not labels:
        pytest.skip("no heads with a segmentation among the real scans")
    for path in labels:
        head = orient(read_scan(path.with_name(path.name.replace("_DLMUSE", ""))))
        truth = orient(
            Volume(np.asarray(nibabel.load(path).dataobj, dtype=np.float32), nibabel.load(path).affine)
        )
        assert dice(find_brain(head), truth.voxels > 0) >= 0.95


def test_stripped_brains_are_recognised(shared_data: Path) -> None:
    brains = sorted((shared_data / "oasis1_brains").glob("*_brain.nii.gz"))
    heads = sorted(
        path for path in (shared_data / "ixi_heads_2mm").glob("*.nii.gz") if "DLMUSE" not in path.name
    )
    if not brains and not heads:
        pytest.skip("neither brains nor heads among the real scans")
    assert all(looks_stripped(orient(read_scan(path))) for path in brains)
    assert not any(looks_stripped(orient(read_scan(path))) for path in heads)


def test_a_changed_setting_redoes_only_what_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxtune.imaging import chain

    scan = tmp_path / "scan.nii.gz"
    write_volume(moved(phantom(), (4, 0, 0), 5.0), scan)
    called: list[str] = []
    for name in ("denoise", "correct_bias", "register"):
        real = getattr(chain, name)
        monkeypatch.setattr(chain, name, lambda *a, real=real, name=name: called.append(name) or real(*a))

    def run(**changes: object) -> Preprocessed:
        called.clear()
        preset = TINY.model_copy(update={"steps": TINY.steps.model_copy(update=changes)})
        return preprocess_scan(scan, preset, cache=tmp_path / "steps")

    first = run()
    assert called == ["denoise", "correct_bias", "register"]
    again = run()
    assert called == []
    np.testing.assert_array_equal(again.volume.voxels, first.volume.voxels)
    assert again.record == first.record
    assert run(grid=48).volume.shape == (48, 48, 48)
    assert called == []
    run(intensity=Intensity(high_percentile=90))
    assert called == []
    run(bias=None)
    assert called == ["denoise", "register"]
    alone = preprocess_scan(scan, TINY)
    np.testing.assert_array_equal(alone.volume.voxels, first.volume.voxels)
