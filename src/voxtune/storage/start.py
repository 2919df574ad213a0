"""A start that fails leaves nothing: what it wrote before it was refused goes again, what was there before stays.

``nothing_left`` is for a command that writes before it can know that it may go on; ``no_empty_folders`` is for all of them.
"""

import os
from collections.abc import Callable, Iterable, Iterator
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
            drop_empty([folder, *parents])
        raise


@contextmanager
def no_empty_folders(paths: Iterable[Path]) -> Iterator[None]:
    """Remove the folders that were made for these outputs, or by ``expect``, and hold nothing when the block ends in an error."""
    _expected.clear()
    for path in paths:
        expect(path)
    try:
        yield
    except BaseException:
        drop_empty(_expected)
        raise


_expected: list[Path] = []


def expect(path: Path) -> None:
    """Note that a folder is about to be made: where it stays empty and the command fails, it goes again."""
    _expected.extend(one for one in (path, *path.parents) if not os.path.lexists(one))


def drop_empty(folders: Iterable[Path]) -> None:
    """Remove folders that hold nothing but such folders."""
    for folder in folders:
        for inside, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):  # it holds something
                Path(inside).rmdir()


def _files(folder: Path) -> set[Path]:
    return {Path(inside) / name for inside, _, names in os.walk(folder) for name in names}
