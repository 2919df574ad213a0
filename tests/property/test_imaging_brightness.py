"""No step takes 0 for background: any a * x + b with a > 0 gives the same volume, and what shows no brain is caught."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxtune.errors import ScanError
from voxtune.imaging import template
from voxtune.imaging.bias import Bias
from voxtune.imaging.brightness import background, from_zero, refuse_labels
from voxtune.imaging.chain import Preprocessed, preprocess_scan
from voxtune.imaging.presets import TINY, Brain
from voxtune.imaging.read import read_scan
from voxtune.imaging.register import Register
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume

HEAD = Path(template.__file__).parents[1] / "simulate" / "assets" / "head_pddl" / "T1w_2mm.nii.gz"
BRAIN_STEPS = TINY.steps
assert isinstance(BRAIN_STEPS, Brain)
QUICK = TINY.model_copy(
    update={
        "steps": BRAIN_STEPS.model_copy(
            update={
                "register_to": Register(start_degrees=(0,), grids_mm=(8, 4), blurs_mm=(8.0, 0.0)),
                "bias": Bias(grid_mm=10.0, iterations=(8, 8)),
            }
        )
    }
)
"""The whole chain with fewer turns and iterations."""


def brain() -> Volume:
    """The template's brain in whole numbers, a little turned and away from the template's grid."""
    still = template.template(80)
    noise = np.random.default_rng(0).normal(0, 6, still.shape)
    voxels = np.where(still.voxels > 0.1, np.round(still.voxels * 700 + noise), 0)
    turn = np.eye(4)
    turn[:3, :3] = [[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]]
    turn[:3, 3] = [4, -3, 2]
    turn[:3, :3] *= 0.95
    return Volume(np.maximum(voxels, 0).astype(np.float32), turn @ still.affine)


BRAIN = brain()
INSIDE = ndimage.binary_fill_holes(BRAIN.voxels > 0)


def made(voxels: np.ndarray, folder: Path, name: str = "a.nii") -> Preprocessed:
    return preprocess_scan(write_volume(BRAIN.with_voxels(voxels.astype(np.float32)), folder / name), QUICK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("brightness")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Preprocessed:
    found = made(BRAIN.voxels, folder, "plain.nii")
    assert found.record.qc.verdict == "pass", found.record.qc
    return found


@settings(max_examples=10, deadline=None)
@given(st.floats(-7, 7), st.floats(-6, 6))
def test_any_scale_and_offset_give_the_same_volume(
    folder: Path, plain: Preprocessed, power: float, offset: float
) -> None:
    found = made((BRAIN.voxels + 700 * offset) * 10**power, folder)
    assert np.abs(found.volume.voxels - plain.volume.voxels).max() < 0.02
    assert found.record.qc.verdict == "pass"
    assert found.record.qc.notes == ()


@settings(max_examples=5, deadline=None)
@given(st.floats(-1.5, 4))
def test_an_offset_of_the_brain_alone_is_undone_and_said(
    folder: Path, plain: Preprocessed, offset: float
) -> None:
    voxels = np.where(BRAIN.voxels > 0, BRAIN.voxels + 700 * offset, 0)
    try:
        found = made(voxels, folder)
    except ScanError as error:
        assert "brightness is inverted or offset" in error.cause  # noqa: PT017  (one of three honest answers)
        return
    close = np.corrcoef(found.volume.voxels[plain.mask], plain.volume.voxels[plain.mask])[0, 1] > 0.95
    said = found.record.qc.verdict != "pass" and any("brightness" in why for why in found.record.qc.reasons)
    assert close or said


@pytest.mark.parametrize(("scale", "offset"), [(0.01, -0.7)])
def test_a_head_with_skull_may_be_shifted_too(folder: Path, scale: float, offset: float) -> None:

    head = read_scan(HEAD)
    first = preprocess_scan(HEAD, QUICK, cache=folder / "steps")
    path = write_volume(
        head.with_voxels((head.voxels * scale + offset).astype(np.float32)), folder / "head.nii"
    )
    found = preprocess_scan(path, QUICK)
    assert found.record.qc.verdict == "pass"
    assert np.corrcoef(found.volume.voxels.ravel(), first.volume.voxels.ravel())[0, 1] > 0.999


@settings(max_examples=60, deadline=None)
@given(st.floats(0.001, 1000), st.floats(-1e4, 1e4), st.integers(0, 50), st.booleans())
def test_the_background_moves_with_the_scan(scale: float, offset: float, seed: int, stripped: bool) -> None:
    rng = np.random.default_rng(seed)
    voxels = np.abs(rng.normal(0, 5, (20, 20, 20)))
    if stripped:
        voxels[:] = 0
    voxels[4:-4, 4:-4, 4:-4] += 300 + rng.normal(0, 30, (12, 12, 12))
    level, exact = background(voxels.astype(np.float32))
    moved, still_exact = background((voxels * scale + offset).astype(np.float32))
    assert exact == still_exact == stripped
    assert moved == pytest.approx(level * scale + offset, abs=1e-5 * (abs(offset) + 400 * scale))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_a_negative_is_refused_whatever_its_offset(scale: float, offset: float) -> None:
    with pytest.raises(ScanError, match="inverted"):
        from_zero(BRAIN.with_voxels((offset - scale * BRAIN.voxels).astype(np.float32)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1000, 3000), min_size=1, max_size=40, unique=True), st.integers(0, 99))
def test_masks_and_labels_are_refused_whatever_their_numbers(numbers: list[int], seed: int) -> None:
    pieces = ndimage.zoom(np.random.default_rng(seed).integers(0, len(numbers), (7, 7, 7)), 6, order=0)
    labels = np.full((60, 60, 60), min(numbers) - 1, dtype=np.float32)
    labels[9:51, 9:51, 9:51] = np.asarray(numbers)[pieces]
    with pytest.raises(ScanError, match="mask or a label image"):
        refuse_labels(labels)


def test_a_scan_of_8_bits_is_no_label_image() -> None:
    refuse_labels(np.round(BRAIN.voxels / BRAIN.voxels.max() * 60).astype(np.float32))


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape)


def _blobs() -> np.ndarray:
    field = ndimage.gaussian_filter(_noise(INSIDE.shape), 3)
    return np.where(INSIDE, 500 + 120 * field / field.std(), 0)


NO_BRAINS: dict[str, Callable[[], np.ndarray]] = {
    "soft silhouette": lambda: 800 * ndimage.gaussian_filter(INSIDE.astype(float), 1.0),
    "silhouette with noise": lambda: np.where(INSIDE, 500 + 60 * _noise(INSIDE.shape), 0),
    "silhouette with blobs": _blobs,
    "contrast of T2": lambda: np.where(INSIDE, 700 * np.exp(-BRAIN.voxels / 250), 0),
    "front and back swapped": lambda: np.flip(BRAIN.voxels, 1),
    "left half alone": lambda: np.where(np.arange(80)[:, None, None] < 40, BRAIN.voxels, 0),
    "drowned in noise": lambda: np.where(INSIDE, np.abs(BRAIN.voxels + 1400 * _noise(INSIDE.shape)), 0),
}


@pytest.mark.parametrize("name", list(NO_BRAINS))
def test_what_shows_no_brain_never_passes(folder: Path, name: str) -> None:
    """The outline fits in most of them; what is measured is what lies inside."""
    try:
        found = made(NO_BRAINS[name](), folder)
    except ScanError:
        return
    assert found.record.qc.verdict == "fail", found.record.qc


def test_a_header_that_turns_the_head_is_warned_of(folder: Path) -> None:
    """A turn by 90 degrees can be undone; but whoever wrote that header may have mistaken the sides as well."""
    turned = np.ascontiguousarray(np.rot90(BRAIN.voxels, axes=(0, 1)))
    found = preprocess_scan(
        write_volume(Volume(turned.astype(np.float32), np.diag([2.28, 2.28, 2.28, 1.0])), folder / "t.nii"),
        TINY,
    )
    assert found.record.qc.verdict != "pass"
