"""A NIfTI header places its voxels twice: what both forms say is taken, what they deny each other is refused or said."""

import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from voxtune.commands.preprocess import preprocess
from voxtune.errors import DataError, ScanError, SettingError
from voxtune.imaging.affine import checked_axes, crookedness, directed
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.orient import axis_codes, orient
from voxtune.imaging.own_space import CROOKED_DEGREES
from voxtune.imaging.presets import CT_CLIP_SMALL, MERLIN, TINY, Preset
from voxtune.imaging.read import open_scan
from voxtune.imaging.resample import upright
from voxtune.imaging.template import template
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume

RAMP = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
PLAIN = np.array([[2.0, 0, 0, -6], [0, 2.5, 0, 4], [0, 0, 3.0, 9], [0, 0, 0, 1]])


def written(
    path: Path,
    sform: np.ndarray | None,
    qform: np.ndarray | None,
    *,
    codes: tuple[int, int] = (1, 1),
    pixdim: tuple[float, ...] | None = None,
    units: int = 2,
) -> Path:
    """A NIfTI file whose two forms are written as given."""
    image = nibabel.Nifti1Image(RAMP, np.diag([2.0, 2.5, 3.0, 1.0]))
    image.header.set_qform(qform, code=codes[0] if qform is not None else 0)
    image.header.set_sform(sform, code=codes[1] if sform is not None else 0)
    data = bytearray(image.header.binaryblock + bytes(4) + RAMP.tobytes(order="F"))
    struct.pack_into("<f", data, 108, 352.0)
    if pixdim is not None:
        struct.pack_into("<3f", data, 80, *pixdim)
    data[123] = units
    path.write_bytes(bytes(data))
    return path


def turned(degrees: float, axis: str = "z", scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    change = np.eye(4)
    change[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix() * scale
    change[:3, 3] = shift
    return change @ PLAIN


def mirrored(axis: int) -> np.ndarray:
    affine = PLAIN.copy()
    affine[:3, 3] += affine[:3, axis] * (RAMP.shape[axis] - 1)
    affine[:3, axis] *= -1
    return affine


@pytest.mark.parametrize(("q", "s"), [(True, True), (True, False), (False, True)])
def test_either_form_alone_or_both_place_the_scan(tmp_path: Path, q: bool, s: bool) -> None:
    scan = open_scan(written(tmp_path / "a.nii", PLAIN if s else None, PLAIN if q else None))
    assert np.allclose(scan.volume.affine, PLAIN, atol=1e-4)
    assert scan.notes == ()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("codes", [(1, 1), (1, 4), (2, 1)])
def test_forms_that_mirror_each_other_are_refused(tmp_path: Path, axis: int, codes: tuple[int, int]) -> None:
    path = written(tmp_path / "a.nii", mirrored(axis), PLAIN, codes=codes)
    with pytest.raises(ScanError, match="qform and sform disagree about which side is left"):
        open_scan(path)
    assert axis_codes(open_scan(path, orientation="LPS").volume.affine) == "LPS"


def test_forms_with_other_axes_or_other_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="directions of the voxel axes by 90 degrees"):
        open_scan(written(tmp_path / "a.nii", turned(90), PLAIN))
    with pytest.raises(ScanError, match="disagree about the voxel size"):
        open_scan(written(tmp_path / "b.nii", turned(0, scale=1 / 3), PLAIN))
    with pytest.raises(ScanError, match="disagree about the voxel size"):
        open_scan(written(tmp_path / "c.nii", turned(0, scale=1 / 3), PLAIN, codes=(1, 4)))


@pytest.mark.parametrize(
    ("sform", "says"),
    [
        (turned(12, "x"), "by 12 degrees"),
        (turned(0, scale=1.15), "voxel size by 1.15"),
        (turned(0, shift=30.0), "in place by"),
    ],
    ids=["turned", "scaled", "moved"],
)
def test_a_registered_sform_is_followed_and_said(tmp_path: Path, sform: np.ndarray, says: str) -> None:
    scan = open_scan(written(tmp_path / "a.nii", sform, PLAIN, codes=(1, 4)))
    assert np.allclose(scan.volume.affine, sform, atol=1e-4)
    assert says in scan.notes[0]


def test_a_sheared_sform_agrees_with_the_rotation_nearest_to_it(tmp_path: Path) -> None:
    sheared = PLAIN.copy()
    sheared[1, 2] = 0.8
    left, _, right = np.linalg.svd(sheared[:3, :3] / np.linalg.norm(sheared[:3, :3], axis=0))
    nearest = sheared.copy()
    nearest[:3, :3] = (left @ right) * np.linalg.norm(sheared[:3, :3], axis=0)
    scan = open_scan(written(tmp_path / "a.nii", sheared, nearest))
    assert scan.notes == ()
    assert crookedness(scan.volume.affine)[0] == pytest.approx(np.degrees(np.arctan(0.8 / 3)), abs=0.1)


def test_codes_of_0_are_refused_until_the_directions_are_declared(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii", None, None, pixdim=(2.0, 2.5, 3.0))
    with pytest.raises(ScanError, match=r"does not say where left is.*--orientation"):
        open_scan(path)
    scan = open_scan(path, orientation="pir")
    assert axis_codes(scan.volume.affine) == "PIR"
    assert scan.volume.spacing == pytest.approx((2.0, 2.5, 3.0))
    assert "declared to be PIR" in scan.notes[0]
    # A header that says is followed, whatever is declared for others of its cohort.
    said = open_scan(written(tmp_path / "b.nii", PLAIN, PLAIN), orientation="PIR")
    assert (axis_codes(said.volume.affine), said.notes) == ("RAS", ())
    with pytest.raises(ScanError, match="voxel spacing of 0"):
        open_scan(written(tmp_path / "c.nii", None, None, pixdim=(0, 0, 0)), orientation="RAS")


@pytest.mark.parametrize("pixdim", [(0.0, 0.0, 0.0), (float("nan"), 1.0, 1.0)])
def test_a_sound_sform_needs_no_pixdim(tmp_path: Path, pixdim: tuple[float, ...]) -> None:
    scan = open_scan(written(tmp_path / "a.nii", PLAIN, None, pixdim=pixdim))
    assert np.allclose(scan.volume.affine, PLAIN, atol=1e-4)


def test_a_pixdim_that_differs_from_the_sform_is_said(tmp_path: Path) -> None:
    scan = open_scan(written(tmp_path / "a.nii", PLAIN, None, pixdim=(1.0, 1.0, 1.0)))
    assert "2.00 x 2.50 x 3.00 times that of pixdim" in scan.notes[0]


def test_a_first_pixdim_of_0_means_1(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii", None, PLAIN)
    data = bytearray(path.read_bytes())
    struct.pack_into("<f", data, 76, 0.0)
    path.write_bytes(data)
    assert np.allclose(open_scan(path).volume.affine, PLAIN, atol=1e-4)


def test_a_quaternion_that_is_no_rotation_is_left_aside_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nii", PLAIN, PLAIN)
    data = bytearray(path.read_bytes())
    struct.pack_into("<3f", data, 256, 0.9, 0.9, 0.9)
    path.write_bytes(data)
    scan = open_scan(path)
    assert np.allclose(scan.volume.affine, PLAIN, atol=1e-4)
    assert "no rotation" in scan.notes[0]


@pytest.mark.parametrize("pixdim", [(-2.0, 2.5, 3.0), (2.0, -2.5, 3.0), (-2.0, -2.5, -3.0)])
def test_a_negative_voxel_size_is_named_where_the_qform_rests_on_it(
    tmp_path: Path, pixdim: tuple[float, ...]
) -> None:
    """Not as codes of 0, which the header does not have; the sform needs no voxel size."""
    with pytest.raises(ScanError, match=r"negative voxel size .* its qform has no meaning") as caught:
        open_scan(written(tmp_path / "q.nii", None, PLAIN, pixdim=pixdim))
    assert "codes" not in str(caught.value)
    declared = open_scan(written(tmp_path / "d.nii", None, PLAIN, pixdim=pixdim), orientation="RAS")
    assert "negative voxel size" in declared.notes[0]
    both = open_scan(written(tmp_path / "b.nii", PLAIN, PLAIN, pixdim=pixdim))
    assert np.allclose(both.volume.affine, PLAIN, atol=1e-4)
    assert both.notes[0].endswith("the sform was followed")
    assert np.allclose(
        open_scan(written(tmp_path / "s.nii", PLAIN, None, pixdim=pixdim)).volume.affine, PLAIN
    )


@pytest.mark.parametrize(("units", "factor"), [(1, 1e-3), (2, 1.0), (3, 1e3), (0, 1.0)])
def test_units_are_turned_to_millimetres(tmp_path: Path, units: int, factor: float) -> None:
    small = np.diag([factor, factor, factor, 1.0]) @ PLAIN
    scan = open_scan(written(tmp_path / "a.nii", small, small, units=units))
    assert scan.volume.spacing == pytest.approx((2.0, 2.5, 3.0), rel=1e-4)
    assert scan.notes == ()


def test_units_that_cannot_be_are_taken_for_millimetres_and_said(tmp_path: Path) -> None:
    scan = open_scan(written(tmp_path / "a.nii", PLAIN, PLAIN, units=1))
    assert scan.volume.spacing == pytest.approx((2.0, 2.5, 3.0), rel=1e-4)
    assert "metres" in scan.notes[0]


@given(st.permutations(["RL", "AP", "SI"]), st.tuples(*[st.integers(0, 1)] * 3))
def test_declared_directions_are_those_of_the_affine(order: list[str], ends: tuple[int, ...]) -> None:
    axes = "".join(pair[end] for pair, end in zip(order, ends, strict=True))
    affine = directed(axes.lower(), (6, 7, 8), np.array([1.0, 2.0, 3.0]))
    assert axis_codes(affine) == axes
    assert np.allclose(affine @ [2.5, 3.0, 3.5, 1], [0, 0, 0, 1])


@pytest.mark.parametrize("axes", ["RA", "RAA", "RLS", "XYZ", "", "RASL"])
def test_directions_are_three(axes: str) -> None:
    with pytest.raises(SettingError, match="--orientation"):
        checked_axes(axes)


# ------------------------------------------------------------------------------------ the whole chain
BALL = np.array([18.0, -25.0, 30.0])


def chest(affine: np.ndarray, shape: tuple[int, int, int]) -> Volume:
    """A body in air with a dense ball at ``BALL`` of the world, sampled on any grid."""
    places = np.indices(shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    values = np.where((places / [140, 110, 150]) ** 2 @ np.ones(3) < 1, 40.0, -1000.0)
    values[np.linalg.norm(places - [-60, 0, 0], axis=1) < 40] = -850
    values[np.linalg.norm(places - BALL, axis=1) < 14] = 900
    values += np.random.default_rng(0).normal(0, 8, values.shape)
    return Volume(values.reshape(shape).astype(np.float32), affine)


def crooked(turn: tuple[float, float, float], shear: float) -> np.ndarray:
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    affine[1, 2] = 5 * np.tan(np.radians(shear))
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ affine[:3, :3]
    affine[:3, 3] = -affine[:3, :3] @ (np.array([90, 80, 80]) - 1) / 2
    return affine


@pytest.mark.parametrize("preset", [CT_CLIP_SMALL, MERLIN], ids=lambda one: one.name)
@settings(max_examples=4, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-35, 35)] * 3),
    shear=st.floats(-25, 25),
    axes=st.sampled_from(["RAS", "LPI", "PIR"]),
)
def test_a_ct_turned_or_sheared_keeps_its_places(
    tmp_path_factory: pytest.TempPathFactory,
    preset: Preset,
    turn: tuple[float, float, float],
    shear: float,
    axes: str,
) -> None:
    scan = orient(chest(crooked(turn, shear), (90, 80, 80)), axes)
    made = preprocess_scan(write_volume(scan, tmp_path_factory.mktemp("ct") / "a.nii"), preset)
    bright = np.argwhere(made.volume.voxels > 450).mean(axis=0)
    found = made.volume.affine[:3, :3] @ bright + made.volume.affine[:3, 3]
    # The presets count whole voxels: half of one is theirs.
    assert np.linalg.norm(found - BALL) < 1.5 + np.linalg.norm(preset.spacing) / 2
    # What hardly lies askew is taken as it is; what was resampled lies straight.
    assert max(crookedness(made.volume.affine)) <= CROOKED_DEGREES
    if max(crookedness(scan.affine)) > CROOKED_DEGREES:
        assert crookedness(made.volume.affine) == pytest.approx((0, 0), abs=0.01)


def test_a_straight_ct_is_not_resampled_twice(tmp_path: Path) -> None:
    made = preprocess_scan(
        write_volume(chest(crooked((0, 0, 0), 0), (90, 80, 80)), tmp_path / "a.nii"), CT_CLIP_SMALL
    )
    assert [step.name for step in made.record.steps] == ["read", "check", "fit"]


def test_upright_holds_all_of_a_turned_volume() -> None:
    volume = chest(crooked((25, -10, 30), 12), (90, 80, 80))
    straight = upright(volume, -1000)
    assert straight.voxels.min() >= -1100
    voxel = [float(np.prod(one.spacing)) for one in (volume, straight)]
    dense = [np.count_nonzero(one.voxels > 450) for one in (volume, straight)]
    across = abs(float(np.linalg.det(volume.affine[:3, :3])))
    assert dense[1] * voxel[1] == pytest.approx(dense[0] * across, rel=0.12)


def test_preprocess_takes_declared_directions(tmp_path: Path) -> None:
    still = template(64)
    image = nibabel.Nifti1Image(still.voxels, None)
    image.header.set_zooms(still.spacing)
    nibabel.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match="where left is"):
        preprocess(tmp_path / "a.nii.gz", tmp_path / "refused", preset="tiny")
    done = preprocess(tmp_path / "a.nii.gz", tmp_path / "out", preset="tiny", orientation="RAS")
    table = (done.parent / "qc.tsv").read_text()
    assert "declared to be RAS" in table
    assert "warn" in table
    from voxtune.imaging.stored import stored_scan

    (volume,) = done.parent.glob("*/volume.nii.gz")
    assert stored_scan(volume, TINY) is not None
    with pytest.raises(SettingError, match="--orientation"):
        preprocess(tmp_path / "a.nii.gz", tmp_path / "other", preset="tiny", orientation="up")
