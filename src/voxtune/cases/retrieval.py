"""How well similar cases are found: neighbours of the same class and severity, an image by its text and a text by its image.

Every figure stands beside chance, with an interval over participants; a participant's own scans are never counted as found. Where scans
tie, a figure is what it would be on average if the tied were ordered at random: a space that tells nothing apart reaches chance and no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.cases.nearest import Floats
from voxtune.explanation.intervals import mean_interval

KS = (1, 5, 10)
"""Neighbours that are looked at."""
PARTS = 3
"""Levels of severity: thirds of the participants."""
TIED = 9
"""Decimals in which two likenesses are the same."""


@dataclass(frozen=True)
class Searched:
    """Some scans as a search sees them: row n of each array is scan n."""

    images: Floats
    """(n, E)."""
    participants: Sequence[str]
    classes: Sequence[str | None]
    texts: Floats | None = None
    """(n, E), NaN in the rows of scans without a report."""
    severity: Sequence[float | None] | None = None
    """A number by which people are worse or better off, such as MMSE."""
    outcomes: Sequence[Mapping[str, float]] = ()
    """Of each scan, 1 for a finding that is there or an event that came, 0 for one that did not, absent where nobody knows; or nothing."""


Figure = dict[str, float | int | None]
Words = NDArray[np.str_]


@dataclass(frozen=True)
class _People:
    """Whose the scans are; every mean is over them."""

    names: Words
    strata: tuple[str, ...]
    seed: int

    def mean(self, values: Sequence[float], places: Sequence[int], chance: float) -> Figure:
        """Of the values at some places, with its interval, beside chance."""
        who, strata = [str(self.names[one]) for one in places], [self.strata[one] for one in places]
        return mean_interval(values, who, strata, self.seed, share=True) | {"chance": chance}


def retrieval(found: Searched, seed: int = 0, ks: Sequence[int] = KS) -> dict[str, Figure]:
    """Precision at k by class and by severity, and recall at k of texts and images, each with interval and chance.

    Args:
        found: the scans.
        seed: of the resamples.
        ks: how many neighbours; those that the bank has not are left out.

    Returns:
        Score by name (``precision@5``, ``precision@5/AD``, ``severity@5``, ``outcome@5``, ``outcome@5/Emphysema``, ``text_to_image@5``,
        ``image_to_text@5``), each with ``value``, ``low``, ``high``, ``n_scans``, ``n_participants`` and ``chance``.
    """
    people = _People(np.array(found.participants), tuple(str(one) for one in found.classes), seed)
    alike = np.round(unit(found.images) @ unit(found.images).T, TIED)
    order = [_others(row, people.names, place) for place, row in enumerate(alike)]
    classes = np.array([one or "" for one in found.classes])
    levels = thirds(found.severity, people.names) if found.severity is not None else None
    scores: dict[str, Figure] = {}
    for k in ks:
        if min((len(one.places) for one in order), default=0) >= k:
            scores |= _precision(f"precision@{k}", order, classes, k, people, each=True)
            if levels is not None:
                scores |= _precision(f"severity@{k}", order, levels, k, people, each=False)
            scores |= _outcomes(f"outcome@{k}", order, found.outcomes, k, people)
    return scores if found.texts is None else scores | _pairs(found.texts, found.images, people, ks)


def unit(vectors: Floats) -> Floats:
    """Rows of length 1; what is NaN stays."""
    found: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def thirds(severity: Sequence[float | None], people: Words) -> Words:
    """Which third of the participants each scan lies in, as a word; empty where severity is unknown or fewer than three have it."""
    values = np.array([np.nan if one is None else float(one) for one in severity])
    known = [values[(people == one) & np.isfinite(values)] for one in np.unique(people)]
    means = [float(some.mean()) for some in known if some.size]
    if len(means) < PARTS:
        return np.array([""] * len(values))
    limits = np.quantile(means, [part / PARTS for part in range(1, PARTS)])
    return np.array([str(int(np.searchsorted(limits, one))) if np.isfinite(one) else "" for one in values])


@dataclass(frozen=True)
class _Others:
    """The nearest scan of every other participant, nearest first."""

    places: list[int]
    likeness: Floats

    def of(self, some: NDArray[np.bool_]) -> "_Others":
        """Those whose place is among some."""
        kept = some[self.places]
        return _Others(
            [place for place, one in zip(self.places, kept, strict=True) if one], self.likeness[kept]
        )

    def share(self, hits: Floats, k: int) -> float:
        """The share of hits among the k nearest; of those that tie for the last places as many as fall to them on average."""
        last = self.likeness[k - 1]
        above, tied = self.likeness > last, self.likeness == last
        return float((hits[above].sum() + (k - above.sum()) * hits[tied].mean()) / k)


def _others(row: Floats, people: Words, own: int) -> _Others:
    first: dict[str, int] = {}
    for place in np.argsort(-row, kind="stable"):
        if people[place] != people[own]:
            first.setdefault(str(people[place]), int(place))
    places = list(first.values())
    return _Others(places, row[places])


def _precision(
    name: str, order: Sequence[_Others], labels: Words, k: int, people: _People, *, each: bool
) -> dict[str, Figure]:
    """The share of the k nearest that have the label of the scan; chance is the share of all others that have it."""
    asked = [place for place in range(len(labels)) if labels[place]]
    if len(set(labels[asked])) < 2:
        return {}
    same = {place: (labels[order[place].places] == labels[place]).astype(float) for place in asked}
    kinds = {name: asked}
    for label in sorted(set(labels[asked])) if each else ():
        kinds[f"{name}/{label}"] = [place for place in asked if labels[place] == label]
    return {
        title: people.mean(
            [order[place].share(same[place], k) for place in some],
            some,
            float(np.mean([same[place].mean() for place in some])),
        )
        for title, some in kinds.items()
    }


def _outcomes(
    name: str, order: Sequence[_Others], outcomes: Sequence[Mapping[str, float]], k: int, people: _People
) -> dict[str, Figure]:
    """Of scans that have a finding, the share of the k nearest that have it too; over all, the mean over the findings of each scan.

    Neighbours of whom it is not known are passed over: they are neither with nor without.
    """
    scores: dict[str, Figure] = {}
    shares: dict[int, list[tuple[float, float]]] = {}
    for outcome in dict.fromkeys(name for one in outcomes for name in one):
        there = np.array([one.get(outcome, np.nan) for one in outcomes])
        known = {place: order[place].of(np.isfinite(there)) for place in np.flatnonzero(there == 1).tolist()}
        some = [place for place, one in known.items() if len(one.places) >= k]
        if not some or not (there == 0).any():
            continue
        hits = {place: there[known[place].places] for place in some}
        found = [(known[place].share(hits[place], k), float(hits[place].mean())) for place in some]
        for place, both in zip(some, found, strict=True):
            shares.setdefault(place, []).append(both)
        values, chances = zip(*found, strict=True)
        scores[f"{name}/{outcome}"] = people.mean(values, some, float(np.mean(chances)))
    if not shares:
        return {}
    asked = sorted(shares)
    means = {place: np.mean(shares[place], axis=0) for place in asked}
    whole = people.mean([float(means[one][0]) for one in asked], asked, float(np.mean([means[one][1] for one in asked])))  # fmt: skip
    return {name: whole} | scores


def _pairs(texts: Floats, images: Floats, people: _People, ks: Sequence[int]) -> dict[str, Figure]:
    """How often a participant's own scan is among the k participants nearest to their text, and the other way round."""
    have = [place for place in range(len(texts)) if np.isfinite(texts[place]).all()]
    who, owner = np.unique(people.names[have], return_inverse=True)
    scores: dict[str, Figure] = {}
    if len(who) < 2:
        return scores
    alike = np.round(unit(texts[have]) @ unit(images[have]).T, TIED)
    for name, matrix in (("text_to_image", alike), ("image_to_text", alike.T)):
        # By the best of everybody's scans.
        best = np.stack([matrix[:, owner == one].max(axis=1) for one in range(len(who))], axis=1)
        mine = best[np.arange(len(have)), owner][:, None]
        above, tied = (best > mine).sum(axis=1), (best == mine).sum(axis=1)
        for k in ks:
            if k < len(who):
                hits = [float(one) for one in np.clip((k - above) / tied, 0, 1)]
                scores[f"{name}@{k}"] = people.mean(hits, have, k / len(who))
    return scores
