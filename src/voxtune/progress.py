"""Progress of long work: a bar on a terminal, plain lines elsewhere; always on standard error, so ``--json`` stays clean."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from voxtune.types.words import cleaned

LINE_EVERY_SECONDS = 10.0
"""Between two plain lines where there is no terminal."""

Loudness = Literal["quiet", "normal", "verbose"]
Advance = Callable[[str], None]


class Said:
    """How much is said on the way; one for the process, set by the command line."""

    loudness: Loudness = "normal"


def is_quiet() -> bool:
    """Whether only results and errors are wanted."""
    return Said.loudness == "quiet"


def note(text: str) -> None:
    """A line for people on standard error, above a bar that is drawn there; none where quiet is asked for."""
    if is_quiet():
        return
    print(cleaned(text), file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show work of ``total`` units; call what it yields once a unit, with a short note (the loss, a scan's name).

    Example:
        with progress("Reading scans", len(scans)) as advance:
            for scan in scans:
                read(scan)
                advance(scan.name)
    """
    if is_quiet():
        yield lambda _: None
    elif sys.stderr.isatty() and Said.loudness == "normal":
        with _bar(label, total) as advance:
            yield advance
    else:
        yield _lines(label, total)


@contextmanager
def _bar(label: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.markup import escape
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
        yield lambda said: bar.update(task, advance=1, note=escape(cleaned(said)))


def _lines(label: str, total: int) -> Advance:
    began = last = time.monotonic()
    done = 0

    def advance(said: str) -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if done == total or now - last >= LINE_EVERY_SECONDS or Said.loudness == "verbose":
            last = now
            tail = f", {said}" if said else ""
            note(f"{label}: {done}/{total}, {now - began:.0f} s{tail}")

    return advance
