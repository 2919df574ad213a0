"""Is model A of many findings better than model B on the same scans? Scores over all findings, and each by DeLong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxtune.data.manifest import MISSING, read_table
from voxtune.errors import DataError, TableError
from voxtune.evaluation.auc import obuchowski
from voxtune.evaluation.compare import by_delong, check_same_ids, named_scans
from voxtune.evaluation.intervals import number_participants
from voxtune.evaluation.multilabel import Findings, overall_score
from voxtune.evaluation.permutation_test import Draw, Sides, corrected, swapped
from voxtune.evaluation.weighted_metrics import Booleans, Floats, Integers
from voxtune.types.records import Comparison

SCORES = (
    "auroc", "average_precision", "accuracy", "macro_f1", "micro_f1", "weighted_f1", "samples_f1", "brier",
)  # fmt: skip
"""Over all findings, as ``metrics.json`` names them; of ``brier`` the smaller is better."""
TRUE, CHANCE, NOTHING = "true_", "p_", "no finding"


@dataclass(frozen=True)
class Answered:
    """What a model said of many findings: probabilities beside the truth, and which findings it called (n, f)."""

    scan_ids: tuple[str, ...]
    findings: Findings
    called: Booleans

    def ordered(self, scan_ids: Sequence[str], names: Sequence[str]) -> "Answered":
        """The same scans and findings in another order."""
        place_of = {scan: row for row, scan in enumerate(self.scan_ids)}
        rows = [place_of[one] for one in scan_ids]
        columns = [self.findings.names.index(one) for one in names]
        place = np.ix_(rows, columns)
        return Answered(
            tuple(scan_ids),
            Findings(
                tuple(names),
                tuple(self.findings.participants[row] for row in rows),
                self.findings.labels[place],
                self.findings.probabilities[place],
            ),
            self.called[place],
        )


def of_findings(path: Path) -> bool:
    """Whether a ``predictions.tsv`` is of many findings: it then holds the truth of each."""
    with path.open(encoding="utf-8") as file:
        return any(name.startswith(TRUE) for name in file.readline().rstrip("\r\n").split("\t"))


def read_answered(path: Path) -> Answered:
    """The ``predictions.tsv`` of an evaluation of many findings.

    Raises:
        TableError: a column is missing or a value is not what its column holds.
    """
    rows = read_table(path, ("scan_id", "participant_id", "predicted"))
    names = tuple(name.removeprefix(TRUE) for name in (rows[0] if rows else ()) if name.startswith(TRUE))
    if not names or any(CHANCE + name not in rows[0] for name in names):
        raise TableError(
            path,
            "no scan, or no pair of columns p_<FINDING> and true_<FINDING>",
            "Expected one row for each scan as 'voxtune evaluate' writes it.",
        )
    scans = tuple(row["scan_id"] for row in rows)
    if twice := sorted(scan for scan, times in Counter(scans).items() if times > 1):
        raise TableError(path, f"scans that stand twice: {named_scans(twice)}", "Remove the copies.")
    if nobody := [row["scan_id"] for row in rows if row["participant_id"] == MISSING]:
        raise TableError(path, f"scans without participant_id: {named_scans(nobody)}")
    try:
        labels, chances = (
            np.array([[float(row[kind + name].replace(MISSING, "nan")) for name in names] for row in rows])
            for kind in (TRUE, CHANCE)
        )
        found = Findings(names, tuple(row["participant_id"] for row in rows), labels, chances)
    except (ValueError, DataError) as error:
        raise TableError(path, f"not predictions of findings ({error})") from None
    return Answered(
        scans, found, np.array([_called(path, row["scan_id"], row["predicted"], names) for row in rows])
    )


def _called(path: Path, scan: str, predicted: str, names: Sequence[str]) -> list[bool]:
    """The findings named by a cell as ``Emphysema, Lung nodule``."""
    said = set() if predicted == NOTHING else set(predicted.split(", "))
    if strange := said.difference(names):
        raise TableError(
            path, f"scan '{scan}': predicted '{', '.join(sorted(strange))}', which has no column"
        )
    return [name in said for name in names]


def compare_findings(a: Answered, b: Answered, draw: Draw | None = None) -> list[Comparison]:
    """Every comparison of two models of the same findings on the same scans.

    Scores over all findings: difference with the interval of the participant-cluster bootstrap, p by swapping participants. AUROC of
    each finding, on the scans where it is known: DeLong's test with Obuchowski's clustered variance. Holm corrects within each.

    Raises:
        DataError: other scans, participants, findings or labels in A than in B.
    """
    settings = draw or Draw()
    b = same_scans(a, b)
    whose = number_participants(a.findings.participants)
    known = np.isfinite(a.findings.labels).any(axis=1)
    return [
        *corrected(
            swapped(name, [sides(name, a, b, whose)], np.zeros(whose.max(initial=-1) + 1, dtype=np.int64), settings, n_scans=int(known.sum()))
            for name in SCORES
        ),
        *corrected(_delong(number, a, b, settings.confidence) for number in range(len(a.findings.names))),
    ]  # fmt: skip


def same_scans(a: Answered, b: Answered) -> Answered:
    """B in the order of A.

    Raises:
        DataError: other scans, participants, findings or labels in A than in B; which ones is said.
    """
    check_same_ids(a.scan_ids, b.scan_ids)
    one, other = set(a.findings.names), set(b.findings.names)
    if one != other:
        raise DataError(
            f"A and B score other findings. Only in A: {', '.join(sorted(one - other)) or 'none'}. "
            f"Only in B: {', '.join(sorted(other - one)) or 'none'}. Evaluate both with the same --classes."
        )
    b = b.ordered(a.scan_ids, a.findings.names)
    pairs = zip(a.scan_ids, a.findings.participants, b.findings.participants, strict=True)
    if moved := sorted(scan for scan, mine, yours in pairs if mine != yours):
        raise DataError(
            f"A and B give another participant_id to the same scans: {named_scans(moved)}. Evaluate both on one manifest."
        )
    for number, name in enumerate(a.findings.names):
        mine, yours = a.findings.labels[:, number], b.findings.labels[:, number]
        differs = ~((mine == yours) | (np.isnan(mine) & np.isnan(yours)))
        if differs.any():
            scans = sorted(scan for scan, bad in zip(a.scan_ids, differs, strict=True) if bad)
            raise DataError(
                f"A and B give another label of '{name}' to the same scans: {named_scans(scans)}. Evaluate both on one manifest."
            )
    return b


def sides(name: str, a: Answered, b: Answered, whose: Integers) -> Sides:
    """The scans of A and B, in the same order, with a score over all findings.

    Args:
        name: of the score.
        a: one model.
        b: the other.
        whose: the participant of each scan (n,).
    """
    both = Findings(
        a.findings.names,
        (*a.findings.participants, *b.findings.participants),
        np.concatenate([a.findings.labels, b.findings.labels]),
        np.concatenate([a.findings.probabilities, b.findings.probabilities]),
    )
    called = np.concatenate([a.called, b.called])

    def of_each(weights: Floats) -> tuple[Floats, Floats]:
        return (
            overall_score(name, a.findings, a.called, weights),
            overall_score(name, b.findings, b.called, weights),
        )

    def mixed(of_a: Floats, of_b: Floats) -> Floats:
        return overall_score(name, both, called, np.hstack([of_a, of_b]))

    return Sides(whose, of_each, mixed)


def _delong(number: int, a: Answered, b: Answered, confidence: float) -> Comparison:
    label = a.findings.labels[:, number]
    known = np.isfinite(label)
    people = np.array(a.findings.participants)[known]
    pair = obuchowski(
        people,
        label[known] > 0.5,
        a.findings.probabilities[known, number],
        b.findings.probabilities[known, number],
    )
    counts = (int(known.sum()), len(np.unique(people)))
    return by_delong(a.findings.names[number], pair, confidence, counts)
