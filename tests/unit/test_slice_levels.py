"""Slices on another scale than their neighbours are said, along whatever axis they were stacked; whole pictures never are."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.imaging import template
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.orient import orient
from voxtune.imaging.presets import CT_CLIP_SMALL
from voxtune.imaging.read import read_scan
from voxtune.imaging.slice_levels import slice_hounsfield, slice_levels
from voxtune.imaging.write import write_volume
from voxtune.simulate.chest import ChestSettings, Scanner, render, scans
from voxtune.types.volume import Volume

HEAD = orient(
    read_scan(Path(template.__file__).parents[1] / "simulate" / "assets" / "head_pddl" / "T1w_2mm.nii.gz"),
    "RAS",
)
_SETTINGS = ChestSettings()
CHEST = Volume(
    render(_SETTINGS, next(iter(scans(_SETTINGS))), Scanner.drawn(0, 0)).voxels.astype(np.float32),
    np.diag([5.625, 5.625, 7.5, 1.0]),
)


def rescaled(volume: Volume, which: np.ndarray, slope: float, shift: float, zero: float) -> Volume:
    """Some slices, upwards from the lowest, scaled about ``zero`` and shifted."""
    wrong = (volume.voxels - zero) * slope + zero + shift
    return volume.with_voxels(np.where(which, wrong, volume.voxels).astype(np.float32))


def slices(kind: str, count: int) -> np.ndarray:
    at = np.arange(count)
    return {"one": at == count // 2, "half": at > count // 2, "every other": at % 2 == 1}[kind]


@pytest.mark.parametrize("kind", ["one", "half", "every other"])
@pytest.mark.parametrize(
    "change", [(1.0, 60.0), (1.0, -100.0), (1.0, 1024.0), (1.15, 0.0), (3.0, 0.0)], ids=str
)
def test_some_slices_of_a_ct_on_another_scale(kind: str, change: tuple[float, float]) -> None:
    wrong = rescaled(CHEST, slices(kind, CHEST.shape[2]), *change, zero=-1024.0)
    assert slice_hounsfield(orient(wrong, "LPS"))


@pytest.mark.parametrize("kind", ["one", "half", "every other"])
@pytest.mark.parametrize("slope", [1.8, 3.0, 0.4])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-3, -2.0), (500.0, 40.0)])
def test_some_slices_of_a_head_on_another_scale(kind: str, slope: float, scale: float, shift: float) -> None:
    wrong = rescaled(HEAD, slices(kind, HEAD.shape[2]), slope, 0.0, zero=0.0)
    moved = wrong.with_voxels((wrong.voxels * scale + shift * scale).astype(np.float32))
    assert slice_levels(moved)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "ASL", "SRP"])
@pytest.mark.parametrize(("noise", "every"), [(0.0, 1), (0.04, 1), (0.02, 2)])
def test_whole_pictures_are_left_alone(axes: str, noise: float, every: int) -> None:
    rng = np.random.default_rng(0)
    for volume, look, amount in ((HEAD, slice_levels, 255.0), (CHEST, slice_hounsfield, 1000.0)):
        thick = volume.voxels[:, :, ::every]
        noisy = thick + rng.normal(0, 1, thick.shape).astype(np.float32) * amount * noise
        assert look(orient(Volume(noisy.astype(np.float32), volume.affine), axes)) == ()


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_pictures_with_nothing_to_compare_are_left_alone(level: float) -> None:
    voxels = np.full((9, 9, 9), level, np.float32)
    voxels[4, 4, 4] = 20
    assert slice_levels(Volume(voxels, np.eye(4))) == ()
    assert slice_hounsfield(Volume(voxels - 2000, np.eye(4))) == ()


def test_a_wrong_intercept_never_passes_the_whole_chain(tmp_path: Path) -> None:
    wrong = rescaled(CHEST, slices("half", CHEST.shape[2]), 1.0, 60.0, zero=0.0)
    made = preprocess_scan(write_volume(wrong, tmp_path / "half.nii"), CT_CLIP_SMALL)
    assert any("a slope or intercept may be wrong" in why for why in made.record.qc.reasons)
