"""The best any reader of a simulated picture can do: the true posterior of the written diagnosis, given what the picture shows.

A picture is a function of the shape of the brain, of the anatomy it was bent from, and of scanner, pose and noise. Only the rates of
the regions depend on the class; the rest is drawn without looking at it. So who knows the rates knows at least as much of the
class as who sees the picture, and the Bayes rule on the rates is right at least as often as any reader of pictures, on average
over cohorts. Given severity, age, head and damage, the rates are normal with a known covariance; over those the posterior is
averaged by drawing people from the same generator under seeds of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.simulate.brains import expected_rates
from voxtune.simulate.follow_up import severity
from voxtune.simulate.seeds import Branch, generator
from voxtune.simulate.subjects import (
    CLASSES,
    THRESHOLDS,
    CohortSettings,
    Scan,
    Traits,
    attended,
    traits,
    written,
)

DRAWS = 4000
"""People drawn for the average."""
APART = 1 << 40
"""Added to the cohort's seed, so that nobody of the cohort is among them."""


@dataclass(frozen=True)
class BestPossible:
    """What the best reader gets of some scans."""

    posterior: NDArray[np.float64]
    """Of each class for each scan (n, 3)."""
    accuracy: float
    """Part of these scans whose written diagnosis is the most probable class: luck included."""
    expected: float
    """Mean probability of the most probable class: what such a reader gets on average over cohorts like this one."""
    between_halves: float
    """Difference of ``expected`` between the two halves of the drawn people: how far the average may be off."""


@dataclass(frozen=True)
class _Drawn:
    """People of the generator (m,): what their brains would look like on average, and what a clinic wrote."""

    rates: NDArray[np.float64]
    """(m, R)."""
    labels: NDArray[np.int64]
    scanners: NDArray[np.int64]
    """-1 where it says nothing of the class."""


def best_possible(settings: CohortSettings, scans: Sequence[Scan], draws: int = DRAWS) -> BestPossible:
    """The posterior of the written diagnosis of each scan, and how often its most probable class is right.

    Args:
        settings: of the cohort.
        scans: its scans, or some of them.
        draws: people drawn for the average.
    """
    apart = settings.model_copy(update={"seed": settings.seed + APART})
    drawn = _drawn(apart, draws)
    seen = np.array([_rates(settings, scan) for scan in scans])
    where = np.array([scan.participant.scanner for scan in scans])
    whiten = np.linalg.inv(np.linalg.cholesky(settings.people.covariance(settings.difficulty)))
    posterior, halves = _posterior(seen @ whiten.T, where, drawn, whiten)
    labels = np.array([CLASSES.index(scan.diagnosis) for scan in scans])
    return BestPossible(
        posterior=posterior,
        accuracy=float((posterior.argmax(axis=1) == labels).mean()),
        expected=float(posterior.max(axis=1).mean()),
        between_halves=float(abs(halves[0].max(axis=1).mean() - halves[1].max(axis=1).mean())),
    )


def _posterior(
    seen: NDArray[np.float64], where: NDArray[np.int64], drawn: _Drawn, whiten: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Whitened rates (n, R) and scanners (n,) to the posterior (n, 3), and the same from each half of the drawn people."""
    means = drawn.rates @ whiten.T
    square = (seen**2).sum(axis=1)[:, None] + (means**2).sum(axis=1) - 2 * seen @ means.T
    # A scanner says something of the class only where classes are sent to scanners.
    possible = (drawn.scanners < 0) | (drawn.scanners == where[:, None])
    logs = np.where(possible, -0.5 * square, -np.inf)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    by_class = [weights * (drawn.labels == number) for number in range(len(CLASSES))]

    def normalised(part: slice) -> NDArray[np.float64]:
        sums = np.stack([weight[:, part].sum(axis=1) for weight in by_class], axis=1) + 1e-300
        return np.asarray(sums / sums.sum(axis=1, keepdims=True))

    return normalised(slice(None)), (normalised(slice(0, None, 2)), normalised(slice(1, None, 2)))


def _rates(settings: CohortSettings, scan: Scan) -> NDArray[np.float64]:
    person = scan.participant
    expected = expected_rates(settings, person, scan.severity, scan.age)
    return np.asarray(expected + person.shape.rates.mean(axis=1))


def _drawn(settings: CohortSettings, draws: int) -> _Drawn:
    rates, labels, scanners = [], [], []
    for index in range(draws):
        person, _ = traits(settings, index)
        scanner = _scanner(settings, person)
        for visit in range(_visits(settings, person)):
            cognition = person.cognition + person.pace * visit
            kind = int(np.searchsorted(THRESHOLDS, cognition))
            rates.append(expected_rates(settings, person, severity(person, cognition), person.age + visit))
            labels.append(written(settings.people, kind, person.clinic))
            scanners.append(scanner)
    return _Drawn(np.array(rates), np.array(labels), np.array(scanners))


def _scanner(settings: CohortSettings, person: Traits) -> int:
    if not settings.confounding:
        return -1
    if person.assigned_scanner is not None:
        return person.assigned_scanner
    return int(generator(Branch.TRAITS, settings.seed, person.index, 3).integers(settings.scanners))


def _visits(settings: CohortSettings, person: Traits) -> int:
    if settings.people.dropout is not None:
        return attended(settings, person)
    return int(generator(Branch.TRAITS, settings.seed, person.index, 4).integers(1, settings.visits + 1))
