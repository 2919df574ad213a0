"""One process a run, among any number of processes and machines that see the same folder.

A lock is a numbered file that only one process can create. A dead holder's lock is never removed by others: they create the
next number, which again only one of them can. The highest number holds.
"""

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxtune.errors import UsageError
from voxtune.storage.failures import FULL, on_disk
from voxtune.storage.processes import alive, here, started, where
from voxtune.storage.write import PREFIX, PRIVATE, sweep_once

BEAT_SECONDS = 20.0
"""Between two signs of life of a holder."""
STALE_SECONDS = 300.0
"""Without a sign of life a holder on another machine counts as dead."""
OUTPUT = "output"
"""Name of the lock of a command that fills a folder."""
LOCK_NAME = re.compile(r"\.lock\.\d+\Z")


@contextmanager
def claimed(folder: Path, name: str) -> Iterator[bool]:
    """Whether this process holds the lock ``name`` in ``folder``; released when the block ends, however it ends."""
    mine = _claim(folder, name)
    if mine is None:
        yield False
        return
    quiet = threading.Event()
    beat = threading.Thread(target=_beat, args=(mine, quiet), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        quiet.set()
        beat.join()
        # Older ones first: while ours stands nobody else can take over.
        for path in [path for _, path in _held(folder, name)[:-1]]:
            path.unlink(missing_ok=True)
        mine.unlink(missing_ok=True)


@contextmanager
def only_writer(folder: Path, name: str = OUTPUT, doing: str = "writes") -> Iterator[None]:
    """Hold a folder for one process, or turn this one away in a sentence.

    Raises:
        UsageError: a living process holds it.
    """
    with claimed(folder, name) as mine:
        if not mine:
            raise UsageError(
                f"Another process {doing} in '{folder.name}' now; wait for its end, or take another folder (-o)."
            )
        yield


def is_lock(path: Path) -> bool:
    """Whether a file is a lock: of a process that works here, or of one that was killed."""
    return LOCK_NAME.search(path.name) is not None


def held_names(folder: Path, begins: str) -> list[str]:
    """The names of the locks in a folder that living processes hold and that begin like this."""
    names = {LOCK_NAME.sub("", path.name) for path in folder.glob(f"{begins}*") if is_lock(path)}
    return sorted(name for name in names if is_claimed(folder, name))


def is_claimed(folder: Path, name: str) -> bool:
    """Whether a living process holds the lock."""
    held = _held(folder, name)
    return bool(held) and not _dead(held[-1][1])


def _claim(folder: Path, name: str) -> Path | None:
    with on_disk(folder / name):
        folder.mkdir(parents=True, exist_ok=True)
    held = _held(folder, name)
    if held and not _dead(held[-1][1]):
        return None
    mine = folder / f"{name}.lock.{held[-1][0] + 1 if held else 1}"
    if not create_once(
        mine, json.dumps({"pid": os.getpid(), "where": where(), "started": started(os.getpid())})
    ):
        return None
    if _held(folder, name)[-1][1] != mine:  # somebody took over between our look and our claim
        mine.unlink(missing_ok=True)
        return None
    return mine


def create_once(path: Path, text: str) -> bool:
    """Make a private file with all its text at once, among any number of processes; ``False`` where the name is taken.

    Raises:
        StorageError: the disk refuses it.
    """
    with on_disk(path):
        sweep_once(path.parent)
        part = path.parent / f"{PREFIX}{here()}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            _write_new(part, text)
            try:
                os.link(part, path)  # fails where the name is taken
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in FULL:
                    raise
                _write_new(path, text)  # a file system without links
        except FileExistsError:
            return False
        finally:
            part.unlink(missing_ok=True)
    return True


def _write_new(path: Path, text: str) -> None:
    """Make a private file that is not there yet, and wait until its text is on the disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _held(folder: Path, name: str) -> list[tuple[int, Path]]:
    """The locks by number, lowest first."""
    found = [(path.suffix[1:], path) for path in folder.glob(f"{name}.lock.*")]
    return sorted((int(number), path) for number, path in found if number.isdecimal())


def _dead(path: Path) -> bool:
    """Whether the holder is gone: its process on this machine, or long silence on another."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        # A clock that was set back makes the last sign of life lie ahead: so far ahead nobody living can have given it.
        silence = abs(time.time() - path.stat().st_mtime)
        place, number = said["where"], int(said["pid"])
    except FileNotFoundError:
        return True  # released just now
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return _silence(path) > STALE_SECONDS  # half written: its holder has just begun, or died of it
    if place != where() or os.name == "nt" or number < 1:
        return silence > STALE_SECONDS
    if not alive(number):
        return True
    # The number may belong to another process by now: its beginning tells, or else a long silence.
    now = started(number)
    if now is None or said.get("started") is None:
        return silence > 10 * STALE_SECONDS
    return bool(now != said["started"])


def _silence(path: Path) -> float:
    try:
        return abs(time.time() - path.stat().st_mtime)
    except OSError:
        return float("inf")


def _beat(path: Path, quiet: threading.Event) -> None:
    while not quiet.wait(BEAT_SECONDS):
        try:
            os.utime(path)
        except OSError:
            return


@contextmanager
def waited(folder: Path, name: str, every: float = 1.0) -> Iterator[None]:
    """Hold the lock ``name``, after whoever holds it now."""
    while True:
        with claimed(folder, name) as mine:
            if mine:
                yield
                return
        time.sleep(every)
