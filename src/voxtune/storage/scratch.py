"""Temporary folders for what is unpacked of people's scans: private, and swept after a process that was killed with them."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voxtune.storage.failures import disk_first
from voxtune.storage.processes import alive, here

PREFIX = "voxtune-"


@contextmanager
def scratch(what: str) -> Iterator[Path]:
    """A new private folder that is gone afterwards, whatever happens.

    Raises:
        StorageError: there is no room for it.
    """
    folder = new_scratch(what)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_scratch(what: str) -> Path:
    """A new private folder, named by its process; its maker removes it. Those of processes that are gone go first.

    Raises:
        StorageError: there is no room for it.
    """
    with disk_first():
        place = Path(tempfile.gettempdir())
        sweep_scratch(place)
        return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{what}-{here()}-{os.getpid()}-", dir=place))


def sweep_scratch(place: Path) -> None:
    """Remove our temporary folders in ``place`` whose process is gone; those of others and of other machines stay."""
    for left in place.glob(f"{PREFIX}*-{here()}-*-*"):
        pid = left.name.split("-")[-2]
        with suppress(OSError):
            if left.lstat().st_uid == os.getuid() and pid.isdecimal() and not alive(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
