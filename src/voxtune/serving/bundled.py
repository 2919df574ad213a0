"""What comes with VoxTune to try it on: one adapter and one head, by their names ``demo`` and ``head``."""

from importlib.resources import files
from pathlib import Path

from voxtune.types.settings import Settings

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


def base_file(folder: Path, base: Path | None) -> Path | Settings | None:
    """The base of an adapter: the weights that were given, else the merged ones beside it, else what the run was trained on.

    An adapter of its own knows no files; ``None`` is then the shipped weights.
    """
    merged = folder / MERGED
    if base is not None or merged.is_file():
        return base or merged
    run = folder.with_name("config.json")
    if folder.name != "adapter" or not run.is_file():
        return None
    from voxtune.config import RunConfig

    backbone = RunConfig.from_json(run.read_text(encoding="utf-8")).backbone
    return backbone if any(isinstance(value, Path) for _, value in backbone) else None
