"""Scans that stay where they were scanned: raw heads and CT of NeuroVFM, COLIPRI's chests, brains registered elsewhere."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.data.scans import ScanCache
from voxtune.errors import ScanError
from voxtune.explanation.placement import stored_atlas, to_stored
from voxtune.imaging import patches
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.orient import axis_codes, orient
from voxtune.imaging.own_space import LEAST_KEPT_ML
from voxtune.imaging.presets import (
    BRAINIAC,
    BRAINIAC_PAEDIATRIC,
    COLIPRI,
    COLIPRI_0_1_1,
    NEUROVFM,
    NEUROVFM_CT,
    Preset,
    fits,
)
from voxtune.imaging.resample import resample
from voxtune.imaging.stored import stored_scan
from voxtune.imaging.template import field_of_view, template
from voxtune.imaging.tensor import fit_own_space, to_tensor
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume


def raw_head(shape: tuple[int, int, int] = (90, 100, 80), step: float = 2.0, scale: float = 1.0) -> Volume:
    """A ball of tissue with texture in faint air."""
    i, j, k = np.indices(shape)
    middle = [(n - 1) / 2 for n in shape]
    away = sum(
        ((x - m) * step / r / scale) ** 2 for x, m, r in zip((i, j, k), middle, (70, 80, 68), strict=True)
    )
    noise = np.random.default_rng(0).random(shape)
    return Volume(
        np.where(away < 1, 300 + 200 * noise, 5 * noise).astype(np.float32), np.diag([step, step, step, 1.0])
    )


def chest(shape: tuple[int, int, int] = (60, 50, 40), step: tuple[float, ...] = (5.0, 5.0, 6.0)) -> Volume:
    volume = raw_head(shape, 4.0)
    values = np.where(volume.voxels > 100, volume.voxels - 350, -1000 + volume.voxels)
    values[15:25, 15:30, 10:30] = -850 + values[15:25, 15:30, 10:30] / 10
    return Volume(values.astype(np.float32), np.diag([-step[0], -step[1], step[2], 1.0]))


def saved(volume: Volume, path: Path, kind: Any = np.float32) -> Path:
    nib.save(nib.Nifti1Image(volume.voxels.astype(kind), volume.affine), path)
    return path


@pytest.mark.parametrize("preset", [NEUROVFM, NEUROVFM_CT, COLIPRI, COLIPRI_0_1_1], ids=lambda one: one.name)
def test_what_is_stored_gives_the_tensor_of_the_scan(preset: Preset, tmp_path: Path) -> None:
    """From the file through the chain, the stored volume and the cache: one tensor, and the same patches are read."""
    volume = raw_head() if preset is NEUROVFM else chest()
    made = preprocess_scan(saved(volume, tmp_path / "scan.nii.gz", np.int16), preset)
    assert fits(made.volume, preset)
    direct = to_tensor(made.volume, preset)
    whole = Volume(np.trunc(volume.voxels), volume.affine)
    assert np.abs(to_tensor(fit_own_space(whole, preset, "int16"), preset) - direct).max() < 1e-6
    folder = tmp_path / "s"
    folder.mkdir()
    write_volume(made.volume, folder / "volume.nii.gz")
    (folder / "chain.json").write_text(made.record.model_dump_json(), encoding="utf-8")
    found = stored_scan(folder / "volume.nii.gz", preset)
    assert found is not None
    assert np.array_equal(to_tensor(found.volume, preset), direct)
    cache = ScanCache.build(
        tmp_path / "cache", {"s": folder / "volume.nii.gz"}, preset, "uint8" if preset.in_steps else "float16"
    )
    low, high = preset.value_range
    assert np.abs(cache["s"] - direct).max() <= (high - low) / 255
    if preset.fit == "patches":
        here, there = (
            one[0] > preset.absent * (0.5 if preset is NEUROVFM else 0.9) for one in (direct, cache["s"])
        )
        assert np.array_equal(here, there)
        [step] = [one for one in made.record.steps if one.name == "patches"]
        assert 0 < step.result["kept"] < step.result["all"]
        assert made.record.qc.verdict in {"pass", "warn"}


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PSR", "IAL"])
def test_the_order_of_the_file_changes_nothing(axes: str) -> None:
    for preset, volume in ((NEUROVFM, raw_head((60, 70, 52), 2.5)), (COLIPRI, chest())):
        first = to_tensor(volume, preset)
        assert np.abs(to_tensor(orient(volume, axes), preset) - first).max() < 1e-4


def test_slices_are_the_axis_whose_size_is_alone_and_least() -> None:
    def of(shape: tuple[int, int, int], step: tuple[float, float, float]) -> int:
        return patches.slice_axis(Volume(np.zeros(shape, np.float32), np.diag([*step, 1.0])))

    assert of((50, 40, 30), (1.0, 1.0, 1.0)) == 2
    assert of((20, 40, 50), (1.0, 1.0, 1.00000001)) == 2, "the rounding of a header is no other spacing"
    assert of((50, 50, 60), (1.0, 1.0, 3.0)) == 2, "the only size that is alone, although it is the largest"
    assert of((50, 22, 60), (0.9, 1.0, 1.3)) == 1
    assert of((22, 50, 50), (4.4, 1.0, 1.0)) == 0
    with pytest.raises(ScanError, match="slices cannot be told"):
        of((50, 50, 50), (1.0, 1.0, 3.0))


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        (raw_head((90, 100, 3), 1.0), "1 voxels thin|2 voxels thin|0 voxels thin"),
        (Volume(np.zeros((40, 40, 30), np.float32) + np.arange(30, dtype=np.float32), np.eye(4)), "every patch"),
        (Volume(np.random.default_rng(0).random((20, 20, 10)).astype(np.float32) + 1, np.diag([40.0, 40.0, 40.0, 1.0])), "spans 800 mm along one axis, more than the 320 mm"),
    ],
)  # fmt: skip
def test_heads_that_leave_nothing_to_read_are_refused(volume: Volume, said: str) -> None:
    with pytest.raises(ScanError, match=said):
        to_tensor(volume, NEUROVFM)


def test_a_head_larger_than_the_canvas_is_refused() -> None:
    with pytest.raises(ScanError, match="crop it to the head"):
        patches.on_canvas(np.zeros((100, 16, 16), np.float32), NEUROVFM.size, -1)


def test_few_patches_and_a_missing_skull_are_no_pass(tmp_path: Path) -> None:
    brain = template(64)
    made = preprocess_scan(saved(brain.with_voxels(brain.voxels * 1000), tmp_path / "brain.nii.gz"), NEUROVFM)
    assert made.record.qc.verdict == "warn"
    assert any("stripped" in why for why in made.record.qc.reasons)
    small = raw_head((60, 60, 50), 2.0, 0.6)
    made = preprocess_scan(saved(small, tmp_path / "small.nii.gz"), NEUROVFM)
    [step] = [one for one in made.record.steps if one.name == "patches"]
    assert step.result["kept"] * 4.096 < LEAST_KEPT_ML
    assert any("patches" in why for why in made.record.qc.reasons)


def test_a_leaning_stack_is_straightened_and_a_turned_one_is_not(tmp_path: Path) -> None:
    for preset, volume in ((NEUROVFM, raw_head((60, 70, 52), 2.5)), (COLIPRI, chest())):
        leaning = volume.affine.copy()
        leaning[1, 2] = 0.3 * leaning[2, 2]
        made = preprocess_scan(
            saved(Volume(volume.voxels, leaning), tmp_path / "lean.nii.gz", np.int16), preset
        )
        assert "upright" in [one.name for one in made.record.steps]
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
        turned = Volume(volume.voxels, turn @ volume.affine)
        made = preprocess_scan(saved(turned, tmp_path / "turn.nii.gz", np.int16), preset)
        assert "upright" not in [one.name for one in made.record.steps]


@settings(max_examples=20, deadline=None)
@given(shape=st.tuples(*[st.integers(6, 40)] * 3), steps=st.tuples(*[st.floats(0.7, 6.0)] * 3))
def test_colipris_volume_lies_where_its_affine_says(
    shape: tuple[int, int, int], steps: tuple[float, float, float]
) -> None:
    """A ramp along the world stays that ramp, inside the scan and away from its ends."""
    affine = np.diag([*(round(one, 3) for one in steps), 1.0])
    affine[:3, 3] = [-20.0, 10.0, 300.0]
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    world = grid @ affine[:3, :3].T + affine[:3, 3]
    ramp = (world - world.mean(axis=(0, 1, 2))).sum(axis=-1)
    small = COLIPRI.model_copy(update={"size": (64, 64, 64)})
    made = fit_own_space(Volume(ramp.astype(np.float32), affine), small)
    places = np.stack(np.meshgrid(*(np.arange(64) for _ in range(3)), indexing="ij"), -1)
    there = places @ made.affine[:3, :3].T + made.affine[:3, 3]
    index = (there - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    inside = np.all((index >= 0) & (index <= np.array(shape) - 1), axis=-1)
    expected = np.clip((there - world.mean(axis=(0, 1, 2))).sum(axis=-1), -1000, 1000)
    assert np.abs(made.voxels - expected)[inside].max(initial=0.0) < 0.05


def brain_of_brainiac(axes: str = "LAS") -> Volume:
    steps = BRAINIAC_PAEDIATRIC.steps
    voxels = np.zeros(steps.shape, np.float32)  # type: ignore[union-attr]
    voxels[40:130, 50:160, 30:130] = 100 + 50 * np.random.default_rng(0).random((90, 110, 100))
    return orient(Volume(voxels, BRAINIAC_PAEDIATRIC.affine), axes)


@pytest.mark.parametrize("axes", ["LAS", "RAS", "PIR"])
def test_a_brain_on_the_paediatric_template_is_taken_as_it_is(axes: str, tmp_path: Path) -> None:
    made = preprocess_scan(saved(brain_of_brainiac(axes), tmp_path / "b.nii.gz"), BRAINIAC_PAEDIATRIC)
    assert axis_codes(made.volume.affine) == "LAS"
    assert np.array_equal(made.volume.voxels, brain_of_brainiac().voxels)
    tensor = to_tensor(made.volume, BRAINIAC_PAEDIATRIC)
    inside = tensor[tensor != 0].astype(np.float64)
    assert abs(inside.mean()) < 1e-4
    assert inside.std() == pytest.approx(1, abs=1e-4)
    heat = to_stored(np.ones((96, 96, 96), np.float32), made.volume, BRAINIAC_PAEDIATRIC)
    assert heat.shape == brain_of_brainiac("RAS").shape


def test_other_brains_are_refused_by_the_paediatric_preset(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match=r"paediatric template .* preset 'brainiac' \(adult template\)"):
        preprocess_scan(saved(raw_head(), tmp_path / "h.nii.gz"), BRAINIAC_PAEDIATRIC)
    noise = np.random.default_rng(0).random(brain_of_brainiac().shape).astype(np.float32) * 20 + 10
    skull = brain_of_brainiac().with_voxels(brain_of_brainiac().voxels + noise)
    with pytest.raises(ScanError, match="skull"):
        preprocess_scan(saved(skull, tmp_path / "s.nii.gz"), BRAINIAC_PAEDIATRIC)


@pytest.mark.parametrize(("scale", "shift"), [(1e-6, 3.0), (1.0, -0.5), (1e9, -2.0)])
def test_any_scale_and_offset_give_the_paediatric_tensor(scale: float, shift: float, tmp_path: Path) -> None:
    brain = brain_of_brainiac()
    moved = brain.with_voxels(((brain.voxels + shift * 150) * scale).astype(np.float32))
    plain, other = (
        to_tensor(
            preprocess_scan(saved(one, tmp_path / "b.nii.gz"), BRAINIAC_PAEDIATRIC).volume,
            BRAINIAC_PAEDIATRIC,
        )
        for one in (brain, moved)
    )
    assert np.abs(plain - other).max() < 0.02


@pytest.mark.parametrize("what", ["mask", "negative", "silhouette"])
def test_what_is_no_brain_never_passes_the_paediatric_preset(what: str, tmp_path: Path) -> None:
    brain = brain_of_brainiac()
    voxels = {
        "mask": (brain.voxels > 0).astype(np.float32),
        "negative": -brain.voxels,
        "silhouette": brain.voxels,
    }
    path = saved(brain.with_voxels(voxels[what]), tmp_path / "b.nii.gz")
    if what == "silhouette":
        reasons = preprocess_scan(path, BRAINIAC_PAEDIATRIC).record.qc.reasons
        assert any("unlike a T1 brain's" in why for why in reasons)
        return
    with pytest.raises(ScanError, match=r"mask or a label image|inverted"):
        preprocess_scan(path, BRAINIAC_PAEDIATRIC)


def test_the_template_itself_passes_the_paediatric_preset(tmp_path: Path) -> None:
    cube = Volume(template(192).voxels.copy(), field_of_view(192))
    laid = resample(cube, BRAINIAC_PAEDIATRIC.shape, BRAINIAC_PAEDIATRIC.affine)
    made = preprocess_scan(saved(laid, tmp_path / "b.nii.gz"), BRAINIAC_PAEDIATRIC)
    assert made.record.qc.verdict == "pass"


@pytest.mark.parametrize("scale", [1e-9, 1e-12, 1e9])
def test_a_raw_head_of_tiny_or_huge_numbers_is_the_same(scale: float, tmp_path: Path) -> None:
    head = raw_head()
    plain, other = (
        preprocess_scan(saved(one, tmp_path / "h.nii.gz", np.float32), NEUROVFM).volume.voxels
        for one in (head, head.with_voxels((head.voxels * scale).astype(np.float32)))
    )
    assert np.abs(plain - other).max() < 0.02


def test_the_adult_brain_is_seen_at_the_size_of_training_and_heat_goes_back() -> None:
    cube = Volume(template(192).voxels.copy(), field_of_view(192))
    tensor = to_tensor(cube, BRAINIAC)[0]
    assert tensor.shape == (96, 96, 96)
    share = np.count_nonzero(tensor) / tensor.size
    brain = np.count_nonzero(cube.voxels)
    assert share == pytest.approx(brain / (170 * 206 * 162), rel=0.06), "the field of view of its training"
    back = to_stored((tensor != 0).astype(np.float32), cube, BRAINIAC).voxels
    both = np.count_nonzero((back > 0.5) & (cube.voxels > 0))
    assert both / brain > 0.95
    atlas = stored_atlas(cube, BRAINIAC)
    assert atlas is not None
    assert atlas.labels.shape == (96, 96, 96)
    assert np.count_nonzero((atlas.labels > 0) & (tensor != 0)) / np.count_nonzero(atlas.labels) > 0.9


def test_heat_on_a_raw_head_lies_on_the_stored_scan() -> None:
    stored = fit_own_space(raw_head((60, 70, 52), 2.5), NEUROVFM)
    heat = np.zeros(NEUROVFM.size, np.float32)
    heat[4:8, 16:32, 16:32] = 1
    placed = to_stored(heat, stored, NEUROVFM)
    assert placed.shape == stored.shape
    assert np.array_equal(placed.affine, stored.affine)
    assert placed.voxels.sum() == heat.sum()
    assert stored_atlas(stored, NEUROVFM) is None
    prepared = fit_own_space(chest(), COLIPRI)
    assert to_stored(np.zeros(COLIPRI.size, np.float32), prepared, COLIPRI).shape == COLIPRI.size
