"""What would accuracy be on scans without labels? The mean confidence, corrected by what confidence was off on validation.

Difference of confidences (Guillory et al. 2021, arXiv 2107.03315): right where confidence means on the new scans what it meant on
validation. It does not where scans look otherwise than those that were seen, so the estimate is withheld there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

FEWEST_KNOWN, FEWEST = 50, 20
"""Validation participants, who also calibrated the confidence, and new people, below whom the interval would hold the truth too seldom."""


@dataclass(frozen=True)
class ExpectedAccuracy:
    """The share of new people whose class would be right, with its 95% interval, and that of the validation participants."""

    value: float
    low: float
    high: float
    validation: float
    people: int

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"About {self.value:.0%} of the answers are expected to be right ({self.low:.0%} to {self.high:.0%}; validation "
            f"{self.validation:.0%}), if confidence means here what it meant there."
        )


def expected_accuracy(
    right: Sequence[float], wrong: Sequence[float], confidence: ArrayLike
) -> tuple[ExpectedAccuracy | None, str]:
    """The estimate, or why there is none.

    Args:
        right: confidence of validation answers that were right, one a participant.
        wrong: of those that were wrong.
        confidence: of new people (n,).
    """
    from scipy.stats import t

    known, new = len(right) + len(wrong), np.asarray(confidence, dtype=float)
    if known < FEWEST_KNOWN or len(new) < FEWEST:
        return (
            None,
            f"there are {known} validation participants and {len(new)} new people, {FEWEST_KNOWN} and {FEWEST} are needed",
        )
    off = np.r_[1 - np.asarray(right, dtype=float), -np.asarray(wrong, dtype=float)]
    value = float(new.mean() + off.mean())
    # One more right and one more wrong answer: a validation side without an error is not without doubt.
    spread = float(np.var(np.r_[off, 1 - off.mean(), -off.mean()], ddof=1))
    variance = spread / known + float(new.var(ddof=1)) / len(new) + _of_answers(value, len(new))
    half = float(t.ppf(0.975, known - 1)) * math.sqrt(variance)
    low, high = max(0.0, value - half), min(1.0, value + half)
    accuracy = len(right) / known
    return ExpectedAccuracy(min(max(value, low), high), low, high, accuracy, len(new)), ""


def _of_answers(value: float, people: int) -> float:
    """Variance of the accuracy of so many people around what is expected of their confidences."""
    share = min(max(value, 1 / (people + 2)), 1 - 1 / (people + 2))
    return share * (1 - share) / people
