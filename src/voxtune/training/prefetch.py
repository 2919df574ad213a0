"""Scans read ahead of the step that needs them, by threads: reading maps files and lets go of Python's lock."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from torch import Tensor

from voxtune.types.tensors import side_by_side

Asked = TypeVar("Asked")
AHEAD = 2
"""Steps whose scans are read while one is computed."""


def read_ahead(
    steps: Sequence[Sequence[Asked]], read: Callable[[Asked], Tensor], workers: int
) -> Iterator[Tensor]:
    """The tensors of each step's scans, stacked; the same whatever the number of workers.

    Args:
        steps: what to read for each step.
        read: to the tensor of a scan; called from ``workers`` threads at once.
        workers: 0 reads when the step asks.
    """
    if workers == 0:
        for names in steps:
            yield side_by_side([read(name) for name in names])
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
    waiting: deque[list[Future[Tensor]]] = deque()
    try:
        for names in steps:
            waiting.append([pool.submit(read, name) for name in names])
            if len(waiting) > AHEAD:
                yield side_by_side([one.result() for one in waiting.popleft()])
        while waiting:
            yield side_by_side([one.result() for one in waiting.popleft()])
    finally:
        pool.shutdown(cancel_futures=True)
