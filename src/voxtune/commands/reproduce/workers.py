"""Many processes on one sweep: each takes whatever cell nobody has, on its share of the machine."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from voxtune.commands.crew import run_crew
from voxtune.commands.reproduce.cells import Say, run_cells
from voxtune.commands.reproduce.paper import Cell
from voxtune.commands.reproduce.sweep import Sweep


def run_on_workers(sweep: Sweep, cells: Sequence[Cell], workers: int, say: Say, *, wait: bool) -> None:
    """``run_cells`` in this process, or in several fresh ones that share the cells by their locks."""
    since = time.time()
    left = [cell for cell in cells if sweep.result(cell) is None]
    workers = min(workers, len(left))
    if workers <= 1:
        run_cells(sweep, cells, say, since=since, wait=wait)
        return
    run_crew(_worker, (sweep, tuple(cells), since), workers, say, "cells")
    run_cells(sweep, cells, say, since=since, wait=wait)


def run_on_dask(sweep: Sweep, cells: Sequence[Cell], scheduler: str, say: Say, *, wait: bool) -> None:
    """``run_cells`` on a Dask cluster, a task for each cell; workers see the same folders under the same paths.

    A cell whose worker died is tried on another once more. What is then still left, is done here.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers at the address.
    """
    from voxtune.commands.dask_client import connect

    since = time.time()
    found = sweep.sources
    manifests = {role: path.resolve() for role, path in found.manifests.items()}
    # Workers run in folders of their own.
    sweep = replace(sweep, sources=replace(found, root=found.root.resolve(), manifests=manifests))
    left = [cell for cell in cells if sweep.result(cell) is None]
    client = connect(scheduler)
    from distributed import as_completed

    with client:
        futures = {client.submit(_cell, sweep, cell, since, pure=False, retries=1): cell for cell in left}
        for number, future in enumerate(as_completed(futures), start=1):
            name = futures[future].name
            state = "its worker died" if future.status == "error" else "tried" if sweep.result(futures[future]) is None else "done"  # fmt: skip
            say(f"[{number}/{len(left)}] {name}: {state}")
    run_cells(sweep, cells, say, since=since, wait=wait)


def _cell(sweep: Sweep, cell: Cell, since: float) -> None:
    """One cell on whatever worker takes it."""
    run_cells(sweep, (cell,), lambda _: None, since=since)


def _worker(sweep: Sweep, cells: tuple[Cell, ...], since: float, place: int, workers: int) -> None:
    """One process of a crew."""
    # Each starts at another place, so that they seldom ask for the same cell.
    start = place * len(cells) // workers
    mine = cells[start:] + cells[:start]
    run_cells(sweep, mine, lambda line: print(line, file=sys.stderr, flush=True), since=since)  # noqa: T201
