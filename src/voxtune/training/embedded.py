"""What the frozen front of the vision tower makes of each scan, computed once and kept in memory."""

from collections.abc import Iterable

import torch
from torch import Tensor

from voxtune.data.examples import ReadScan
from voxtune.model.vlm import VisionLanguageModel

MEMORY_LIMIT = 4 * 2**30
"""Bytes of embedded scans we keep; a cohort above it is embedded again at every step."""


def embed_once(
    model: VisionLanguageModel, scan_ids: Iterable[str], read: ReadScan, device: torch.device | str
) -> ReadScan | None:
    """A reader of embedded scans (T, D), or ``None`` where something trained reaches into the embedding or memory is short.

    Embedded scans are exactly what ``model.vision.embed`` gives, so training on them changes no number beyond rounding.
    """
    names = list(dict.fromkeys(scan_ids))
    probe = model.vision.embed(read(names[0])[None].to(device))
    if probe.requires_grad or probe[0].numel() * probe.element_size() * len(names) > MEMORY_LIMIT:
        return None
    kept: dict[str, Tensor] = {}
    with torch.no_grad():
        for name in names:
            kept[name] = model.vision.embed(read(name)[None].to(device))[0].cpu()
    return kept.__getitem__
