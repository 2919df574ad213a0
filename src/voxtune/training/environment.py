"""What a run ran on: versions, processor, accelerator, state of the source. No host names, users or paths."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "lightning-fabric",
    "numpy",
    "pydantic",
    "safetensors",
    "nibabel",
)

ARITHMETIC = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")
"""Variables by which torch, oneDNN and MKL choose their instructions."""
BITS = {
    "device": "device",
    "accelerator": "accelerator",
    "processor": "processor",
    "instructions": "instruction set",
    "arithmetic": "settings of the matrix libraries",
    "threads": "number of threads",
    "processes": "number of processes",
}
"""What the last bits of a result depend on, by name and in words; so they do on the version of torch."""


def environment() -> dict[str, Any]:
    """Versions and hardware as JSON."""
    from voxtune import __version__

    return {
        "voxtune": __version__,
        "git": git_state(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "arithmetic": {name: os.environ[name] for name in ARITHMETIC if name in os.environ},
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }


def other_bits(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Why a run that goes on here may differ in its last bits from one that never stopped; ``None`` where it does not.

    Args:
        before: ``environment.json`` of the run; what it does not say, as one of an earlier version may not, is not compared.
        now: the same of this process.
    """
    found = [
        f"{words} ({before[name]} before, {now[name]} now)"
        for name, words in BITS.items()
        if name in before and before[name] != now[name]
    ]
    torches = [side.get("packages", {}).get("torch") for side in (before, now)]
    if torches[0] != torches[1]:
        found.append(f"version of torch ({torches[0]} before, {torches[1]} now)")
    if not found:
        return None
    return f"This run began elsewhere: other {', '.join(found)}. It goes on, but its last bits may not be those of a run that never stopped."


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def git_state() -> dict[str, Any] | None:
    """Commit of the source tree and whether it has changes; ``None`` outside a work tree."""
    try:
        commit, changed = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.strip(), "changed": bool(changed.strip())}


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout  # noqa: S603  (fixed arguments)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
