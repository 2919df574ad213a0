"""Is method A better than method B, each trained with the same seeds? The mean difference over seeds, participants swapped in all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxtune.evaluation.compare import MMSE_SCORES, SCORES, paired_tables, sides
from voxtune.evaluation.compare_findings import SCORES as FINDINGS_SCORES
from voxtune.evaluation.compare_findings import Answered, same_scans
from voxtune.evaluation.compare_findings import sides as findings_sides
from voxtune.evaluation.intervals import number_participants
from voxtune.evaluation.permutation_test import Draw, Sides, compared, corrected, swapped
from voxtune.evaluation.seeds import over_seeds
from voxtune.evaluation.weighted_metrics import Integers
from voxtune.types.records import Comparison, OverSeeds, Prediction


@dataclass(frozen=True)
class SeedComparison:
    """A score of A and B: means over seeds with their test, and the difference seed by seed."""

    comparison: Comparison
    differences: Mapping[int, float | None]
    """A minus B by seed."""

    @property
    def over(self) -> OverSeeds:
        """Mean and standard deviation of the differences."""
        return over_seeds(list(self.differences.values()))


@dataclass(frozen=True)
class _Seed:
    """One seed of A and of B: a score of both and the scans it rests on."""

    sides: Sides
    scans: tuple[str, ...]


def compare_seeds(
    pairs: Mapping[int, tuple[Sequence[Prediction], Sequence[Prediction]]],
    classes: Sequence[str],
    mmse_true: Mapping[str, float],
    draw: Draw,
) -> list[SeedComparison]:
    """Every score of two sets of trainings, paired by seed.

    Args:
        pairs: by seed the predictions of A and of B, of the same scans; other seeds may have other scans.
        classes: in their order.
        mmse_true: measured points by scan_id.
        draw: how participants are drawn and swapped.

    Raises:
        DataError: a seed whose scans, diagnoses or participants differ between A and B.
    """
    tables = {seed: paired_tables(a, b, classes, mmse_true) for seed, (a, b) in pairs.items()}
    kept = {seed: [one for one in a if one.diagnosis is not None] for seed, (a, _) in pairs.items()}
    whose = _numbered({seed: [str(one.participant_id) for one in rows] for seed, rows in kept.items()})
    first = next(iter(tables.values()))[0]
    strata = replace(
        first,
        participant=np.concatenate([whose[seed] for seed in tables]),
        true=np.concatenate([a.true for a, _ in tables.values()]),
    ).strata
    families: list[tuple[str, dict[int, _Seed]]] = []
    for name, score in SCORES.items():
        families.append(
            (
                name,
                {
                    seed: _Seed(
                        replace(sides(score, a, b), participant=whose[seed]),
                        tuple(one.scan_id for one in kept[seed]),
                    )
                    for seed, (a, b) in tables.items()
                },
            )
        )
    for name, score in MMSE_SCORES.items():
        found = {}
        for seed, (a, b) in tables.items():
            assert a.mmse_true is not None
            both = np.isfinite(a.mmse_predicted) & np.isfinite(b.mmse_predicted) & np.isfinite(a.mmse_true)
            if both.any():
                found[seed] = _Seed(
                    replace(sides(score, a.some(both), b.some(both)), participant=whose[seed][both]),
                    tuple(row.scan_id for row, yes in zip(kept[seed], both, strict=True) if yes),
                )
        if found:
            families.append((name, found))
    return _tested(families, list(pairs), strata, draw)


def compare_findings_seeds(
    pairs: Mapping[int, tuple[Answered, Answered]], draw: Draw
) -> list[SeedComparison]:
    """Every score over all findings of two sets of trainings, paired by seed.

    Raises:
        DataError: a seed whose scans, participants, findings or labels differ between A and B.
    """
    ordered = {seed: (a, same_scans(a, b)) for seed, (a, b) in pairs.items()}
    whose = _numbered({seed: a.findings.participants for seed, (a, _) in ordered.items()})
    people = max(int(one.max()) for one in whose.values()) + 1
    families = [
        (
            name,
            {
                seed: _Seed(findings_sides(name, a, b, whose[seed]), a.scan_ids)
                for seed, (a, b) in ordered.items()
            },
        )
        for name in FINDINGS_SCORES
    ]
    return _tested(families, list(pairs), np.zeros(people, dtype=np.int64), draw)


def _numbered(people: Mapping[int, Sequence[str]]) -> dict[int, Integers]:
    """The participant of each scan of each seed, the same number for the same person in all seeds."""
    numbers = number_participants([one for some in people.values() for one in some])
    ends = np.cumsum([len(some) for some in people.values()])[:-1]
    return dict(zip(people, np.split(numbers, ends), strict=True))


def _tested(
    families: Sequence[tuple[str, Mapping[int, _Seed]]], seeds: Sequence[int], strata: Integers, draw: Draw
) -> list[SeedComparison]:
    differences: list[dict[int, float | None]] = []
    rows = []
    for name, by_seed in families:
        each: dict[int, float | None] = dict.fromkeys(seeds)
        for seed, one in by_seed.items():
            of_a, of_b = one.sides.values()
            each[seed] = of_a - of_b if np.isfinite(of_a - of_b) else None
        defined = [by_seed[seed] for seed in seeds if each[seed] is not None]
        differences.append(each)
        n_scans = len({scan for one in defined for scan in one.scans})
        nothing = (float("nan"), float("nan"))
        rows.append(
            swapped(name, [one.sides for one in defined], strata, draw, n_scans=n_scans)
            if defined
            else compared(name, "participants swapped", nothing, interval=None, p_value=None, counts=(0, 0))
        )
    return [SeedComparison(*one) for one in zip(corrected(rows), differences, strict=True)]
