"""Safetensors files whose bytes are decided by their content: the library writes the facts of a file in any order."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.storage.write import atomic_path

if TYPE_CHECKING:
    from torch import Tensor

FACTS = "__metadata__"


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]", facts: Mapping[str, str]) -> None:
    """Write tensors and facts of them, whole or not at all; the same content gives the same bytes, and so the same sha256.

    Args:
        path: the file.
        tensors: contiguous, none sharing memory with another.
        facts: by name; written in the order of their names.
    """
    from safetensors.torch import save_file

    with atomic_path(path, shared=True, room=True) as part:
        save_file(dict(tensors), part, metadata=dict(facts))
        _order_facts(part)


def _order_facts(file: Path) -> None:
    with file.open("r+b") as stream:
        length = int.from_bytes(stream.read(8), "little")
        stated: dict[str, Any] = json.loads(stream.read(length))
        stated[FACTS] = dict(sorted(stated[FACTS].items()))
        header = json.dumps(stated, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        if len(header) != length:  # offsets count from its end: it may not grow
            raise RuntimeError(f"{file.name}: the header of {length} bytes became one of {len(header)}.")
        stream.seek(8)
        stream.write(header)
