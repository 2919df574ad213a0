"""Results of slow steps, found again by the hash of everything they depend on."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from voxtune.progress import note
from voxtune.storage.seal import DamagedError, with_hash, without_hash
from voxtune.storage.write import write_bytes

T = TypeVar("T")


class StepCache:
    """A folder of arrays named by step and key; without a folder nothing is kept.

    An entry ends with its hash: one that is damaged is said, dropped and made again. ``tell`` hears the name of each slow step
    before it begins: ``mask``, ``clean``, ``transform``.
    """

    def __init__(self, folder: Path | None, tell: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self.tell = tell

    def mask(self, step: str, key: str, compute: Callable[[], NDArray[np.bool_]]) -> NDArray[np.bool_]:
        """The mask kept for this key, or computed and kept (packed eight voxels a byte)."""
        return self._kept(step, key, compute, _mask_bytes, _mask_of)

    def matrix(self, step: str, key: str, compute: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """The 4x4 matrix kept for this key, or computed and kept (JSON keeps every bit of a float64)."""
        return self._kept(
            step,
            key,
            compute,
            lambda matrix: json.dumps(matrix.tolist()).encode(),
            lambda data: np.asarray(json.loads(data), dtype=np.float64),
        )

    def voxels(
        self, step: str, key: str, compute: Callable[[], tuple[NDArray[np.float32], dict[str, float]]]
    ) -> tuple[NDArray[np.float32], dict[str, float]]:
        """The voxels and figures kept for this key, or computed and kept (every bit of them, packed)."""
        return self._kept(step, key, compute, _voxel_bytes, _voxels_of)

    def _kept(
        self,
        step: str,
        key: str,
        compute: Callable[[], T],
        to_bytes: Callable[[T], bytes],
        of_bytes: Callable[[bytes], T],
    ) -> T:
        path = self._path(step, key)
        if path is not None and path.is_file():
            try:
                return of_bytes(without_hash(path.read_bytes(), f"step '{step}' in the cache"))
            except (DamagedError, OSError) as error:
                note(f"{path.parent.parent.name}: {error} It is made again.")
        found = compute()
        if path is not None:
            # What is checked when it is read, and can be made again, need not wait for the disk.
            write_bytes(path, with_hash(to_bytes(found)), durable=False)
        return found

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


def _mask_bytes(mask: NDArray[np.bool_]) -> bytes:
    import zlib

    return np.asarray(mask.shape, dtype="<i8").tobytes() + zlib.compress(np.packbits(mask).tobytes(), 1)


def _mask_of(data: bytes) -> NDArray[np.bool_]:
    import zlib

    shape = np.frombuffer(data[:24], dtype="<i8")
    bits = np.frombuffer(zlib.decompress(data[24:]), dtype=np.uint8)
    return np.unpackbits(bits, count=int(shape.prod())).astype(bool).reshape(shape)


def _voxel_bytes(found: tuple[NDArray[np.float32], dict[str, float]]) -> bytes:
    import zlib

    voxels, figures = found
    head = json.dumps({"shape": voxels.shape, "figures": figures}).encode()
    return head + b"\n" + zlib.compress(voxels.astype("<f4").tobytes(), 1)


def _voxels_of(data: bytes) -> tuple[NDArray[np.float32], dict[str, float]]:
    import zlib

    head, _, packed = data.partition(b"\n")
    facts = json.loads(head)
    voxels = np.frombuffer(zlib.decompress(packed), dtype="<f4").reshape(facts["shape"])
    return voxels.astype(np.float32), facts["figures"]
