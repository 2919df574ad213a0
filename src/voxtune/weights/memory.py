"""Tensors where arithmetic finds them the same: every one starts on a boundary of 64 bytes, as torch's own memory does.

Matrix libraries take other paths for memory that starts elsewhere, and the last bit of a product then depends on the layout of a
file or on what was allocated before (https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux/current/getting-started-with-conditional-numerical-reproducibility.html).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

BOUNDARY = 64
"""Bytes: a line of the cache and the widest vector register."""
MAPPED_BYTES = 2**26
"""Of a file, mapped at most while its tensors are copied, so that a large one never lies in memory twice."""


def aligned(tensor: Tensor) -> Tensor:
    """The tensor, or a copy of it where it starts off the boundary."""
    return tensor.clone() if tensor.data_ptr() % BOUNDARY else tensor


def read_tensors(file: Path, names: Sequence[str] | None = None) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a safetensors file by name (all without names), each in memory of its own; nothing stays mapped to the file.

    Raises:
        SafetensorError: not a whole safetensors file, or a name that is not in it.
    """
    if names is None:
        with safe_open(file, framework="pt") as tensors:
            names = tensors.keys()
    left = list(names)
    while left:
        mapped = 0
        with safe_open(file, framework="pt") as tensors:
            while left and mapped < MAPPED_BYTES:
                tensor: Tensor = tensors.get_tensor(left[0])
                mapped += tensor.nbytes
                yield left.pop(0), tensor.clone()
                del tensor
