"""Whether slices stand in the order of the body: each looks most like its neighbours, and changes come bit by bit.

Positions tell the order of DICOM slices. A NIfTI file that was stacked by file name, by instance number or pass after pass has
none, and a chest has no template. Pictures are compared as shapes (correlation of slices averaged to a small grid), so that brightness
that changes from slice to slice says nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging.wrapped import own_range
from voxtune.types.volume import Volume

Array = NDArray[np.float32]
Matrix = NDArray[np.float64]

GRID, SAMPLES = 24, 96
"""A slice is averaged to about so many fields along each edge, from at most about so many voxels."""
SOME, MUCH = 0.1, 0.3
"""Contrast of a slice against that with most: enough to be found elsewhere, and enough to be judged alone (not an end, not air)."""
ALIKE = 0.6
"""Correlation from which a slice elsewhere is its neighbour."""
AWAY = 2
"""Slices further off are elsewhere."""
DISORDER = 0.3
"""Share of slices that look most like one elsewhere: 0.05 at most in nineteen real scans, 0.8 and more out of order."""
TIMES, LEAST, LEAST_ALONE = 1.5, 0.005, 0.03
"""How much less (in unlikeness, and in correlation of many slices and of a single one) slices look like their neighbours than like those
that would fit."""
JUMP_TIMES, LEAST_JUMP = 4.0, 0.03
"""How much more a picture changes from one slice to the next than on either side of it: 3.3 at most in nineteen real scans."""
USUAL_TIMES = 1.5
"""Such ends differ hardly more than slices usually do."""
JOINT_TIMES = 2.5
"""The jump where such parts meet against the changes on either side of it."""
LEAST_ENDS = 0.1
"""Unlikeness of the first and last slice of a picture that was cut in two and put together the other way round."""
MIRROR_SLACK, MIRROR_PART = 2, 30
"""Slices, or a part of them, by which two may miss the same distance from the middle."""
ROUNDING = 0.004
"""Unlikeness below this is noise."""
FEWEST = 8
"""Fewer slices are not judged."""


@dataclass(frozen=True)
class Likeness:
    """How much the slices across one axis look like each other."""

    each: Matrix
    """Correlation of every slice with every other (n, n)."""
    some: NDArray[np.bool_]
    """Slices with some contrast."""
    much: NDArray[np.bool_]
    copies: NDArray[np.bool_]
    """Slices that equal the one before, number by number."""


def check_slice_order(scan: str | Path, volume: Volume) -> tuple[str, ...]:
    """Refuse slices in another order than that of the body; single ones out of place, and jumps, come back as sentences.

    Raises:
        ScanError: most slices look more like one elsewhere than like their neighbours.
    """
    notes: list[str] = []
    own = own_range(volume.voxels)
    for axis in range(3):
        if volume.shape[axis] < FEWEST:
            continue
        found = likeness(volume.voxels, axis, own)
        share = disorder(found)
        if share > DISORDER:
            raise ScanError(
                scan,
                f"its slices are not in the order of the body: {share:.0%} of them look more like one elsewhere than like their neighbours",
                "Stack them again by their positions.",
            )
        odd, jumps = out_of_place(found), seams(found)
        copies = int(np.count_nonzero(found.copies & found.much))
        if copies > 1:  # one is what a picture has that was mirrored by computer
            notes.append(f"{copies} of its slices are exact copies of the one before")
        if odd:
            notes.append(
                f"{_counted(odd)} of it look{'s' * (len(odd) == 1)} unlike {'its' if len(odd) == 1 else 'their'} neighbours, which fit each other better: out of order, or damaged"
            )
        elif np.argmax(np.abs(volume.affine[:3, axis])) != 0 and joined_ends(
            found
        ):  # not left to right: mirrored
            notes.append(
                "its last slice goes on with its first, and inside it is a jump: its parts were exchanged, or it is folded over"
            )
        elif jumps:
            notes.append(
                f"its picture jumps after {_counted(jumps)}: slices may be missing there, or parts of it exchanged"
            )
    return tuple(dict.fromkeys(notes))


def likeness(voxels: Array, axis: int, own: tuple[float, float]) -> Likeness:
    """How much the slices across an axis look like each other, their numbers cut off at the ends of the picture's own range."""
    small = _small(np.moveaxis(voxels, axis, 0), own)
    copies = np.append(False, (small[1:] == small[:-1]).all(axis=1))
    small -= small.mean(axis=1, keepdims=True)
    contrast = small.std(axis=1)
    shapes = small / np.where(contrast > 0, contrast, 1)[:, None]
    top = float(contrast.max())
    return Likeness(shapes @ shapes.T / small.shape[1], contrast > SOME * top, contrast > MUCH * top, copies)


def disorder(found: Likeness) -> float:
    """Share of slices that look clearly more like one elsewhere than like either neighbour."""
    count = len(found.each)
    apart = np.abs(np.arange(count)[:, None] - np.arange(count))
    pairs = found.some[:, None] & found.some
    near = np.where((apart == 1) & pairs, found.each, -1).max(axis=1)
    far = np.where((apart > AWAY) & pairs & ~_mirrored(found.each, found.some), found.each, -1).max(axis=1)
    clearly = (far > ALIKE) & _less(near, far)
    return int(np.count_nonzero(clearly & found.some)) / max(1, int(np.count_nonzero(found.some)))


def _mirrored(each: Matrix, some: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pairs of slices that lie as far to the left as to the right of a middle (n, n): the halves of a body look alike."""
    count = len(each)
    sums = np.add.outer(np.arange(count), np.arange(count))
    known = np.where(some[:, None] & some, each, 0.0)
    totals = np.bincount(sums.ravel(), weights=known.ravel(), minlength=2 * count - 1)
    pairs = np.bincount(sums.ravel(), minlength=2 * count - 1)
    middle = int(np.argmax(np.where(pairs > count // 2, totals / pairs, -1)))
    return np.asarray(np.abs(sums - middle) <= max(MIRROR_SLACK, count // MIRROR_PART))


def joined_ends(found: Likeness) -> bool:
    """Whether the last slice goes on with the first, better than others follow each other inside."""
    places = np.flatnonzero(found.some)
    if places.size < FEWEST:
        return False
    quarter = places.size // 4
    ends, inner = (1 - found.each[places[k], places[-1 - k]] for k in (0, quarter))
    if inner < 2 * ends:
        return False  # the left half looks like the right one all the way in
    change = 1 - found.each[places[:-1], places[1:]]
    beside = np.maximum(change[:-2], change[2:])
    jumps = change[1:-1][change[1:-1] > JOINT_TIMES * beside]
    if not jumps.size:
        return False
    return bool(ends < min(LEAST_ENDS, jumps.max() / JUMP_TIMES, USUAL_TIMES * np.median(change)))


def out_of_place(found: Likeness) -> list[int]:
    """Slices whose two neighbours look more like each other, and first slices of two that fit better exchanged."""
    each, much = found.each, found.much
    odd = []
    for k in range(1, len(each) - 1):
        beside = max(each[k - 1, k], each[k, k + 1])
        if much[k - 1 : k + 2].all() and _less(beside, each[k - 1, k + 1], LEAST_ALONE):
            odd.append(k)
        elif k + 2 < len(each) and much[k - 1 : k + 3].all():
            now, exchanged = each[k - 1, k] + each[k + 1, k + 2], each[k - 1, k + 1] + each[k, k + 2]
            if _less(now / 2, exchanged / 2):
                odd.append(k)
    return odd


def seams(found: Likeness) -> list[int]:
    """Slices after which the picture changes much more than on either side of them."""
    change = 1 - np.diag(found.each, 1)
    return [
        k
        for k in range(2, len(change) - 2)
        if found.much[k - 2 : k + 4].all()
        and change[k] > LEAST_JUMP
        and change[k] > JUMP_TIMES * max(*change[k - 2 : k], *change[k + 1 : k + 3], ROUNDING)
    ]


def _less(
    alike: NDArray[np.float64] | float, other: NDArray[np.float64] | float, least: float = LEAST
) -> NDArray[np.bool_]:
    """Whether one likeness is clearly less than another."""
    return np.asarray(
        (1 - np.asarray(alike) > TIMES * np.maximum(1 - np.asarray(other), ROUNDING / 2))
        & (np.asarray(other) - np.asarray(alike) > least)
    )


def _small(slices: Array, own: tuple[float, float]) -> Matrix:
    """Slices (n, a, b) averaged to about ``GRID`` x ``GRID`` fields (n, fields)."""
    steps = [max(1, size // SAMPLES) for size in slices.shape[1:]]
    some = slices[:, :: steps[0], :: steps[1]].clip(*own)
    for axis in (1, 2):
        size = some.shape[axis]
        starts = np.unique(np.linspace(0, size, min(GRID, size), endpoint=False).astype(int))
        counts = np.diff([*starts, size]).reshape([-1 if one == axis else 1 for one in range(3)])
        some = np.add.reduceat(some, starts, axis=axis, dtype=np.float64) / counts
    return np.asarray(some.reshape(len(some), -1), dtype=np.float64)


def _counted(places: list[int]) -> str:
    """Slices by number, from 0, along their axis."""
    shown = ", ".join(str(place) for place in places[:3]) + (", ..." if len(places) > 3 else "")
    return f"slice{'s' * (len(places) > 1)} {shown}"
