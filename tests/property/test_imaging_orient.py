"""Turning axes moves no voxel in the world."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxtune.imaging.orient import axis_codes, orient
from voxtune.types.volume import Volume

CODES = [
    "".join(letters)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*order)
]


def ramp(code: str, oblique: float) -> Volume:
    voxels = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    turn = np.array(
        [[np.cos(oblique), -np.sin(oblique), 0], [np.sin(oblique), np.cos(oblique), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, 2.0, 3.0])
    affine[:3, 3] = [-7, 11, 3]
    return orient(Volume(voxels, affine), code)


def world_of(volume: Volume) -> dict[float, tuple[float, ...]]:
    """Voxel value -> where it lies; every value stands once."""
    index = np.argwhere(np.ones(volume.shape, dtype=bool))
    places = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return dict(zip(volume.voxels[tuple(index.T)].tolist(), map(tuple, places.round(9)), strict=True))


@given(st.sampled_from(CODES), st.sampled_from(CODES), st.floats(-0.6, 0.6))
def test_every_voxel_stays_where_it_is(first: str, second: str, oblique: float) -> None:
    volume = ramp(first, oblique)
    assert axis_codes(volume.affine) == first
    turned = orient(volume, second)
    assert axis_codes(turned.affine) == second
    before, after = world_of(volume), world_of(turned)
    assert before.keys() == after.keys()
    assert all(np.allclose(before[value], after[value], atol=1e-6) for value in before)
