"""A CT lies where its affine says, whatever whole numbers of voxels its preset makes of it."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxtune.imaging.presets import CT_CLIP_SMALL, MERLIN, Preset
from voxtune.imaging.tensor import fit_hounsfield
from voxtune.types.volume import Volume

SMALL_MERLIN = MERLIN.model_copy(update={"size": (56, 56, 40), "spacing": (6.0, 6.0, 12.0)})


def blob(shape: tuple[int, int, int], affine: np.ndarray, at: np.ndarray, width_mm: float) -> Volume:
    """Air with a ball of tissue around a place in the world."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    away = np.linalg.norm(grid @ affine[:3, :3].T + affine[:3, 3] - at, axis=-1)
    return Volume((1500 * np.exp(-((away / width_mm) ** 2) / 2) - 1000).astype(np.float32), affine)


@pytest.mark.parametrize("preset", [CT_CLIP_SMALL, SMALL_MERLIN], ids=["ct_clip_small", "merlin"])
@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(*[st.integers(30, 70)] * 3),
    steps=st.tuples(*[st.floats(2.0, 5.0)] * 3),
)
@example(shape=(30, 31, 30), steps=(2.0, 2.0, 2.0))
def test_what_lies_in_the_middle_of_a_fitted_ct_lay_there_before(
    preset: Preset, shape: tuple[int, int, int], steps: tuple[float, float, float]
) -> None:
    affine = np.diag([*np.round(steps, 3), 1.0])
    affine[:3, 3] = [-80.0, 30.0, 500.0]
    empty = fit_hounsfield(Volume(np.full(shape, -1000, np.float32), affine), preset)
    middle = (np.asarray(preset.size) - 1) / 2
    at = empty.affine[:3, :3] @ middle + empty.affine[:3, 3]
    # As small as the scan asks: a ball that its field cuts off has another middle.
    width = min(15.0, float((np.asarray(shape) * affine.diagonal()[:3]).min()) / 8)
    found = fit_hounsfield(blob(shape, affine, at, width), preset)
    weight = found.voxels.astype(np.float64) + 1000
    seen = [
        np.average(np.arange(n), weights=weight.sum(axis=tuple(other for other in range(3) if other != axis)))
        for axis, n in enumerate(preset.size)
    ]
    assert np.abs(np.array(seen) - middle).max() < 0.1
