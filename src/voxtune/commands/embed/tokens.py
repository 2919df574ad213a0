"""Tokens of many scans, which may not fit into memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from voxtune.run_dir import atomic_path

TOKENS = "tokens.npy"
Floats = NDArray[np.float32]


class Tokens:
    """Tokens as they come: one after the other into a file, or in memory.

    The file is written, not mapped: on a full disk a mapped page ends the process, a write says so.
    """

    def __init__(self, file: BinaryIO | None, count: int) -> None:
        self.file, self.count, self.filled = file, count, 0
        self.array: Floats | None = None

    def put(self, some: Floats) -> None:
        """The next scans."""
        shape = (self.count, *some.shape[1:])
        if self.file is not None:
            if not self.filled:
                about = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(self.file, about)  # type: ignore[no-untyped-call]  # numpy's own
            self.file.write(np.ascontiguousarray(some, dtype="<f4").tobytes())
        else:
            if self.array is None:
                self.array = np.empty(shape, dtype=np.float32)
            self.array[self.filled : self.filled + len(some)] = some
        self.filled += len(some)


@contextmanager
def token_array(folder: Path | None, count: int) -> Iterator[Tokens]:
    """Where tokens go; the file is there when it is whole."""
    if folder is None:
        yield Tokens(None, count)
        return
    with atomic_path(folder / TOKENS) as part, part.open("wb") as file:
        kept = Tokens(file, count)
        yield kept
    kept.array = np.load(folder / TOKENS, mmap_mode="r", allow_pickle=False)
