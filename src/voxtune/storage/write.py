"""How any file of ours is written: whole or not at all, on the disk once it is said to be there, readable by its owner alone.

The bytes go to a file beside the target, which is synchronised and takes the target's name; then the folder is synchronised, so
that a power cut leaves the old file or the new one. What a killed process left half-written is named by that process and swept
the next time that anything is written in the folder.
"""

import errno
import json
import os
import secrets
import shutil
import stat
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from voxtune.storage.failures import on_disk
from voxtune.storage.processes import alive, here

PREFIX = ".part-"
PRIVATE, SHARED = 0o600, 0o666
"""Modes before the umask: what may name a participant, and what is made to be passed on."""
LEFT_SECONDS = 86_400.0
"""After which a half-written file of another machine counts as left behind."""
_swept: set[Path] = set()
_turn = threading.Lock()


@contextmanager
def atomic_path(
    path: Path, *, shared: bool = False, durable: bool = True, room: bool = False
) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well, and vanishes when it does not.

    Args:
        path: what is to be written.
        shared: it names no participant: its mode is what the umask allows, otherwise 0600.
        durable: it is on the disk when this returns; not needed of what is checked when read and can be made again.
        room: a library writes it that makes files of its own beside it; they get a folder that is swept like the file.

    Raises:
        StorageError: the disk is full, read-only or failing, or we may not write there.
    """
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_once(path.parent)
        part = _new_part(path, SHARED if shared else PRIVATE, room=room)
        mode = part.stat().st_mode
        try:
            yield part
            if part.stat().st_mode != mode:  # a library put a file of its own in its place
                part.chmod(mode)
            if durable:
                _sync(part)
            part.replace(path)
            if durable:
                _sync(path.parent)
        finally:
            _remove(part.parent if room else part)


def write_bytes(path: Path, data: bytes, *, shared: bool = False, durable: bool = True) -> None:
    """Write bytes whole or not at all."""
    with atomic_path(path, shared=shared, durable=durable) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str, *, shared: bool = False) -> None:
    """Write UTF-8 text whole or not at all."""
    write_bytes(path, text.encode(), shared=shared)


def write_json(path: Path, value: Mapping[str, Any], *, shared: bool = False) -> None:
    """Write indented JSON whole or not at all; NaN is refused, missing is null."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", shared=shared)


def append_line(path: Path, line: str) -> None:
    """Add a line to a log that several processes may write to; it is on the disk when this returns, or nothing of it is.

    Raises:
        StorageError: the disk refuses it.
    """
    with on_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        data = line.encode() + b"\n"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE)
        try:
            _alone(descriptor)
            start, written = _drop_half_line(descriptor), 0
            try:
                written = os.write(descriptor, data)  # one call: lines of two processes never mix
            finally:
                short = written < len(data)
                if short and start is not None and os.fstat(descriptor).st_size <= start + len(data):
                    os.ftruncate(descriptor, start)
            if short:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _alone(descriptor: int) -> None:
    """Wait until nobody else adds to the log, where the file system can tell; until the file is closed."""
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def whole_lines(text: str) -> list[str]:
    """The lines of a log of ``append_line``; what a power cut left of a last one was never said to be there."""
    return text[: text.rfind("\n") + 1].splitlines()


def _drop_half_line(descriptor: int) -> int | None:
    """Cut a log behind its last whole line; its size then, ``None`` of what is no file."""
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        return None
    size = end = state.st_size
    while end:
        start = max(end - 4096, 0)
        os.lseek(descriptor, start, os.SEEK_SET)
        place = os.read(descriptor, end - start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def sweep(folder: Path) -> int:
    """Remove the half-written files of processes that are gone; how many. A folder that cannot be read is left alone."""
    count = 0
    with suppress(OSError):
        for left in list(folder.glob(f"{PREFIX}*")):
            with suppress(OSError):
                if _left_behind(left):
                    _remove(left)
                    count += 1
    return count


def _remove(part: Path) -> None:
    """Remove a half-written file, or the folder that it had to itself."""
    with suppress(OSError):
        part.unlink(missing_ok=True)
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)


def sweep_once(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder, once for each process of ours."""
    with _turn:
        if folder in _swept:
            return
        _swept.add(folder)
    sweep(folder)


def is_part(path: Path) -> bool:
    """Whether a file is half-written: by a process that works here, or by one that was killed."""
    return path.name.startswith(PREFIX)


def _left_behind(part: Path) -> bool:
    words = part.name.removeprefix(PREFIX).split("-")
    if len(words) >= 3 and words[0] == here() and words[1].isdecimal():
        return not alive(int(words[1]))
    # Of another machine, or of an earlier version: nobody writes one file for a day, in whichever direction the clock was set.
    return abs(time.time() - part.stat().st_mtime) > LEFT_SECONDS


def _new_part(path: Path, mode: int, *, room: bool) -> Path:
    # The ending stays last: some libraries choose the format by it (.nii.gz).
    ending = "".join(path.suffixes[-2:])
    name = f"{PREFIX}{here()}-{os.getpid()}-{secrets.token_hex(4)}"
    if room:
        (path.parent / name).mkdir(mode=0o700)
    part = path.parent / name / f"part{ending}" if room else path.parent / f"{name}{ending}"
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    return part


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders; its file systems write renames down themselves
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
