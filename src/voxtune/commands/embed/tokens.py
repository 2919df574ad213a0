"""Tokens of many scans, which may not fit into memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxtune.run_dir import atomic_path

TOKENS = "tokens.npy"
Floats = NDArray[np.float32]


class Tokens:
    """Tokens as they come: in a file of the right size, or in memory."""

    def __init__(self, path: Path | None, count: int) -> None:
        self.path, self.count, self.filled = path, count, 0
        self.array: Floats | None = None

    def put(self, some: Floats) -> None:
        """The next scans."""
        if self.array is None:
            shape = (self.count, *some.shape[1:])
            if self.path is None:
                self.array = np.empty(shape, dtype=np.float32)
            else:
                self.array = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]  # numpy's own
                    self.path, mode="w+", dtype=np.float32, shape=shape
                )
        self.array[self.filled : self.filled + len(some)] = some
        self.filled += len(some)


@contextmanager
def token_array(folder: Path | None, count: int) -> Iterator[Tokens]:
    """Where tokens go; the file is there when it is whole."""
    if folder is None:
        yield Tokens(None, count)
        return
    with atomic_path(folder / TOKENS) as part:
        kept = Tokens(part, count)
        yield kept
        if isinstance(kept.array, np.memmap):
            kept.array.flush()
    kept.array = np.load(folder / TOKENS, mmap_mode="r", allow_pickle=False)
