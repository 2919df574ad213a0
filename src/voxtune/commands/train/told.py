"""What a training tells people on the way: the log, a line of progress, other trackers."""

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.run_dir import write_text
from voxtune.storage.strict_json import finite
from voxtune.types.steering import said

if TYPE_CHECKING:
    import torch

    from voxtune.training.records import Epoch
    from voxtune.training.trackers import Tracker

RECENT = 50
"""Steps that the rate and the time left are estimated from."""


@dataclass
class Told:
    """Notes of the loop as ``log.jsonl``, as the note of a progress line, and as figures for trackers."""

    log: Path
    metric: str
    device: "torch.device"
    left: int
    """Steps still to do, should no early stop come."""
    advance: Callable[[str], None]
    trackers: "Sequence[Tracker]" = ()
    last: str = ""
    """The validation metric so far, for the line."""
    times: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    total: int = 0
    """Steps that trackers count."""

    def step(self, _done: int, _of: int, loss: float) -> None:
        """One more step is done."""
        from voxtune.training.cost import memory_mib

        self.times.append(time.monotonic())
        self.total += 1
        self.left -= 1
        for tracker in self.trackers:
            tracker.log({"step/loss": loss}, self.total)
        note = f"loss {loss:.3f}{self.last}, {memory_mib(self.device) / 1024:.1f} GiB"
        if len(self.times) > 1:
            seconds = (self.times[-1] - self.times[0]) / (len(self.times) - 1)
            note += f", {seconds:.2g} s/step, {clock(seconds * self.left)} left"
        self.advance(note)

    def epochs(self, history: "list[Epoch]") -> None:
        """An epoch has ended."""
        write_text(
            self.log,
            "".join(json.dumps(finite(one.line()), allow_nan=False) + "\n" for one in history),
            shared=True,
        )
        now = history[-1]
        self.last = f", {said(self.metric, now.metric)}, {now.scans / now.seconds:.2g} scans/s"
        figures = {
            f"epoch/{name}": float(value)
            for name, value in (
                now.line() | {f"error/{name}": error for name, error in now.targets.items()}
            ).items()
            if isinstance(value, int | float) and name != "epoch"
        }
        for tracker in self.trackers:
            tracker.log(figures, self.total)


def clock(seconds: float) -> str:
    """A duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
