"""Files that are taken into memory as a whole: they are files, and no larger than what they should hold can be.

A pipe in the place of a table would be waited for without end, a device or a file full of holes would fill the memory.
"""

import stat
from pathlib import Path

from voxtune.errors import DataError

LARGEST = 2**28
"""Bytes of a text or JSON of ours; the largest that is written holds the places of a cohort's caches."""
LARGEST_TABLE = 2**30
"""Bytes of a table: some millions of scans."""


class OddFileError(DataError):
    """No file that could be what it should be."""


def whole_bytes(path: Path, limit: int = LARGEST) -> bytes:
    """The bytes of a file.

    Raises:
        OddFileError: it is a device, a pipe or a socket, or it is larger than ``limit``.
        OSError: it is not there, a folder, or cannot be read.
    """
    check_plain(path)
    data = b""
    size = path.stat().st_size
    if size <= limit:
        with path.open("rb") as file:
            data = file.read(limit + 1)  # it may grow
    if max(size, len(data)) > limit:
        raise OddFileError(
            f"{path.name}: it has more than {limit // 2**20} MB, the most that such a file may have."
        )
    return data


def check_plain(path: Path) -> None:
    """Refuse what is no file before it is opened.

    Raises:
        OddFileError: a device, a pipe or a socket.
        OSError: it is not there, or a folder.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(path)
    if not stat.S_ISREG(mode):
        raise OddFileError(f"{path.name}: it is no file (a device, a pipe or a socket).")
