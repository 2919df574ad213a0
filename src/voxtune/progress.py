"""Progress of long work: a bar on a terminal, plain lines elsewhere; always on standard error, so ``--json`` stays clean."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_EVERY_SECONDS = 10.0
"""Between two plain lines where there is no terminal."""

Advance = Callable[[str], None]


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show work of ``total`` units; call what it yields once a unit, with a short note (the loss, a scan's name).

    Example:
        with progress("Reading scans", len(scans)) as advance:
            for scan in scans:
                read(scan)
                advance(scan.name)
    """
    if sys.stderr.isatty():
        with _bar(label, total) as advance:
            yield advance
    else:
        yield _lines(label, total)


@contextmanager
def _bar(label: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, note="")
        yield lambda note: bar.update(task, advance=1, note=note)


def _lines(label: str, total: int) -> Advance:
    began = last = time.monotonic()
    done = 0

    def advance(note: str) -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if done == total or now - last >= LINE_EVERY_SECONDS:
            last = now
            tail = f", {note}" if note else ""
            print(f"{label}: {done}/{total}, {now - began:.0f} s{tail}", file=sys.stderr, flush=True)  # noqa: T201

    return advance
