"""Preprocessed scans as tensors: from the training cache where there is one, else from the volumes themselves."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxtune.catalog import PRESETS, load
from voxtune.data.manifest import resolve_image
from voxtune.errors import ScanError
from voxtune.imaging.presets import Preset, to_tensor
from voxtune.imaging.read import read_scan
from voxtune.types.records import ManifestRow


def load_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    preset = load(PRESETS, name, "preset")
    assert isinstance(preset, Preset)
    return preset


def scan_reader(manifest: Path, rows: Sequence[ManifestRow], preset: Preset) -> Callable[[str], Tensor]:
    """A reader from scan_id to its tensor (C, X, Y, Z) in the axes of the preset.

    Reading raises ``ScanError`` for a scan that was not preprocessed with this preset.
    """
    images = {row.scan_id: resolve_image(manifest, row) for row in rows}

    def read(scan_id: str) -> Tensor:
        volume = read_scan(images[scan_id])
        if volume.shape != preset.shape or not np.allclose(volume.affine, preset.affine, atol=1e-3):
            size = " x ".join(str(n) for n in volume.shape)
            raise ScanError(
                scan_id,
                f"not a volume of preset '{preset.name}': expected {preset.shape} voxels of its field of view, got {size}",
                "Run 'voxtune preprocess MANIFEST OUT --preset "
                f"{preset.name}' and give its OUT/manifest.tsv to the training.",
            )
        return torch.from_numpy(to_tensor(volume, preset))

    return read
