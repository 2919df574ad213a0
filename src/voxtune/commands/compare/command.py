"""``voxtune compare``: two runs, or two evaluations, on the same test scans."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.errors import DataError
from voxtune.run_dir import read_json, write_json, write_text
from voxtune.types.records import Prediction

if TYPE_CHECKING:
    from voxtune.pages.comparison_page import ComparedCohort


def compare(a: Path, b: Path, output: Path | None = None) -> dict[str, Any]:
    """Paired comparison of every evaluation that A and B share.

    Args:
        a: a run, a folder with ``predictions.tsv``, or what ``voxtune evaluate RUN RUN ...`` wrote of several seeds.
        b: the other, of the same sort.
        output: where to write ``comparison.json``, ``comparison.tsv`` and ``page.html``; nothing is written without.

    Returns:
        ``{"a", "b", "evaluations": [{"cohort", "task", "simulated", "kinds", "classes", "n_scans", "n_participants",
        "comparisons": [...]}]}``; differences are A minus B. Of seeds also ``"seeds"``, and by score ``n_seeds``, ``sd``, ``each``.

    Raises:
        DataError: nothing to compare, or other test scans, labels or classes in A than in B.
    """
    from voxtune.data.manifest import write_table
    from voxtune.pages.comparison_page import ComparisonFacts, comparison_page

    if is_seed_set(a) or is_seed_set(b):
        from voxtune.commands.compare.seeds import compare_seed_sets

        found = [compare_seed_sets(a, b)]
    else:
        found = [_compared(*one) for one in _shared(a, b)]
    name_a, name_b = _names(a, b)
    result = {"a": name_a, "b": name_b, "evaluations": [_as_json(one) for one in found]}
    if output is not None:
        lines = [{"cohort": one.cohort} | row for one in found for row in _rows(one)]
        columns = dict.fromkeys(name for line in lines for name in line if name != "each")
        write_table(output / "comparison.tsv", tuple(columns), lines)
        write_json(output / "comparison.json", result)
        write_text(output / "page.html", comparison_page(ComparisonFacts(name_a, name_b, found)))
    return result


def _rows(cohort: "ComparedCohort") -> list[dict[str, Any]]:
    rows = [asdict(one) for one in cohort.comparisons]
    return [row | asdict(one) for row, one in zip(rows, cohort.spread, strict=True)] if cohort.seeds else rows


def _as_json(cohort: "ComparedCohort") -> dict[str, Any]:
    first = cohort.comparisons[0]
    return {
        "cohort": cohort.cohort,
        "task": "findings" if cohort.findings else "diagnosis",
        "simulated": cohort.simulated,
        "kinds": list(cohort.kinds),
        "classes": list(cohort.classes),
        "n_scans": first.n_scans,
        "n_participants": first.n_participants,
        **({"seeds": list(cohort.seeds), "notes": list(cohort.notes)} if cohort.seeds else {}),
        "comparisons": _rows(cohort),
    }


def is_seed_set(folder: Path) -> bool:
    """Whether a folder is what ``voxtune evaluate RUN RUN ...`` wrote."""
    from voxtune.evaluation.tables import SEEDS

    return (folder / SEEDS).is_file()


def _compared(cohort: str, folder_a: Path, folder_b: Path) -> "ComparedCohort":
    from voxtune.evaluation.compare import compare_predictions
    from voxtune.evaluation.compare_findings import compare_findings, read_answered
    from voxtune.evaluation.tables import PREDICTIONS
    from voxtune.pages.comparison_page import ComparedCohort

    stated = stated_of(folder_a), stated_of(folder_b)
    files = folder_a / PREDICTIONS, folder_b / PREDICTIONS
    classes: tuple[str, ...]
    if findings := both_of_findings(cohort, *files):
        answers = read_answered(files[0]), read_answered(files[1])
        classes, rows = answers[0].findings.names, compare_findings(*answers)
    else:
        of_a, of_b, classes = read_both(cohort, *files)
        measured = measured_by_both(cohort, folder_a, folder_b)
        rows = compare_predictions(of_a, of_b, classes, mmse_true=measured)
    return ComparedCohort(
        cohort,
        classes,
        rows,
        kinds=(stated[0].get("kind"), stated[1].get("kind")),
        said=str(stated[0].get("cohort") or stated[1].get("cohort") or ""),
        findings=findings,
        simulated=any(one.get("simulated") is True for one in stated),
    )


def both_of_findings(cohort: str, file_a: Path, file_b: Path) -> bool:
    """Whether both are predictions of many findings.

    Raises:
        DataError: one is, the other is not.
    """
    from voxtune.evaluation.compare_findings import of_findings

    kinds = of_findings(file_a), of_findings(file_b)
    if kinds[0] != kinds[1]:
        one, other = ("A", "B") if kinds[0] else ("B", "A")
        raise DataError(
            f"{cohort}: {one} says of each of many findings whether it is there, {other} chooses one class. They cannot be compared."
        )
    return kinds[0]


def read_both(
    cohort: str, file_a: Path, file_b: Path
) -> tuple[list[Prediction], list[Prediction], tuple[str, ...]]:
    """The predictions of A and of B, and their classes.

    Raises:
        DataError: they chose among other classes.
    """
    from voxtune.evaluation.tables import read_predictions

    of_a, classes = read_predictions(file_a)
    of_b, other = read_predictions(file_b)
    if set(classes) != set(other):
        raise DataError(
            f"{cohort}: A has the classes {', '.join(classes)}, B has {', '.join(other)}. Evaluate both with the same --classes."
        )
    return of_a, of_b, classes


def measured_by_both(cohort: str, folder_a: Path, folder_b: Path) -> dict[str, float]:
    """The measured MMSE of the scans, which A and B must agree on.

    Raises:
        DataError: they do not; the scans are named.
    """
    from voxtune.evaluation.compare import named_scans
    from voxtune.evaluation.tables import MEASURED, read_measured

    of_a, of_b = (read_measured(folder / MEASURED) for folder in (folder_a, folder_b))
    other = sorted(scan for scan in of_a.keys() & of_b.keys() if of_a[scan] != of_b[scan])
    if other:
        raise DataError(
            f"{cohort}: A and B give another measured MMSE to the same scans: {named_scans(other)}. Evaluate both on one manifest."
        )
    return of_a | of_b


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
