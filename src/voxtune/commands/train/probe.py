"""The linear probe of a run: a regression on what the frozen base makes of the same training scans, beside every run's own figure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxtune.commands.train.validate import score_together
from voxtune.training.plan import ENOUGH_TO_CHOOSE
from voxtune.types.steering import ERRORS, said, value_of

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.commands.train.session import Session
    from voxtune.data.examples import Examples
    from voxtune.model.heads import TargetHead
    from voxtune.tasks.task import Task
    from voxtune.types.protocols import Backbone


@dataclass(frozen=True)
class Probe:
    """What the probe reaches on the validation scans."""

    metric: str
    value: float
    people: int
    """Validation participants."""

    def beside(self, own: float) -> str:
        """How a run stands to it, for people; ``own``: the run's own figure on the same scans."""
        better, worse = (
            ("better than it", "worse than it") if self.metric in ERRORS else ("above it", "below it")
        )
        place = worse if own < self.value else better if own > self.value else "level with it"
        few = (
            f" {self.people} validation participants cannot tell them apart."
            if self.people < ENOUGH_TO_CHOOSE
            else ""
        )
        return (
            f"A linear probe on the frozen base, fitted on the same training scans, reaches {said(self.metric, self.value)} on the validation scans; this "
            f"run is {place} with {value_of(self.metric, own):.3f}.{few} 'voxtune evaluate' compares them on scans that neither saw."
        )


def base_vectors(session: "Session", backbone: "Backbone") -> "dict[str, Tensor] | None":
    """The frozen base's vector (E,) of every training and validation scan; every process calls it.

    ``None`` for a control, which answers nobody, and for a model that is shared out: it may not fit on one device.
    """
    from voxtune.model.build import frozen_base

    config, cohort = session.config, session.cohort
    if cohort.control_of is not None or config.training.strategy == "fsdp":
        return None
    base = frozen_base(config, backbone).to(session.ranks.device)
    scans = session.scans(base)
    names = [row.scan_id for side in ("train", "val") for row in cohort.sides[side]]
    with session.ranks.autocast():
        found = score_together(base, names, scans.score, scans.score_form, [], session.ranks).vectors
    return dict(zip(names, found.float(), strict=True))


def fit_probe(
    session: "Session",
    task: "Task",
    vectors: "dict[str, Tensor] | None",
    sides: "tuple[Examples, Examples]",
    heads: "dict[str, TargetHead]",
) -> Probe | None:
    """Fit on the training side, score on the validation side by the metric that the settings name; ``None`` where nothing can be fitted.

    Args:
        session: of the run.
        task: what is asked.
        vectors: of ``base_vectors``.
        sides: training and validation scans.
        heads: of the model's targets, for their scale.
    """
    import torch

    from voxtune.evaluation.baseline_answers import TargetAnswer
    from voxtune.types.tensors import ScanOutputs

    if vectors is None:
        return None
    config, (train, val) = session.config, sides
    seen, new = (torch.stack([vectors[name] for name in side.scan_ids]).double().numpy() for side in sides)
    logits, in_words = task.probe(train.labels, seen, new, config.seed), bool(task.class_texts())
    if logits is None and in_words:
        return None
    targets = {}
    if config.targets:
        measured = (
            torch.stack([train.labels.targets[one.name] for one in config.targets], dim=1).double().numpy()
        )
        values = torch.from_numpy(TargetAnswer(config.targets).fit(seen, new, measured, config.seed)).float()
        targets = {one.name: values[:, place] for place, one in enumerate(config.targets)}
    outputs = ScanOutputs(val.scan_ids, torch.from_numpy(new).float(), logits, targets)
    metric = config.training.metric
    value = task.validation_metric(outputs, val.labels, metric, heads)
    return Probe(metric, value, len(set(val.participant_ids)))
