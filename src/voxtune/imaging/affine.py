"""Where voxels lie: the two forms of a NIfTI header weighed against each other, and what no affine may be.

A header places its voxels up to three times: qform (rotation, spacing, origin), sform (any affine), pixdim (spacing alone).
Source: https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields/nifti1fields_pages/qsform.html. Where two of them cannot
both be true about sides or sizes, nobody can know which one is, and the scan is refused.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError, SettingError
from voxtune.imaging import limits
from voxtune.imaging.orient import WORLD, axis_codes

Matrix = NDArray[np.float64]

SAME_SPACING = 0.02
"""Two spacings further apart than this share are two spacings."""
REGISTERED_SCALE = (0.7, 1.4)
"""Ratio of spacings that an affine registration of one person to a template explains."""
SAME_DEGREES, OTHER_AXIS_DEGREES = 1.0, 45.0
"""Below the first two directions are the same, beyond the second they are different axes."""
SAME_PLACE_MM = 2.0
UNITS_MM = {1: 1000.0, 3: 0.001}
"""``xyzt_units`` & 7 of metres and micrometres, in millimetres; 2 and 0 are millimetres."""
DECLARE = "Correct the header, or say where the voxel axes point with --orientation (such as RAS or LPS)."


@dataclass(frozen=True)
class Placement:
    """Where the voxels of a file lie, and what there is to say about it."""

    affine: Matrix
    """Voxel to RAS+ world, mm (4, 4)."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forms:
    """What a NIfTI header says of its place: affines in mm, ``None`` where its code is 0 or it cannot be computed."""

    spacing: Matrix
    """pixdim 1 to 3, mm; 0 or NaN where the header has none."""
    qform: Matrix | None
    qform_code: int
    sform: Matrix | None
    sform_code: int
    notes: tuple[str, ...] = ()
    unusable: str = ""
    """Why a qform that has a code cannot be computed."""


def forms(raw) -> Forms:  # type: ignore[no-untyped-def]  # nibabel ships no types
    """The forms of a nibabel NIfTI header that was not checked."""
    from nibabel.spatialimages import HeaderDataError

    stated = np.asarray(raw["pixdim"][1:4], dtype=np.float64)
    spacing = np.abs(stated)
    notes: list[str] = []
    qform, sform, unusable = None, None, ""
    if int(raw["qform_code"]) > 0 and _sound(spacing):
        try:
            raw["pixdim"][0] = -1 if raw["pixdim"][0] < 0 else 1  # 0 means 1
            qform = np.asarray(raw.get_qform(), dtype=np.float64)
        except (ValueError, ArithmeticError, HeaderDataError):
            unusable = (
                f"the header gives a negative voxel size ({_by(stated, 'g')} mm), with which its qform has no meaning"
                if (stated < 0).any()
                else "the qform of its header is no rotation"
            )
    if int(raw["sform_code"]) > 0:
        sform = np.asarray(raw.get_sform(), dtype=np.float64)
    factor = UNITS_MM.get(int(raw["xyzt_units"]) & 7, 1.0)
    if factor != 1.0:
        longest = _longest(spacing, qform, sform) * factor
        if limits.MIN_SPACING_MM <= longest <= limits.MAX_SPACING_MM:
            spacing = spacing * factor
            qform, sform = _scaled(qform, factor), _scaled(sform, factor)
        else:
            unit = "metres" if factor > 1 else "micrometres"
            notes.append(f"its header says {unit}, which its numbers cannot be; millimetres were assumed")
    if unusable and sform is not None:
        notes.append(f"{unusable}; the sform was followed")
    return Forms(
        spacing, qform, int(raw["qform_code"]), sform, int(raw["sform_code"]), tuple(notes), unusable
    )


def placement(path: Path, found: Forms, shape: tuple[int, int, int], orientation: str | None) -> Placement:
    """The affine of a file: its sform, else its qform, if nothing else in the header denies it.

    Args:
        path: names the scan in messages.
        found: what the header says.
        shape: voxels along each axis.
        orientation: where the voxel axes point, declared by the caller; used where the header does not say, or says two things.

    Raises:
        ScanError: the header does not say where left is, contradicts itself, or gives an impossible affine.
    """
    if found.sform is None and not _sound(found.spacing):
        raise ScanError(
            path, f"the header gives a voxel spacing of {' x '.join(f'{p:g}' for p in found.spacing)} mm"
        )
    if found.sform is None and found.qform is None:
        why = (
            found.unusable or "the codes of qform and sform are both 0: the header does not say where left is"
        )
        return _declared(path, why, found, shape, orientation)
    affine, name = (found.sform, "sform") if found.sform is not None else (found.qform, "qform")
    assert affine is not None
    check_affine(path, affine, shape, name)
    notes: tuple[str, ...] = ()
    if name == "sform" and found.qform is not None:
        check_affine(path, found.qform, shape, "qform")
        why, notes = _compared(found.qform, affine, shape, registered=found.sform_code != found.qform_code)
        if why:
            return _declared(path, why, found, shape, orientation)
    elif name == "sform" and _sound(found.spacing):
        ratio = np.linalg.norm(affine[:3, :3], axis=0) / found.spacing
        if np.abs(ratio - 1).max() > SAME_SPACING:
            notes = (
                f"the voxel size of its sform is {_by(ratio)} times that of pixdim; the sform was followed",
            )
    return Placement(affine, (*found.notes, *notes))


def _compared(
    qform: Matrix, sform: Matrix, shape: tuple[int, int, int], *, registered: bool
) -> tuple[str, tuple[str, ...]]:
    """Why the two cannot both be true (empty if they can), and what to say where they differ within reason."""
    q_steps, s_steps = (np.linalg.norm(one[:3, :3], axis=0) for one in (qform, sform))
    # A qform cannot hold shear: it is compared with the rotation nearest to the sform.
    left, _, right = np.linalg.svd(sform[:3, :3] / s_steps)
    turn = (qform[:3, :3] / q_steps).T @ (left @ right)
    codes = f"qform {axis_codes(qform)}, sform {axis_codes(sform)}"
    if np.linalg.det(turn) < 0:
        return f"qform and sform disagree about which side is left: they mirror each other ({codes})", ()
    degrees = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    if degrees > OTHER_AXIS_DEGREES:
        return (
            f"qform and sform disagree about the directions of the voxel axes by {degrees:.0f} degrees ({codes})",
            (),
        )
    ratio = s_steps / q_steps
    low, high = REGISTERED_SCALE if registered else (1 - SAME_SPACING, 1 + SAME_SPACING)
    if ratio.min() < low or ratio.max() > high:
        return (
            f"qform and sform disagree about the voxel size: that of the sform is {_by(ratio)} times the other",
            (),
        )
    middle = np.append((np.asarray(shape) - 1) / 2, 1.0)
    apart = float(np.linalg.norm((sform - qform) @ middle))
    differ = [
        *([f"by {degrees:.0f} degrees"] if degrees > SAME_DEGREES else []),
        *([f"in voxel size by {_by(ratio)}"] if np.abs(ratio - 1).max() > SAME_SPACING else []),
        *([f"in place by {apart:.0f} mm"] if apart > SAME_PLACE_MM else []),
    ]
    if not differ:
        return "", ()
    return "", (f"qform and sform differ {', '.join(differ)}; the sform was followed",)


def _declared(
    path: Path, why: str, found: Forms, shape: tuple[int, int, int], orientation: str | None
) -> Placement:
    if orientation is None:
        raise ScanError(path, why, DECLARE)
    affine = directed(orientation, shape, found.spacing)
    check_affine(path, affine, shape, "pixdim")
    return Placement(affine, (*found.notes, f"{why}; it was declared to be {orientation.upper()}"))


def directed(axes: str, shape: tuple[int, int, int], spacing: Matrix) -> Matrix:
    """The affine (4, 4) of voxel axes that point to ``axes`` (three letters), the world's origin in the middle.

    Raises:
        SettingError: they are not three directions, one of R/L, A/P and S/I each.
    """
    letters = checked_axes(axes)
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for axis, letter in enumerate(letters):
        world = next(i for i, ends in enumerate(WORLD) if letter in ends)
        affine[world, axis] = spacing[axis] * (1 if letter == WORLD[world][1] else -1)
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


def checked_axes(axes: str) -> str:
    """Three direction letters in capitals.

    Raises:
        SettingError: they are not one of R/L, A/P and S/I each.
    """
    letters = axes.strip().upper()
    worlds = [i for letter in letters for i, ends in enumerate(WORLD) if letter in ends]
    if len(letters) != len(WORLD) or sorted(worlds) != [0, 1, 2]:
        raise SettingError(
            "--orientation", "three letters, one of R/L, A/P and S/I each, such as RAS or LPS", axes
        )
    return letters


def check_affine(path: Path, affine: Matrix, shape: tuple[int, int, int], name: str) -> None:
    """Refuse an affine that is not finite, singular, or gives an implausible spacing or extent.

    Raises:
        ScanError: it says which.
    """
    if not np.isfinite(affine).all():
        raise ScanError(path, f"the affine ({name}) holds NaN or infinite numbers")
    if np.abs(affine[:3, 3]).max() > limits.MAX_ORIGIN_MM:
        raise ScanError(
            path,
            f"the affine ({name}) places it {np.abs(affine[:3, 3]).max():.3g} mm away, which is implausible",
        )
    columns = affine[:3, :3]
    steps = np.linalg.norm(columns, axis=0)
    # Volume of the voxel against that of the box with the same edges: 0 when axes are parallel.
    if (steps == 0).any() or abs(np.linalg.det(columns / np.where(steps == 0, 1, steps))) < 1e-3:
        raise ScanError(
            path, f"the affine ({name}) is singular: it does not place voxels in three dimensions"
        )
    if steps.min() < limits.MIN_SPACING_MM or steps.max() > limits.MAX_SPACING_MM:
        raise ScanError(path, f"the voxel spacing {' x '.join(f'{s:g}' for s in steps)} mm is implausible")
    extent = steps * shape
    if extent.max() > limits.MAX_EXTENT_MM:
        raise ScanError(path, f"the field of view {' x '.join(f'{e:.0f}' for e in extent)} mm is implausible")


def crookedness(affine: Matrix) -> tuple[float, float]:
    """How far the voxel axes are from right angles to each other (shear), and from the world's axes, in degrees."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    between = np.abs(axes.T @ axes - np.eye(3)).max()
    along = np.abs(axes).max(axis=0).min()
    return (
        float(np.degrees(np.arcsin(np.clip(between, 0, 1)))),
        float(np.degrees(np.arccos(np.clip(along, -1, 1)))),
    )


def _sound(spacing: Matrix) -> bool:
    return bool(np.isfinite(spacing).all() and (spacing > 0).all())


def _longest(spacing: Matrix, *affines: Matrix | None) -> float:
    known = [np.linalg.norm(one[:3, :3], axis=0) for one in affines if one is not None]
    return float(np.nanmax([*known, spacing]))


def _scaled(affine: Matrix | None, factor: float) -> Matrix | None:
    return None if affine is None else np.diag([factor, factor, factor, 1.0]) @ affine


def _by(numbers: Matrix, form: str = ".2f") -> str:
    return " x ".join(format(one, form) for one in numbers)
