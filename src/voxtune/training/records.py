"""What goes into a training and what comes out of it, as records."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from voxtune.data.examples import Examples, ReadScan
from voxtune.model.vlm import ClassTokens, VisionLanguageModel

Form = Literal["volumes", "embedded", "finished"]
"""What is read of a scan: its volume, what the frozen front of the vision tower made of it (``vision.embed``), or what a
wholly frozen tower made of it (``base_image``)."""

Validate = Callable[[VisionLanguageModel], float]
"""The metric of a model on the validation scans (greater is better). Every process calls it; all return the same."""


@dataclass(frozen=True)
class Task:
    """What a run learns from and is steered by."""

    train: Examples
    read: ReadScan
    """Called from several threads at once."""
    validate: Validate
    class_tokens: ClassTokens
    form: Form = "volumes"
    """Of what ``read`` gives."""
    reports: ReadScan | None = None
    """scan_id to what a wholly frozen text tower made of its report (1 + L, E) (``base_text``)."""
    augment: Callable[[Tensor, str, int], Tensor] | None = None
    """Volume, scan_id, epoch to the volume that is trained on."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch did; a line of ``log.jsonl``. Times are of the first process, scans of all."""

    epoch: int
    loss: float
    contrastive: float
    mmse: float | None
    metric: float
    rate: float
    temperature: float
    scans: int
    seconds: float
    best: bool
    classes: float | None = None
    """The class term, unweighted."""
    gradient: float = 0.0
    """Mean norm of the gradient before it is clipped."""
    steps: int = 0
    data_seconds: float = 0.0
    """Of ``seconds``, how long the steps waited for scans."""
    validation_seconds: float = 0.0
    memory_mib: float = 0.0
    """Largest memory of the process so far (of the GPU, on one)."""
    energy_wh: float | None = None
    energy_from: str | None = None
    """Measured by the GPU, or estimated from processor time."""


@dataclass(frozen=True)
class Fitted:
    """How a run ended: the epochs of this call, all of them, and the best one of the whole run."""

    epochs: list[Epoch]
    history: list[Epoch]
    best_epoch: int
    best_metric: float


@dataclass(frozen=True)
class Watcher:
    """Who is told about epochs (all so far, the new one last), about steps (done, of, loss), and what a person should know."""

    epoch: Callable[[list[Epoch]], None] = lambda _: None
    step: Callable[[int, int, float], None] = lambda _done, _of, _loss: None
    say: Callable[[str], None] = lambda _: None
