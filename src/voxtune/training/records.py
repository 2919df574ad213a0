"""What goes into a training and what comes out of it, as records."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from torch import Tensor

from voxtune.data.examples import Examples, ReadScan
from voxtune.model.vlm import ClassTokens, VisionLanguageModel
from voxtune.tasks.task import Task
from voxtune.training.plan import Plan

Form = Literal["volumes", "embedded", "finished"]
"""What is read of a scan: its volume, what the frozen front of the vision tower made of it (``vision.embed``), or what a
wholly frozen tower made of it (``base_image``)."""


@dataclass(frozen=True)
class Steer:
    """What the validation scans say of a model."""

    metric: float
    """Greater is better."""
    loss: float | None = None
    """Smaller is better; breaks ties of the metric. ``None``: not known."""

    def beats(self, metric: float | None, loss: float | None) -> bool:
        """Whether it is at least as good as an earlier one: by the metric, then by the loss; of equals the later one is kept."""
        if metric is None or self.metric != metric:
            return metric is None or self.metric > metric
        return self.loss is None or loss is None or self.loss <= loss


Validate = Callable[[VisionLanguageModel], Steer]
"""What the validation scans say of a model. Every process calls it; all return the same."""


@dataclass(frozen=True)
class TrainingInputs:
    """What a run learns from and is steered by."""

    task: Task
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
    """Volume, scan_id, pass over the scans to the volume that is trained on."""
    validated: int | None = None
    """Participants of the validation side; ``None``: enough to choose by."""


@dataclass(frozen=True)
class Epoch:
    """What happened up to a validation; a line of ``log.jsonl``. Times are of the first process, scans of all.

    An epoch is one pass over the training scans; where the length of a run is in steps, the steps up to its next validation.
    """

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
    step: int | None = None
    """Steps of the whole run that are done; ``None`` in logs of before."""
    validation_loss: float | None = None
    targets: dict[str, float | None] = field(default_factory=dict)
    """The errors of targets other than ``mmse``, unweighted, on the scale of the loss."""

    def line(self) -> dict[str, Any]:
        """The epoch as a line of the log; ``targets`` where there are some."""
        line = asdict(self)
        return line if self.targets else {name: value for name, value in line.items() if name != "targets"}


@dataclass(frozen=True)
class Fitted:
    """How a run ended: the epochs of this call, all of them, and the best one of the whole run."""

    epochs: list[Epoch]
    history: list[Epoch]
    best_epoch: int
    best_metric: float
    plan: Plan


@dataclass(frozen=True)
class Watcher:
    """Who is told about epochs (all so far, the new one last), about steps (done, of, loss), and what a person should know."""

    epoch: Callable[[list[Epoch]], None] = lambda _: None
    step: Callable[[int, int, float], None] = lambda _done, _of, _loss: None
    say: Callable[[str], None] = lambda _: None
