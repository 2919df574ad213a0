"""What is left out around a brain changes no bit of the result."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, binary_fill_holes, gaussian_filter1d

from voxtune.imaging.boxes import box_of, filled
from voxtune.imaging.resample import FWHM, TRUNCATE, resample
from voxtune.types.volume import Volume

SHAPES = st.tuples(*[st.integers(1, 9)] * 3)
MASKS = SHAPES.flatmap(lambda shape: arrays.arrays(bool, shape))


@given(MASKS)
def test_holes_are_those_of_the_whole_volume(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(filled(mask), binary_fill_holes(mask))


@given(MASKS, st.tuples(*[st.integers(0, 3)] * 3))
def test_the_box_holds_everything_and_no_empty_face(
    mask: NDArray[np.bool_], margin: tuple[int, int, int]
) -> None:
    box, tight = box_of(mask, margin), box_of(mask)
    if box is None or tight is None:
        assert not mask.any()
        return
    assert mask[box].sum() == mask[tight].sum() == mask.sum()
    for axis in range(3):
        assert np.take(mask[tight], 0, axis).any()
        assert np.take(mask[tight], -1, axis).any()
        wanted = range(
            max(0, tight[axis].start - margin[axis]), min(tight[axis].stop + margin[axis], mask.shape[axis])
        )
        assert range(*box[axis].indices(mask.shape[axis])) == wanted


@given(
    st.tuples(*[st.integers(2, 12)] * 3).flatmap(
        lambda shape: arrays.arrays(
            np.float32, shape, elements=st.sampled_from([0.0, 0.0, 0.0, 0.25, -1.0, 3.5])
        )
    ),
    st.tuples(*[st.sampled_from([0.5, 1.0, 1.5, 2.0, 4.0])] * 3),
)
def test_smoothing_inside_the_box_is_smoothing_of_all(
    voxels: NDArray[np.float32], steps: tuple[float, float, float]
) -> None:
    affine = np.diag([*steps, 1.0])
    plain = voxels
    for axis, step in enumerate(steps):
        if step > 1:
            sigma = np.sqrt(step**2 - 1) / FWHM
            plain = gaussian_filter1d(
                plain, sigma, axis=axis, output=np.float32, mode="constant", truncate=TRUNCATE
            )
    wanted = affine_transform(
        plain, affine[:3, :3], affine[:3, 3], output_shape=(5, 5, 5), order=1, output=np.float32
    )
    assert np.array_equal(resample(Volume(voxels, np.eye(4)), (5, 5, 5), affine).voxels, wanted)
