"""Preprocessed scans as tensors: from the training cache where there is one, else from the volumes themselves."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voxtune.catalog import PRESETS, load
from voxtune.data.manifest import resolve_image
from voxtune.data.scans import ScanCache
from voxtune.errors import ScanError
from voxtune.imaging.presets import Brain, Preset
from voxtune.imaging.read import read_scan
from voxtune.imaging.template import field_of_view
from voxtune.imaging.tensor import to_tensor
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume


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
    cache = ScanCache.beside(manifest, preset)

    def read(scan_id: str) -> Tensor:
        if cache is not None and scan_id in cache:
            return torch.from_numpy(cache[scan_id])
        volume = read_scan(images[scan_id])
        refuse_other_grid(scan_id, volume, preset)
        return torch.from_numpy(to_tensor(volume, preset))

    return read


def refuse_other_grid(scan_id: str, volume: Volume, preset: Preset) -> None:
    """A volume of a brain preset lies on the preset's grid in template space, or it was not preprocessed with it.

    Raises:
        ScanError: it lies elsewhere.
    """
    if not isinstance(preset.steps, Brain):
        return
    size = preset.steps.grid
    if volume.shape == (size,) * 3 and np.allclose(volume.affine, field_of_view(size), atol=1e-2):
        return
    came = " x ".join(str(n) for n in volume.shape)
    raise ScanError(
        scan_id,
        f"not preprocessed with preset '{preset.name}': expected {size} x {size} x {size} voxels in template space, got {came}",
        f"Run 'voxtune preprocess MANIFEST OUT --preset {preset.name}' and use its OUT/manifest.tsv.",
    )
