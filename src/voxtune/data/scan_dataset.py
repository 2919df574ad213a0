"""Preprocessed scans as a ``torch`` dataset, for a training loop or a feature extractor of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from voxtune.data.examples import ReadScan
from voxtune.data.images import load_preset, scan_reader
from voxtune.data.manifest import read_manifest
from voxtune.data.simulated import with_marks
from voxtune.types.records import ManifestRow


class Scan(NamedTuple):
    """One scan as a model takes it."""

    volume: Tensor
    """(C, X, Y, Z), float32."""
    scan_id: str
    row: ManifestRow
    """Its row of the manifest."""


class ScanBatch(NamedTuple):
    """Several scans side by side."""

    volumes: Tensor
    """(B, C, X, Y, Z), float32."""
    scan_ids: list[str]
    rows: list[ManifestRow]


class ScanDataset(Dataset[Scan]):
    """The scans of a manifest in its order; ``collate`` makes a batch of some, ``loader`` a ``DataLoader``."""

    def __init__(self, manifest: str | Path, preset: str = "deft") -> None:
        """Read the table; a scan is read when it is asked for.

        Args:
            manifest: ``manifest.tsv`` that ``voxtune preprocess`` or ``voxtune simulate`` wrote.
            preset: that the scans were preprocessed with.

        Raises:
            TableError: the manifest cannot be read.
            UsageError: no such preset.
        """
        self.manifest = Path(manifest)
        self.preset = load_preset(preset)
        self.rows = with_marks(self.manifest, read_manifest(self.manifest))
        self._read: ReadScan | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Scan:
        """A scan by its place.

        Raises:
            ScanError: it was not preprocessed with the preset, or cannot be read.
        """
        if self._read is None:
            self._read = scan_reader(self.manifest, self.rows, self.preset)
        row = self.rows[index]
        return Scan(self._read(row.scan_id), row.scan_id, row)

    def __getstate__(self) -> dict[str, Any]:
        """For the processes of a ``DataLoader``: each opens the files itself."""
        return self.__dict__ | {"_read": None}

    @staticmethod
    def collate(scans: Sequence[Scan]) -> ScanBatch:
        """Some scans as a batch."""
        return ScanBatch(
            torch.stack([one.volume for one in scans]),
            [one.scan_id for one in scans],
            [one.row for one in scans],
        )

    def loader(self, batch_size: int = 8, **settings: Any) -> "DataLoader[Scan]":
        """A ``DataLoader`` over these scans; ``settings`` are its own (``shuffle``, ``num_workers``, ...)."""
        return DataLoader(self, batch_size=batch_size, collate_fn=self.collate, **settings)


scans = ScanDataset
"""The public name: ``voxtune.scans(manifest, preset)``."""
