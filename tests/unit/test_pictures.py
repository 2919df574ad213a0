"""What a picture says against its header: exchanged sizes, slices out of order, numbers that ran over, curves on a CT; and no false alarm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxtune.errors import ScanError
from voxtune.imaging import template
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.grid_sizes import check_grid_sizes
from voxtune.imaging.hounsfield import unlike_hounsfield
from voxtune.imaging.orient import orient
from voxtune.imaging.picture import check_picture
from voxtune.imaging.presets import CT_CLIP_SMALL, NEUROVFM, TINY
from voxtune.imaging.read import read_scan
from voxtune.imaging.slice_order import check_slice_order
from voxtune.imaging.wrapped import ran_over
from voxtune.imaging.write import write_volume
from voxtune.simulate.chest import ChestSettings, Scanner, render, scans
from voxtune.types.volume import Volume

HEAD = orient(
    read_scan(Path(template.__file__).parents[1] / "simulate" / "assets" / "head_pddl" / "T1w_2mm.nii.gz"),
    "RAS",
)
BRAIN = template.template(64)
_SETTINGS = ChestSettings()
CHEST = Volume(
    render(_SETTINGS, next(iter(scans(_SETTINGS))), Scanner.drawn(0, 0)).voxels.astype(np.float32),
    np.diag([5.625, 5.625, 7.5, 1.0]),
)
PICTURES = {"head": HEAD, "brain": BRAIN, "chest": CHEST}
ORDERS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "shuffled": lambda n, rng: rng.permutation(n),
    "pass after pass": lambda n, _: np.r_[0:n:2, 1:n:2],
    "three passes": lambda n, _: np.r_[0:n:3, 1:n:3, 2:n:3],
    "in fours from behind": lambda n, _: np.concatenate(
        [np.arange(n)[i : i + 4][::-1] for i in range(0, n, 4)]
    ),
}


def reordered(volume: Volume, order: np.ndarray, axis: int = 2) -> Volume:
    return volume.with_voxels(np.ascontiguousarray(np.take(volume.voxels, order, axis=axis)))


@settings(max_examples=24, deadline=None)
@given(
    st.sampled_from(list(PICTURES)),
    st.sampled_from(["RAS", "LPS", "PIR", "ASL", "LIA", "SRP"]),
    st.tuples(*[st.integers(0, 6)] * 6),
    st.floats(0, 0.05),
)
def test_good_pictures_are_left_alone(
    name: str, axes: str, cut: tuple[int, int, int, int, int, int], noise: float
) -> None:
    """Any axes, any frame, any scale, some noise."""
    whole = orient(PICTURES[name], axes).voxels
    part = whole[tuple(slice(cut[2 * i], n - cut[2 * i + 1]) for i, n in enumerate(whole.shape))]
    bright = float(np.percentile(part, 99) - part.min())
    voxels = part + noise * bright * np.random.default_rng(0).standard_normal(part.shape)
    assert (
        check_picture("a", Volume(np.ascontiguousarray(voxels * 3 - 50, dtype=np.float32), np.eye(4))) == ()
    )


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["head", "chest"]), st.permutations([0, 1, 2]), st.tuples(*[st.integers(0, 9)] * 3))
def test_exchanged_sizes_are_refused(name: str, order: list[int], cut: tuple[int, int, int]) -> None:
    """The same bytes under the sizes in another order."""
    voxels = PICTURES[name].voxels
    voxels = voxels[tuple(slice(0, n - c) for n, c in zip(voxels.shape, cut, strict=True))]
    shape = tuple(voxels.shape[i] for i in order)
    if max(abs(a - b) for a, b in zip(shape, voxels.shape, strict=True)) < 4:
        return
    wrong = voxels.ravel(order="F").reshape(shape, order="F")
    try:
        notes = check_picture("a", Volume(wrong, np.eye(4)))
    except ScanError as error:
        assert "exchanged or wrong" in error.cause or "order of the body" in error.cause  # noqa: PT017  (either names it)
    else:
        assert notes


def test_the_size_that_fits_is_named() -> None:
    columns, rows, slices = HEAD.shape
    wrong = HEAD.voxels.ravel(order="F").reshape((rows, columns, slices), order="F")
    with pytest.raises(ScanError, match=f"its rows have {columns} voxels, and its header says {rows}"):
        check_grid_sizes("a", Volume(wrong, np.eye(4)))
    wrong = HEAD.voxels[:, :, :110].ravel(order="F").reshape((columns, 110, rows), order="F")
    with pytest.raises(ScanError, match=f"its slices have {rows} rows, and its header says 110"):
        check_grid_sizes("a", Volume(wrong, np.eye(4)))


def test_a_tilt_is_said_unless_the_header_has_it() -> None:
    """Slices moved against each other by four rows; a sheared affine says so."""
    voxels = np.stack([np.roll(HEAD.voxels[:, :, k], -5 * k, axis=1) for k in range(HEAD.shape[2])], axis=2)
    [note] = check_grid_sizes("a", Volume(voxels, np.eye(4)))
    assert "moved by 5 rows" in note
    sheared = np.eye(4)
    sheared[1, 2] = -5
    moved = check_grid_sizes("a", Volume(voxels, sheared))
    sheared[1, 2] = 5
    assert () in (moved, check_grid_sizes("a", Volume(voxels, sheared)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", list(ORDERS))
@pytest.mark.parametrize("name", list(PICTURES))
def test_slices_out_of_order_never_pass(name: str, order: str, axis: int) -> None:
    volume = PICTURES[name]
    places = ORDERS[order](volume.shape[axis], np.random.default_rng(3))
    try:
        notes = check_slice_order("a", reordered(volume, places, axis))
    except ScanError as error:
        assert "not in the order of the body" in error.cause  # noqa: PT017  (or it is noted)
    else:
        assert notes


def test_single_slices_out_of_place_and_jumps_are_noted() -> None:
    count = HEAD.shape[2]
    order = np.arange(count)
    order[[50, 90]] = order[[90, 50]]
    assert "slices 50, 90" in check_slice_order("a", reordered(HEAD, order))[0]
    order = np.r_[0:70, 90:count]
    assert "jumps after slice 69" in check_slice_order("a", reordered(HEAD, order))[0]
    half = CHEST.shape[2] // 2
    order = np.r_[half : CHEST.shape[2], 0:half]
    assert check_slice_order("a", reordered(CHEST, order))
    brain = np.r_[30:64, 0:30]
    assert "goes on with its first" in check_slice_order("a", reordered(BRAIN, brain))[0]


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["head", "brain"]),
    st.floats(1.15, 2.5),
    st.sampled_from([(256, 0), (65536, 0), (65536, 32768)]),
)
def test_numbers_that_ran_over_never_pass(name: str, factor: float, kind: tuple[int, int]) -> None:
    """Stored in 8 or 16 bits, with or without sign, that are too few."""
    levels, shift = kind
    voxels = PICTURES[name].voxels
    share = voxels / np.percentile(voxels, 99.9)
    stored = (np.floor(share * levels * factor) + shift) % levels - shift
    assert "run over" in ran_over(Volume(stored.astype(np.float32), np.eye(4)))[0]


def test_padding_far_below_is_no_overrun() -> None:
    x, y = (np.linspace(-1, 1, n) for n in CHEST.shape[:2])
    outside = x[:, None] ** 2 + y[None] ** 2 > 0.9
    padded = np.where(outside[:, :, None], -32768, CHEST.voxels).astype(np.float32)
    assert ran_over(CHEST.with_voxels(padded)) == ()
    assert ran_over(CHEST.with_voxels(np.full_like(padded, 3.0))) == ()


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([(-1000, 1000), (-1024, 3071), (-1000, 400), (-1024, 1024)]),
    st.sampled_from([0.5, 0.6, 0.7, 0.8, 1.25, 1.5, 2.0]),
)
def test_a_curve_on_a_ct_never_passes(window: tuple[float, float], gamma: float) -> None:
    low, high = window
    share = (np.clip(CHEST.voxels, low, high) - low) / (high - low)
    bent = (share**gamma * (high - low) + low).astype(np.float32)
    assert unlike_hounsfield(CHEST.voxels) == (None, None)
    assert unlike_hounsfield(bent) != (None, None)


def test_a_ct_cut_off_below_bone_is_noted() -> None:
    x = CHEST.voxels.copy()
    x[x > 150] *= 3
    assert unlike_hounsfield(x) == (None, None)
    assert "cut off at 300" in str(unlike_hounsfield(np.minimum(x, 300))[1])


def test_a_picture_that_is_wrong_is_refused_or_said_by_the_whole_chain(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(CHEST.shape[2])
    shuffled = write_volume(reordered(CHEST, order), tmp_path / "shuffled.nii")
    with pytest.raises(ScanError, match=r"^shuffled\.nii: its slices are not in the order of the body"):
        preprocess_scan(shuffled, CT_CLIP_SMALL)
    labels = ndimage.zoom(np.random.default_rng(0).integers(0, 9, (6, 6, 6)), 8, order=0).astype(np.float32)
    mask = write_volume(
        Volume(labels[:, :, np.random.default_rng(1).permutation(48)], np.eye(4)), tmp_path / "mask.nii"
    )
    with pytest.raises(ScanError, match="mask or a label image"):
        preprocess_scan(mask, TINY)
    good = write_volume(CHEST, tmp_path / "chest.nii")
    assert preprocess_scan(good, CT_CLIP_SMALL).record.qc.notes == ()
    smaller = write_volume(Volume(CHEST.voxels, np.diag([4, 4, 5, 1.0])), tmp_path / "small.nii")
    other = preprocess_scan(smaller, NEUROVFM).record.qc
    assert any("Hounsfield units of a CT" in why for why in other.reasons)
