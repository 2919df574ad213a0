"""What a disk may refuse at any moment, as one sentence that says what to do."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxtune.errors import StorageError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
}
"""No fault of what is being read: these stop a command, and never count as a bad scan."""
REFUSED = FULL | {
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "writing there is not permitted",
    errno.EIO: "the disk reports an error",
    errno.EFBIG: "it is larger than a file may be there",
    errno.ENOTDIR: "a part of its path is a file",
}
TODO = "What was finished is kept: make room or choose another place, then give the same command again."


def cause_of(error: BaseException) -> str | None:
    """Why the disk gave out, in words; ``None`` where the error is another. Looks behind errors that libraries made of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StorageError):
            return str(seen)
        number = seen.errno if isinstance(seen, OSError) else _code_in(str(seen))
        if number in FULL:
            return FULL[number]
        seen = seen.__cause__ or seen.__context__
    return None


def reason_of(error: BaseException) -> str | None:
    """What the disk refuses, permissions and failures among it, as a clause; of an error of ours that which it was raised from.

    Where something is being written, and nothing else: an error of reading has the same numbers.
    """
    seen: BaseException | None = error
    while seen is not None:
        number = seen.errno if isinstance(seen, OSError) else _code_in(str(seen))
        if number in REFUSED:
            return REFUSED[number]
        seen = seen.__cause__ or seen.__context__
    return "the disk refuses it" if isinstance(error, StorageError) else None


_RUST = re.compile(r"\bOs \{ code: (\d{1,4}),|\(os error (\d{1,4})\)")


def _code_in(text: str) -> int | None:
    """The number in ``... Os { code: 28, ...`` or ``... (os error 28)``, as libraries written in Rust pass it on."""
    found = _RUST.search(text)
    return int(found[1] or found[2]) if found else None


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses while ``path`` is written into a ``StorageError`` that names it.

    Raises:
        StorageError: no space, no quota, no permission, a read-only or a failing disk.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        why = REFUSED.get(error.errno or 0)
        if why is None or _other_file(error, path):
            raise
        raise StorageError(f"'{path.name}' cannot be written: {why}. {TODO}") from error
    except Exception as error:
        # A library that passes the number on in its words is one that was writing this file.
        why = cause_of(error) or REFUSED.get(_code_in(str(error)) or 0)
        if why is None:
            raise
        raise StorageError(f"'{path.name}' cannot be written: {why}. {TODO}") from error


def _other_file(error: OSError, path: Path) -> bool:
    """Whether the error is about a file elsewhere that was to be read: a missing permission there is no fault of this disk."""
    if error.errno in FULL or error.filename is None:
        return False
    named = Path(os.fsdecode(error.filename)).absolute()
    return path.parent.absolute() not in (named, *named.parents) and named not in path.absolute().parents


@contextmanager
def disk_first(_: object = None) -> Iterator[None]:
    """Let a full or read-only disk stop the work where everything else that goes wrong counts as one bad scan.

    Raises:
        StorageError: the disk gave out inside.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        why = cause_of(error)
        if why is None:
            raise
        raise StorageError(f"A temporary file cannot be written: {why}. {TODO}") from error
