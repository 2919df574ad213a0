"""Several fresh processes on one piece of work: each takes its place, its share of the processors, one accelerator of several."""

import os
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from pathlib import Path


def run_crew(
    work: Callable[..., None],
    arguments: tuple[object, ...],
    workers: int,
    say: Callable[[str], None],
    things: str,
) -> None:
    """Call ``work(*arguments, place, workers)`` in each of them and wait; what one that was killed left is the caller's to do.

    Args:
        work: a function of a module, which every process can import.
        arguments: what travels to each.
        workers: how many.
        say: takes a line where some were killed.
        things: what they do, for that line.
    """
    from multiprocessing import get_context

    context = get_context("spawn")
    crew = [
        context.Process(target=_begin, args=(work, arguments, place, workers), name=f"worker {place + 1}")
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
            f"{len(died)} of {workers} workers were killed (most often: out of memory); their {things} are done here."
        )


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone: killed, it could not say so, and nobody else would end its workers.

    It ends as if it had been killed too, which no work of a worker minds: files are written whole or not at all, locks go with the process.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def _begin(work: Callable[..., None], arguments: tuple[object, ...], place: int, workers: int) -> None:
    end_with_parent()
    # Before anything asks for the accelerators: afterwards it changes nothing.
    if (own := accelerator_of(place, os.environ.get("CUDA_VISIBLE_DEVICES"))) is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = own
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), max(1, processors() // workers)))
    work(*arguments, place, workers)


def accelerator_of(place: int, visible: str | None) -> str | None:
    """Which accelerator the worker at a place may see: one of those that are visible, in turn; ``None`` leaves it as it is."""
    if visible is None:
        devices = sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    else:
        devices = [name for name in visible.split(",") if name.strip()]
    return devices[place % len(devices)] if len(devices) > 1 else None


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
