"""The one field of view of the project."""

import numpy as np
import pytest

from voxtune.imaging import template


@pytest.mark.parametrize(("size", "step"), [(128, 1.5), (64, 3.0)])
def test_grid_is_a_ras_cube_centred_on_the_brain(size: int, step: float) -> None:
    affine = template.field_of_view(size)
    assert np.allclose(affine[:3, :3], np.eye(3) * step)
    assert np.allclose((affine @ [*[(size - 1) / 2] * 3, 1])[:3], template.CENTRE_MM)
    mask = template.brain_mask(size)
    inside = np.argwhere(mask)
    world = inside @ affine[:3, :3].T + affine[:3, 3]
    middle = (world.min(axis=0) + world.max(axis=0)) / 2
    assert np.abs(middle - template.CENTRE_MM).max() <= step
    assert inside.min() >= 1
    assert inside.max() <= size - 2


def test_template_is_in_unit_range_and_frozen() -> None:
    volume = template.template(64)
    assert volume.voxels.dtype == np.float32
    assert volume.voxels.min() == 0.0
    assert 0.8 < volume.voxels.max() <= 1.0
    with pytest.raises(ValueError, match="read-only"):
        volume.voxels[0, 0, 0] = 1.0


def test_brain_volume_is_the_same_at_both_resolutions() -> None:
    litres = [template.brain_mask(size).sum() * template.spacing(size) ** 3 / 1e6 for size in (64, 128)]
    assert litres[0] == pytest.approx(litres[1], rel=0.01)
    assert 1.7 < litres[1] < 2.0  # the ICBM 2009a average is larger than a real brain


def test_white_matter_is_brighter_than_ventricles() -> None:
    volume = template.template(128)
    to_voxel = np.linalg.inv(volume.affine)
    ventricle = tuple(np.round(to_voxel @ [7, -10, 20, 1])[:3].astype(int))
    white = tuple(np.round(to_voxel @ [25, -25, 30, 1])[:3].astype(int))
    assert volume.voxels[white] > 1.8 * volume.voxels[ventricle]
