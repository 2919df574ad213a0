"""Frames to one regular stack of slices: ordered by their positions, or refused; what does not belong to it is left out and said."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging import limits
from voxtune.imaging.dicom.frames import Frame
from voxtune.imaging.dicom.one_kind import of_one_kind
from voxtune.imaging.dicom.series import FEWEST_SLICES, Series

GAP = 1.5
"""A step between slices beyond this multiple of the usual one means a slice is missing."""
UNEVEN = 0.01
"""Of the usual step: how far a slice may lie from its place on an even grid."""
SAME_PLACE_MM = 0.005
STRAIGHT = 0.5
"""Pixels that a stack may lean sideways from one end to the other before its slices are moved."""
BESIDE = 0.25
"""Pixels that one slice may lie beside the line of the others."""
FEW_ODD = 0.1
"""Share of a series that may be something else (a scout among the slices) and is left out."""

EVERY_SLACK = 0.05
LEAST_TILT = 2.0
"""Degrees."""
ACROSS = 0.7
"""Cosine between the normals of a stack and of an image that lies across it."""

Identical = Callable[[Sequence[Frame]], bool]
"""Whether frames hold the same picture."""


@dataclass(frozen=True)
class Stack:
    """Slices in order along their normal, all of one size and direction."""

    frames: tuple[Frame, ...]
    along: NDArray[np.float64]
    """Place of each slice on the normal, mm from the first."""
    aside: NDArray[np.float64]
    """(slices, 2): how far each lies along columns and rows from the first one's normal, pixels (gantry tilt)."""
    affine: NDArray[np.float64]
    """Voxel (column, row, slice) to LPS, mm, of the even upright grid that ``count`` slices are to be put on."""
    count: int
    even: bool
    tilt: float
    """Degrees; 0 where the stack is upright."""
    remarks: tuple[str, ...] = ()
    """What was left out or changed and loses nothing."""
    notes: tuple[str, ...] = ()
    """What a person should look at."""


@dataclass
class _Said:
    remarks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def stacked(series: Series, identical: Identical) -> Stack:
    """The stack that the frames of a series make.

    Args:
        series: its frames in any order.
        identical: asked of frames at one place.

    Raises:
        ScanError: the frames make no single regular volume; the sentence says why.
    """
    said = _Said()
    frames, left_out = _alike(series, said)
    frames = _one_each(series, frames, identical, said)
    if len(frames) < FEWEST_SLICES:
        raise ScanError(
            "scan", f"{series.label} has {len(frames)} slices, at least {FEWEST_SLICES} are needed"
        )
    of_one_kind(series, frames, said.notes)
    positions, row, column = _geometry(frames)
    normal = np.cross(row, column)
    along = (positions - positions[0]) @ normal
    if along[-1] < SAME_PLACE_MM:
        raise ScanError("scan", f"all {len(frames)} slices of {series.label} lie in one plane")
    even, step = _spacing(series, frames, along, left_out, said)
    pixel = np.array([_spacing_of(frames[0])[1], _spacing_of(frames[0])[0]])
    aside = (positions - positions[0]) @ np.stack([row, column], axis=1) / pixel
    tilt = _tilt(series, along, aside, pixel, said)
    count = round(along[-1] / step) + 1
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * pixel[0], column * pixel[1]
    # Below the threshold the lean is kept in the affine, so that every slice lies where its header says.
    way = normal * along[-1] if tilt else positions[-1] - positions[0]
    affine[:3, 2] = way / (count - 1)
    affine[:3, 3] = positions[0]
    _between(frames, step, said)
    _left_out(frames, step, said)
    _denied_tilt(frames, positions, normal, tilt, said)
    return Stack(
        tuple(frames), along, aside, affine, count, even, tilt, tuple(said.remarks), tuple(said.notes)
    )


# ----------------------------------------------------------------------------------------- which
def _alike(series: Series, said: _Said) -> tuple[list[Frame], str]:
    """The frames of the commonest direction and size; the few others are left out, and what they differ in."""
    frames = list(series.frames)
    for frame in frames:
        if not frame.photometric:
            raise ScanError(
                "scan", f"{series.label} does not say what its pixels mean (photometric interpretation)"
            )
        if frame.samples != 1 or not frame.photometric.startswith("MONOCHROME"):
            raise ScanError(
                "scan",
                f"{series.label} holds colour images ({frame.photometric})",
            )
    placed = [one for one in frames if one.position is not None and one.directions is not None]
    if len(placed) < (1 - FEW_ODD) * len(frames):
        raise ScanError("scan", f"{series.label}: {_without(frames, placed)}")
    _same_way(series, placed)
    turned = Counter(_direction(one) for one in placed).most_common(1)[0][0]
    same = [one for one in placed if np.abs(np.array(one.directions) - turned).max() < 1e-2]
    if len(same) < (1 - FEW_ODD) * len(placed):
        raise ScanError("scan", f"the slices of {series.label} point in several directions (a scout)")
    size = Counter((one.rows, one.columns) for one in same).most_common(1)[0][0]
    kept = [one for one in same if (one.rows, one.columns) == size]
    if len(kept) < (1 - FEW_ODD) * len(same):
        raise ScanError("scan", f"the slices of {series.label} differ in size")
    _check_size(size, len(kept))
    reasons = []
    for less, more, what in (
        (placed, frames, "without a position"),
        (same, placed, "of another direction (a localizer)"),
        (kept, same, "of another size"),
    ):
        if len(more) > len(less):
            sentence = f"{len(more) - len(less)} image{'s' * (len(more) - len(less) > 1)} {what} left out"
            reasons.append(what)
            known = "localizer" in what and all(_across(one, turned) for one in placed if one not in same)
            (said.remarks if known else said.notes).append(sentence)
    spacings = {tuple(round(v, 4) for v in _spacing_of(one)) for one in kept}
    if len(spacings) > 1:
        raise ScanError("scan", f"the slices of {series.label} differ in pixel spacing")
    return kept, " and ".join(reasons)


def _without(frames: Sequence[Frame], placed: Sequence[Frame]) -> str:
    files = len({one.file for one in frames})
    if files < len(frames):
        return (
            f"{files} multi-frame file{'s' * (files > 1)} with {len(frames)} frames and {len(placed)} positions: "
            "where the frames lie is not said (frames in time, or geometry of an unknown kind)"
        )
    return f"{len(frames) - len(placed)} of {len(frames)} slices lack a position or orientation"


def _direction(frame: Frame) -> tuple[float, ...]:
    assert frame.directions is not None
    # Adding 0 makes -0 a 0.
    return tuple(round(value, 2) + 0.0 for value in frame.directions)


def _across(frame: Frame, turned: Sequence[float]) -> bool:
    """Whether a frame lies across the stack as a localizer does; one that is hardly turned may be a slice of it."""
    mine, theirs = (np.cross(one[:3], one[3:]) for one in (frame.directions or (), turned))
    return bool(abs(mine @ theirs) < ACROSS)


def _same_way(series: Series, placed: Sequence[Frame]) -> None:
    """Directions must be two unit vectors at right angles."""
    for frame in placed:
        pair = np.array(frame.directions).reshape(2, 3)
        if not np.allclose(pair @ pair.T, np.eye(2), atol=1e-2):
            raise ScanError("scan", f"a slice of {series.label} has directions that are not at right angles")


def _spacing_of(frame: Frame) -> tuple[float, ...]:
    if frame.spacing is None or min(frame.spacing) <= 0:
        raise ScanError("scan", "a slice of it has no pixel spacing")
    return frame.spacing


def _check_size(size: tuple[int, int], count: int) -> None:
    if min(size) < 2:
        raise ScanError("scan", f"its slices have {size[1]} x {size[0]} pixels")
    if max(*size, count) > limits.MAX_AXIS or float(size[0]) * size[1] * count > limits.MAX_VOXELS:
        raise ScanError(
            "scan", f"{size[1]} x {size[0]} x {count} voxels are more than the limit of {limits.MAX_VOXELS:,}"
        )


# ----------------------------------------------------------------------------------------- where
def _geometry(
    frames: Sequence[Frame],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    directions = np.median(np.array([one.directions for one in frames]), axis=0)
    row = directions[:3] / np.linalg.norm(directions[:3])
    column = directions[3:] - (directions[3:] @ row) * row
    return np.array([one.position for one in frames]), row, column / np.linalg.norm(column)


def _one_each(series: Series, frames: list[Frame], identical: Identical, said: _Said) -> list[Frame]:
    """The frames in order with one at each place; copies are dropped, different pictures at one place refused."""
    positions, row, column = _geometry(frames)
    along = positions @ np.cross(row, column)
    order = [int(i) for i in np.argsort(along, kind="stable")]
    groups: list[list[int]] = []
    for i in order:
        if (
            groups
            and along[i] - along[groups[-1][-1]] < SAME_PLACE_MM
            and np.linalg.norm(positions[i] - positions[groups[-1][-1]]) < 10 * SAME_PLACE_MM
        ):
            groups[-1].append(i)
        else:
            groups.append([i])
    dropped = 0
    for group in groups:
        if len(group) == 1:
            continue
        if not identical([frames[i] for i in group]):
            files = {frames[i].file for i in group}
            raise ScanError(
                "scan",
                f"{series.label} has several images at one place{' of one file' if len(files) == 1 else ''}: "
                f"a 4D series ({len(frames)} images at {len(groups)} positions); one 3D volume is needed",
            )
        dropped += len(group) - 1
    if dropped:
        said.remarks.append(f"{dropped} image{'s' * (dropped > 1)} came twice; the copies left out")
    return [frames[group[0]] for group in groups]


def _spacing(
    series: Series, frames: Sequence[Frame], along: NDArray[np.float64], left_out: str, said: _Said
) -> tuple[bool, float]:
    """Whether the slices are evenly spaced, and their usual step, mm."""
    steps = np.diff(along)
    usual = float(np.median(steps))
    even = np.linspace(0, along[-1], len(along))
    if np.abs(along - even).max() <= UNEVEN * usual:
        return True, float(along[-1] / (len(along) - 1))
    acquisitions = {one.acquisition for one in frames}
    irregular = f"slices are {steps.min():.2f} to {steps.max():.2f} mm apart"
    if len(acquisitions) > 1 and _overlap(frames, along):
        raise ScanError(
            "scan", f"{series.label} holds {len(acquisitions)} acquisitions that overlap: its {irregular}"
        )
    if left_out and steps.max() > GAP * usual:
        raise ScanError(
            "scan",
            f"slices of {series.label} differ: without those {left_out} a gap of {steps.max():.1f} mm remains",
        )
    if steps.max() > GAP * usual:
        raise ScanError(
            "scan",
            f"slices are missing in {series.label}: a gap of {steps.max():.1f} mm where {usual:.1f} mm is usual",
        )
    if steps.min() < usual / (2 * GAP):
        raise ScanError("scan", f"the slices of {series.label} are unevenly spaced: {irregular}")
    said.notes.append(
        f"uneven spacing: {irregular}; resampled to {along[-1] / round(along[-1] / usual):.2f} mm"
    )
    return False, usual


def _overlap(frames: Sequence[Frame], along: NDArray[np.float64]) -> bool:
    """Whether the ranges of two acquisitions share slices."""
    ranges = []
    for number in {one.acquisition for one in frames}:
        mine = [place for one, place in zip(frames, along, strict=True) if one.acquisition == number]
        ranges.append((min(mine), max(mine)))
    ranges.sort()
    return any(after[0] < before[1] for before, after in pairwise(ranges))


def _tilt(
    series: Series,
    along: NDArray[np.float64],
    aside: NDArray[np.float64],
    pixel: NDArray[np.float64],
    said: _Said,
) -> float:
    """Degrees by which the stack leans, 0 where it is upright; a slice beside the line of the others is refused."""
    # Slopes over half the stack: rounded positions hardly move them, and one slice beside the others does not either.
    half = len(along) // 2
    lean = np.median((aside[half:] - aside[:-half]) / (along[half:] - along[:-half])[:, None], axis=0)
    line = np.outer(along, lean)
    rest = aside - line
    rest -= np.median(rest, axis=0)
    if np.abs(rest).max() > BESIDE:
        worst = np.abs(rest * pixel).max()
        raise ScanError(
            "scan", f"a slice of {series.label} lies {worst:.1f} mm beside the line of the others"
        )
    if np.abs(line[-1]).max() <= STRAIGHT:
        return 0.0
    tilt = float(np.degrees(np.arctan(np.linalg.norm(lean * pixel))))
    said.remarks.append(f"taken with the gantry tilted by {tilt:.1f} degrees; slices moved to stand upright")
    return tilt


def _left_out(frames: Sequence[Frame], step: float, said: _Said) -> None:
    """Note slices of which only every second (third ...) is here: by their numbers, and by a distance or thickness that is that part of theirs."""
    numbers = np.array([np.nan if one.number is None else one.number for one in frames])
    every = np.unique(np.abs(np.diff(numbers)))
    if every.size != 1 or not every[0] >= 2:
        return
    stated = [abs(one.between or one.thickness or np.inf) for one in frames]
    if abs(float(np.median(stated)) * every[0] - step) <= EVERY_SLACK * step:
        said.notes.append(
            f"only one of every {every[0]:.0f} slices may be here: their instance numbers and their thickness leave the others out"
        )


def _denied_tilt(
    frames: Sequence[Frame],
    positions: NDArray[np.float64],
    normal: NDArray[np.floating[Any]],
    tilt: float,
    said: _Said,
) -> None:
    """Note a tilt of the gantry that neither the directions of the slices nor their positions show."""
    stated = abs(float(np.median([one.tilt for one in frames])))
    way = positions[-1] - positions[0]
    lean = np.degrees(np.arccos(np.clip(abs(way @ normal) / np.linalg.norm(way), 0, 1)))
    turned = np.degrees(np.arccos(np.clip(np.abs(normal).max(), 0, 1)))
    if stated > LEAST_TILT and max(tilt, lean, turned) < LEAST_TILT / 2:
        said.notes.append(
            f"its header says that the gantry was tilted by {stated:g} degrees, and its slices do not lie so"
        )


def _between(frames: Sequence[Frame], step: float, said: _Said) -> None:
    stated = {abs(one.between) for one in frames if one.between}
    if len(stated) == 1 and abs(next(iter(stated)) - step) > 0.05 * step:
        said.remarks.append(
            f"the header says slices are {next(iter(stated)):g} mm apart, their positions {step:g} mm; positions used"
        )
