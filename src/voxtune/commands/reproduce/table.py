"""A finished table: its facts (cohorts, cost, method in words) and the files that hold it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.reproduce import files
from voxtune.commands.reproduce.beside import beside_of
from voxtune.commands.reproduce.data import Sources
from voxtune.commands.reproduce.externals import external_sides
from voxtune.commands.reproduce.method import findings_paragraph, method_paragraph
from voxtune.commands.reproduce.paper import Cell, Paper, Table
from voxtune.commands.reproduce.scores import Line, line_as_json, score_rows
from voxtune.commands.reproduce.sweep import Sweep
from voxtune.errors import DataError
from voxtune.run_dir import write_json, write_text
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from voxtune.pages.reproduce_page import ShownTable


@dataclass(frozen=True)
class Facts:
    """Everything that a table's files say."""

    paper: Paper
    table: Table
    lines: Sequence[Line]
    simulated: bool
    sides: Mapping[str, Mapping[str, int]]
    """Scans and participants of train, val, test and each external cohort."""
    beside: Mapping[str, float]
    """Accuracies in percent that a reader needs to judge the others: guessing, and on simulated scans the best possible and rules that need no model."""
    method: str
    cost: Mapping[str, Any]


def gather_facts(
    sweep: Sweep, paper: Paper, table: Table, lines: Sequence[tuple[Line, Sequence[Cell]]]
) -> Facts:
    """Score a table's cells and say what they rest on."""
    rows = sides_of(sweep.sources, paper)
    sizes = {
        share: _count(sweep.sources, share)
        for share in {cell.share for _, cells in lines for cell in cells[:1]}
    }
    named = [(replace(line, size=sizes[cells[0].share]) if cells else line, cells) for line, cells in lines]
    scored = score_rows(sweep, table, named)
    sides = {
        name: {"scans": len(found), "participants": len({row.participant_id for row in found})}
        for name, found in rows.items()
    }
    simulated = sweep.sources.simulated
    return Facts(
        paper,
        table,
        scored,
        simulated,
        sides,
        beside_of(sweep.sources, rows) if paper.task == "diagnosis" else {},
        {"findings": findings_paragraph, "diagnosis": method_paragraph}[paper.task](
            paper, table, scored, sides, simulated=simulated
        ),
        _cost(sweep, [cell for _, cells in named for cell in cells]),
    )


def write_table_files(output: Path, facts: Facts) -> None:
    """``table_<n>.html``, ``.md``, ``.csv``, ``.tex`` and ``.json``, and ``figures/table_<n>*.svg`` and ``.pdf``, one of each cohort."""
    from voxtune.pages.print_files import Interval
    from voxtune.pages.reproduce_page import table_page
    from voxtune.pages.reproduce_prints import write_table_figure

    name, given = f"table_{facts.table.number}", (facts.paper, facts.table, facts.lines)
    write_text(output / f"{name}.md", markdown(facts), shared=True)
    write_text(output / f"{name}.csv", files.csv_text(*given, simulated=facts.simulated), shared=True)
    write_text(output / f"{name}.tex", files.latex(*given, simulated=facts.simulated), shared=True)
    write_json(output / f"{name}.json", as_json(facts), shared=True)
    write_text(output / f"{name}.html", table_page(shown(facts)), shared=True)
    for role in files.roles_of(facts.lines):
        rows: list[Interval] = []
        for line in facts.lines:
            one, label = line.accuracy.get(role), line.row.label + files.partial(line)
            rows.append((label, one.mean, one.low, one.high) if one else (label, None, None, None))
        write_table_figure(
            output,
            name if role == "own" else f"{name}_{role}",
            rows,
            [said.value if (said := line.row.published.get(role)) else None for line in facts.lines],
            axis=f"{files.FIGURES[facts.paper.task].lower()}, %",
            simulated=facts.simulated,
        )


def shown(facts: Facts) -> "ShownTable":
    """The table for its page."""
    from voxtune.pages.reproduce_page import ShownCohort, ShownRow, ShownTable

    cohorts = []
    for role in files.roles_of(facts.lines):
        rows = []
        for line in facts.lines:
            one = line.accuracy.get(role)
            is_reference = one is not None and facts.table.is_reference(line.row)
            why = (
                ""
                if one
                else line.reason
                if line.status not in {"done", "partial"}
                else "not scored on this cohort"
            )
            rows.append(
                ShownRow(
                    line.row.label + files.partial(line),
                    files.ours(one),
                    files.published(line, role),
                    files.difference(line, role),
                    files.tested(facts.table, line, role),
                    files.trained(line),
                    why,
                    one.mean if one else None,
                    one.low if one else None,
                    one.high if one else None,
                    is_reference,
                )
            )
        name = files.cohort(facts.paper, role, simulated=facts.simulated)
        cohorts.append(ShownCohort(name, files.counts(facts.lines, role), rows))
    missing = {line.reason: line.advice for line in facts.lines if line.status == "missing"}
    return ShownTable(
        facts.table.number,
        facts.table.caption,
        facts.paper.citation,
        facts.simulated,
        cohorts,
        facts.table.reference,
        beside_text(facts),
        facts.method,
        cost_text(facts),
        state_text(facts.lines),
        tuple(missing.items()),
    )


def state_text(lines: Sequence[Line]) -> str:
    """``9 rows: 8 done, 1 missing``."""
    states = Counter(line.status for line in lines)
    return f"{len(lines)} rows: {', '.join(f'{count} {state}' for state, count in states.items())}"


def markdown(facts: Facts) -> str:
    """The table, what guessing gives, the method and the cost."""
    table = files.markdown(facts.paper, facts.table, facts.lines, simulated=facts.simulated)
    return f"{table}\n{beside_text(facts)}\n\n{facts.method}\n\n{cost_text(facts)}\n"


def as_json(facts: Facts) -> dict[str, Any]:
    """Everything, for scripts."""
    return {
        "paper": facts.paper.name,
        "citation": facts.paper.citation,
        "table": facts.table.number,
        "caption": facts.table.caption,
        "reference": facts.table.reference,
        "simulated": facts.simulated,
        "cohorts": dict(facts.paper.cohorts),
        "sides": {name: dict(one) for name, one in facts.sides.items()},
        "beside": dict(facts.beside),
        "method": facts.method,
        "cost": dict(facts.cost),
        "lines": [line_as_json(line) for line in facts.lines],
        "markdown": files.markdown(facts.paper, facts.table, facts.lines, simulated=facts.simulated),
    }


def beside_text(facts: Facts) -> str:
    """Guessing and simple rules in a sentence."""
    said = "; ".join(f"{name} {value:.1f}%" for name, value in facts.beside.items())
    return f"To compare, on the same test scans: {said}." if said else ""


def cost_text(facts: Facts) -> str:
    """What the cells of the table took."""
    cost = facts.cost
    if not cost["cells"]:
        return "No cell of this table has run yet."
    return (
        f"Cost of the {cost['cells']} finished cells: {cost['cpu_seconds'] / 60:.0f} CPU minutes, {cost['seconds'] / 60:.0f} minutes of one "
        f"worker each, at most {cost['peak_bytes'] / 1e9:.1f} GB of memory a worker, on {cost['hardware']}."
    )


def sides_of(sources: Sources, paper: Paper) -> dict[str, list[ManifestRow]]:
    """The rows of ``train``, ``val`` and ``test``, and of each external cohort those that are scored."""
    from voxtune.data.manifest import read_manifest
    from voxtune.data.split_files import read_split
    from voxtune.tasks.classification import labelled

    by_scan = {row.scan_id: row for row in read_manifest(sources.manifests["own"])}
    sides = read_split(sources.split()).sides()
    if absent := [one for scans in sides.values() for one in scans if one not in by_scan]:
        raise DataError(
            f"The split names {len(absent)} scans that the manifest lacks, as '{absent[0]}'; remove the folder '{sources.split().name}' "
            "to split again."
        )
    found = {side: [by_scan[one] for one in scans] for side, scans in sides.items()}
    for role in external_sides(sources.manifests):
        found[role] = labelled(read_manifest(sources.manifests[role]), paper.external_classes, lambda _: None)
    return found


def _count(sources: Sources, share: float | None) -> int:
    from voxtune.data.split_files import read_split

    return len(read_split(sources.split(share)).train)


def _cost(sweep: Sweep, cells: Sequence[Cell]) -> dict[str, Any]:
    results = [
        one
        for cell in {cell.name: cell for cell in cells}.values()
        if (one := sweep.result(cell)) and one["status"] == "done"
    ]
    machines = sorted(
        {
            one["environment"]["accelerator"] or f"{one['environment']['threads']} CPU thread(s) a worker"
            for one in results
        }
    )
    return {
        "cells": len(results),
        "seconds": round(sum(one["seconds"] for one in results), 1),
        "cpu_seconds": round(sum(one["cpu_seconds"] for one in results), 1),
        "peak_bytes": max((one["peak_bytes"] for one in results), default=0),
        "hardware": ", ".join(machines),
    }
