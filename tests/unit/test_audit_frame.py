"""A brain that is cut lies where the whole one lies: straight or leaning cuts, at any end, whatever is gone."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from voxtune.audit.align import align
from voxtune.audit.displacement import Scan, inside, mended
from voxtune.audit.fingerprints import prepared
from voxtune.audit.frame import framed, turned
from voxtune.simulate.brains import render
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.subjects import CohortSettings, participant, visit_of
from voxtune.types.volume import Volume

ENDS = [(axis, low) for axis in range(3) for low in (True, False)]
ROUND = np.array([26.0, 32.0, 24.0])
"""Half axes of an egg, in voxels of 3 mm."""


def egg(shape: tuple[int, ...] = (64, 72, 60)) -> Volume:
    grid = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
    return Volume((((grid / ROUND) ** 2).sum(axis=-1) < 1).astype(np.float32), np.diag([3.0, 3.0, 3.0, 1.0]))


def cropped(volume: Volume, axis: int, low: bool, share: float) -> Volume:
    """A field of view that ends before the brain does."""
    places = np.argwhere(volume.voxels > 0.1)[:, axis]
    gone = round(share * (places.max() - places.min()))
    start, end = (places.min() + gone, None) if low else (0, places.max() - gone)
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, axis] * start
    box = [slice(None)] * 3
    box[axis] = slice(start, end)
    return Volume(np.ascontiguousarray(volume.voxels[tuple(box)]), affine)


def beyond(volume: Volume, direction: NDArray[np.float64], share: float) -> Volume:
    """What lies beyond a leaning plane is empty."""
    grid = np.moveaxis(np.indices(volume.shape), 0, -1) @ direction
    along = grid[volume.voxels > 0.1]
    return volume.with_voxels(np.where(grid > along.max() - share * np.ptp(along), 0, volume.voxels))


@cache
def brain() -> Volume:
    people = CohortSettings(participants=1, visits=1, seed=11)
    return render(people, visit_of(people, participant(people, 0), 0), Scanner.drawn(5, 0))[0]


@cache
def place() -> NDArray[np.float64]:
    found = laid(brain())
    assert found is not None
    return found


def laid(volume: Volume) -> NDArray[np.float64] | None:
    ready = prepared(volume)
    found = align(ready)
    return None if found is None else mended(Scan(ready, found.sign, cut=found.cut), found.transform)


def apart(found: NDArray[np.float64] | None) -> float:
    """Mean distance (mm) from where the whole brain lies, in the brain."""
    assert found is not None
    points = inside()[1][:, inside()[0].reshape(-1) > 0][:, ::50]
    moved = (found - place())[:3, :3] @ points + (found - place())[:3, 3:]
    return float(np.linalg.norm(moved, axis=0).mean())


@given(end=st.sampled_from(ENDS), share=st.floats(0.1, 0.45), other=st.sampled_from([*ENDS, None]))
@settings(max_examples=30, deadline=None)
def test_flat_ends_are_cuts_and_round_ends_are_none(
    end: tuple[int, bool], share: float, other: tuple[int, bool] | None
) -> None:
    assert framed(egg()).cuts == ()
    volume = cropped(egg(), *end, share)
    if other is not None and other != end:
        volume = cropped(volume, *other, 0.2)
    cuts = framed(volume).cuts
    assert set(cuts) == {end, *([other] if other is not None else [])}


@given(
    end=st.sampled_from(ENDS),
    share=st.floats(0.2, 0.5),
    lean=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
)
@settings(max_examples=20, deadline=None)
def test_a_leaning_cut_is_turned_straight(
    end: tuple[int, bool], share: float, lean: tuple[float, float]
) -> None:
    axis, low = end
    direction = np.insert(np.array(lean), axis, -1.0 if low else 1.0)
    found = turned(beyond(egg((90, 90, 90)), direction / np.linalg.norm(direction), share))
    assert found is not None
    assert found.cuts == (end,)
    facing = (
        found.volume.affine[:3, axis] * (-1 if low else 1) / np.linalg.norm(found.volume.affine[:3, axis])
    )
    assert float(facing @ direction / np.linalg.norm(direction)) > np.cos(np.radians(5))


def test_nothing_of_a_round_thing_is_turned() -> None:
    assert turned(egg()) is None


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("share", [0.1, 0.2, 0.35])
def test_a_crop_lies_where_the_whole_brain_lies(end: tuple[int, bool], share: float) -> None:
    assert apart(laid(cropped(brain(), *end, share))) < 2.5


def test_a_slab_and_a_corner_lie_where_the_whole_brain_lies() -> None:
    slab = cropped(cropped(brain(), 2, low=True, share=0.15), 2, low=False, share=0.15)
    corner = cropped(cropped(brain(), 1, low=False, share=0.15), 2, low=False, share=0.15)
    assert apart(laid(slab)) < 2.5
    assert apart(laid(corner)) < 2.5


@pytest.mark.parametrize("ends", [(2.3, 8, 14), (2, 7, 13), (3, 6, 18)])
def test_a_head_with_its_scalp_lies_where_its_brain_lies(ends: tuple[float, float, float]) -> None:
    """Fluid, skull and scalp end at these distances from the brain (mm)."""
    voxels = np.pad(brain().voxels, 9)
    affine = brain().affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.full(3, 9)
    inner = ndimage.binary_fill_holes(ndimage.binary_closing(voxels > 0, iterations=3))
    away = 3.0 * ndimage.distance_transform_edt(~inner)
    layers = np.array([0.18, 0.08, 0.9, 0.0], np.float32)[np.searchsorted(ends, away)]
    head = np.where(inner, voxels, layers * np.percentile(voxels[voxels > 0], 99))
    assert apart(laid(Volume(head.astype(np.float32), affine))) < 2.5


@pytest.mark.parametrize("direction", [(0.95, 0.2, -0.15), (-0.95, 0.1, 0.2), (0.1, 0.2, 0.95)])
def test_a_leaning_crop_lies_where_the_whole_brain_lies(direction: tuple[float, float, float]) -> None:
    straight = np.array(direction) / np.linalg.norm(direction)
    share = 0.5 if abs(direction[0]) > 0.5 else 0.25
    assert apart(laid(beyond(brain(), straight, share))) < 3


@pytest.mark.parametrize("size", [8, 60])
def test_a_block_without_detail_is_no_brain(size: int) -> None:
    """Cut on all sides: too little to go by, or nothing to climb on."""
    block = Volume(np.ones((size,) * 3, np.float32), np.diag([3.0, 3.0, 3.0, 1.0]))
    assert len(framed(block).cuts) == 6
    assert align(block) is None
