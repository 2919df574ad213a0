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

    @classmethod
    def of(cls, rows: Sequence[ManifestRow], figures: Sequence[Mapping[str, float]]) -> "Seen":
        """Of the rows of a manifest."""
        return cls([row.participant_id for row in rows], figures, [row.scanner for row in rows])

    def one_each(self, seed: int = 0) -> list[int]:
        """The place of one scan of every participant, drawn by chance."""
        every = np.ones(len(self.participants), dtype=bool)
        return [int(place) for place in one_scan_each(self.participants, every, seed)]

    def at(self, places: Sequence[int]) -> "Seen":
        """Some of the scans."""
        return Seen(
            [self.participants[place] for place in places],
            [self.figures[place] for place in places],
            [self.scanners[place] for place in places],
        )

    def by_figure(self) -> dict[str, list[float]]:
        """The values of each figure, of the scans that have it."""
        names = dict.fromkeys(name for one in self.figures for name in one)
        return {name: [one[name] for one in self.figures if name in one] for name in names}


def keep_reference(
    seen: Seen,
    labels: ArrayLike | None = None,
    classes: Sequence[str] = (),
    chances: ArrayLike | None = None,
) -> ReferencePeople | None:
    """What an adapter keeps of its validation scans; ``None`` of too few participants.

    Args:
        seen: validation scans.
        labels: class numbers (n,), below 0 where unknown; where one class among several is asked.
        classes: their names.
        chances: calibrated probabilities of the classes (n, k).
    """
    people = seen.at(seen.one_each())
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
        **_answers(seen.participants, labels, classes, chances),
    )


def _answers(
    participants: Sequence[str],
    labels: ArrayLike | None,
    classes: Sequence[str],
    chances: ArrayLike | None,
) -> dict[str, object]:
    """How often which answer was right, one scan a participant among those with a known class."""
    if labels is None or chances is None:
        return {}
    label = np.asarray(labels)
    chosen = one_scan_each(participants, label >= 0)
    answers = np.asarray(chances, dtype=float)[chosen]
    said, true = answers.argmax(axis=1), label[chosen]
    sure = np.round(answers.max(axis=1), 4)
    table = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(table, (true, said), 1)
    return {
        "classes": tuple(classes),
        "said": tuple(tuple(row) for row in table.tolist()),
        "right": tuple(sorted(sure[said == true].tolist())),
        "wrong": tuple(sorted(sure[said != true].tolist())),
    }
