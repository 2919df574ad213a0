"""Many processes on one sweep: each takes whatever cell nobody has, on its share of the machine."""

import sys
import time
from collections.abc import Sequence

from voxtune.commands.crew import run_crew
from voxtune.commands.reproduce.loop import Say, run_cells
from voxtune.commands.reproduce.sweep import CellT, Work
from voxtune.types.words import cleaned


def run_on_workers(work: Work[CellT], cells: Sequence[CellT], workers: int, say: Say, *, wait: bool) -> None:
    """``run_cells`` in this process, or in several fresh ones that share the cells by their locks."""
    since = time.time()
    left = [cell for cell in cells if work.result(cell) is None]
    workers = min(workers, len(left))
    if workers <= 1:
        run_cells(work, cells, say, since=since, wait=wait)
        return
    run_crew(_worker, (work, tuple(cells), since), workers, say, "cells")
    run_cells(work, cells, say, since=since, wait=wait)


def run_on_dask(work: Work[CellT], cells: Sequence[CellT], scheduler: str, say: Say, *, wait: bool) -> None:
    """``run_cells`` on a Dask cluster, a task for each cell; workers see the same folders under the same paths.

    A cell whose worker died is tried on another once more. What is then still left, is done here.

    Raises:
        UsageError: Dask is not installed, or no scheduler answers at the address.
    """
    from voxtune.commands.dask_client import connect

    since = time.time()
    work = work.resolved()
    left = [cell for cell in cells if work.result(cell) is None]
    client = connect(scheduler)
    from distributed import as_completed

    with client:
        futures = {client.submit(_cell, work, cell, since, pure=False, retries=1): cell for cell in left}
        for number, future in enumerate(as_completed(futures), start=1):
            name = futures[future].name
            state = "its worker died" if future.status == "error" else "tried" if work.result(futures[future]) is None else "done"  # fmt: skip
            say(f"[{number}/{len(left)}] {name}: {state}")
    run_cells(work, cells, say, since=since, wait=wait)


def _cell(work: Work[CellT], cell: CellT, since: float) -> None:
    """One cell on whatever worker takes it."""
    run_cells(work, (cell,), lambda _: None, since=since)


def _worker(work: Work[CellT], cells: tuple[CellT, ...], since: float, place: int, workers: int) -> None:
    """One process of a crew."""
    # Each starts at another place, so that they seldom ask for the same cell.
    start = place * len(cells) // workers
    mine = cells[start:] + cells[:start]
    run_cells(work, mine, lambda line: print(cleaned(line), file=sys.stderr, flush=True), since=since)  # noqa: T201
