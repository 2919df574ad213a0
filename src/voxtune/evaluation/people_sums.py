"""Sums over the scans of each participant, of some participants at a time: a matrix of all participants and all scans has no room."""

from collections.abc import Iterator

import numpy as np

from voxtune.evaluation.weighted_metrics import Floats, Integers

MOST = 4_000_000
"""Numbers of one matrix of participants and their scans (32 MB)."""


def people_sums(participant: Integers, values: Floats) -> Floats:
    """The sum of values (n,) or (n, k) over the scans of each participant (m,) or (m, k).

    Args:
        participant: whose each scan is (n,), numbers from 0.
        values: of each scan, finite.
    """
    parts = [
        # As a product, with 1 where a scan is the participant's: of up to two thousand people one product, as it always was.
        (participant[inside][:, None] == people).astype(float).T @ values[inside]
        for people, inside in _parts(participant)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, *values.shape[1:]))


def _parts(participant: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Participants that follow on each other, and their scans in order."""
    counts = np.bincount(participant, minlength=0)
    people, scans = len(counts), len(participant)
    if people * scans <= MOST:
        if people:
            yield np.arange(people), np.arange(scans)
        return
    step = max(1, int(np.sqrt(MOST * people / scans)))
    order = np.argsort(participant, kind="stable")
    ends = np.concatenate([[0], np.cumsum(counts)])
    for start in range(0, people, step):
        stop = min(start + step, people)
        yield np.arange(start, stop), np.sort(order[ends[start] : ends[stop]])
