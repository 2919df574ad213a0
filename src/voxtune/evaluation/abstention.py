"""When to give no class: below a confidence chosen on validation, where answers would be wrong too often."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from voxtune.types.reliability import AbstentionRule

COST = 0.4
"""Of an abstention against 1 for a wrong class: an answer is worth giving where it is right more than 60% of the time."""
FEWEST = 20
"""Validation scans below which no rule is chosen."""


def fit_abstention(
    probabilities: ArrayLike, labels: ArrayLike, participants: Sequence[str], cost: float = COST
) -> AbstentionRule | None:
    """The confidence that makes errors + cost x abstentions least on validation scans (Chow 1970).

    Of thresholds that cost the same, the lowest: it abstains least. ``None`` with fewer than 20 labelled scans.

    Args:
        probabilities: calibrated (n, k).
        labels: class numbers (n,), below 0 where unknown.
        participants: of the scans (n,).
        cost: of an abstention.
    """
    found, label = np.asarray(probabilities, dtype=float), np.asarray(labels)
    known = label >= 0
    if int(known.sum()) < FEWEST:
        return None
    found, label = found[known], label[known]
    confidence, right = found.max(axis=1), found.argmax(axis=1) == label
    order = np.argsort(confidence, kind="stable")
    level, wrong = confidence[order], ~right[order]
    # Place i: the i least sure scans get no class. Only where the next is surer than the last is that a threshold.
    total = wrong.sum() - np.r_[0, np.cumsum(wrong)] + cost * np.arange(len(level) + 1)
    allowed = np.r_[True, level[1:] > level[:-1], False]  # never all of them
    best = int(np.flatnonzero(allowed)[np.argmin(total[allowed])])
    threshold = 0.0 if best == 0 else float((level[best - 1] + level[best]) / 2)
    kept = right[confidence >= threshold]
    return AbstentionRule(
        confidence=round(threshold, 6),
        cost=cost,
        kept=float(len(kept) / len(right)),
        accuracy_kept=float(kept.mean()) if len(kept) else None,
        accuracy_all=float(right.mean()),
        n_scans=len(right),
        n_participants=len(set(np.asarray(participants)[known])),
    )


def abstains(confidence: float, rule: AbstentionRule | None) -> bool:
    """Whether a prediction of this confidence is withheld."""
    return rule is not None and confidence < rule.confidence
