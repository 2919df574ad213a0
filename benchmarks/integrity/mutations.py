"""Damaged bytes, hostile values and pieces of templates: what doors are tried with."""

import json
import random
from collections.abc import Callable
from typing import Any

Target = Callable[[random.Random], object]
"""One run of a door, by what is drawn."""
HOSTILE = (
    0, -1, 2**31, 2**63, 10**30, 1e308, -0.0, True, None, "", "\x1b[2J", "\u202e", "x" * 20_000, [], {}, [[]], ["x"] * 5000, "../../etc/passwd", "{name}" * 50,
    {"kind": "os:system"},
)  # fmt: skip
PIECES = (
    "{{ label }}", "{{ age }}", "{{ label.__class__ }}", "{{ 'x' * 999999999 }}", "{{ 9 ** 9 ** 9 }}", "{% for x in (1, 2) %}", "{% endfor %}", "{% if age %}",
    "{% endif %}", "{{ listed(('A', age, 'y')) }}", "{{ age|round(2) }}", "{{ label|center(99999999) }}", "{% include 'x' %}", "{% macro f() %}", "{% endmacro %}",
    "{{ [1, 2] }}", "{{ (" * 30, ") }}" * 3, "{% set a = label * 99 %}", "{{ a }}", "{{ label|replace('a', label * 9999) }}", "{# x #}", "{% raw %}", "{% endraw %}",
    "text ", "{{ 1 / 0 }}", "{{ age|float / 3 }}", "{{ nothing }}", "{% for x in label recursive %}", "{{ loop(1) }}", "\x00", "\ud800", "{{ self }}",
)  # fmt: skip


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Bytes with some of them flipped, cut, doubled or set to borders of numbers."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8, 32))):
        place = (
            draw.randrange(max(len(found), 1))
            if draw.random() < 0.5
            else draw.randrange(min(len(found), 400) or 1)
        )
        what = draw.randrange(5)
        if what == 0 and found:
            found[place] ^= 1 << draw.randrange(8)
        elif what == 1:
            found[place : place + 4] = draw.choice(
                (
                    b"\xff\xff\xff\xff",
                    b"\x00\x00\x00\x00",
                    b"\x7f\xff\xff\xff",
                    b"\xff\xff\xff\x7f",
                    b"\x00\x00\xc0\x7f",
                )
            )
        elif what == 2:
            del found[place : place + draw.choice((1, 4, 100, len(found)))]
        elif what == 3:
            found[place:place] = found[place : place + draw.choice((1, 16, 400))]
        else:
            found[place : place + 8] = draw.randbytes(8)
    return bytes(found)


def changed(tree: Any, draw: random.Random) -> Any:
    """A copy of nested lists and tables with some values hostile."""
    found = json.loads(json.dumps(tree))
    for _ in range(draw.choice((1, 1, 2, 4))):
        place: Any = found
        while True:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not (isinstance(place[key], dict | list) and place[key]) or draw.random() < 0.15:
                break
            place = place[key]
        place[key] = json.loads(json.dumps(draw.choice(HOSTILE)))
    return found
