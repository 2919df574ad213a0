"""A brain as the shape of its two hemispheres: numbers in which people differ and scans of one person do not.

Each hemisphere's displacements from the template (``voxtune.audit.displacement``), the left one mirrored, are projected onto the
directions in which SIMULATED people differ most compared with scans of one SIMULATED person (other scanners, years later, noise,
bias field, resolution, pose): a linear discriminant analysis that ``benchmarks/audit/reference.py`` fits. No scan of a person is
in it. A brain with left and right exchanged is the same two vectors the other way round.
"""

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.align import align
from voxtune.audit.displacement import (
    SHARP,
    Array,
    Sampled,
    Scan,
    affine_part,
    displacements,
    even,
    inside,
    likeness_to_template,
    linear,
    mended,
    right,
)
from voxtune.types.volume import Volume

START = 16
"""First point of a hemisphere's part of the box: the middle less the reach of a window."""
FARTHEST = 2.0
"""Points beyond which a displacement is no better known."""
LEAST_HALF = 0.2
"""Share of a hemisphere's places that must be seen."""
BRAIN = 0.2
"""Correlation with the template's detail below which a scan is no brain, or not where it was laid (measured: brains from 0.4)."""


@dataclass(frozen=True)
class Brain:
    """Shape of the left (mirrored) and right hemisphere, unit rows (2, D), and the root of the share of each that is seen (2,)."""

    halves: NDArray[np.float16]
    seen: NDArray[np.float16]


def sampled_brain(volume: Volume) -> Sampled | None:
    """A scan in template space; ``None`` where it shows no brain."""
    found = align(volume)
    if found is None:
        return None
    scan = Scan(volume, found.sign, cut=found.cut)
    return scan.sample(mended(scan, found.transform))


def shape(volume: Volume) -> Brain | None:
    """The shape of a brain; ``None`` where a scan shows none."""
    sampled = sampled_brain(volume)
    if sampled is None:
        return None
    raw = raw_shape(sampled)
    if raw is None:
        return None
    middle, directions = learned()
    # Where nothing is seen a brain is taken for the mean one, of which it says nothing.
    told = np.where(np.isfinite(raw[0]), raw[0] - middle, 0) @ directions
    norm = np.linalg.norm(told, axis=1, keepdims=True)
    return Brain((told / np.maximum(norm, 1e-9)).astype(np.float16), np.sqrt(raw[1]).astype(np.float16))


def no_brain() -> Brain:
    """What stands for a scan that shows no brain."""
    return Brain(np.zeros((2, learned()[1].shape[1]), np.float16), np.zeros(2, np.float16))


def raw_shape(sampled: Sampled) -> tuple[Array, Array] | None:
    """Displacements of both hemispheres without their affine part (2, 3P), NaN where nothing is seen, and the share that is (2,)."""
    detail = even(sampled, SHARP)
    if likeness_to_template(detail, sampled.seen, SHARP) < BRAIN:
        return None
    rows, shares = [], []
    kept = right(SHARP, START)
    world = linear(START)[kept]
    whole = sampled.seen is inside()[0]
    for turned, seen in (
        (detail[::-1], sampled.seen if whole else sampled.seen[::-1]),  # the box is symmetric
        (detail, sampled.seen),
    ):
        field = displacements(turned, seen, SHARP, START)
        shift, weight = field.shift.reshape(-1, 3)[kept], field.seen.reshape(-1)[kept]
        share = float((weight > 0).mean())
        if share < LEAST_HALF:
            rows.append(np.full(shift.size, np.nan, np.float32))
            shares.append(0.0)
            continue
        own = np.clip(shift - world @ affine_part(shift, weight, world), -FARTHEST, FARTHEST)
        rows.append(np.where((weight > 0)[:, None], own, np.nan).astype(np.float32).reshape(-1))
        shares.append(share)
    return np.stack(rows), np.array(shares, np.float32)


@functools.lru_cache(maxsize=1)
def learned() -> tuple[Array, Array]:
    """The mean of SIMULATED hemispheres (3P,), and the directions in which they differ (3P, D)."""
    with resources.files("voxtune.audit").joinpath("brains.npz").open("rb") as file:
        stored = np.load(file, allow_pickle=False)
        return stored["mean"].astype(np.float32), stored["directions"] * stored["scale"].astype(np.float32)
