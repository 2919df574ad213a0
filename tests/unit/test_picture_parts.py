"""Pictures that are no scan, or a part of one: noise, copies of slices, lungs that are cut off."""

import numpy as np
import pytest

from voxtune.errors import ScanError
from voxtune.imaging.grid_sizes import check_grid_sizes
from voxtune.imaging.kind import Kind, Wanted, check_kind
from voxtune.imaging.slice_order import check_slice_order
from voxtune.types.volume import Volume

CHEST_KIND = Wanted("CT", region="chest")


def chest(first: int = 0, last: int = 48) -> Volume:
    """A body with two lungs in the middle of it, from one slice to another of 6 mm."""
    x, y, z = np.meshgrid(*(np.arange(-32, 32) * 5.0,) * 2, np.arange(-24, 24) * 6.0, indexing="ij")
    voxels = np.full(x.shape, -1000.0)
    voxels[(x / 150) ** 2 + (y / 110) ** 2 < 1] = 40
    for side in (-70, 70):
        voxels[((x - side) / 55) ** 2 + (y / 75) ** 2 + (z / 110) ** 2 < 1] = -820
    voxels += np.random.default_rng(0).normal(0, 12, x.shape)
    return Volume(voxels[:, :, first:last].astype(np.float32), np.diag([5.0, 5.0, 6.0, 1.0]))


def test_noise_is_no_picture() -> None:
    noise = np.random.default_rng(0).normal(0, 300, (40, 40, 40)).astype(np.float32)
    with pytest.raises(ScanError, match="neighbouring voxels have nothing in common"):
        check_grid_sizes("a", Volume(noise, np.eye(4)))


def test_copies_of_slices_are_noted() -> None:
    voxels = chest().voxels
    doubled = np.repeat(voxels[:, :, ::2], 2, axis=2)
    assert any("exact copies" in note for note in check_slice_order("a", Volume(doubled, np.eye(4))))
    assert not any("exact copies" in note for note in check_slice_order("a", Volume(voxels, np.eye(4))))


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_lungs_that_are_cut_off_are_noted(way: float) -> None:
    affine = np.diag([5.0, 5.0, 6.0 * way, 1.0])
    whole, upper, lower = chest(), chest(0, 26), chest(22, 48)
    names = {1.0: ("upper", "lower"), -1.0: ("lower", "upper")}[way]

    def said(volume: Volume) -> str:
        return " ".join(check_kind("a", Kind(), Volume(volume.voxels, affine), CHEST_KIND))

    assert "lungs" not in said(whole)
    assert f"beyond its {names[0]} end" in said(upper)
    assert f"beyond its {names[1]} end" in said(lower)
    blank = whole.voxels.copy()
    blank[:, :, 26:] = -1000
    assert f"beyond its {names[0]} end" in said(Volume(blank, affine))
