"""Every preset against the steps its model was published with, written a second time with torch."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates

from voxtune.catalog import PRESETS, load
from voxtune.imaging import template
from voxtune.imaging.intensity import Hounsfield
from voxtune.imaging.orient import axis_codes, orient
from voxtune.imaging.presets import CT_CLIP, DEFT, M3D, MED3DVLM, MERLIN, RADFM, TINY, Preset, fits
from voxtune.imaging.tensor import to_tensor
from voxtune.types.volume import Volume

GOLDEN = Path(__file__).parents[1] / "golden" / "preset_tensors.json"


def phantom(axes: str = "RAS") -> Volume:
    """Smooth and different along every axis, with empty borders, on a coarse anisotropic grid."""
    i, j, k = np.meshgrid(np.arange(30), np.arange(36), np.arange(70), indexing="ij")
    voxels = 400 * np.exp(-(((i - 14) / 9) ** 2 + ((j - 15) / 11) ** 2 + ((k - 40) / 20) ** 2)) + i + 2 * j
    voxels[:3] = voxels[-2:] = voxels[:, :4] = voxels[:, -1:] = voxels[:, :, :5] = 0
    affine = np.diag([6.0, 5.0, 2.5, 1.0])
    affine[:3, 3] = [-90, -107, -82]
    return orient(Volume(voxels.astype(np.float32), affine), axes)


def ct(axes: str = "LPS") -> Volume:
    volume = phantom()
    affine = np.diag([2.0, 2.5, 4.0, 1.0])
    return orient(Volume(volume.voxels * 3 - 1024, affine), axes)


@pytest.mark.parametrize("preset", [load(PRESETS, name) for name in PRESETS], ids=list(PRESETS))
def test_axis_order_of_the_file_does_not_matter(preset: Preset) -> None:
    if np.prod(preset.size) > 10**7:  # the largest at a quarter of their size along each axis
        wider = preset.spacing and tuple(4 * one for one in preset.spacing)
        preset = preset.model_copy(update={"size": tuple(n // 4 for n in preset.size), "spacing": wider})
    make = ct if isinstance(preset.steps, Hounsfield) else phantom
    first = to_tensor(make("RAS"), preset)
    assert first.shape == preset.tensor_shape
    assert first.dtype == np.float32
    low, high = preset.value_range
    assert first.min() >= low - 1e-6
    assert first.max() <= high + 1e-6
    for axes in ("LPS", "PIR", "SLA"):
        assert np.abs(to_tensor(make(axes), preset) - first).max() < 1e-4


@pytest.mark.parametrize("preset", [M3D, MED3DVLM], ids=lambda p: p.name)
def test_m3d_is_minmax_crop_and_trilinear(preset: Preset) -> None:
    array = torch.from_numpy(orient(phantom(), "SPL").voxels)
    array = (array - array.min()) / (array.max() - array.min())
    inside = array.nonzero()
    low, high = inside.amin(0), inside.amax(0) + 1
    array = array[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    twin = F.interpolate(array[None, None], size=preset.size, mode="trilinear", align_corners=False)[0]
    assert np.abs(to_tensor(phantom(), preset) - twin.numpy()).max() < 1e-5


def test_radfm_is_minmax_and_nearest() -> None:
    array = torch.from_numpy(orient(phantom(), "PLS").voxels)
    array = (array - array.min()) / (array.max() - array.min())
    twin = F.interpolate(array[None, None], size=(512, 512, 64), mode="nearest")[0].repeat(3, 1, 1, 1)
    assert np.array_equal(to_tensor(phantom(), RADFM), twin.numpy())


def test_merlin_is_spacing_window_and_centre() -> None:
    """MONAI Spacing keeps the first voxel and interpolates on the grid n' = round((n - 1) s / t + 1)."""
    volume = orient(ct(), "RAS")
    sizes = [
        round((n - 1) * s / t + 1)
        for n, s, t in zip(volume.shape, volume.spacing, MERLIN.spacing, strict=True)
    ]
    axes = [np.arange(n) * t / s for n, s, t in zip(sizes, volume.spacing, MERLIN.spacing, strict=True)]
    clipped = np.clip(volume.voxels, -1000, 1000)
    spaced = map_coordinates(
        clipped.astype(np.float64), np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest"
    )
    twin = np.zeros(MERLIN.size)
    take, put = [], []
    for n, want in zip(spaced.shape, MERLIN.size, strict=True):
        take.append(slice(max((n - want) // 2, 0), max((n - want) // 2, 0) + min(n, want)))
        put.append(slice(max((want - n) // 2, 0), max((want - n) // 2, 0) + min(n, want)))
    twin[tuple(put)] = (spaced[tuple(take)] + 1000) / 2000
    assert np.abs(to_tensor(ct(), MERLIN)[0] - twin).max() < 1e-5


def test_ct_tensors_run_foot_to_head_and_keep_sides() -> None:
    volume = ct("LPS")
    assert axis_codes(volume.affine) == "LPS"
    marked = volume.with_voxels(np.full_like(volume.voxels, -1000))
    marked.voxels[-3:, :3, -5:] = 1000  # the person's left, anterior, superior
    place = np.argwhere(to_tensor(marked, CT_CLIP)[0] > 0.5).mean(axis=0)
    middle = (np.asarray(CT_CLIP.size) - 1) / 2
    assert (place > middle).tolist() == [True, True, False]  # axes S, L, P


def test_cube_presets_share_the_field_of_view() -> None:
    volume = template.template(128)
    assert fits(volume, DEFT)
    assert not fits(volume, TINY)
    deft = to_tensor(volume, DEFT)[0]
    assert np.array_equal(deft, orient(volume, "SPL").voxels)
    coarse = to_tensor(volume, TINY)[0]
    assert np.corrcoef(coarse.ravel(), template.template(64).voxels.ravel())[0, 1] > 0.995


def test_presets_survive_json() -> None:
    for name in PRESETS:
        preset = load(PRESETS, name)
        assert preset.name == name
        again = Preset.model_validate_json(preset.model_dump_json())
        assert again == preset.model_copy(update={"region": None})  # checks a scan, is part of no record
        assert again.model_dump() == preset.model_dump()


def test_axes_are_three_directions() -> None:
    with pytest.raises(ValueError, match="three letters"):
        Preset.model_validate(TINY.model_dump() | {"axes": "RLA"})


def figures(preset: Preset) -> list[float]:
    """A few numbers that move with any change of a tensor: mean, deviation, and a projection on fixed random weights."""
    tensor = to_tensor(ct() if isinstance(preset.steps, Hounsfield) else phantom(), preset).astype(np.float64)
    weights = [np.random.default_rng(i).standard_normal(n) for i, n in enumerate(tensor.shape)]
    return [tensor.mean(), tensor.std(), float(np.einsum("cxyz,c,x,y,z->", tensor, *weights, optimize=True))]


@pytest.mark.parametrize("name", list(PRESETS))
def test_golden_tensor(name: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert figures(load(PRESETS, name)) == pytest.approx(golden[name], rel=1e-4, abs=1e-6)
