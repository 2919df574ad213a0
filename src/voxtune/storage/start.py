"""A start that fails leaves nothing: what it wrote before it was refused goes again, what was there before stays."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def nothing_left(folder: Path, until: Callable[[], bool]) -> Iterator[None]:
    """Remove what an error leaves in ``folder``, as long as ``until`` says that there is nothing yet worth keeping.

    Args:
        folder: of the output; it goes too where it was not there before.
        until: whether the work has something to keep; asked once the error is there.
    """
    parents = [one for one in (folder, *folder.parents) if not one.exists()]
    before = _files(folder)
    try:
        yield
    except BaseException:
        if not until():
            for path in _files(folder) - before:
                with suppress(OSError):
                    path.unlink()
            for inside, _, _ in os.walk(folder, topdown=False):
                with suppress(OSError):  # not empty: it was there before
                    Path(inside).rmdir()
            for one in parents:
                with suppress(OSError):
                    one.rmdir()
        raise


def _files(folder: Path) -> set[Path]:
    return {Path(inside) / name for inside, _, names in os.walk(folder) for name in names}
