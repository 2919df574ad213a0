"""Which processes are there: what a killed one left behind is told from what a living one needs."""

import functools
import hashlib
import os
import socket
from pathlib import Path


@functools.cache
def where() -> str:
    """This machine and its process numbers (containers of one machine number their processes apart)."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}"


@functools.cache
def here() -> str:
    """``where`` as eight characters for a file name."""
    return hashlib.sha256(where().encode()).hexdigest()[:8]


def alive(pid: int) -> bool:
    """Whether a process of this machine runs; on Windows, which has no signal that only asks, always."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not _zombie(pid)


def started(pid: int) -> str | None:
    """When a process began, in ticks since the machine did: tells it from a later one of the same number; ``None`` where nobody says."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
