"""What an adapter keeps of its validation participants for ``voxtune drift``, and the same of people whose scans are at hand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from voxtune.evaluation.conformal import one_scan_each
from voxtune.types.records import ManifestRow
from voxtune.types.reference import FEWEST_KEPT, OTHER, SMALLEST_GROUP, ReferencePeople

SCANNER = "scanner"


@dataclass(frozen=True)
class Seen:
    """What is known of the scans of a cohort, one entry a scan."""

    participants: Sequence[str]
    figures: Sequence[Mapping[str, float]]
    scanners: Sequence[str | None]
    probabilities: ArrayLike | None = None
    """Calibrated (n, k), where one class among several is asked."""

    @classmethod
    def of(
        cls,
        rows: Sequence[ManifestRow],
        figures: Sequence[Mapping[str, float]],
        probabilities: ArrayLike | None = None,
    ) -> "Seen":
        """Of the rows of a manifest."""
        return cls(
            [row.participant_id for row in rows], figures, [row.scanner for row in rows], probabilities
        )

    def one_each(self, seed: int = 0) -> "Seen":
        """One scan of every participant, drawn by chance."""
        chosen = one_scan_each(self.participants, np.ones(len(self.participants), dtype=bool), seed).tolist()
        probabilities = None if self.probabilities is None else np.asarray(self.probabilities)[chosen]
        return Seen(
            [self.participants[place] for place in chosen],
            [self.figures[place] for place in chosen],
            [self.scanners[place] for place in chosen],
            probabilities,
        )

    def by_figure(self) -> dict[str, list[float]]:
        """The values of each figure, of the scans that have it."""
        names = dict.fromkeys(name for one in self.figures for name in one)
        return {name: [one[name] for one in self.figures if name in one] for name in names}


def keep_reference(
    seen: Seen, labels: ArrayLike | None = None, classes: Sequence[str] = ()
) -> ReferencePeople | None:
    """What an adapter keeps of its validation scans; ``None`` of too few participants.

    Args:
        seen: validation scans.
        labels: class numbers (n,), below 0 where unknown; where one class among several is asked.
        classes: their names.
    """
    people = seen.one_each()
    if len(people.participants) < FEWEST_KEPT:
        return None
    figures = {
        name: tuple(sorted(float(f"{value:.4g}") for value in values))
        for name, values in people.by_figure().items()
        if len(values) >= FEWEST_KEPT
    }
    counts = Counter(one for one in people.scanners if one is not None)
    named = {name: count for name, count in sorted(counts.items()) if count >= SMALLEST_GROUP}
    rest = sum(counts.values()) - sum(named.values())
    groups = {SCANNER: named | ({OTHER: rest} if rest >= SMALLEST_GROUP else {})} if named else {}
    return ReferencePeople(
        n_participants=len(people.participants),
        figures=figures,
        groups=groups,
        **_answers(seen, labels, classes),
    )


def _answers(seen: Seen, labels: ArrayLike | None, classes: Sequence[str]) -> dict[str, object]:
    """How often which answer was right, one scan a participant among those with a known class."""
    if labels is None or seen.probabilities is None:
        return {}
    label, chances = np.asarray(labels), np.asarray(seen.probabilities, dtype=float)
    chosen = one_scan_each(seen.participants, label >= 0)
    said, true = chances[chosen].argmax(axis=1), label[chosen]
    sure = np.round(chances[chosen].max(axis=1), 4)
    table = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(table, (true, said), 1)
    return {
        "classes": tuple(classes),
        "said": tuple(tuple(row) for row in table.tolist()),
        "right": tuple(sorted(sure[said == true].tolist())),
        "wrong": tuple(sorted(sure[said != true].tolist())),
    }
