"""What a task is, and which one a run's settings ask for.

Training, evaluation and serving ask a task and never look which kind it is; a new kind of task is one file here and a line in
``catalog.TASKS``. Torch is imported inside the methods that compute, so that commands can ask for rows and settings without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from voxtune.catalog import SCORED_TASKS, TASKS, load
from voxtune.config import RunConfig
from voxtune.errors import SettingError
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voxtune.data.examples import Examples, Labels
    from voxtune.evaluation.evaluated_model import EvaluatedModel
    from voxtune.evaluation.scored_task import ScoredTask
    from voxtune.losses.total import TaskTerms
    from voxtune.model.heads import TargetHead
    from voxtune.types.tensors import Batch, Output, ScanOutputs

Say = Callable[[str], None]
DEFAULT_METRIC = "balanced_accuracy"
"""Of ``training.metric``."""


@dataclass(frozen=True)
class Validated:
    """What a fitted model says of the validation scans, and what is known of both sides."""

    outputs: "ScanOutputs"
    validation: "Examples"
    train: "Examples"
    seen: "ScanOutputs | None" = None
    """What it says of training scans, of many of some; where numbers are predicted."""

    def taught(self, target: str) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """The predicted and the measured number of training scans (n,)."""
        import numpy as np

        if self.seen is None or target not in self.seen.targets:
            return np.zeros(0), np.zeros(0)
        place = {scan: number for number, scan in enumerate(self.train.scan_ids)}
        rows = [place[scan] for scan in self.seen.scan_ids]
        known = self.train.labels.targets[target].double().numpy()
        return self.seen.targets[target].double().numpy(), known[rows]


@dataclass(frozen=True)
class TaskFacts:
    """What an adapter says of its task."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of ``AdapterFacts``: ``task``, ``classes``, ``class_texts``, calibration, thresholds, ``target_scores``."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Counts of the training scans."""
    trust: Mapping[str, Any] = field(default_factory=dict)
    """Of ``Trust``: how far an answer can be relied on."""
    probabilities: "NDArray[np.float64] | None" = None
    """Of the validation scans (m, k), calibrated, where one class among several is asked."""

    @property
    def confidence(self) -> "NDArray[np.float64] | None":
        """The largest probability of each validation scan (m,)."""
        return None if self.probabilities is None else self.probabilities.max(axis=1)

    def beside(self, other: "TaskFacts") -> "TaskFacts":
        """Those of two tasks on the same scans; where both state something, the first one is right."""
        return TaskFacts(
            {**other.fields, **self.fields},
            {**other.training, **self.training},
            {**other.trust, **self.trust},
            self.probabilities if self.probabilities is not None else other.probabilities,
        )


class Task(Protocol):
    """What is asked of a scan: which rows can be used, what a batch is compared with, what the loss and the validation metric are."""

    @property
    def metrics(self) -> frozenset[str]:
        """Values of ``training.metric`` that this task can give."""
        ...

    def check(self) -> None:
        """Look at the settings alone.

        Raises:
            SettingError: settings that cannot go together.
        """
        ...

    def select_rows(self, rows: Sequence[ManifestRow], say: Say) -> list[ManifestRow]:
        """The rows that can be trained on and scored: their truth is known. What is left out is counted aloud.

        Raises:
            DataError: none can, or a column is absent.
            TableError: a cell is not what its column should hold.
        """
        ...

    def unlabelled_rows(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        """The rows of which nothing that is asked is known."""
        ...

    def settle(self, config: RunConfig, sides: Mapping[str, Sequence[ManifestRow]], say: Say) -> RunConfig:
        """The settings, once it is known what the scans of each side (``train``, ``val``, ``test``) hold.

        Raises:
            DataError: the training scans cannot teach what is asked, or the validation scans cannot steer it.
            TableError: a cell is not what its column should hold.
        """
        ...

    def taught(self, rows: Sequence[ManifestRow]) -> "Task":
        """The task with what it takes from the training scans before anything is learned: their classes, the level of their hazards."""
        ...

    def labels(self, rows: Sequence[ManifestRow], train: Sequence[ManifestRow]) -> "Labels":
        """What is known of some rows, as arrays that batches are cut from; ``train``: what weights are counted on."""
        ...

    def class_texts(self) -> list[list[str]]:
        """The texts a scan is compared with: one list for each template; empty where no class is asked."""
        ...

    def loss(self, output: "Output", batch: "Batch", heads: "Mapping[str, TargetHead]") -> "TaskTerms":
        """The unweighted terms of a batch; a term that nothing is known of is absent."""
        ...

    def validation_metric(
        self, outputs: "ScanOutputs", labels: "Labels", metric: str, heads: "Mapping[str, TargetHead]"
    ) -> float:
        """The figure that steers a run, greater is better; ``metric`` is one of ``metrics``."""
        ...

    def probe(
        self, labels: "Labels", seen: "NDArray[np.float64]", new: "NDArray[np.float64]", seed: int
    ) -> "Tensor | None":
        """Logits of validation vectors (m, E), as ``validation_metric`` takes them, by a regression on training vectors (n, E).

        ``None`` where there is nothing to learn, or numbers alone are asked.
        """
        ...

    def notes(self, train: "Labels") -> list[str]:
        """Sentences for a person before training: what the training scans cannot teach, how many answers there are."""
        ...

    def adapter_facts(self, validated: Validated) -> TaskFacts:
        """What the adapter must know to answer: classes and their texts, calibration, thresholds, intervals; fixed on validation."""
        ...


def check_settings(task: Task, config: RunConfig) -> None:
    """Refuse settings that cannot go together before anything is read.

    Raises:
        SettingError: names the setting; a metric that nothing that is asked has. Where no class is asked the default stands for ``mae``.
    """
    task.check()
    _check_imbalance(config)
    if config.classes.signs and (config.event is not None or not config.classes.asked):
        raise SettingError("classes.signs", "0 where no class and no finding is asked", config.classes.signs)
    metric, standing_in = (
        config.training.metric,
        config.training.metric == DEFAULT_METRIC and DEFAULT_METRIC not in task.metrics and stands_in(config),
    )
    if metric not in task.metrics and not standing_in:
        raise SettingError(
            "training.metric", f"{' or '.join(sorted(task.metrics))}, of what this run is asked", metric
        )


def stands_in(config: RunConfig) -> bool:
    """Whether the default metric, which is of classes, stands for that of what is asked: of numbers alone, and of an event."""
    return config.event is not None or not config.classes.asked


def _check_imbalance(config: RunConfig) -> None:
    """What is there for rare classes and missing labels must have something to act on."""
    loss, training = config.loss, config.training
    one_of_several = config.classes.asked and not config.classes.findings and config.event is None
    instead = "; findings have loss.finding_balance" if config.classes.findings else ""
    if loss.class_balance and not (one_of_several and loss.class_weight):
        expected = f"false without a class term: it weighs the scans of loss.class_weight, which is 0 or has no classes here{instead}"
        raise SettingError("loss.class_balance", expected, True)  # noqa: FBT003  (the value)
    if training.sampling == "balanced" and not one_of_several:
        raise SettingError("training.sampling", f"shuffled where no one class of several is asked{instead}", "balanced")  # fmt: skip
    if training.unlabelled and not loss.contrastive_weight:
        expected = "false with loss.contrastive_weight=0: a scan without a label has nothing but its report to be aligned with"
        raise SettingError("training.unlabelled", expected, True)  # noqa: FBT003  (the value)


def _asked_of_scan(config: RunConfig) -> list[str]:
    """The kind of task beside any targets; none where no class is asked."""
    if config.event is not None:
        return ["time_to_event"]
    if config.classes.findings:
        return ["findings"]
    return ["classification"] if config.classes.templates else []


def task_of(config: RunConfig, classes: Sequence[str] = ()) -> Task:
    """The task that the settings ask for.

    Args:
        config: of a run.
        classes: the diagnoses to choose among, where the settings leave them to the training scans: ``data.examples.class_names`` of
            those, or the classes of an adapter.

    Raises:
        SettingError: nothing is asked: no class, no finding, no target.
    """
    kinds = _asked_of_scan(config) + (["regression"] if config.targets else [])
    if not kinds:
        raise SettingError(
            "targets", "at least one column where classes=none: otherwise nothing is asked", []
        )
    parts: list[Task] = [load(TASKS, kind, "task").of(config, classes) for kind in kinds]
    return parts[0] if len(parts) == 1 else load(TASKS, "combined", "task")(tuple(parts))


def scored_task(model: "EvaluatedModel") -> "ScoredTask":
    """What a model is asked when it is scored; targets beside classes or findings are columns of their answer.

    Raises:
        SettingError: nothing is asked of a base: no class, no finding.
    """
    config, adapter = model.config, model.adapter
    if config.event is not None:
        return cast("ScoredTask", load(SCORED_TASKS, "time_to_event", "task")(model))
    if config.classes.findings:
        return cast("ScoredTask", load(SCORED_TASKS, "findings", "task")(model))
    if adapter.facts.classes if adapter else config.classes.templates:
        return cast("ScoredTask", load(SCORED_TASKS, "classification", "task")(model))
    if adapter is None:
        raise SettingError("classes", "classes or findings: a base as published predicts no number", "none")
    return cast("ScoredTask", load(SCORED_TASKS, "regression", "task")(model))
