"""VoxTune adapts frozen 3D medical vision-language models to one disease with little data.

The names below load on first use, so importing the package costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "RunConfig": "voxtune.config",
    "drift": "voxtune.commands.drift",
    "embed": "voxtune.commands.embed.command",
    "evaluate": "voxtune.commands.evaluate.command",
    "explain": "voxtune.commands.explain.command",
    "load_adapter": "voxtune.model.adapter",
    "load_backbone": "voxtune.backbones.load",
    "predict": "voxtune.commands.predict.command",
    "preprocess": "voxtune.commands.preprocess",
    "read_manifest": "voxtune.data.manifest",
    "read_scan": "voxtune.imaging.read",
    "scans": "voxtune.data.scan_dataset",
    "similar": "voxtune.commands.similar.command",
    "volumes": "voxtune.commands.volumes.command",
    "write_report": "voxtune.reports.wording",
}

__all__ = [*_PUBLIC, "__version__", "fit"]  # noqa: PLE0604  (names of the table above)


def __getattr__(name: str) -> Any:
    if name == "fit":
        return importlib.import_module("voxtune.commands.train.command").train
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'voxtune' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
