"""What a frozen network makes of a scan or a text, computed once: on disk for the next command, in memory while there is room."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxtune.data.examples import ReadScan
from voxtune.errors import DataError, ScanError
from voxtune.progress import note
from voxtune.storage.seal import DamagedError, with_hash, without_hash
from voxtune.storage.write import write_bytes

MEMORY_LIMIT = 4 * 2**30
"""Bytes of features kept in memory; embedded scans above it are embedded again at every step, finished ones are mapped."""


@dataclass(frozen=True)
class FrozenFeatures:
    """A reader of features by name: what ``make`` makes of each input, beyond rounding no other number.

    On disk features lie under the sha256 of their input and of what makes them: another scan, another base or another
    setting is another file. A file ends with its hash, which is checked when a process first reads it: a damaged one is said,
    dropped and made again.
    """

    read: ReadScan
    """Name to input: a volume (C, X, Y, Z), token ids (L,)."""
    make: Callable[[Tensor], Tensor]
    """One input (1, ...) to its features (1, ...)."""
    folder: Path
    identity: str
    """Of the function ``make``: tensors and settings."""
    in_memory: bool = True
    kept: dict[str, Tensor] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    whole: set[Path] = field(default_factory=set)
    """Files whose hash this process has checked."""

    def __call__(self, name: str) -> Tensor:
        """The features of an input, float32 on the CPU."""
        found = self.kept.get(name)
        if found is None:
            path = self._place(name)
            found = self._stored(path)
            if found is None:
                found = self._make(name, path)
            if self.in_memory:
                self.kept[name] = found
        return found

    def prepare(self, names: Sequence[str], advance: Callable[[str], None] = lambda _: None) -> None:
        """Make what is missing now, before many threads ask."""
        for name in names:
            path = self._place(name)
            if self._stored(path) is None:
                self._make(name, path)
            advance("")

    def missing(self, names: Sequence[str]) -> int:
        """How many of the names have no file yet."""
        return sum(self._stored(self._place(name)) is None for name in names)

    def _stored(self, path: Path) -> Tensor | None:
        """What the file holds; ``None`` where there is none, or none that is whole."""
        try:
            if path in self.whole:
                return _load(path)
            data = without_hash(path.read_bytes(), "an entry of the feature cache")
            array = np.load(io.BytesIO(data), allow_pickle=False)
        except FileNotFoundError:
            return None
        except (DamagedError, OSError, ValueError) as error:
            note(f"{path.name[:12]}: {error} It is made again.")
            path.unlink(missing_ok=True)
            return None
        self.whole.add(path)
        return torch.from_numpy(array)

    def _place(self, name: str) -> Path:
        if name not in self.places:
            inputs = self.read(name).contiguous()
            digest = hashlib.sha256(f"{self.identity}|{inputs.dtype}|{tuple(inputs.shape)}|".encode())
            digest.update(inputs.numpy().tobytes())
            self.places[name] = self.folder / f"{digest.hexdigest()}.npy"
        return self.places[name]

    def _make(self, name: str, path: Path) -> Tensor:
        with torch.no_grad(), named(name):
            features = self.make(self.read(name)[None])[0].float().cpu()
        buffer = io.BytesIO()
        np.save(buffer, features.numpy(), allow_pickle=False)
        write_bytes(path, with_hash(buffer.getvalue()), durable=False)
        self.whole.add(path)
        return features


@contextmanager
def named(name: str) -> Iterator[None]:
    """Say which input a model refused: a tower sees values alone.

    Raises:
        ScanError: in the place of a ``DataError`` that names no scan.
    """
    try:
        yield
    except ScanError:
        raise
    except DataError as error:
        raise ScanError(name, str(error)) from None


def embedded_scans(
    read: ReadScan,
    embed: Callable[[Tensor], Tensor],
    scan_ids: tuple[str, ...],
    folder: Path,
    identity: str,
) -> FrozenFeatures | None:
    """A reader of embedded scans (T, D), or ``None`` where something trained reaches into the embedding or memory is short.

    Args:
        read: scan_id to the tensor (C, X, Y, Z).
        embed: of the model as it stands, with whatever was attached to it.
        scan_ids: all scans that will be read.
        folder: where embedded scans are kept.
        identity: of the frozen tensors that ``embed`` computes with, and of its settings.
    """
    probe = _probe(read, embed, scan_ids[0])
    if probe is None or probe.numel() * 4 * len(set(scan_ids)) > MEMORY_LIMIT:
        return None
    return FrozenFeatures(read, embed, folder, identity)


def finished_features(
    read: ReadScan, finish: Callable[[Tensor], Tensor], names: tuple[str, ...], folder: Path, identity: str
) -> FrozenFeatures | None:
    """A reader of what a whole tower makes of its inputs, or ``None`` where something trained reaches into it.

    Above the memory limit the files are mapped and read at every step, which still costs less than a tower.
    """
    probe = _probe(read, finish, names[0])
    if probe is None:
        return None
    fits = probe.numel() * 4 * len(set(names)) <= MEMORY_LIMIT
    return FrozenFeatures(read, finish, folder, identity, in_memory=fits)


def _probe(read: ReadScan, make: Callable[[Tensor], Tensor], name: str) -> Tensor | None:
    """What comes of the first input; ``None`` where a gradient could flow into it."""
    with torch.enable_grad(), named(name):
        probe = make(read(name)[None])
    return None if probe.requires_grad else probe[0]


def _load(path: Path) -> Tensor:
    return torch.from_numpy(np.array(np.load(path, mmap_mode="r", allow_pickle=False)))
