"""Zips whose directory is bounded before it is read.

The standard library makes an object of every file that a zip lists. Forty-seven bytes a file, which pack a thousandfold in
another zip, so that some hundred kilobytes would fill the memory before anybody can count.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_BYTES = 2**24
"""Of the list of files in a zip: eight hundred for each of twenty thousand."""


class CrowdedZipError(zipfile.BadZipFile):
    """A zip that lists more files than any scan or table has."""


class _Bounded(io.BufferedReader):
    """A file of which no single reading takes more than the list of files may have; that list is read at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Some bytes, or all that are left."""
        wanted = MOST_BYTES + 1 if size is None or size < 0 else size
        found = super().read(min(wanted, MOST_BYTES + 1))
        if wanted > MOST_BYTES and len(found) > MOST_BYTES:
            raise CrowdedZipError(f"it lists its files in more than {MOST_BYTES // 2**20} MB")
        return found


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip to read from, its files in pieces of less than ``MOST_BYTES``.

    Raises:
        CrowdedZipError: it lists too many files.
        BadZipFile: it is none.
        OSError: it cannot be read.
    """
    with _Bounded(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        yield archive
