"""``voxtune reproduce --dry-run``: what would run, how long it would take, and what is missing; nothing is loaded or written."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from voxtune.commands.crew import processors
from voxtune.commands.reproduce.command import Options, Planned, chosen_tables, make_paper, plan
from voxtune.commands.reproduce.cost import Cost, embedded_bytes, estimate, kind_of
from voxtune.commands.reproduce.paper import Cell
from voxtune.commands.reproduce.sweep import RESULT

TRAINING_SHARE = 0.65
"""Of all scans, where there is no split yet."""
SCANS_A_PERSON = 2.0
"""Of the simulated cohort."""


def dry_run(paper: str, output: Path, options: Options) -> str:
    """Every row of the tables asked for: ready, done, quoted or missing, with its cells, time, memory and disk.

    Raises:
        UsageError: no such paper or table.
        DataError: a manifest that cannot be read.
    """
    found = make_paper(paper, options)
    scans, source = _scans(options, found.participants)
    finished = _finished(output)
    to_do: dict[str, Cell] = {}
    costs: list[Cost] = []
    blocks, advice = [], {}
    for table in chosen_tables(found, options):
        rows = []
        for one in plan(found, table, options):
            left = [cell for cell in one.cells if not (output / "cells" / cell.name / RESULT).is_file()]
            new = [cell for cell in left if cell.name not in to_do]
            to_do |= {cell.name: cell for cell in new}
            costs.append(estimate(new, scans, one.weights.parameters if one.weights else 0, finished))
            rows.append((one.row.label, _state(one, left), _cells(one, left, new), *_cost(costs[-1], new)))
            if one.weights and one.weights.advice:
                advice[one.weights.name] = f"{_detail(one)}{one.weights.advice}"
        blocks.append(f"Table {table.number}: {table.caption}\n" + _table(rows))
    lines = [
        f"{found.name} on {source}; {options.seeds} seeds a trained row.",
        "",
        *(f"{block}\n" for block in blocks),
        _total(list(to_do.values()), costs, scans, options.workers, measured=bool(finished)),
    ]
    for name, how in advice.items():
        lines += ["", f"{name}:", how]
    return "\n".join(lines)


def _total(cells: Sequence[Cell], costs: Sequence[Cost], scans: int, workers: int, *, measured: bool) -> str:
    """What all of it takes, in a sentence or two; a base's embedded scans are kept once."""
    workers = min(workers, max(1, len(cells)))
    bases = {kind_of(cell).partition("/")[0]: cell for cell in cells}
    disk = sum(one.disk_bytes for one in costs) + sum(embedded_bytes(cell, scans) for cell in bases.values())
    unknown = sum(one.seconds is None for one in costs)
    return (
        f"To do: {len(cells)} cells, about {_hours(sum(one.seconds or 0 for one in costs) / workers)} with {workers} worker(s) on "
        f"{processors()} processors"
        + (f" and {unknown} row(s) of unknown length" if unknown else "")
        + f"; up to {_gigabytes(max((one.memory_bytes for one in costs), default=0))} of memory a worker, {_gigabytes(disk)} of disk. "
        f"Times are estimates{' from finished cells of this folder' if measured else ''}."
    )


def _scans(options: Options, usual: int) -> tuple[int, str]:
    """Training scans to expect, and what the cohort is in words."""
    asked = options.request
    if asked.data is None:
        people = asked.participants or usual
        return round(TRAINING_SHARE * SCANS_A_PERSON * people), f"{people} SIMULATED participants"
    from voxtune.data.manifest import read_manifest

    rows = read_manifest(asked.data)
    people = len({row.participant_id for row in rows})
    return round(TRAINING_SHARE * len(rows)), f"{len(rows)} scans of {people} participants"


def _finished(output: Path) -> dict[str, float]:
    """Mean seconds of finished cells by kind."""
    from voxtune.run_dir import read_json
    from voxtune.types.stored import CellResult

    seconds: dict[str, list[float]] = defaultdict(list)
    for path in output.glob(f"cells/*/{RESULT}"):
        result = read_json(path, "the result of a cell", CellResult)
        if result["status"] == "done":
            seconds[f"{result['config']['backbone']['kind']}/{result['mode']}"].append(result["seconds"])
    return {kind: sum(some) / len(some) for kind, some in seconds.items()}


def _state(one: Planned, left: Sequence[Cell]) -> str:
    if one.weights is None:
        return "quoted"
    if not one.weights.ready:
        return (
            "missing: its weights are not on this machine"
            if one.weights.file is None
            else "missing: its file does not fit"
        )
    if not left:
        return "done"
    return "ready, once its tokenizer is here" if one.weights.advice else "ready"


def _detail(one: Planned) -> str:
    """What does not fit, before how to get what does."""
    found = one.weights
    return f"{found.problem}\n" if found and found.file is not None and found.problem else ""


def _cells(one: Planned, left: Sequence[Cell], new: Sequence[Cell]) -> str:
    shared = len(left) - len(new)
    return (
        f"{len(one.cells) - len(left)} of {len(one.cells)}" + (f" ({shared} shared)" if shared else "")
        if one.cells
        else "-"
    )


def _cost(cost: Cost, new: Sequence[Cell]) -> tuple[str, str, str]:
    if not new:
        return "-", "-", "-"
    seconds = "unknown" if cost.seconds is None else _hours(cost.seconds)
    return seconds, _gigabytes(cost.memory_bytes), _gigabytes(cost.disk_bytes)


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _gigabytes(value: float) -> str:
    return f"{value / 1e9:.1f} GB"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head = ("row", "state", "cells done", "time", "memory", "disk")
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )
