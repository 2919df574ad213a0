"""Where models go: one device for all that a command loads, chosen once and named in one sentence where it is not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
from torch import nn

from voxtune.errors import SettingError

Model = TypeVar("Model", bound=nn.Module)
_HERE: ContextVar[torch.device | None] = ContextVar("voxtune_device", default=None)
KINDS = "auto, cpu, cuda, cuda:N or mps"


def torch_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU where there is one.

    Raises:
        SettingError: no device, or one that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, colon, number = name.partition(":")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in there or (colon and not number.isdigit()):
        raise SettingError("device", KINDS, name)
    if int(number or 0) >= there[kind]:
        raise SettingError(
            "device", f"one that is here (torch {torch.__version__} sees {there[kind]} of {kind}; 'auto' takes what there is)", name
        )  # fmt: skip
    return torch.device(name)


@contextmanager
def on_device(name: str) -> Iterator[torch.device]:
    """Everything that is loaded inside goes to the device of that name.

    Raises:
        SettingError: no device, or one that is not there.
    """
    place = torch_device(name)
    before = _HERE.set(place)
    try:
        yield place
    finally:
        _HERE.reset(before)


def placed(model: Model) -> Model:
    """The model on the device of ``on_device``; outside of it where it is."""
    place = _HERE.get()
    return model if place is None else model.to(place)
