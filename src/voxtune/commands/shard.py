"""``--shard I/N``: the I-th of N parts of some work, for job arrays."""

from collections.abc import Sequence
from typing import TypeVar

from voxtune.errors import SettingError

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
