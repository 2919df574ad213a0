"""``voxtune compare`` for two sets of seeds: paired by seed, on the test scans that both were scored on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.compare.command import (
    both_of_findings,
    is_seed_set,
    measured_by_both,
    read_both,
    stated_of,
)
from voxtune.errors import DataError

if TYPE_CHECKING:
    from voxtune.pages.comparison_page import ComparedCohort


def seed_folder(seed: int) -> str:
    """Name of the folder of one seed in an evaluation over seeds."""
    return f"seed-{seed}"


def compare_seed_sets(a: Path, b: Path) -> "ComparedCohort":
    """Every score of A and B over the seeds they share.

    Raises:
        DataError: one is no set of seeds, they share no seed, or a seed was scored on other scans, labels or classes in A than in B.
    """
    from voxtune.evaluation.compare_findings import read_answered
    from voxtune.evaluation.compare_seeds import compare_findings_seeds, compare_seeds
    from voxtune.evaluation.permutation_test import Draw
    from voxtune.evaluation.tables import PREDICTIONS
    from voxtune.pages.comparison_page import ComparedCohort, SeedSpread

    stated = _stated(a), _stated(b)
    seeds = sorted(set(stated[0]["seeds"]) & set(stated[1]["seeds"]))
    if not seeds:
        raise DataError(
            f"A has the seeds {_listed(stated[0]['seeds'])}, B has {_listed(stated[1]['seeds'])}: none is shared, so nothing can be paired."
        )
    folders = {seed: (a / seed_folder(seed), b / seed_folder(seed)) for seed in seeds}
    files = {seed: (one / PREDICTIONS, other / PREDICTIONS) for seed, (one, other) in folders.items()}
    findings = both_of_findings(a.name, *files[seeds[0]])
    if findings:
        answers = {seed: (read_answered(one), read_answered(other)) for seed, (one, other) in files.items()}
        found = compare_findings_seeds(answers, Draw())
        classes = answers[seeds[0]][0].findings.names
    else:
        read = {seed: read_both(seed_folder(seed), *two) for seed, two in files.items()}
        measured: dict[str, float] = {}
        for seed, two in folders.items():
            measured |= measured_by_both(seed_folder(seed), *two)
        classes = read[seeds[0]][2]
        found = compare_seeds({seed: one[:2] for seed, one in read.items()}, classes, measured, Draw())
    return ComparedCohort(
        str(stated[0]["cohort"]),
        classes,
        [one.comparison for one in found],
        kinds=(stated[0].get("kind"), stated[1].get("kind")),
        findings=findings,
        simulated=any(one.get("simulated") is True for one in stated),
        seeds=seeds,
        spread=[SeedSpread(one.over.defined, one.over.sd, dict(one.differences)) for one in found],
        notes=_notes(seeds, stated),
    )


def _stated(folder: Path) -> dict[str, Any]:
    if not is_seed_set(folder):
        raise DataError(
            f"'{folder.name}' is no set of seeds, the other is. Compare two sets that 'voxtune evaluate RUN RUN ... -o DIR' wrote, or a run "
            f"with one folder {seed_folder(0)} of a set."
        )
    return stated_of(folder)


def _notes(seeds: list[int], stated: tuple[dict[str, Any], dict[str, Any]]) -> list[str]:
    one_side = all(one.get("one_test_side") is True for one in stated)
    notes = ["All seeds are scored on the same scans." if one_side else "Each seed has its own test side."]
    for name, one in zip("AB", stated, strict=True):
        if alone := sorted(set(one["seeds"]) - set(seeds)):
            notes.append(f"Left out, because only {name} has it: seed {_listed(alone)}.")
    return notes


def _listed(seeds: list[int]) -> str:
    return ", ".join(str(one) for one in seeds)
