"""Many processes on one sweep: each takes whatever cell nobody has, on its share of the machine."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
    from multiprocessing import get_context

    context = get_context("spawn")
    crew = [
        context.Process(
            target=_worker, args=(sweep, tuple(cells), (place, workers), since), name=f"worker {place + 1}"
        )
        for place in range(workers)
    ]
    for process in crew:
        process.start()
    try:
        for process in crew:
            process.join()
    except KeyboardInterrupt:
        for process in crew:
            process.terminate()
        for process in crew:
            process.join()
        raise
    if died := [process for process in crew if process.exitcode]:
        say(
            f"{len(died)} of {workers} workers were killed (most often: out of memory); their cells are done here."
        )
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


def _worker(sweep: Sweep, cells: tuple[Cell, ...], seat: tuple[int, int], since: float) -> None:
    """One process of a crew: its share of the processors, and one accelerator of several."""
    place, workers = seat
    # Before anything asks for the accelerators: afterwards it changes nothing.
    if (own := accelerator_of(place, os.environ.get("CUDA_VISIBLE_DEVICES"))) is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = own
    import torch

    from voxtune.commands.reproduce.cost import processors

    torch.set_num_threads(min(torch.get_num_threads(), max(1, processors() // workers)))
    # Each starts at another place, so that they seldom ask for the same cell.
    start = place * len(cells) // workers
    mine = cells[start:] + cells[:start]
    run_cells(sweep, mine, lambda line: print(line, file=sys.stderr, flush=True), since=since)  # noqa: T201


def accelerator_of(place: int, visible: str | None) -> str | None:
    """Which accelerator the worker at a place may see: one of those that are visible, in turn; ``None`` leaves it as it is."""
    if visible is None:
        devices = sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    else:
        devices = [name for name in visible.split(",") if name.strip()]
    return devices[place % len(devices)] if len(devices) > 1 else None
