"""What a prediction rests on.

``voxtune.explain(adapter, scan, ...)`` is the command of that name: the folder and the command share one word, and importing a
file of the folder would else take the command's place.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package that can be called."""

    @property
    def __call__(self) -> Callable[..., Any]:
        """``voxtune.stages.explain.explain``, imported when it is called."""
        found: Callable[..., Any] = importlib.import_module("voxtune.stages.explain").explain
        return found


sys.modules[__name__].__class__ = _Room
