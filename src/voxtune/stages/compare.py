"""``voxtune compare``: two runs, or two evaluations, on the same test scans."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from voxtune.errors import DataError
from voxtune.run_dir import read_json, write_json, write_text


def compare(a: Path, b: Path, output: Path | None = None) -> dict[str, Any]:
    """Paired comparison of every evaluation that A and B share.

    Args:
        a: a run, or a folder with ``predictions.tsv``.
        b: the other.
        output: where to write ``comparison.json``, ``comparison.tsv`` and ``page.html``; nothing is written without.

    Returns:
        ``{"a", "b", "evaluations": [{"cohort", "simulated", "kinds", "classes", "n_scans", "n_participants", "comparisons": [...]}]}``;
        differences are A minus B.

    Raises:
        DataError: nothing to compare, or other test scans, diagnoses or classes in A than in B.
    """
    from voxtune.data.manifest import write_table
    from voxtune.evaluation.compare import compare_predictions
    from voxtune.evaluation.tables import PREDICTIONS, read_predictions
    from voxtune.pages.comparison_page import ComparisonFacts, comparison_page
    from voxtune.types.records import Comparison

    evaluations: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    shown: list[tuple[str, list[Comparison]]] = []
    kinds: dict[str, tuple[str | None, str | None]] = {}
    any_simulated = False
    for cohort, folder_a, folder_b in _shared(a, b):
        of_a, classes = read_predictions(folder_a / PREDICTIONS)
        of_b, other = read_predictions(folder_b / PREDICTIONS)
        if set(classes) != set(other):
            raise DataError(
                f"{cohort}: A has the classes {', '.join(classes)}, B has {', '.join(other)}. Evaluate both with the same --classes."
            )
        found = compare_predictions(of_a, of_b, classes, mmse_true=_measured(cohort, folder_a, folder_b))
        shown.append((cohort, found))
        stated = _stated(folder_a), _stated(folder_b)
        simulated = any(one.get("simulated") is True for one in stated)
        kinds[cohort] = (stated[0].get("kind"), stated[1].get("kind"))
        any_simulated = any_simulated or simulated
        rows = [asdict(one) for one in found]
        lines += [{"cohort": cohort} | row for row in rows]
        evaluations.append(
            {
                "cohort": cohort,
                "simulated": simulated,
                "kinds": list(kinds[cohort]),
                "classes": list(classes),
                "n_scans": rows[0]["n_scans"],
                "n_participants": rows[0]["n_participants"],
                "comparisons": rows,
            }
        )
    name_a, name_b = _names(a, b)
    result = {"a": name_a, "b": name_b, "evaluations": evaluations}
    if output is not None:
        write_table(output / "comparison.tsv", ("cohort", *(f.name for f in fields(Comparison))), lines)
        write_json(output / "comparison.json", result)
        write_text(
            output / "page.html",
            comparison_page(ComparisonFacts(name_a, name_b, shown, kinds, simulated=any_simulated)),
        )
    return result


def _measured(cohort: str, folder_a: Path, folder_b: Path) -> dict[str, float]:
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


def _stated(folder: Path) -> dict[str, Any]:
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
