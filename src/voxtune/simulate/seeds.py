"""Random streams that never meet: cohorts, scanners and the pretraining of ``tiny`` draw from different branches of NumPy's seed tree.

A branch is named by its spawn key, so two streams with different first keys are disjoint whatever their seeds are.
"""

from enum import IntEnum

import numpy as np


class Branch(IntEnum):
    """The first spawn key of a stream: what the random numbers are for."""

    PARTICIPANT = 1
    SCAN = 2
    SCANNER = 3
    RAW_HEAD = 4
    CHEST_PERSON = 5
    CHEST_SCAN = 6
    TRAITS = 7
    MEASUREMENT = 8
    TEMPLATE = 9
    PRETRAINING_ANATOMY = 101
    PRETRAINING_RENDERING = 102
    PRETRAINING_CHEST = 103
    PRETRAINING_UNTAUGHT = 104


def generator(branch: Branch, seed: int, *keys: int) -> np.random.Generator:
    """The stream of ``branch`` under ``seed``, for the item that ``keys`` name (participant, visit, ...)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(branch), *keys)))
