"""``voxtune reproduce``: a paper's tables by one command, beside the published numbers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from voxtune.catalog import PAPERS, load
from voxtune.errors import SettingError, UsageError
from voxtune.run_dir import write_text
from voxtune.stages.reproduce_cells import Sweep, pending, run_on_workers
from voxtune.stages.reproduce_data import Request, find_sources
from voxtune.stages.reproduce_paper import Cell, Paper, Row, Table, cells_of
from voxtune.stages.reproduce_scores import Line
from voxtune.stages.reproduce_table import Facts, gather_facts, shown, state_text, write_table_files
from voxtune.stages.reproduce_weights import Found, find_weights, with_weights

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What the command was asked for."""

    tables: tuple[int, ...] = ()
    """Empty: all of the paper."""
    figures: tuple[int, ...] = ()
    """As ``tables``; tables alone leave the figures out and figures alone the tables."""
    request: Request = field(default_factory=Request)
    seeds: int = 5
    base: str | None = None
    """Of the tables with one base; ``None``: ``tiny`` on simulated scans, the paper's on yours."""
    workers: int = 1
    shard: str | None = None
    home: Path = field(default_factory=lambda: Path.home() / ".voxtune")
    """Where published weights are (``VOXTUNE_HOME``)."""
    edits: tuple[str, ...] = ()
    """``PATH=VALUE`` for every trained row."""


@dataclass(frozen=True)
class Planned:
    """A row with what this machine has for it, and its cells."""

    row: Row
    cells: tuple[Cell, ...]
    weights: Found | None
    """``None``: quoted."""


@dataclass(frozen=True)
class Reproduced:
    """What the command leaves: the folder, and lines for a person."""

    folder: Path
    summary: str


def reproduce(paper: str, output: Path, options: Options | None = None, say: Say = print) -> Reproduced:
    """Run what is missing of a paper's tables and write them: HTML, Markdown, CSV, LaTeX and JSON.

    ``OUT/cells/<name>/`` is one run directory a cell, ``OUT/table_<n>.*`` are the tables, ``OUT/page.html`` is the overview. Finished
    cells are never done again; an interrupted cell goes on where its last epoch ended. Any number of processes may work on one ``OUT``.

    Args:
        paper: a name of ``catalog.PAPERS``.
        output: the folder of the reproduction.
        options: which tables, on what, by how many workers.
        say: takes lines for a person.

    Raises:
        UsageError: no such paper or table, or a folder that holds another reproduction.
        DataError: cohorts that cannot be used.
    """
    options = options or Options()
    found = make_paper(paper, options)
    tables = chosen_tables(found, options.tables)
    planned = {table.number: plan(found, table, options) for table in tables}
    cells = unique(cell for rows in planned.values() for row in rows for cell in row.cells)
    shares = sorted({cell.share for cell in cells if cell.share is not None})
    sources = find_sources(output, found, options.request, shares, say)
    sweep = Sweep(sources, tuple(cells), found.external_classes)
    part, parts = _shard(options.shard)
    run_on_workers(sweep, cells[part - 1 :: parts], options.workers, say, wait=options.shard is None)
    written = []
    for table in tables:
        facts = gather_facts(sweep, found, table, _lines(sweep, planned[table.number]))
        write_table_files(output, facts)
        written.append(facts)
    _write_overview(output, written)
    left = pending(sweep)
    return Reproduced(output, _summary(output, written, left, sweep))


def make_paper(name: str, options: Options) -> Paper:
    """A paper by its name, on the base that was asked for.

    Raises:
        UsageError: no such paper or base.
    """
    make = load(PAPERS, name, "paper")
    base = options.base or ("tiny" if options.request.data is None else None)
    paper = make(base) if base else make()
    assert isinstance(paper, Paper)
    return paper


def chosen_tables(paper: Paper, numbers: Sequence[int]) -> list[Table]:
    """The tables asked for, all of them by default.

    Raises:
        UsageError: the paper has no such table.
    """
    for number in numbers:
        if number not in paper.tables:
            raise UsageError(
                f"'{paper.name}' has no table {number} to reproduce; it has {', '.join(str(one) for one in sorted(paper.tables))}."
            )
    return [paper.tables[number] for number in sorted(set(numbers or paper.tables))]


def plan(paper: Paper, table: Table, options: Options) -> list[Planned]:
    """Every row of a table with its cells; rows whose weights are absent have none."""
    known: dict[str, Found] = {}
    planned = []
    for row in table.rows:
        if row.config is None or row.mode == "quoted":
            planned.append(Planned(row, (), None))
            continue
        name = str(row.config.model_dump(mode="json")["backbone"]["kind"])
        if name not in known:
            known[name] = find_weights(name, options.home)
        found = known[name]
        config = with_weights(row.config, found, options.home)
        quick = paper.simulated_edits if options.request.data is None and name == "tiny" else ()
        for edit in (*quick, *options.edits) if row.mode == "trained" else ():
            config = config.edit(edit)
        filled = replace(row, config=config)
        cells = cells_of(filled, table, options.seeds, found.fingerprint) if found.ready else []
        planned.append(Planned(filled, tuple(cells), found))
    return planned


def unique(cells: Iterable[Cell]) -> list[Cell]:
    """Each cell once, in order."""
    return list({cell.name: cell for cell in cells}.values())


def _lines(sweep: Sweep, planned: Sequence[Planned]) -> list[tuple[Line, Sequence[Cell]]]:
    """The lines of a table before they have numbers: what stands in the way of each."""
    found: list[tuple[Line, Sequence[Cell]]] = []
    for one in planned:
        if one.weights is None:
            line = Line(one.row, "quoted", "quoted from the paper")
        elif not one.weights.ready:
            line = Line(one.row, "missing", f"{one.weights.name}: {one.weights.problem}", one.weights.advice)
        else:
            failures = [said for cell in one.cells if (said := sweep.failure(cell))]
            line = (
                Line(one.row, "failed", failures[0]) if failures else Line(one.row, "pending", "not run yet")
            )
        found.append((line, one.cells))
    return found


def _write_overview(output: Path, written: Sequence[Facts]) -> None:
    from voxtune.pages.reproduce_page import overview_page

    write_text(output / "page.html", overview_page([shown(facts) for facts in written]))


def _summary(output: Path, written: Sequence[Facts], left: Sequence[Cell], sweep: Sweep) -> str:
    lines = [
        f"Table {one.table.number}: {state_text(one.lines)}. {output / f'table_{one.table.number}.html'}"
        for one in written
    ]
    if left:
        lines.append(
            f"{len(left)} of {len(sweep.cells)} cells are still to do; the same command goes on with them."
        )
    lines += [f"{cell.name}: {said}" for cell in left[:5] if (said := sweep.failure(cell))]
    return "\n".join(lines)


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    first, slash, second = text.partition("/")
    if not (slash and first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second)):
        raise SettingError("shard", "I/N with 1 <= I <= N, such as 3/10", text)
    return int(first), int(second)
