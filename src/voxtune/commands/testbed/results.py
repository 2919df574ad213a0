"""What the cells of a testbed say: each row over cohorts, against its reference, and whether that is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from voxtune.commands.reproduce.paper import Row, Value
from voxtune.commands.testbed.cells import BEST, CohortCell, CohortSweep
from voxtune.commands.testbed.design import SIDES
from voxtune.commands.testbed.plan import Plan, PlannedTable
from voxtune.evaluation.over_cohorts import (
    LEVEL,
    Comparison,
    OverCohorts,
    compare_over_cohorts,
    family,
    fewest_cohorts,
    over_cohorts,
)

RULES: Mapping[str, str] = {
    BEST: "best possible (true posterior given what a picture shows)",
    "volumes": "regression on true volumes over ICV",
    "ventricles": "ventricles over ICV alone",
    "age_sex": "age and sex",
    "voxel_count": "voxels above 0.02",
    "mean_intensity": "mean brightness",
    "majority": "always the most frequent training class",
}
"""Comparators, in the order in which they are printed."""
ByCohort = Mapping[int, float]
"""Accuracy in percent by seed of the cohort."""


@dataclass(frozen=True)
class ComparedRow:
    """A row over cohorts."""

    label: str
    accuracy: OverCohorts | None
    """Percent; ``None``: no cell is done."""
    comparison: Comparison | None = None
    """Minus the reference row, points, over the cohorts that both have; ``None`` of the reference itself."""
    is_reference: bool = False
    comparator: bool = False
    """Needs no model; it is printed beside the rows and is in no family of tests."""
    published: Value | None = None
    reason: str = ""
    trained: int | None = None
    by_cohort: ByCohort = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """A table on one base, in one regime, on one side of the test."""

    number: int
    caption: str
    base: str
    regime: str
    """Name of the regime; empty where the rows are the regimes."""
    regime_words: str
    side: str
    reference: str
    lines: Sequence[ComparedRow]

    @property
    def tested(self) -> list[ComparedRow]:
        """The lines of the family."""
        return [line for line in self.lines if line.comparison and line.comparison.p_holm is not None]

    @property
    def summary(self) -> str:
        """How many comparisons are decided, and which way, in a sentence."""
        tested = self.tested
        if not tested:
            return "Nothing is compared yet."
        decided = [line for line in tested if is_decided(line)]
        cohorts = min(line.comparison.difference.cohorts for line in tested if line.comparison)
        which = ", ".join(f"{line.label} {line.comparison.verdict}" for line in decided if line.comparison)
        said = f"{len(decided)} of {len(tested)} comparisons are decided over {cohorts} cohorts{f': {which}' if which else ''}."
        if cohorts < (fewest := fewest_cohorts(len(tested))):
            return (
                f"{said} So few cohorts cannot decide any: {fewest} are needed for {len(tested)} comparisons."
            )
        return said


def is_decided(line: ComparedRow) -> bool:
    """Whether the comparison of a line is."""
    return line.comparison is not None and line.comparison.verdict in {"higher", "lower"}


def gather_blocks(plan: Plan, sweep: CohortSweep) -> list[Block]:
    """Every table over the cohorts that are done."""
    read = {cell.name: found for cell in plan.cells if (found := sweep.result(cell)) is not None}
    why = {cell.name: said for cell in plan.cells if (said := sweep.failure(cell))}
    asked, sizes = plan.asked.tables, plan.design.sizes
    blocks = [
        _block(plan, planned, side, read, why)
        for planned in plan.tables
        if not asked or planned.table.number in asked
        for side in SIDES
    ]
    if not asked or sizes in asked:
        blocks += [_sizes(plan, base, side, read, why) for base in _bases(plan) for side in SIDES]
    blocks += [block for planned in plan.tables if (block := _scanners(plan, planned, read)) is not None]
    return sorted((one for one in blocks if len(one.lines) > 1), key=lambda one: (one.number or 99, _bases(plan).index(one.base)))  # fmt: skip


def _bases(plan: Plan) -> list[str]:
    return list(dict.fromkeys(one.base for one in plan.tables))


def _block(
    plan: Plan, planned: PlannedTable, side: str, read: Mapping[str, Any], why: Mapping[str, str]
) -> Block:
    table, regime = planned.table, planned.regime
    lines = [_line(row, cells, side, read, why) for row, cells in planned.rows]
    lines = _judged(lines, table.reference)
    if any(line.is_reference for line in lines):
        lines += _comparators(plan, regime.name, side, read, lines)
    return Block(
        table.number, table.caption, planned.base, regime.name, regime.words, side, table.reference, lines
    )


def _line(
    row: Row, cells: Sequence[CohortCell], side: str, read: Mapping[str, Any], why: Mapping[str, str]
) -> ComparedRow:
    done = {cell.cohort: read[cell.name] for cell in cells if cell.name in read}
    values = {
        seed: 100 * found["accuracy"][""][side] for seed, found in done.items() if found["status"] == "done"
    }
    published = row.published.get("own")
    if not values:
        refused = [found["reason"] for found in done.values() if found["status"] == "refused"]
        reasons = [*refused, *(why[cell.name] for cell in cells if cell.name in why), "not run yet"]
        return ComparedRow(row.label, None, published=published, reason=reasons[0])
    trained = next(found["trained_parameters"] for found in done.values() if found["status"] == "done")
    missing = len(cells) - len(values)
    return ComparedRow(
        row.label,
        over_cohorts(list(values.values())),
        published=published,
        reason=f"{missing} cohorts to come" if missing else "",
        trained=trained,
        by_cohort=values,
    )


def _judged(lines: Sequence[ComparedRow], reference: str) -> list[ComparedRow]:
    """The lines against the reference, as one family."""
    base = next((line for line in lines if line.label == reference), None)
    if base is None or base.accuracy is None:
        return list(lines)
    compared = {
        place: found
        for place, line in enumerate(lines)
        if line is not base and (found := _against(line, base)) is not None
    }
    judged = dict(zip(compared, family(list(compared.values())), strict=True))
    return [
        replace(line, comparison=judged.get(place), is_reference=line is base)
        for place, line in enumerate(lines)
    ]


def _against(line: ComparedRow, base: ComparedRow) -> Comparison | None:
    both = sorted(line.by_cohort.keys() & base.by_cohort.keys())
    if not both:
        return None
    return compare_over_cohorts(
        [line.by_cohort[seed] for seed in both], [base.by_cohort[seed] for seed in both]
    )


def _comparators(
    plan: Plan, regime: str, side: str, read: Mapping[str, Any], lines: Sequence[ComparedRow]
) -> list[ComparedRow]:
    """Rules that need no model, beside the reference and outside the family."""
    base = next(line for line in lines if line.is_reference)
    done = {cell.cohort: read[cell.name] for cell in plan.rules[regime] if cell.name in read}
    found = []
    for name, words in RULES.items():
        values = {
            seed: 100 * one["accuracy"][name][side] for seed, one in done.items() if one["status"] == "done"
        }
        if values:
            line = ComparedRow(words, over_cohorts(list(values.values())), comparator=True, by_cohort=values)
            found.append(replace(line, comparison=_against(line, base)))
    return found


def _sizes(plan: Plan, base: str, side: str, read: Mapping[str, Any], why: Mapping[str, str]) -> Block:
    """The table whose rows are the regimes: one row of the design through all of them, against the largest."""
    lines = []
    for planned in plan.tables:
        for row, cells in planned.rows if planned.base == base else ():
            if row.label == plan.design.size_row:
                line = _line(row, cells, side, read, why)
                lines.append(replace(line, label=planned.regime.words, published=None))
    full = [one for one in plan.tables if one.base == base and one.regime.labelled is None]
    largest = max(full or plan.tables, key=lambda one: one.regime.scans).regime.words
    return Block(
        plan.design.sizes,
        f"Number of training scans, row '{plan.design.size_row}'",
        base,
        "",
        "",
        side,
        largest,
        _judged(lines, largest),
    )


def _scanners(plan: Plan, planned: PlannedTable, read: Mapping[str, Any]) -> Block | None:
    """What another scanner costs each row: the same people seen twice. Of the first table alone, whose rows are the systems."""
    first, second = SIDES
    if planned.table.number != min(table.number for table in plan.design.tables[planned.base].values()):
        return None
    lines = []
    for row, cells in planned.rows:
        own, other = (_line(row, cells, side, read, {}) for side in (first, second))
        if other.accuracy is not None:
            lines.append(replace(other, comparison=_against(other, own), published=None))
    judged = family([line.comparison for line in lines if line.comparison])
    lines = [replace(line, comparison=one) for line, one in zip(lines, judged, strict=True)]
    return Block(
        0, "What another scanner costs, the same people seen on both", planned.base, planned.regime.name,
        planned.regime.words, second, f"the same row on the {SIDES[first]}", lines,
    )  # fmt: skip


def verdict_words(line: ComparedRow) -> str:
    """``decided: lower``, ``not decided``, or why nothing is compared."""
    if line.is_reference:
        return "reference"
    if line.comparator or line.comparison is None:
        return "not tested" if line.comparator else "-"
    verdict = line.comparison.verdict
    return f"decided: {verdict}" if verdict in {"higher", "lower"} else verdict


def power_words(blocks: Sequence[Block]) -> str:
    """What comparisons of this size can see, over all blocks, in a sentence."""
    sizes = [
        line.comparison.detectable
        for block in blocks
        for line in block.tested
        if line.comparison and line.comparison.detectable is not None
    ]
    if not sizes:
        return ""
    sizes.sort()
    return (
        f"The smallest true difference that is decided in four of five such series of cohorts, at p < {LEVEL} after Holm (its first, strictest "
        f"step), is {sizes[len(sizes) // 2]:.1f} points in the median over the {len(sizes)} comparisons (from {sizes[0]:.1f} to {sizes[-1]:.1f}); "
        "it stands beside each."
    )
