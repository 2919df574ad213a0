"""What comes with VoxTune to try it on: one adapter, one head and one SIMULATED person, by their names ``demo``, ``head`` and ``person``."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from voxtune.errors import UsageError

DEMO, HEAD, PERSON = "demo", "head", "person"
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
    """The scan, or a shipped one by its name; a file of that name goes first.

    ``head`` is the head of a person (public domain, studyforrest), ``person`` a SIMULATED one that the shipped adapter was made for.
    """
    assets = files("voxtune.simulate") / "assets"
    shipped = {
        HEAD: assets / "head_pddl" / "T1w_2mm.nii.gz",
        PERSON: assets / "person" / "SIMULATED_person.nii.gz",
    }
    return Path(str(shipped[str(scan)])) if str(scan) in shipped and not scan.exists() else scan


def scans_or_person(adapter: Path, scans: Sequence[Path]) -> Sequence[Path]:
    """The scans that were given; where none is, the SIMULATED person for the shipped adapter.

    Raises:
        UsageError: no scan, for another adapter.
    """
    if scans:
        return scans
    if str(adapter) != DEMO:
        raise UsageError("Say which scan: a file, a folder or a manifest. 'demo' alone has one of its own.")
    return [Path(PERSON)]


def base_file(folder: Path, base: Path | None) -> Path | None:
    """The base's weights: those that were given, else the merged ones beside the adapter, else ``None`` for the shipped ones."""
    merged = folder / MERGED
    return base if base is not None or not merged.is_file() else merged
