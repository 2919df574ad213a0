"""Results of slow steps, found again by the hash of everything they depend on."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel


class StepCache:
    """A folder of arrays named by step and key; without a folder nothing is kept.

    ``tell`` hears the name of each slow step before it begins: ``mask``, ``clean``, ``transform``.
    """

    def __init__(self, folder: Path | None, tell: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self.tell = tell

    def mask(self, step: str, key: str, compute: Callable[[], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """The mask kept for this key, or computed and kept (packed eight voxels a byte)."""
        import zlib

        kept = self._path(step, key)
        if kept is not None and kept.is_file():
            data = kept.read_bytes()
            shape = np.frombuffer(data[:24], dtype="<i8")
            bits = np.frombuffer(zlib.decompress(data[24:]), dtype=np.uint8)
            return np.unpackbits(bits, count=int(shape.prod())).astype(bool).reshape(shape)
        mask = compute()
        if kept is not None:
            _write(
                kept,
                np.asarray(mask.shape, dtype="<i8").tobytes() + zlib.compress(np.packbits(mask).tobytes(), 1),
            )
        return mask

    def matrix(self, step: str, key: str, compute: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """The 4x4 matrix kept for this key, or computed and kept (JSON keeps every bit of a float64)."""
        kept = self._path(step, key)
        if kept is not None and kept.is_file():
            return np.asarray(json.loads(kept.read_text(encoding="utf-8")), dtype=np.float64)
        matrix = compute()
        if kept is not None:
            _write(kept, json.dumps(matrix.tolist()).encode())
        return matrix

    def voxels(
        self, step: str, key: str, compute: Callable[[], tuple[NDArray[np.float32], dict[str, float]]]
    ) -> tuple[NDArray[np.float32], dict[str, float]]:
        """The voxels and figures kept for this key, or computed and kept (every bit of them, packed)."""
        import zlib

        kept = self._path(step, key)
        if kept is not None and kept.is_file():
            head, _, data = kept.read_bytes().partition(b"\n")
            facts = json.loads(head)
            voxels = np.frombuffer(zlib.decompress(data), dtype="<f4").reshape(facts["shape"])
            return voxels.astype(np.float32), facts["figures"]
        voxels, figures = compute()
        if kept is not None:
            head = json.dumps({"shape": voxels.shape, "figures": figures}).encode()
            _write(kept, head + b"\n" + zlib.compress(voxels.astype("<f4").tobytes(), 1))
        return voxels, figures

    def _path(self, step: str, key: str) -> Path | None:
        if self.tell is not None:
            self.tell(step)
        return None if self.folder is None else self.folder / f"{step}-{key[:32]}"


def step_key(*parts: str | BaseModel) -> str:
    """The sha256 of texts and settings, in order: equal only where every input of a step is equal."""
    digest = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, str) else part.model_dump_json()
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
