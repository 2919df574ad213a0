"""The rules of the verdict, fixed on validation: from which confidence on a class is sure, how near and how far a scan may lie."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxtune.evaluation.ood_detection import distance
from voxtune.types.reliability import AbstentionRule, FamiliarScans
from voxtune.types.verdict import SAID, Looked, VerdictRules, VerdictShares, judge


def fit_verdict_rules(
    features: ArrayLike,
    familiar: FamiliarScans | None,
    abstention: AbstentionRule | None,
    confidence: NDArray[np.float64] | None,
) -> VerdictRules:
    """The rules of an adapter, with what became of its validation scans under them; quality is not looked at there.

    Args:
        features: of validation scans (m, F).
        familiar: where training scans lie, its limit by these validation scans; ``None``: too few to know.
        abstention: the confidence below which classes are wrong too often; ``None`` where none is asked or validation was too small.
        confidence: of the validation scans (m,); ``None`` where no class among several is asked.
    """
    rules = VerdictRules(
        sure=None if abstention is None else abstention.confidence,
        near=None if familiar is None else familiar.usual[1],
        far=None if familiar is None else familiar.limit,
    )
    scans = np.asarray(features, dtype=np.float64)
    sure = confidence if confidence is not None and len(confidence) == len(scans) else None
    away: Sequence[float | None] = [None if familiar is None else distance(one, familiar) for one in scans]
    said = [
        judge(Looked(distance=far, confidence=None if sure is None else float(sure[place])), rules).said
        for place, far in enumerate(away)
    ]
    if not said:
        return rules
    share = [said.count(one) / len(said) for one in SAID]
    shares = VerdictShares(answer=share[0], caution=share[1], none=share[2], n_scans=len(said))
    return rules.model_copy(update={"validation": shares})
