"""``voxtune compare``: two runs, two evaluations, or two lists of runs, on the same test scans."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.errors import DataError
from voxtune.run_dir import read_json, write_json, write_text

if TYPE_CHECKING:
    from voxtune.evaluation.predictions import Predictions
    from voxtune.pages.comparison_page import ComparedCohort

SEEDS = "seeds.tsv"
"""A folder that has it is an evaluation over seeds; folds are pooled and compared as one."""


def compare(a: str | Path, b: str | Path, output: str | Path | None = None) -> dict[str, Any]:
    """Paired comparison of every evaluation that A and B share.

    Args:
        a: a run, a folder with ``predictions.tsv``, or what ``voxtune evaluate RUN RUN ...`` wrote of several runs.
        b: the other, of the same sort.
        output: where to write ``comparison.json``, ``comparison.tsv`` and ``page.html``; nothing is written without.

    Returns:
        ``{"a", "b", "evaluations": [{"cohort", "task", "simulated", "kinds", "classes", "n_scans", "n_participants",
        "comparisons": [...]}]}``; differences are A minus B. Of seeds also ``"seeds"``, and by score ``n_seeds``, ``sd``, ``each``.

    Raises:
        DataError: nothing to compare, or other test scans, labels, classes or findings in A than in B.
    """
    from voxtune.data.manifest import write_table
    from voxtune.pages.comparison_page import ComparisonFacts, comparison_page

    a, b = Path(a), Path(b)
    if is_seed_set(a) or is_seed_set(b):
        found = [_seed_sets(a, b)]
    else:
        found = [_compared(*one) for one in _shared(a, b)]
    name_a, name_b = _names(a, b)
    result = {"a": name_a, "b": name_b, "evaluations": [_as_json(one) for one in found]}
    if output is not None:
        output = Path(output)
        lines = [{"cohort": one.cohort} | row for one in found for row in _rows(one)]
        columns = dict.fromkeys(
            name for line in lines for name, cell in line.items() if not isinstance(cell, Mapping)
        )
        write_table(output / "comparison.tsv", tuple(columns), lines)
        write_json(output / "comparison.json", result)
        write_text(output / "page.html", comparison_page(ComparisonFacts(name_a, name_b, found)))
    return result


def is_seed_set(folder: Path) -> bool:
    """Whether a folder is what ``voxtune evaluate RUN RUN ...`` wrote of several seeds."""
    return (folder / SEEDS).is_file()


def _rows(cohort: "ComparedCohort") -> list[dict[str, Any]]:
    rows = [asdict(one) for one in cohort.comparisons]
    return [row | asdict(one) for row, one in zip(rows, cohort.spread, strict=True)] if cohort.seeds else rows


def _as_json(cohort: "ComparedCohort") -> dict[str, Any]:
    first = cohort.comparisons[0]
    return {
        "cohort": cohort.cohort,
        "task": cohort.task,
        "simulated": cohort.simulated,
        "kinds": list(cohort.kinds),
        "classes": list(cohort.classes),
        "n_scans": first.n_scans,
        "n_participants": first.n_participants,
        **({"seeds": list(cohort.seeds), "notes": list(cohort.notes)} if cohort.seeds else {}),
        "comparisons": _rows(cohort),
    }


def _compared(cohort: str, folder_a: Path, folder_b: Path) -> "ComparedCohort":
    from voxtune.evaluation.compare import compare as compare_pairs
    from voxtune.pages.comparison_page import ComparedCohort

    pair = _read_both(cohort, folder_a, folder_b)
    stated = stated_of(folder_a), stated_of(folder_b)
    return ComparedCohort(
        cohort,
        pair[0].names,
        [one.comparison for one in compare_pairs({"": pair})],
        kinds=(stated[0].get("kind"), stated[1].get("kind")),
        said=str(stated[0].get("cohort") or stated[1].get("cohort") or ""),
        task=pair[0].task,
        simulated=any(one.get("simulated") is True for one in stated),
    )


def _read_both(name: str, folder_a: Path, folder_b: Path) -> "tuple[Predictions, Predictions]":
    """The answers of A and of B.

    Raises:
        DataError: one answers for many findings, the other chooses one class, or one predicts numbers alone.
    """
    from voxtune.evaluation.tables import PREDICTIONS, read_predictions

    a, b = read_predictions(folder_a / PREDICTIONS), read_predictions(folder_b / PREDICTIONS)
    said = {
        "findings": "says of each of many findings whether it is there",
        "diagnosis": "chooses one class",
        "regression": "predicts numbers alone",
    }
    if a.task != b.task:
        raise DataError(f"{name}: A {said[a.task]}, B {said[b.task]}. They cannot be compared.")
    return a, b


def _seed_sets(a: Path, b: Path) -> "ComparedCohort":
    """Every score of A and B over the seeds they share, paired by seed.

    Raises:
        DataError: one is no set of seeds, they share no seed, or a seed was scored on other scans, labels or classes in A than in B.
    """
    from voxtune.commands.evaluate.runs import run_folder
    from voxtune.evaluation.compare import compare as compare_pairs
    from voxtune.pages.comparison_page import ComparedCohort, SeedSpread

    stated = _stated_seeds(a), _stated_seeds(b)
    seeds = sorted(set(stated[0]["seeds"]) & set(stated[1]["seeds"]))
    if not seeds:
        raise DataError(
            f"A has the seeds {_listed(stated[0]['seeds'])}, B has {_listed(stated[1]['seeds'])}: none is shared, so nothing can be paired."
        )
    names = {seed: run_folder("seed", str(seed)) for seed in seeds}
    pairs = {str(seed): _read_both(names[seed], a / names[seed], b / names[seed]) for seed in seeds}
    found = compare_pairs(pairs)
    first = next(iter(pairs.values()))[0]
    spread = [
        SeedSpread(
            one.over.defined, one.over.sd, {int(seed): value for seed, value in one.differences.items()}
        )
        for one in found
        if one.differences
    ]
    return ComparedCohort(
        str(stated[0]["cohort"]),
        first.names,
        [one.comparison for one in found if one.differences],
        kinds=(stated[0].get("kind"), stated[1].get("kind")),
        task=first.task,
        simulated=any(one.get("simulated") is True for one in stated),
        seeds=seeds,
        spread=spread,
        notes=_notes(seeds, stated),
    )


def _stated_seeds(folder: Path) -> dict[str, Any]:
    if not is_seed_set(folder):
        raise DataError(
            f"'{folder.name}' is no set of seeds, the other is. Compare two sets that 'voxtune evaluate RUN RUN ... -o DIR' wrote, or a run "
            "with one folder seed-0 of a set."
        )
    return stated_of(folder)


def _notes(seeds: Sequence[int], stated: tuple[dict[str, Any], dict[str, Any]]) -> list[str]:
    one_side = all(one.get("one_test_side") is True for one in stated)
    notes = ["All seeds are scored on the same scans." if one_side else "Each seed has its own test side."]
    for name, one in zip("AB", stated, strict=True):
        if alone := sorted(set(one["seeds"]) - set(seeds)):
            notes.append(f"Left out, because only {name} has it: seed {_listed(alone)}.")
    return notes


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(str(one) for one in seeds)


def stated_of(folder: Path) -> dict[str, Any]:
    """``evaluation.json`` of an evaluation; of one of its baselines only whether the scans are simulated; empty where absent."""
    from voxtune.evaluation.tables import FACTS

    if (folder / FACTS).is_file():
        return read_json(folder / FACTS, "the facts of an evaluation")
    of_rival = folder.parent.parent / FACTS  # a baseline lies two folders below the facts
    if of_rival.is_file():
        return {
            "simulated": read_json(of_rival, "the facts of an evaluation").get("simulated"),
            "kind": f"baseline: {folder.name}",
        }
    return {}


def _shared(a: Path, b: Path) -> list[tuple[str, Path, Path]]:
    """The evaluations of A and B that belong together: the only one of each, or those of the same cohort."""
    of_a, of_b = _evaluations(a), _evaluations(b)
    if len(of_a) == len(of_b) == 1:
        return [(*of_a.popitem(), of_b.popitem()[1])]
    both = sorted(of_a.keys() & of_b.keys())
    if not both:
        raise DataError(
            f"A and B share no evaluation: A has {', '.join(sorted(of_a))}, B has {', '.join(sorted(of_b))}. "
            "Evaluate both on one cohort."
        )
    return [(name, of_a[name], of_b[name]) for name in both]


def _evaluations(folder: Path) -> dict[str, Path]:
    from voxtune.evaluation.tables import PREDICTIONS

    if (folder / PREDICTIONS).is_file():
        return {folder.name: folder}
    found = {file.parent.name: file.parent for file in sorted(folder.glob(f"evaluation/*/{PREDICTIONS}"))}
    if not found:
        raise DataError(
            f"'{folder.name}' has no {PREDICTIONS} and no evaluation/<cohort>/{PREDICTIONS}. "
            "'voxtune evaluate RUN' makes one."
        )
    return found


def _names(a: Path, b: Path) -> tuple[str, str]:
    """The last parts of both paths, as many as tell them apart and at most four."""
    parts_a, parts_b = a.resolve().parts, b.resolve().parts
    for last in range(1, 5):
        if parts_a[-last:] != parts_b[-last:]:
            return "/".join(parts_a[-last:]), "/".join(parts_b[-last:])
    return a.name, b.name
