"""``voxtune reproduce``: a paper's tables by one command, beside the published numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from voxtune.catalog import PAPERS, load
from voxtune.commands.reproduce.cells import TableSweep
from voxtune.commands.reproduce.data import Request, find_sources
from voxtune.commands.reproduce.loop import failures, pending
from voxtune.commands.reproduce.paper import Cell, Paper, Row, Table, cells_of
from voxtune.commands.reproduce.participants import write_participants
from voxtune.commands.reproduce.scores import Line
from voxtune.commands.reproduce.sweep import Sweep
from voxtune.commands.reproduce.table import Facts, gather_facts, shown, state_text, write_table_files
from voxtune.commands.reproduce.weights import SHIPPED, Found, find_weights, with_weights
from voxtune.commands.reproduce.workers import run_on_dask, run_on_workers
from voxtune.commands.shard import read_shard
from voxtune.errors import UsageError
from voxtune.run_dir import write_text
from voxtune.storage.lock import waited

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
    scheduler: str | None = None
    """Address of a Dask scheduler that shares out the cells instead of ``workers`` processes."""
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
    """What the command leaves: the folder, lines for a person, and why cells failed that are still to do, by name."""

    folder: Path
    summary: str
    failed: Mapping[str, str] = field(default_factory=dict)


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
    tables = chosen_tables(found, options)
    words, maps = chosen_explanations(found, options)
    planned = {table.number: plan(found, table, options) for table in tables}
    explained = explained_row(found, options) if words or maps else None
    every = [*(row for rows in planned.values() for row in rows), *([explained] if explained else [])]
    cells = unique(cell for row in every for cell in row.cells)
    shares = sorted({cell.share for cell in cells if cell.share is not None})
    sources = find_sources(output, found, options.request, shares, say)
    others = tuple(role for role in sources.names if role not in found.cohorts)
    found = replace(found, cohorts={**found.cohorts, **sources.names}, others=others)
    sweep = TableSweep(sources, tuple(cells), found.external_classes)
    part, parts = read_shard(options.shard)
    mine, wait = cells[part - 1 :: parts], options.shard is None
    if options.scheduler is None:
        run_on_workers(sweep, mine, options.workers, say, wait=wait)
    else:
        run_on_dask(sweep, mine, options.scheduler, say, wait=wait)
    written = []
    for table in tables:
        facts = gather_facts(sweep, found, table, _lines(sweep, planned[table.number]))
        write_table_files(output, facts)
        written.append(facts)
    said = [write_participants(output, found, sources)] if wants_participants(found, options) else []
    said += _explain(sweep, found, explained, (words, maps), options) if explained else []
    _write_overview(output, written, simulated=sources.simulated)
    left = pending(sweep)
    return Reproduced(
        output, "\n".join([_summary(output, written, left, sweep), *said]).strip(), failures(sweep, left)
    )


def make_paper(name: str, options: Options) -> Paper:
    """A paper by its name, on the base that was asked for: the shipped one for simulated scans, else the paper's own.

    Raises:
        UsageError: no such paper or base.
    """
    make = load(PAPERS, name, "paper")
    shipped = make()
    assert isinstance(shipped, Paper)
    base = options.base or (shipped.base if options.request.data is None else shipped.published_base)
    paper = make(base)
    assert isinstance(paper, Paper)
    return paper


def chosen_tables(paper: Paper, options: Options) -> list[Table]:
    """The tables of accuracies asked for, all of them by default.

    Raises:
        UsageError: the paper has no such table or figure.
    """
    known = {*paper.tables, *(one for one in (paper.words, paper.participants_table) if one)}
    for number in options.tables:
        if number not in known:
            listed = ", ".join(str(one) for one in sorted(known))
            raise UsageError(f"'{paper.name}' has no table {number} to reproduce; it has {listed}.")
    for number in options.figures:
        if number != paper.maps:
            raise UsageError(
                f"'{paper.name}' has no figure {number} to reproduce; it has {paper.maps or 'none'}."
            )
    asked = options.tables if options.tables or options.figures else tuple(paper.tables)
    return [paper.tables[number] for number in sorted(set(asked)) if number in paper.tables]


def chosen_explanations(paper: Paper, options: Options) -> tuple[int | None, int | None]:
    """The table of tokens and the figure of maps, where they are asked for or nothing is."""
    everything = not options.tables and not options.figures
    words = paper.words if everything or paper.words in options.tables else None
    maps = paper.maps if everything or paper.maps in options.figures else None
    return words, maps


def wants_participants(paper: Paper, options: Options) -> bool:
    """Whether the table of who the people are is asked for, or nothing is."""
    if paper.participants_table is None:
        return False
    return paper.participants_table in options.tables or not (options.tables or options.figures)


def explained_row(paper: Paper, options: Options) -> Planned | None:
    """The row that is explained, with its first seed alone."""
    if paper.explained is None:
        return None
    table = Table(0, "", (paper.explained,), paper.explained.label)
    return plan(paper, table, replace(options, seeds=1))[0]


def _explain(
    sweep: Sweep, paper: Paper, planned: Planned, numbers: tuple[int | None, int | None], options: Options
) -> list[str]:
    """Tokens and maps of the explained run; a line for each."""
    from voxtune.commands.reproduce.explained import Explaining, draw_maps, explain_words

    if options.shard is not None:
        return []
    if planned.weights is None or not planned.weights.ready:
        problem = planned.weights.problem if planned.weights else "no run"
        return [f"Tokens and maps: missing, {problem}."]
    result = sweep.result(planned.cells[0])
    if result is None or result["status"] != "done":
        return ["Tokens and maps: their run is not done yet."]
    what = Explaining(sweep, paper, planned.cells[0], sweep.sources.root)
    words, maps = numbers
    with waited(sweep.sources.root / "locks", "explained"):
        return [
            *([explain_words(what, words)] if words else []),
            *([draw_maps(what, maps)] if maps else []),
        ]


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
        quick = paper.simulated_edits if options.request.data is None and name in SHIPPED else ()
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


def _write_overview(output: Path, written: Sequence[Facts], *, simulated: bool) -> None:
    """The page that leads to what was written now and to what earlier calls left."""
    from voxtune.pages.reproduce_page import overview_page

    now = {f"table_{one.table.number}" for one in written}
    others = sorted(path.stem for path in output.glob("*_*.html") if path.stem not in now)
    more = [(name.replace("_", " ").capitalize(), f"{name}.html") for name in others]
    write_text(
        output / "page.html", overview_page([shown(facts) for facts in written], more, simulated=simulated)
    )


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
