"""What a training costs: memory of the process, energy of the device."""

import importlib
import os
import resource
import sys
from dataclasses import dataclass
from typing import Any

import torch

CORE_WATTS = 10.0
"""Assumed for one busy processor core with its share of memory and board, where nothing measures it."""


def memory_mib(device: torch.device) -> float:
    """The largest memory so far: the allocator's on a GPU, the process's resident memory on a CPU, MiB."""
    if device.type == "cuda":  # pragma: no cover  (needs a GPU)
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


@dataclass(frozen=True)
class EnergyMeter:
    """Energy since it was made. GPUs count their own (NVML); for a CPU it is processor time x ``CORE_WATTS``."""

    device: torch.device
    start: float

    def used_wh(self) -> float | None:
        """Watt-hours of this process's device; ``None`` where nothing is known."""
        now = _joules(self.device)
        return None if now is None else max(0.0, now - self.start) / 3600

    @property
    def source(self) -> str:
        """Where the figure comes from, for people."""
        if self.device.type == "cuda":  # pragma: no cover  (needs a GPU)
            return "measured by the GPU (NVML)"
        return f"estimated: processor time at {CORE_WATTS:g} W a core"


def energy_meter(device: torch.device) -> EnergyMeter:
    """A meter that starts now."""
    return EnergyMeter(device, _joules(device) or 0.0)


def _joules(device: torch.device) -> float | None:
    if device.type == "cuda":  # pragma: no cover  (needs a GPU)
        try:
            nvml: Any = importlib.import_module("pynvml")
            nvml.nvmlInit()
            handle = nvml.nvmlDeviceGetHandleByIndex(device.index or 0)
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except Exception:  # noqa: BLE001  (an absent library, an old driver, a virtual GPU: no figure, no harm)
            return None
    times = os.times()
    return CORE_WATTS * (times.user + times.system)
