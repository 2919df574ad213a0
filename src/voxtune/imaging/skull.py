"""The brain in a head: deepbet's network, or the volume's own background where the skull is already gone.

Source: Fisch et al., 'deepbet: Fast brain extraction of T1-weighted MRI using convolutional neural networks',
Computers in Biology and Medicine 179 (2024).
"""

import contextlib
import functools
import io
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.errors import ScanError
from voxtune.imaging.boxes import filled
from voxtune.imaging.brightness import background
from voxtune.types.volume import Volume

THREADS = 1
"""Fixed, because the last bits of a convolution depend on the number of threads: the same input gives the same bytes.
One, because workers share the cores, and two teams of waiting threads on one core stop each other."""
_ONE_AT_A_TIME = threading.Lock()

STRIPPED_LITRES = (0.4, 2.3)
"""Tissue that a stripped brain can have; a head with its skull and neck has 2.5 to 5 litres."""
STRIPPED_FACES = 0.02
"""Share of the outer faces of a stripped volume that may hold tissue."""
SOFT_EDGE = 0.04
"""Share of the brightest tissue that still counts as background."""
FULL_BLOCK = 0.9
"""Share of tissue voxels in the largest connected piece of a stripped brain."""


def find_brain(volume: Volume) -> NDArray[np.bool_]:
    """The brain mask of a T1 head that is the right way up (axes RAS+).

    Raises:
        ScanError: no brain was found; the name in the message is left to the caller.
    """
    # deepbet keeps the box of its last head, and torch one number of threads: one head at a time in a process.
    with _ONE_AT_A_TIME, _threads(THREADS):
        network = _network()
        try:
            probability = network.run_model(volume.voxels.copy())
            mask = network.postprocess(probability > 0.5)
        except (AssertionError, ValueError, IndexError, RuntimeError) as error:
            raise ScanError("scan", "no brain was found in it") from error
    return np.asarray(mask, dtype=bool)


def looks_stripped(volume: Volume) -> bool:
    """Whether the skull is already gone: background to every face, and one compact piece of a brain's size."""
    tissue = _tissue(volume)
    faces = np.concatenate([tissue[side].ravel() for side in _faces()])
    if faces.mean() > STRIPPED_FACES or not tissue.any():
        return False
    step = max(1, round(2.0 / min(volume.spacing)))
    filled, share = _largest(tissue[::step, ::step, ::step])
    litres = float(filled.mean()) * float(np.prod(np.asarray(volume.spacing) * volume.shape)) / 1e6
    return bool(share > FULL_BLOCK and STRIPPED_LITRES[0] <= litres <= STRIPPED_LITRES[1])


def tissue_mask(volume: Volume) -> NDArray[np.bool_]:
    """The brain mask of an already stripped volume: what differs from its background, largest piece, holes filled."""
    return _largest(_tissue(volume))[0]


def _tissue(volume: Volume) -> NDArray[np.bool_]:
    """What differs from the background by more than a small share of the brightest tissue: resampling leaves soft edges."""
    distance = np.abs(volume.voxels - np.float32(background(volume.voxels)[0]))
    some = distance[distance > 0]
    return np.asarray(distance > SOFT_EDGE * (np.percentile(some, 99) if some.size else np.inf))


def _largest(tissue: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
    """The largest connected piece with its holes filled, and its share of all tissue."""
    from scipy.ndimage import label

    pieces, count = label(tissue)
    if not count:
        return tissue, 0.0
    sizes = np.bincount(pieces.ravel())[1:]
    return filled(pieces == 1 + int(np.argmax(sizes))), float(sizes.max() / sizes.sum())


def _faces() -> list[tuple[slice | int, ...]]:
    every = slice(None)
    return [tuple(end if i == axis else every for i in range(3)) for axis in range(3) for end in (0, -1)]


@functools.lru_cache(maxsize=1)
def _network() -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        from deepbet.bet import BrainExtraction

        return BrainExtraction(no_gpu=True)


@contextlib.contextmanager
def _threads(count: int) -> Any:
    import deepbet.bet

    # deepbet's own torch: imaging has no other use for it.
    torch = deepbet.bet.torch
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
