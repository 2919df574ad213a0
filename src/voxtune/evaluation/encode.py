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

    Every scan is seen by itself: the batch size changes speed and memory, and the last bits of a result, never an answer.

    Args:
        model: decides where the scans go.
        scan_ids: what to encode.
        read: scan_id to its tensor.
        see: tensors (B, ...) on the model's device to anything.
        batch_size: scans of one forward.
    """
    device = next(model.parameters()).device
    for start in range(0, len(scan_ids), batch_size):
        names = tuple(scan_ids[start : start + batch_size])
        with torch.no_grad():
            found = see(side_by_side([read(name) for name in names]).to(device))
        yield names, found
