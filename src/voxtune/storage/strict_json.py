"""JSON as its standard has it: no NaN, no number beyond a float, no name twice in one object."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def loads(text: str | bytes, made: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> Any:
    """The value of a JSON text; every object in it goes through ``made``.

    Raises:
        ValueError: not JSON, or JSON that programs read differently: NaN, infinities, numbers that overflow, doubled names.
    """
    try:
        return json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_finite,
            object_pairs_hook=lambda pairs: made(_once(pairs)),
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def finite(value: Any) -> Any:
    """A value for JSON, with null where a number is NaN or infinite: of logs, which tell of a failing run and must not fail themselves."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(one) for name, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is larger than a number may be")
    return number


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
