"""Progress of long work: a bar on a terminal, plain lines elsewhere; always on standard error, so ``--json`` stays clean."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from voxtune.types.words import cleaned

LINE_EVERY_SECONDS = 10.0
"""Between two plain lines where there is no terminal."""

Loudness = Literal["quiet", "normal", "verbose"]
Advance = Callable[[str], None]


class Said:
    """How much is said on the way; one for the process, set by the command line."""

    loudness: Loudness = "normal"
    log: Path | None = None
    """A file that gets every line with its time, also those that ``--quiet`` keeps from the terminal."""


def heard(text: str) -> None:
    """Add what is said to the log, where one is asked for. A log that cannot be written any more stops no work."""
    if Said.log is None:
        return
    from voxtune.errors import StorageError
    from voxtune.storage.write import append_line

    now = datetime.now(tz=UTC).isoformat(timespec="seconds")
    with suppress(StorageError, OSError):
        for line in cleaned(text).splitlines():
            append_line(Said.log, f"{now} {line}")


def is_quiet() -> bool:
    """Whether only results and errors are wanted."""
    return Said.loudness == "quiet"


def note(text: str) -> None:
    """A line for people on standard error, above a bar that is drawn there; none where quiet is asked for."""
    heard(text)
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
    if is_quiet() and Said.log is None:
        yield lambda _: None
    elif sys.stderr.isatty() and Said.loudness == "normal":
        began = time.monotonic()
        with _bar(label, total) as advance:
            yield advance
        heard(f"{label}: {total}, {time.monotonic() - began:.0f} s")
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
