"""The processes of a run: one for each device. Only the first one writes; all of them compute the same global step."""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from voxtune.config import TrainingSettings
from voxtune.model.device import torch_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WAIT = timedelta(hours=12)
"""For the slowest process, which may still read and check the cohort."""


@dataclass(frozen=True)
class Alone:
    """What ``Ranks`` asks of Lightning Fabric, for one process: importing that library costs more than a step of ``tiny``."""

    device: torch.device
    precision: str
    global_rank: int = 0
    world_size: int = 1

    def autocast(self) -> AbstractContextManager[None]:
        """bf16 where the settings mix it in."""
        if self.precision == "32-true":
            return nullcontext()
        return cast(AbstractContextManager[None], torch.autocast(self.device.type, dtype=torch.bfloat16))


@dataclass(frozen=True)
class Ranks:
    """This process among all of a run, and how it talks to the others; with one process every exchange is a no-op."""

    fabric: "Fabric | Alone"

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return cast(torch.device, self.fabric.device)

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return int(self.fabric.global_rank)

    @property
    def count(self) -> int:
        """Processes of the run, on all nodes."""
        return int(self.fabric.world_size)

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks to people."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[None]:
        """The precision of the run for what is computed inside."""
        return cast(AbstractContextManager[None], self.fabric.autocast())

    def gathered(self, rows: Tensor) -> Tensor:
        """The rows (B, ...) of all processes one after another (count x B, ...); every process gives as many."""
        if self.count == 1:
            return rows
        found = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.count)]
        torch.distributed.all_gather(found, rows.contiguous())
        return torch.cat(found)

    def rows_of_all(self, rows: Tensor, count: int) -> Tensor:
        """The ``count`` rows of all processes in order, where each gave its ``share`` filled up to the largest one."""
        if self.count == 1:
            return rows
        longest = -(-count // self.count)
        found = self.gathered(rows)
        base, more = divmod(count, self.count)
        kept = [one * longest + row for one in range(self.count) for row in range(base + (one < more))]
        return found[kept]

    def filled(self, count: int) -> tuple[list[int], int]:
        """The places of this process's ``share`` of ``count`` things, filled up to the largest share; and how many count."""
        own = list(range(count))[self.share(count)]
        longest = -(-count // self.count)
        return own + [0] * (longest - len(own)), len(own)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the mean of all processes' gradients in the place of each one's own, in one message.

        A parameter that another process gave no gradient counts as zero there. Sharded parameters are averaged by their shards
        already and stay out.
        """
        if self.count == 1:
            return
        own = [value for value in parameters if not hasattr(value, "placements")]
        fabric = cast("Fabric", self.fabric)
        has = fabric.all_reduce(
            torch.tensor([float(value.grad is not None) for value in own], device=self.device),
            reduce_op="sum",
        )
        used = [value for value, some in zip(own, cast(Tensor, has).tolist(), strict=True) if some]
        if not used:
            return
        flat = torch.cat(
            [(torch.zeros_like(value) if value.grad is None else value.grad).flatten() for value in used]
        )
        mean = cast(Tensor, fabric.all_reduce(flat, reduce_op="mean"))
        start = 0
        for value in used:
            value.grad = mean[start : start + value.numel()].view_as(value).clone()
            start += value.numel()

    def largest(self, mine: int) -> int:
        """The largest number any process gives."""
        if self.count == 1:
            return mine
        numbers = self.gathered(torch.tensor([mine], device=self.device))
        return int(numbers.max())

    def share(self, count: int) -> slice:
        """Which of ``count`` things are this process's: equal parts in order, the first ones one longer."""
        base, more = divmod(count, self.count)
        start = self.rank * base + min(self.rank, more)
        return slice(start, start + base + (self.rank < more))

    def leave(self) -> None:
        """End the exchange; nothing can be asked of the others afterwards."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def wait(self) -> None:
        """Go on when all are here."""
        if self.count > 1:
            cast("Fabric", self.fabric).barrier()


def start_ranks(settings: TrainingSettings, environ: Mapping[str, str] = os.environ) -> Ranks:
    """Join or start the processes of a run.

    One process stays alone; several are started here on one machine, or come from torchrun or srun.
    """
    devices, nodes = processes(settings, environ)
    if devices * nodes == 1 and "TORCHELASTIC_RUN_ID" not in environ:
        return Ranks(Alone(only_device(settings.accelerator), settings.precision))
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    fabric = Fabric(
        accelerator=settings.accelerator.partition(":")[0],
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=WAIT),
        precision=settings.precision,
    )
    fabric.launch()
    return Ranks(fabric)


def only_device(accelerator: str) -> torch.device:
    """The device of a run of one process, with its number; ``auto``: a GPU where there is one, of any kind.

    Raises:
        SettingError: it is not there.
    """
    if accelerator == "auto" and torch.backends.mps.is_available():
        accelerator = "mps"
    found = torch_device(accelerator)
    return found if found.type == "cpu" or ":" in accelerator else torch.device(found.type, 0)


def processes(settings: TrainingSettings, environ: Mapping[str, str]) -> tuple[int, int]:
    """Processes on each node and nodes: as torchrun or srun started them, otherwise as the settings say."""
    if "TORCHELASTIC_RUN_ID" in environ:
        local = int(environ["LOCAL_WORLD_SIZE"])
        return local, int(environ["WORLD_SIZE"]) // local
    tasks, nodes = int(environ.get("SLURM_NTASKS", "1")), int(environ.get("SLURM_NNODES", "1"))
    if "SLURM_STEP_ID" in environ and environ.get("SLURM_JOB_NAME") not in {"bash", "interactive"}:
        return max(1, tasks // nodes), nodes
    return settings.devices, settings.nodes


def number_of(environ: Mapping[str, str] = os.environ) -> int:
    """0 for the process that checks the data and writes, another number for the others; known before they have joined."""
    for name in ("RANK", "NODE_RANK", "LOCAL_RANK"):
        if int(environ.get(name, "0")):
            return int(environ[name])
    return int(environ.get("SLURM_PROCID", "0")) if "SLURM_STEP_ID" in environ else 0
