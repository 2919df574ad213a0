"""The one loop that turns scans into what a model makes of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.tensors import side_by_side

T = TypeVar("T")
BATCH = 8


def encode(
    model: VisionLanguageModel,
    scan_ids: Sequence[str],
    read: Callable[[str], Tensor],
    see: Callable[[Tensor], T],
    *,
    batch_size: int = BATCH,
) -> Iterator[tuple[tuple[str, ...], T]]:
    """Names and what ``see`` makes of their scans, batch by batch in the order given, without gradients.

    Every scan is seen by itself: the batch size changes speed and memory, and the last bits of a result, never an answer. It is never above
    the chunk that the run trained with, so that scoring needs no more memory than a step, and is halved where a GPU has too little.

    Args:
        model: decides where the scans go.
        scan_ids: what to encode.
        read: scan_id to its tensor.
        see: tensors (B, ...) on the model's device to anything.
        batch_size: scans of one forward at most.
    """
    device = next(model.parameters()).device
    most: int | None = getattr(model, "chunk", None)
    size = batch_size if most is None else min(batch_size, most)
    start = 0
    while start < len(scan_ids):
        names = tuple(scan_ids[start : start + size])
        try:
            with torch.no_grad():
                found = see(side_by_side([read(name) for name in names]).to(device))
        except torch.OutOfMemoryError:
            if len(names) == 1:
                raise
            size = len(names) // 2  # what is free decides, once and for the rest
            continue
        yield names, found
        start += len(names)
