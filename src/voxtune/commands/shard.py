"""``--shard I/N``: the I-th of N parts of some work, for job arrays."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from voxtune.errors import SettingError, UsageError
from voxtune.storage.lock import held_names, only_writer

T = TypeVar("T")


def read_shard(text: str | None) -> tuple[int, int]:
    """``I/N`` as numbers, 1/1 for none.

    Raises:
        SettingError: anything else.
    """
    if text is None:
        return 1, 1
    first, slash, second = text.partition("/")
    if not (slash and first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second)):
        raise SettingError("shard", "I/N with 1 <= I <= N, such as 3/10", text)
    return int(first), int(second)


def shard_of(things: Sequence[T], text: str | None) -> list[T]:
    """The things of a shard: every N-th, beginning with the I-th."""
    part, parts = read_shard(text)
    return list(things)[part - 1 :: parts]


@contextmanager
def one_part(folder: Path, part: int, parts: int) -> Iterator[None]:
    """Hold a part of the work in a folder; other parts of as many may be done there at once, nothing else.

    Raises:
        UsageError: another process does this part, or divides the work otherwise.
    """
    mine = f"part-{part}-of-{parts}"
    with only_writer(folder, mine, "works on the same scans"):
        # Looked at while ours is held: of two that begin at once at least one sees the other.
        if others := [name for name in held_names(folder, "part-") if not name.endswith(f"-of-{parts}")]:
            raise UsageError(
                f"Another process works in '{folder.name}' on {others[0].replace('-', ' ')} now, so that both would do the same scans; "
                f"wait for its end, or divide the work alike (--shard I/N)."
            )
        yield
