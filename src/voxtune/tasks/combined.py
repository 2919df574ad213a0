"""Several tasks of the same scans: classes or findings first, then targets; the loss is their weighted sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.tasks.task import Say, Task, TaskFacts, Validated
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.data.examples import Labels
    from voxtune.evaluation.weighted_metrics import Floats
    from voxtune.losses.total import TaskTerms
    from voxtune.model.heads import TargetHead
    from voxtune.types.tensors import Batch, Output, ScanOutputs


@dataclass(frozen=True)
class Combined:
    """Two or more tasks; the first one decides which rows are used and what steers the run, unless only a later one can."""

    parts: tuple[Task, ...]

    @property
    def metrics(self) -> frozenset[str]:
        """What any part can give."""
        return frozenset().union(*(part.metrics for part in self.parts))

    def check(self) -> None:
        """The settings of every part."""
        for part in self.parts:
            part.check()

    def select_rows(self, rows: Sequence[ManifestRow], say: Say) -> list[ManifestRow]:
        """The rows of the first part: a target may be missing in any of them."""
        return self.parts[0].select_rows(rows, say)

    def unlabelled_rows(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        """Those of the first part."""
        return self.parts[0].unlabelled_rows(rows)

    def settle(self, config: RunConfig, sides: Mapping[str, Sequence[ManifestRow]], say: Say) -> RunConfig:
        """The settings of every part, one after the other."""
        for part in self.parts:
            config = part.settle(config, sides, say)
        return config

    def taught(self, rows: Sequence[ManifestRow]) -> "Combined":
        """Every part with what it takes from the training scans."""
        return Combined(tuple(part.taught(rows) for part in self.parts))

    def labels(self, rows: Sequence[ManifestRow], train: Sequence[ManifestRow]) -> "Labels":
        """What every part knows."""
        return reduce(lambda one, two: one.beside(two), [part.labels(rows, train) for part in self.parts])

    def class_texts(self) -> list[list[str]]:
        """Those of the part that has some."""
        return [texts for part in self.parts for texts in part.class_texts()]

    def loss(self, output: "Output", batch: "Batch", heads: "Mapping[str, TargetHead]") -> "TaskTerms":
        """The terms of every part."""
        return reduce(
            lambda one, two: one.beside(two), [part.loss(output, batch, heads) for part in self.parts]
        )

    def validation_metric(
        self, outputs: "ScanOutputs", labels: "Labels", metric: str, heads: "Mapping[str, TargetHead]"
    ) -> float:  # fmt: skip
        """That of the first part that has such a metric."""
        part = next(part for part in self.parts if metric in part.metrics)
        return part.validation_metric(outputs, labels, metric, heads)

    def probe(self, labels: "Labels", seen: "Floats", new: "Floats", seed: int) -> "Tensor | None":
        """That of the first part."""
        return self.parts[0].probe(labels, seen, new, seed)

    def notes(self, train: "Labels") -> list[str]:
        """Those of every part."""
        return [note for part in self.parts for note in part.notes(train)]

    def adapter_facts(self, validated: Validated) -> TaskFacts:
        """Those of every part; what several state (``task``, ``classes``) the first one decides."""
        return reduce(
            lambda one, two: one.beside(two), [part.adapter_facts(validated) for part in self.parts]
        )
