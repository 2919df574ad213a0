"""Is model A better than model B on the same scans? Differences with clustered intervals, tests, Holm; of one training each, or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from voxtune.errors import DataError
from voxtune.evaluation.auc import obuchowski
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import rules_of
from voxtune.evaluation.paired import mcnemar
from voxtune.evaluation.permutation_test import Sides, compared, corrected, swapped
from voxtune.evaluation.predictions import Predictions, stacked
from voxtune.evaluation.runs import over_runs
from voxtune.evaluation.score_rules import Score
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.types.records import Comparison, OverRuns

ASKED = {"diagnosis": "classes", "findings": "findings", "regression": "classes", "time_to_event": "horizons"}
NAMED = 10  # scans an error message names before it counts the rest


@dataclass(frozen=True)
class RunComparison:
    """A score of A and B, over several trainings their means, with its test and the difference of each training."""

    comparison: Comparison
    differences: Mapping[str, float | None]
    """A minus B by run; of a test that is of one training alone empty."""

    @property
    def over(self) -> OverRuns:
        """Mean and standard deviation of the differences."""
        return over_runs(list(self.differences.values()))


# ----------------------------------------------------------------------------------------- the same scans
def same_scans(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """A and B with the rows that can be scored, B in the order of A.

    Raises:
        DataError: other scans, participants, classes, findings or labels in A than in B (which ones is said), or nothing to score.
    """
    if (set(a.names), a.task) != (set(b.names), b.task):
        raise DataError(
            f"A and B answer for other {ASKED[a.task]}. "
            f"Only in A: {_listed(set(a.names) - set(b.names))}. Only in B: {_listed(set(b.names) - set(a.names))}. "
            "Evaluate both with the same --classes."
        )
    _check_same("tested on different scans", set(a.scan_ids), set(b.scan_ids), "Evaluate both on one split.")
    b = b.some(b.places(a.scan_ids)).of(a.names)
    other = [
        scan
        for scan, mine, yours in zip(a.scan_ids, a.participants, b.participants, strict=True)
        if mine != yours
    ]
    _refuse("participant_id", other)
    differs = ~((a.truth == b.truth) | (np.isnan(a.truth) & np.isnan(b.truth)))
    if a.exclusive:
        _refuse("diagnosis", [scan for scan, bad in zip(a.scan_ids, differs.any(axis=1), strict=True) if bad])
    for number, name in enumerate(a.names):
        _refuse(
            f"label of '{name}'",
            [scan for scan, bad in zip(a.scan_ids, differs[:, number], strict=True) if bad],
        )
    for target in a.measured.keys() & b.measured.keys():
        mine, yours = a.measured[target], b.measured[target]
        differs = np.isfinite(mine) & np.isfinite(yours) & (mine != yours)
        _refuse(f"measured {target}", [scan for scan, bad in zip(a.scan_ids, differs, strict=True) if bad])
    a, b = a.scored(), b.scored()
    if not len(a) or not (len(a.names) == 0 or a.known.any()):
        raise DataError("None of the scans has a diagnosis or label, so there is nothing to compare.")
    return a, b


def _check_same(how: str, a: set[str], b: set[str], todo: str) -> None:
    if a != b:
        raise DataError(
            f"A and B were {how}, so their scores cannot be compared. "
            f"Only in A: {named_scans(sorted(a - b))}. Only in B: {named_scans(sorted(b - a))}. {todo}"
        )


def _refuse(column: str, scans: Sequence[str]) -> None:
    if scans:
        raise DataError(
            f"A and B give another {column} to the same scans: {named_scans(sorted(scans))}. Evaluate both on one manifest."
        )


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def named_scans(scans: Sequence[str]) -> str:
    """How many scans, and the first few of them."""
    if not scans:
        return "none"
    more = f" and {len(scans) - NAMED} more" if len(scans) > NAMED else ""
    return f"{len(scans)} ({', '.join(scans[:NAMED])}{more})"


# ---------------------------------------------------------------------------------------- the comparison
def compare(
    pairs: Mapping[str, tuple[Predictions, Predictions]], draw: Draw | None = None
) -> list[RunComparison]:
    """Every comparison of two models; several trainings of each are paired by run, and their means compared.

    Scores: difference with the interval of the participant-cluster bootstrap, p by swapping participants (of several trainings in all
    of them together). With one training also, by class or finding, the AUROC by DeLong's test with Obuchowski's clustered variance, and
    of classes accuracy by McNemar's exact test, of scans (which it takes as independent) and of participants (one mean prediction each).

    Args:
        pairs: by run the answers of A and of B for the same scans; other runs may have other scans.
        draw: how participants are drawn and swapped.

    Raises:
        DataError: see :func:`same_scans`.
    """
    draw = draw or Draw()
    tables = {run: same_scans(a, b) for run, (a, b) in pairs.items()}
    both = _both_measured(tables)
    first = next(iter(both.values()))[0]
    rows = [
        row
        for rules in rules_of(first)
        for name, score in rules.compared.items()
        if (row := _over_runs(name, score, both, draw)) is not None
    ]
    found = [
        RunComparison(one, row.differences)
        for one, row in zip(corrected(row.comparison for row in rows), rows, strict=True)
    ]
    if len(tables) > 1:
        return found
    a, b = next(iter(tables.values()))
    return found + [
        RunComparison(one, {}) for one in (*_areas(a, b, draw.confidence), *_counts_of_right(a, b))
    ]


def compare_with_each(
    own: Predictions, rivals: Mapping[str, Predictions], draw: Draw
) -> dict[str, Comparison]:
    """The first headline score of a model minus that of each rival on the same scans; Holm corrects over the rivals.

    Raises:
        DataError: see :func:`same_scans`.
    """
    rules = rules_of(own.scored())[0]
    name = rules.headline[0]
    rows = []
    for rival in rivals.values():
        row = _over_runs(name, rules.compared[name], {"": same_scans(own, rival)}, draw)
        if row is None:
            raise DataError(f"A and B have no scan with which {name} can be compared.")
        rows.append(row.comparison)
    return dict(zip(rivals, corrected(rows), strict=True))


def _both_measured(
    tables: Mapping[str, tuple[Predictions, Predictions]],
) -> dict[str, tuple[Predictions, Predictions]]:
    """The pairs, each with what either side knows as measured."""
    found = {}
    for run, (a, b) in tables.items():
        known = dict(b.measured) | dict(a.measured)
        for target in a.measured.keys() & b.measured.keys():
            known[target] = np.where(np.isfinite(a.measured[target]), a.measured[target], b.measured[target])
        found[run] = replace(a, measured=known), replace(b, measured=known)
    return found


def _over_runs(
    name: str, score: Score, tables: Mapping[str, tuple[Predictions, Predictions]], draw: Draw
) -> RunComparison | None:
    """One score on the rows of each run that both models can be scored by it; ``None`` where no run has any."""
    kept: dict[str, tuple[Predictions, Predictions]] = {}
    for run, (a, b) in tables.items():
        rules = next(rules for rules in rules_of(a) if name in rules.compared)
        rows = rules.rows(a, name) & rules.rows(b, name)
        if rows.any():
            kept[run] = (a, b) if rows.all() else (a.some(rows), b.some(rows))
    if not kept:
        return None
    whole = stacked([a for a, _ in kept.values()])
    ends = np.cumsum([len(a) for a, _ in kept.values()])[:-1]
    whose = dict(zip(kept, np.split(whole.participant, ends), strict=True))
    sides = {run: _sides(score, a, b, whose[run]) for run, (a, b) in kept.items()}
    differences: dict[str, float | None] = dict.fromkeys(tables)
    for run, one in sides.items():
        of_a, of_b = one.values()
        differences[run] = of_a - of_b if np.isfinite(of_a - of_b) else None
    defined = [run for run in kept if differences[run] is not None]
    if not defined:
        nothing = (float("nan"), float("nan"))
        return RunComparison(
            compared(name, "participants swapped", nothing, interval=None, p_value=None, counts=(0, 0)),
            differences,
        )
    scans = {
        scan
        for run in defined
        for scan, known in zip(kept[run][0].scan_ids, _scored_by(kept[run][0]), strict=True)
        if known
    }
    return RunComparison(
        swapped(name, [sides[run] for run in defined], whole.strata, draw, n_scans=len(scans)), differences
    )


def _sides(score: Score, a: Predictions, b: Predictions, whose: Integers) -> Sides:
    """The rows of A and B, the same ones in the same order, with a score of them; ``whose`` (n,) numbers people over all runs."""
    both = stacked([a, b])

    def of_each(weights: Floats) -> tuple[Floats, Floats]:
        return score(a, weights), score(b, weights)

    def mixed(of_a: Floats, of_b: Floats) -> Floats:
        return score(both, np.hstack([of_a, of_b]))

    return Sides(whose, of_each, mixed)


def _scored_by(table: Predictions) -> list[bool]:
    """Whether each row counts: something is known of it."""
    return [bool(one) for one in table.anything_known] if table.names else [True] * len(table)


def _areas(a: Predictions, b: Predictions, confidence: float) -> list[Comparison]:
    """The AUROC of each class or finding by DeLong's test; one that is not defined says so."""
    rows = []
    for number, label in enumerate(a.names if rules_of(a)[0].areas else ()):
        known = a.known[:, number]
        pair = obuchowski(
            a.participant[known],
            a.truth[known, number] > 0.5,
            a.probabilities[known, number],
            b.probabilities[known, number],
        )
        rows.append(
            compared(
                f"auroc/{label}",
                "DeLong, clustered (Obuchowski)",
                (pair.auc_a, pair.auc_b) if pair else (float("nan"), float("nan")),
                interval=pair.interval(confidence) if pair and pair.z is not None else None,
                p_value=pair.p_value if pair else None,
                counts=(int(a.scans[known].sum()), len(np.unique(a.participant[known]))),
            )
        )
    return corrected(rows)


def _counts_of_right(a: Predictions, b: Predictions) -> list[Comparison]:
    """McNemar's test of one class among several, by scan and by participant."""
    if not a.exclusive:
        return []
    return corrected(
        compared(
            name,
            f"McNemar, exact, by {by}",
            (float((one.predicted == one.true).mean()), float((other.predicted == other.true).mean())),
            interval=None,
            p_value=mcnemar(one.true, one.predicted, other.predicted).p_value,
            counts=(int(one.scans.sum()), len(np.unique(one.participant))),
        )
        for name, by, one, other in (
            ("accuracy", "scan", a, b),
            ("participant/accuracy", "participant", a.by_participant(), b.by_participant()),
        )
    )
