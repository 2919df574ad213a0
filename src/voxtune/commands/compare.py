"""``voxtune compare``: two runs, two evaluations, or two lists of runs, on the same test scans."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxtune.errors import DataError
from voxtune.run_dir import output_folder, read_json, write_json, write_text
from voxtune.types.stored import EvaluationStated

if TYPE_CHECKING:
    from voxtune.evaluation.predictions import Predictions
    from voxtune.pages.comparison_page import ComparedCohort, ComparisonFacts

SETS: Mapping[str, Literal["seed", "fold"]] = {"seeds.tsv": "seed", "folds.tsv": "fold"}
"""A folder that has one of these and no pooled table is an evaluation over several runs, which are compared run by run."""


def compare(a: str | Path, b: str | Path, output: str | Path | None = None) -> dict[str, Any]:
    """Paired comparison of every evaluation that A and B share.

    Args:
        a: a run, a cross-validation, a folder with ``predictions.tsv``, or what ``voxtune evaluate RUN RUN ...`` wrote of several runs.
        b: the other, of the same sort.
        output: where to write ``comparison.json``, ``comparison.tsv``, ``page.html``, ``figures/`` and ``tables/``; nothing is written without.

    Returns:
        ``{"a", "b", "evaluations": [{"cohort", "task", "simulated", "kinds", "classes", "n_scans", "n_participants",
        "comparisons": [...]}]}``; differences are A minus B. Of seeds also ``"seeds"``, and by score ``n_seeds``, ``sd``, ``each``; of the
        models of a cross-validation on one external cohort ``"folds"`` and ``n_folds``.

    Raises:
        DataError: nothing to compare, or other test scans, labels, classes or findings in A than in B.
    """
    from voxtune.pages.comparison_page import ComparisonFacts

    a, b = Path(a), Path(b)
    found = [
        _run_sets(one_a, one_b) if runs_of(one_a) or runs_of(one_b) else _compared(name, one_a, one_b)
        for name, one_a, one_b in _shared(a, b)
    ]
    name_a, name_b = _names(a, b)
    result = {"a": name_a, "b": name_b, "evaluations": [_as_json(one) for one in found]}
    if output is not None:
        output = Path(output)
        with output_folder(output):
            _write(output, result, ComparisonFacts(name_a, name_b, found))
    return result


def _write(output: Path, result: Mapping[str, Any], facts: "ComparisonFacts") -> None:
    from voxtune.data.manifest import write_table
    from voxtune.pages.comparison_page import comparison_page
    from voxtune.pages.comparison_prints import write_prints

    lines = [{"cohort": one.cohort} | row for one in facts.cohorts for row in _rows(one)]
    columns = dict.fromkeys(
        name for line in lines for name, cell in line.items() if not isinstance(cell, Mapping)
    )
    write_table(output / "comparison.tsv", tuple(columns), lines)
    write_json(output / "comparison.json", result)
    write_text(output / "page.html", comparison_page(facts))
    write_prints(facts, output)


def summary(result: Mapping[str, Any], output: Path | None) -> str:
    """What a person reads of a comparison: the first score of each evaluation, and where the rest is."""
    lines = []
    for one in result["evaluations"]:
        first = one["comparisons"][0]
        interval = (
            "" if first["low"] is None else f", 95% interval {first['low']:+.3f} to {first['high']:+.3f}"
        )
        chance = "" if first["p_value"] is None else f", p {first['p_value']:.3f}"
        apart = "not defined" if first["difference"] is None else f"{first['difference']:+.3f}"
        mark = "SIMULATED. " if one["simulated"] else ""
        lines.append(
            f"{mark}{one['cohort']}: {result['a']} minus {result['b']}, {first['score'].replace('_', ' ')} {apart}{interval}{chance}, "
            f"on {one['n_scans']} scans of {one['n_participants']} participants."
        )
    where = (
        f"Page: {output / 'page.html'}"
        if output
        else "-o DIR writes every score, a page, figures and tables."
    )
    return "\n".join([*lines, where])


def runs_of(folder: Path) -> Literal["seed", "fold"] | None:
    """What the runs of an evaluation of several are that were scored on the same scans or are seeds; ``None`` of one table of answers."""
    from voxtune.evaluation.tables import PREDICTIONS

    if (folder / PREDICTIONS).is_file():
        return None
    return next((of for name, of in SETS.items() if (folder / name).is_file()), None)


def _rows(cohort: "ComparedCohort") -> list[dict[str, Any]]:
    rows = [asdict(one) for one in cohort.comparisons]
    if not cohort.runs:
        return rows
    spread = [{f"n_{cohort.of}s": one.n_runs, "sd": one.sd, "each": dict(one.each)} for one in cohort.spread]
    return [row | one for row, one in zip(rows, spread, strict=True)]


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
        **({f"{cohort.of}s": list(cohort.runs)} if cohort.runs else {}),
        **({"notes": list(cohort.notes)} if cohort.notes or cohort.runs else {}),
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
        notes=_fold_notes(stated),
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
        "time_to_event": "gives the risk of an event by each horizon",
    }
    if a.task != b.task:
        raise DataError(f"{name}: A {said[a.task]}, B {said[b.task]}. They cannot be compared.")
    return a, b


def _run_sets(a: Path, b: Path) -> "ComparedCohort":
    """Every score of A and B over the seeds, or the models of folds, that they share, paired one by one.

    Raises:
        DataError: one is no such set, they share no run, or a run was scored on other scans, labels or classes in A than in B.
    """
    from voxtune.commands.evaluate.runs import run_folder
    from voxtune.evaluation.compare import compare as compare_pairs
    from voxtune.pages.comparison_page import ComparedCohort, RunSpread

    of = _one_kind(a, b)
    stated = stated_of(a), stated_of(b)
    keys = sorted(set(stated[0][f"{of}s"]) & set(stated[1][f"{of}s"]))
    if not keys:
        raise DataError(
            f"A has the {of}s {_listed(stated[0][f'{of}s'])}, B has {_listed(stated[1][f'{of}s'])}: none is shared, so nothing can be paired."
        )
    names = {key: run_folder(of, str(key)) for key in keys}
    pairs = {str(key): _read_both(names[key], a / names[key], b / names[key]) for key in keys}
    found = compare_pairs(pairs)
    first = next(iter(pairs.values()))[0]
    spread = [
        RunSpread(one.over.defined, one.over.sd, {int(key): value for key, value in one.differences.items()})
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
        of=of,
        runs=keys,
        spread=spread,
        notes=_notes(of, keys, stated),
    )


def _one_kind(a: Path, b: Path) -> Literal["seed", "fold"]:
    """Whether both are sets of seeds, or both models of folds.

    Raises:
        DataError: they are not of one kind.
    """
    kinds = runs_of(a), runs_of(b)
    if kinds[0] is not None and kinds[0] == kinds[1]:
        return kinds[0]
    words = [f"models of several {kind}s" if kind else "one table of answers" for kind in kinds]
    alone = b if kinds[1] is None else a
    raise DataError(
        f"A ('{a.name}') is {words[0]}, B ('{b.name}') is {words[1]}: '{alone.name}' is no set of {next(kind for kind in kinds if kind)}s. "
        "Compare two sets that 'voxtune evaluate' wrote of several runs, or a run with one folder seed-0 of a set."
    )


def _notes(of: str, keys: Sequence[int], stated: tuple[dict[str, Any], dict[str, Any]]) -> list[str]:
    one_side = all(one.get("one_test_side") is True for one in stated)
    notes = [f"All {of}s are scored on the same scans." if one_side else f"Each {of} has its own test side."]
    for name, one in zip("AB", stated, strict=True):
        if alone := sorted(set(one[f"{of}s"]) - set(keys)):
            notes.append(f"Left out, because only {name} has it: {of} {_listed(alone)}.")
    return notes + _fold_notes(stated)


def _fold_notes(stated: tuple[Mapping[str, Any], Mapping[str, Any]]) -> list[str]:
    """Whether the folds of A and B are the same, where both are of a cross-validation and say so."""
    sides = [one.get("fold_sides") for one in stated]
    if None in sides or sides[0] == sides[1]:
        return []
    return [
        "A and B were trained on other folds: what differs may come of the folds as well as of the methods."
    ]


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(str(one) for one in seeds)


def stated_of(folder: Path) -> dict[str, Any]:
    """``evaluation.json`` of an evaluation; of one of its baselines only whether the scans are simulated; empty where absent."""
    from voxtune.evaluation.tables import FACTS

    if (folder / FACTS).is_file():
        return read_json(folder / FACTS, "the facts of an evaluation", EvaluationStated)
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

    if (folder / PREDICTIONS).is_file() or runs_of(folder):
        return {folder.name: folder}
    found = {
        file.parent.name: file.parent
        for name in (PREDICTIONS, *SETS)
        for file in sorted(folder.glob(f"evaluation/*/{name}"))
    }
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
