"""The whole objective, Eq. 15 of DEFT: alignment plus the weighted error of each target, plus an optional class term."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class TaskTerms:
    """The unweighted terms of what is asked of a scan; a term that is off, or of which a batch knows nothing, is absent."""

    classes: Float[Tensor, ""] | None = None
    targets: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    """By name."""

    def beside(self, other: "TaskTerms") -> "TaskTerms":
        """The terms of two tasks of the same scans."""
        classes = self.classes if other.classes is None else other.classes
        return TaskTerms(classes, {**self.targets, **other.targets})


@dataclass(frozen=True)
class LossTerms:
    """The named terms of one step, unweighted."""

    contrastive: Float[Tensor, ""]
    task: TaskTerms = TaskTerms()


def total(
    terms: LossTerms,
    target_weights: Mapping[str, float],
    class_weight: float = 0.0,
    contrastive_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """L = contrastive_weight L_CL + 0.5 L_mmse (Eq. 15; of each target its own) + class_weight L_class; a term of weight 0 is left out."""
    loss = contrastive_weight * terms.contrastive if contrastive_weight else terms.contrastive.new_zeros(())
    answers = terms.task
    for name, term in answers.targets.items():
        if target_weights[name]:
            loss = loss + target_weights[name] * term
    if answers.classes is not None and class_weight:
        loss = loss + class_weight * answers.classes
    return loss
