"""A backbone by its catalogue name: the one function of this folder that people call."""

from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from voxtune.catalog import BACKBONES, load
from voxtune.config import explain
from voxtune.errors import UsageError
from voxtune.types.protocols import Backbone


def load_backbone(name: str, weights: str | Path | None = None, **sizes: Any) -> Backbone:
    """A published vision-language model in eval mode.

    Args:
        name: as ``voxtune info`` lists it: ``m3d``, ``ct_clip``, ``hlip``, ...
        weights: a safetensors file with the published key names (``voxtune weights convert`` makes one); ``None`` starts
            new from the setting ``seed`` (``tiny`` ships its own).
        sizes: settings of that model by name; each defaults to its published value.

    Returns:
        A module with ``encode_image(volumes)`` and ``encode_text(texts or ids, mask)``.

    Raises:
        UsageError: no such name, no such setting, or a value it cannot have.
        WeightsError: the file does not fit; the message lists unknown, missing and mis-shaped keys.
    """
    settings = load(BACKBONES, name, "backbone")
    given = dict(sizes) if weights is None else {**sizes, "weights": Path(weights)}
    try:
        chosen = settings(**given)
    except ValidationError as error:
        raise UsageError(f"Backbone '{name}': {explain(error)}") from None
    return cast(Backbone, chosen.build())
