"""VoxTune adapts frozen 3D medical vision-language models to one disease with little data.

The names below load on first use, so importing the package costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "RunConfig": "voxtune.config",
    "evaluate": "voxtune.stages.evaluate",
    "load_adapter": "voxtune.model.adapter",
    "load_backbone": "voxtune.backbones.load",
    "predict": "voxtune.stages.predict",
    "preprocess": "voxtune.stages.preprocess",
    "read_manifest": "voxtune.data.manifest",
    "read_scan": "voxtune.imaging.read",
    "write_report": "voxtune.reports.wording",
}

__all__ = [*_PUBLIC, "__version__", "explain", "fit"]  # noqa: PLE0604  (names of the table above)


def __getattr__(name: str) -> Any:
    if name == "fit":
        return importlib.import_module("voxtune.stages.train").train
    if name == "explain":
        return importlib.import_module("voxtune.explain")  # the folder can be called, see there
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'voxtune' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
