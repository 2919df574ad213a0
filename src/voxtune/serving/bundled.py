"""What comes with VoxTune to try it on: one adapter and one head, by their names ``demo`` and ``head``."""

from importlib.resources import files
from pathlib import Path

DEMO, HEAD = "demo", "head"
MERGED = "base.safetensors"
"""The base that ``voxtune export --merge`` writes beside the adapter that belongs on it."""


def adapter_folder(adapter: Path) -> Path:
    """The folder of an adapter: a folder that holds one, the adapter of a run, or the shipped one by the name ``demo``.

    An adapter or run of that name in the current directory goes first.
    """
    if (adapter / "adapter.json").is_file():
        return adapter
    if (adapter / "config.json").is_file():
        return adapter / "adapter"
    return (
        Path(str(files("voxtune.serving") / "assets" / "demo_adapter")) if str(adapter) == DEMO else adapter
    )


def scan_file(scan: Path) -> Path:
    """The scan, or the shipped head (public domain, studyforrest) by the name ``head``; a file of that name goes first."""
    if str(scan) == HEAD and not scan.exists():
        return Path(str(files("voxtune.simulate") / "assets" / "head_pddl" / "T1w_2mm.nii.gz"))
    return scan


def base_file(folder: Path, base: Path | None) -> Path | None:
    """The base's weights: those that were given, else the merged ones beside the adapter, else ``None`` for the shipped ones."""
    merged = folder / MERGED
    return base if base is not None or not merged.is_file() else merged
