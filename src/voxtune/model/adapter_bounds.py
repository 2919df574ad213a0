"""What an adapter from anywhere may ask for before anything is built of it: counts, sizes, lengths, and words a terminal can show."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from voxtune.errors import WeightsError
from voxtune.types.settings import LARGEST, SMALLEST
from voxtune.types.words import shows, unseen

LARGEST_JSON = 2**25
"""Bytes of ``adapter.json``: the training scans' place in feature space is the largest part, some hundred kB."""
MOST_CLASSES, MOST_TEXTS = 1000, 200
LONGEST_TEXT, LONGEST_LIST = 10_000, 4096
LARGEST_NUMBER, MOST_LAYERS = 2**20, 512
"""Of a size in the settings of what is built; of a number of layers."""
MOST_VOXELS = 2**30
MOST_PARAMETERS = 10**10
BUILT = ("backbone", "vision", "text", "targets", "mmse", "aggregation", "classes")
"""Parts of the configuration that something is built of."""


def check_bounds(tree: Mapping[str, Any], name: str) -> None:
    """See that the facts of an adapter ask for nothing that no adapter needs.

    Raises:
        WeightsError: a count, size or text beyond its bound, or control characters in a text.
    """
    counts = [
        len(value) if isinstance(value := tree.get(name), list) else 0 for name in ("classes", "class_texts")
    ]
    if counts[0] > MOST_CLASSES or counts[1] > MOST_TEXTS:
        raise WeightsError(
            f"'{name}' has more classes or texts than the limits of {MOST_CLASSES} and {MOST_TEXTS}."
        )
    problem = _values(tree, "") or _lines(tree.get("classes"))
    config = tree.get("config")
    if problem is None and isinstance(config, Mapping):
        problem = next((said for part in BUILT if (said := _sizes(config.get(part), part))), None)
    if problem is not None:
        raise WeightsError(f"'{name}/adapter.json': {problem}.")


def _values(value: object, place: str) -> str | None:
    """What is wrong with the texts and numbers in a value."""
    if isinstance(value, int | float) and value:
        lies = SMALLEST <= abs(value) <= LARGEST
        return None if lies else f"'{place}' is {_short(value)}, and no such number is that far from 1"
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            return f"'{place}' has {len(value)} characters, more than the limit of {LONGEST_TEXT}"
        return None if shows(value) else f"'{place}' holds control characters"
    parts: Sequence[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        parts = [(str(key), one) for key, one in value.items()]
        if not all(shows(key) and len(key) <= LONGEST_TEXT for key, _ in parts):
            return f"a name under '{place}' holds control characters or is too long"
    elif isinstance(value, list | tuple):
        parts = [(place, one) for one in value]
    return next((said for key, one in parts if (said := _values(one, key))), None)


def _short(value: float | int) -> str:
    """A number, however many digits it has in its file."""
    return f"{value:.3g}" if isinstance(value, float) else f"{str(value)[:20]}..."


def _lines(classes: object) -> str | None:
    """What is wrong with the names of classes, which stand in tables and headings: each is one line."""
    names = [one for one in classes if isinstance(one, str)] if isinstance(classes, list) else []
    odd = next((one for one in names if unseen(one, one_line=True)), None)
    return None if odd is None else f"the class {odd[:40]!r} is not one line"


def _sizes(value: object, place: str) -> str | None:
    """What is wrong with the numbers of a part that is built."""
    if isinstance(value, int | float):
        limit = MOST_LAYERS if "depth" in place or "layers" in place else LARGEST_NUMBER
        too_large = place != "seed" and not abs(value) <= limit
        return f"'{place}' is larger than the limit of {limit}" if too_large else None
    parts: Sequence[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        parts = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(place, one) for one in value]
        numbers = [one for one in value if isinstance(one, int)]
        if len(value) > LONGEST_LIST or math.prod(max(abs(one), 1) for one in numbers[:8]) > MOST_VOXELS:
            return f"'{place}' is longer or larger than any model needs"
    return next((said for key, one in parts if (said := _sizes(one, key))), None)


def check_parameters(model: nn.Module, name: str) -> None:
    """See that a model, built of shapes alone, would fit in memory.

    Raises:
        WeightsError: it would not.
    """
    count = sum(value.numel() for value in model.parameters())
    if count > MOST_PARAMETERS:
        raise WeightsError(
            f"'{name}' asks for a base of {count:,} numbers, more than the limit of {MOST_PARAMETERS:,}."
        )


def check_finite(state: Mapping[str, Tensor], name: str) -> None:
    """See that every number of an adapter is one.

    Raises:
        WeightsError: a tensor holds NaN or an infinity, or is no tensor of real numbers.
    """
    for key, value in state.items():
        if not value.is_floating_point() and value.dtype not in (
            torch.int64,
            torch.int32,
            torch.uint8,
            torch.bool,
        ):
            raise WeightsError(f"'{name}': tensor {key} has type {value.dtype}, expected real numbers.")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(
                f"'{name}': tensor {key} holds NaN or infinite numbers; nothing is answered with it."
            )
