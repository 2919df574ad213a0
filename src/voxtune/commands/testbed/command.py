"""``voxtune reproduce PAPER --cohorts N``: the rows of a paper's tables on N SIMULATED cohorts, compared in pairs over the cohorts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.catalog import TESTBEDS, load
from voxtune.commands.crew import processors
from voxtune.commands.reproduce.command import Reproduced
from voxtune.commands.reproduce.data import same_reproduction
from voxtune.commands.reproduce.loop import Say, failures, pending
from voxtune.commands.reproduce.sweep import RESULT
from voxtune.commands.reproduce.workers import run_on_dask, run_on_workers
from voxtune.commands.shard import read_shard
from voxtune.commands.testbed import files
from voxtune.commands.testbed.cells import CohortSweep
from voxtune.commands.testbed.design import SCANNERS, SIDES, Design
from voxtune.commands.testbed.plan import (
    SECONDS_A_COHORT,
    Asked,
    Plan,
    estimated_seconds,
    finished_seconds,
    plan_testbed,
)
from voxtune.commands.testbed.results import Block, gather_blocks, is_decided, power_words
from voxtune.run_dir import write_json, write_text
from voxtune.storage.lock import waited

if TYPE_CHECKING:
    from voxtune.pages.print_files import Interval
    from voxtune.pages.testbed_page import ShownBlock

BYTES_A_COHORT = 65e6
"""Of the encoded pictures of a cohort on two bases."""


@dataclass(frozen=True)
class Machine:
    """Who works on the cells."""

    workers: int = 1
    shard: str | None = None
    scheduler: str | None = None


@dataclass(frozen=True)
class Results:
    """Everything that the files of a testbed say."""

    paper: str
    seeds: Sequence[int]
    people: Mapping[str, int]
    blocks: Sequence[Block]
    method: str
    power: str
    cost: str
    cells: int
    done: int


def run_testbed(paper: str, output: Path, asked: Asked, machine: Machine, say: Say = print) -> Reproduced:
    """Run the testbed of a paper, as ``run_design``.

    Raises:
        UsageError: no such testbed, regime, table or base, or a folder that holds something else.
    """
    return run_design(paper, load(TESTBEDS, paper, "testbed")(), output, asked, machine, say)


def run_design(
    paper: str, design: Design, output: Path, asked: Asked, machine: Machine, say: Say
) -> Reproduced:
    """Run what is missing of a testbed and write ``testbed.html``, ``.md``, ``.csv``, ``.tex`` and ``.json``.

    Cells are in ``OUT/cells``, cohorts in ``OUT/people``. Finished cells are never done again; more cohorts or regimes may be asked for
    later, of the same folder, whose files then hold what was asked for last. Any number of processes may work on one ``OUT``.

    Args:
        paper: its name.
        design: of its testbed.
        output: the folder of the testbed.
        asked: cohorts, regimes, tables, base.
        machine: who works on it.
        say: takes lines for a person.

    Raises:
        UsageError: no such regime, table or base, or a folder that holds something else.
    """
    plan = plan_testbed(design, asked)
    with waited(output / "locks", "sources"):
        same_reproduction(
            output, {"paper": paper, "testbed": {"pool": asked.size.pool, "test": asked.size.test}}
        )
    bases = {one.base for one in plan.tables}
    encoders = {name: one for name, one in design.encoders.items() if name in bases}
    sweep = CohortSweep(output, plan.cells, encoders, asked.size)
    part, parts = read_shard(machine.shard)
    mine, wait = plan.cells[part - 1 :: parts], machine.shard is None
    if machine.scheduler is None:
        run_on_workers(sweep, mine, machine.workers, say, wait=wait)
    else:
        run_on_dask(sweep, mine, machine.scheduler, say, wait=wait)
    found = gather_results(paper, plan, sweep)
    write_results(output, found)
    return Reproduced(output, _summary(output, plan, sweep, found), failures(sweep, pending(sweep)))


def gather_results(paper: str, plan: Plan, sweep: CohortSweep) -> Results:
    """All that the finished cells say."""
    blocks = gather_blocks(plan, sweep)
    size = plan.asked.size
    done = [one for cell in plan.cells if (one := sweep.result(cell)) and one["status"] == "done"]
    cost = (
        f"{len(done)} of {len(plan.cells)} cells are done; they took {sum(one['cpu_seconds'] for one in done) / 60:.0f} CPU minutes"
        f" ({sum(one['cpu_seconds'] for one in done) / max(1, len(done)):.1f} s a cell), at most "
        f"{max((one['peak_bytes'] for one in done), default=0) / 1e9:.1f} GB of memory a worker."
    )
    return Results(
        paper,
        plan.asked.chosen_seeds,
        {"pool": size.pool, "test": size.test, "scanners": SCANNERS},
        blocks,
        _method(plan),
        power_words(blocks),
        cost,
        len(plan.cells),
        len(done),
    )


def write_results(output: Path, found: Results) -> None:
    """The files and the page."""
    from voxtune.pages.testbed_page import testbed_page

    write_text(output / "testbed.md", files.markdown(found), shared=True)
    write_text(output / "testbed.csv", files.csv_text(found), shared=True)
    write_text(output / "testbed.tex", files.latex(found), shared=True)
    write_json(output / "testbed.json", files.as_json(found), shared=True)
    page = testbed_page(
        found.paper, [_shown(block) for block in found.blocks], (found.method, found.power, found.cost)
    )
    write_text(output / "testbed.html", page, shared=True)
    _write_figures(output, found)


def _write_figures(output: Path, found: Results) -> None:
    """The differences of each table on each base, all regimes with the scanners of training together."""
    from voxtune.pages.reproduce_prints import write_differences_figure

    parts: dict[tuple[int, str], list[Block]] = {}
    for block in found.blocks:
        if block.number and block.side == next(iter(SIDES)):
            parts.setdefault((block.number, block.base), []).append(block)
    for (number, base), blocks in parts.items():
        regimes: "dict[str, list[Interval]]" = {}
        for block in blocks:
            regimes[block.regime_words or block.caption] = [
                (line.label, one.mean, one.low, one.high)
                for line in block.lines
                if line.comparison is not None and not line.comparator
                for one in (line.comparison.difference,)
            ]
        write_differences_figure(output, f"table_{number}_{base}", regimes, reference=blocks[0].reference)


def _shown(block: Block) -> "ShownBlock":
    from voxtune.pages.testbed_page import ShownBlock, ShownLine

    lines = []
    for line in block.lines:
        one = line.comparison.difference if line.comparison else None
        lines.append(
            ShownLine(
                files.cells_of_line(line),
                line.is_reference,
                line.comparator,
                is_decided(line),
                one.mean if one else None,
                one.low if one else None,
                one.high if one else None,
            )
        )
    return ShownBlock(files.table_of(block), block.base, files.where_of(block), block.summary, lines)


def _method(plan: Plan) -> str:
    size, asked = plan.asked.size, plan.asked
    regimes = {planned.regime.name: planned.regime for planned in plan.tables}
    said = [
        f"All people are SIMULATED (population 'separable'); the published column is of real ones, so its difference to ours says nothing about the method. "
        f"{asked.cohorts} cohorts (seeds {asked.chosen_seeds[0]} to {asked.chosen_seeds[-1]}; settings were fixed on others), each of {size.pool} participants to learn from and "
        f"{size.test} to be tested on, one scan each, on {SCANNERS} scanners; the test people were also seen by a further scanner that nobody of training was (side '{SIDES['other']}').",
        "Regimes: "
        + "; ".join(f"'{one.name}', {one.words}, {one.validation} to validate" for one in regimes.values())
        + ".",
        "Every row of a cohort learns from the same scans and is scored on the same test people by its own rule, without temperature and offsets. A comparison is the mean over "
        "cohorts of the difference to the reference row, with a 95% t interval; p flips the signs of the cohorts' differences, after Holm over the rows of a table on one base, in one regime, "
        "on one side. It is decided where that p is below 0.05. Rows that need no model are fitted on the same training scans, printed beside and not tested.",
        plan.design.left_out,
    ]
    return " ".join(said)


def _summary(output: Path, plan: Plan, sweep: CohortSweep, found: Results) -> str:
    lines = []
    for base, number in dict.fromkeys((block.base, block.number) for block in found.blocks):
        own = [block for block in found.blocks if (block.base, block.number) == (base, number)]
        tested = [line for block in own for line in block.tested]
        name = f"Table {number}" if number else "Another scanner"
        lines.append(
            f"{name}, base {base}: {sum(map(is_decided, tested))} of {len(tested)} comparisons are decided."
        )
    left = pending(sweep)
    if left:
        lines.append(f"{len(left)} of {len(plan.cells)} cells are still to do; the same command goes on with them.")  # fmt: skip
    lines += [f"{cell.name}: {said}" for cell in left[:5] if (said := sweep.failure(cell))]
    return "\n".join([*lines, found.cost, f"The page: {output / 'testbed.html'}"])


def rehearse_testbed(paper: str, output: Path, asked: Asked, machine: Machine) -> str:
    """What would run and how long it would take; nothing is loaded or written.

    Raises:
        UsageError: no such testbed, regime, table or base.
    """
    design: Design = load(TESTBEDS, paper, "testbed")()
    plan = plan_testbed(design, asked)
    left = [cell for cell in plan.cells if not (output / "cells" / cell.name / RESULT).is_file()]
    finished = finished_seconds(output)
    unmade = [
        seed
        for seed in {cell.cohort for cell in left}
        if not (output / "people" / f"cohort-{seed}.json").is_file()
    ]
    seconds = estimated_seconds(left, finished) + SECONDS_A_COHORT * len(unmade)
    workers = max(1, min(machine.workers, processors(), len(left) or 1))
    lines = [
        f"Testbed of '{paper}': {asked.cohorts} SIMULATED cohorts of {asked.size.pool + asked.size.test} participants.",
        "",
    ]
    for regime, cells in plan.rules.items():
        own = [cell for cell in plan.cells if cell.regime.name == regime]
        open_cells = [cell for cell in left if cell.regime.name == regime]
        minutes = estimated_seconds(open_cells, finished) / 60
        words = cells[0].regime.words
        lines.append(f"regime {regime:8} {words}: {len(own) - len(open_cells)} of {len(own)} cells done, {minutes:.0f} CPU minutes to do")  # fmt: skip
    estimate = f"Times are estimates{' from finished cells of this folder' if finished else ''}."
    lines += [
        "",
        f"To do: {len(left)} cells and {len(unmade)} cohorts, about {seconds / 60 / workers:.0f} minutes with {machine.workers} worker(s) on "
        f"{processors()} processors, {BYTES_A_COHORT * len(unmade) / 1e9:.1f} GB of disk. {estimate}",
        design.left_out,
    ]
    return "\n".join(lines)
