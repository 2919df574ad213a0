"""What the frozen front of a vision tower makes of each scan, computed once: in memory, and on disk for the next command."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxtune.data.examples import ReadScan
from voxtune.run_dir import atomic_path

MEMORY_LIMIT = 4 * 2**30
"""Bytes of embedded scans kept; a cohort above it is embedded again at every step."""


@dataclass(frozen=True)
class EmbeddedScans:
    """A reader of embedded scans (T, D): what ``embed`` makes of each, beyond rounding no other number.

    On disk a scan lies under the sha256 of its tensor and of the base: another scan or another base is another file.
    """

    read: ReadScan
    """scan_id to the tensor (C, X, Y, Z)."""
    embed: Callable[[Tensor], Tensor]
    """Volumes (B, C, X, Y, Z) to tokens (B, T, D)."""
    folder: Path
    base_sha256: str
    kept: dict[str, Tensor]

    def __call__(self, scan_id: str) -> Tensor:
        """The tokens of a scan (T, D), float32 on the CPU."""
        if scan_id not in self.kept:
            volume = self.read(scan_id)
            path = self.folder / f"{self._digest(volume)}.npy"
            self.kept[scan_id] = _load(path) if path.is_file() else self._make(volume, path)
        return self.kept[scan_id]

    def _make(self, volume: Tensor, path: Path) -> Tensor:
        with torch.no_grad():
            tokens = self.embed(volume[None])[0].float().cpu()
        buffer = io.BytesIO()
        np.save(buffer, tokens.numpy(), allow_pickle=False)
        with atomic_path(path) as part:
            part.write_bytes(buffer.getvalue())
        return tokens

    def _digest(self, volume: Tensor) -> str:
        digest = hashlib.sha256(self.base_sha256.encode())
        digest.update(volume.contiguous().numpy().tobytes())
        return digest.hexdigest()


def embedded_scans(
    read: ReadScan,
    embed: Callable[[Tensor], Tensor],
    scan_ids: tuple[str, ...],
    folder: Path,
    base_sha256: str,
) -> EmbeddedScans | None:
    """A reader of embedded scans, or ``None`` where something trained reaches into the embedding or memory is short.

    Args:
        read: scan_id to the tensor (C, X, Y, Z).
        embed: of the model as it stands, with whatever was attached to it.
        scan_ids: all scans that will be read.
        folder: where embedded scans are kept.
        base_sha256: of the frozen tensors that ``embed`` computes with.
    """
    with torch.enable_grad():
        probe = embed(read(scan_ids[0])[None])
    if probe.requires_grad or probe[0].numel() * 4 * len(set(scan_ids)) > MEMORY_LIMIT:
        return None
    return EmbeddedScans(read, embed, folder, base_sha256, {})


def _load(path: Path) -> Tensor:
    return torch.from_numpy(np.load(path, allow_pickle=False))
