"""The cells of a testbed, and how long they take before they ran."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from voxtune.commands.reproduce.paper import Row, Table
from voxtune.commands.reproduce.sweep import RESULT
from voxtune.commands.testbed.cells import CohortCell, states_more_than_label
from voxtune.commands.testbed.design import FRESH, Design, Regime
from voxtune.commands.testbed.people import Size
from voxtune.errors import UsageError
from voxtune.run_dir import read_json

T = TypeVar("T")
SECONDS_A_COHORT = 40.0
"""Of one processor core: to simulate a cohort and to encode its pictures on two bases."""
SECONDS_A_CELL = 1.5
SECONDS_A_STEP = {"vision": 0.105, "report": 0.07, "label": 0.01, "neither": 0.01}
"""Of a batch of 16 on ``tiny``, by what is trained: the vision tower; the text tower on reports, or on label sentences."""
WIDTH = 192
"""Of ``tiny``."""


@dataclass(frozen=True)
class Asked:
    """What a testbed was asked for."""

    cohorts: int
    regimes: tuple[str, ...] = ()
    """Empty: all of the design."""
    tables: tuple[int, ...] = ()
    base: str | None = None
    """``None``: both."""
    edits: tuple[str, ...] = ()
    """``PATH=VALUE`` for every trained row."""
    seeds: Sequence[int] = FRESH
    """Of the cohorts; the first ``cohorts`` of them."""
    size: Size = field(default_factory=Size)

    @property
    def chosen_seeds(self) -> tuple[int, ...]:
        """Of the cohorts that are run."""
        return tuple(self.seeds[: self.cohorts])


@dataclass(frozen=True)
class PlannedTable:
    """A table on one base in one regime, and the cells behind each row, one a cohort."""

    base: str
    table: Table
    regime: Regime
    rows: tuple[tuple[Row, tuple[CohortCell, ...]], ...]


@dataclass(frozen=True)
class Plan:
    """All that is run."""

    design: Design
    asked: Asked
    tables: tuple[PlannedTable, ...]
    rules: Mapping[str, tuple[CohortCell, ...]]
    """By regime: the rules that need no model."""

    @property
    def cells(self) -> tuple[CohortCell, ...]:
        """Each once, cohort by cohort, so that a run that is stopped leaves whole cohorts."""
        every = [cell for planned in self.tables for _, cells in planned.rows for cell in cells]
        every += [cell for cells in self.rules.values() for cell in cells]
        unique = {cell.name: cell for cell in every}
        return tuple(sorted(unique.values(), key=lambda cell: cell.cohort))


def plan_testbed(design: Design, asked: Asked) -> Plan:
    """The tables, rows and cells that were asked for.

    Raises:
        UsageError: no such regime, base or table, or more cohorts than there are seeds.
    """
    regimes = _chosen(asked.regimes, {one.name: one for one in design.regimes}, "regime")
    bases = _chosen((asked.base,) if asked.base else (), {one: one for one in design.bases}, "base")
    known = {*next(iter(design.tables.values())), design.sizes}
    if unknown := sorted(set(asked.tables) - known):
        raise UsageError(
            f"The testbed has no table {unknown[0]}; it has {', '.join(map(str, sorted(known)))}."
        )
    if not 1 <= asked.cohorts <= len(asked.seeds):
        raise UsageError(f"--cohorts takes 1 to {len(asked.seeds)}, got {asked.cohorts}.")
    tables = [
        planned
        for base in bases
        for number, table in design.tables[base].items()
        for regime in regimes
        if (planned := _planned(base, table, regime, asked, only=_only(design, number, asked))).rows
    ]
    encoder = next(iter(design.encoders.values()))
    rules = {
        one.name: tuple(CohortCell(encoder, "rules", one, seed) for seed in asked.chosen_seeds)
        for one in regimes
    }
    return Plan(design, asked, tuple(tables), rules)


def _chosen(names: Sequence[str], known: Mapping[str, T], what: str) -> list[T]:
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"The testbed has no {what} '{unknown[0]}'; it has {', '.join(known)}.")
    return [known[name] for name in names] or list(known.values())


def _only(design: Design, number: int, asked: Asked) -> tuple[str, ...] | None:
    """Labels of the rows of a table that are wanted; ``None``: all. The table of sizes follows one row of another table."""
    if not asked.tables or number in asked.tables:
        return None
    return (design.size_row,) if design.sizes in asked.tables else ()


def _planned(
    base: str, table: Table, regime: Regime, asked: Asked, *, only: tuple[str, ...] | None
) -> PlannedTable:
    rows = []
    for row in table.rows:
        if row.config is None or any(
            some is not None and row.label not in some for some in (regime.rows, only)
        ):
            continue
        config = row.config
        for edit in asked.edits if row.mode == "trained" else ():
            config = config.edit(edit)
        cells = tuple(
            CohortCell(config.model_copy(update={"seed": seed}), row.mode, regime, seed)
            for seed in asked.chosen_seeds
        )
        rows.append((replace(row, config=config), cells))
    return PlannedTable(base, table, regime, tuple(rows))


# ---------------------------------------------------------------------------------------- how long it takes
def estimated_seconds(cells: Iterable[CohortCell], finished: Mapping[str, float]) -> float:
    """Of one core: of cells of kinds that are finished as they were, of others by what they train."""
    return sum(finished.get(kind_of(cell), _expected(cell)) for cell in cells)


def kind_of(cell: CohortCell) -> str:
    """Cells of one kind differ in their cohort alone."""
    return cell.name.rpartition("--")[0]


def finished_seconds(root: Path) -> dict[str, float]:
    """Mean processor seconds of finished cells, by kind."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for path in root.glob(f"cells/*/{RESULT}"):
        found = read_json(path, "the result of a cell")
        if found["status"] == "done":
            seconds[path.parent.name.rpartition("--")[0]].append(found["cpu_seconds"])
    return {kind: sum(some) / len(some) for kind, some in seconds.items()}


def _expected(cell: CohortCell) -> float:
    from voxtune.training.plan import plan_of

    if cell.mode != "trained":
        return SECONDS_A_CELL
    config = cell.config
    steps = plan_of(config.training, config.optimiser, cell.regime.scans).steps
    a_step = SECONDS_A_STEP["neither"]
    if config.vision or config.targets:
        a_step += SECONDS_A_STEP["vision"]
    if config.text:
        a_step += SECONDS_A_STEP["report" if states_more_than_label(config.report) else "label"]
    width = config.model_dump(mode="json")["backbone"].get("width") or WIDTH
    return SECONDS_A_CELL + steps * a_step * width / WIDTH
