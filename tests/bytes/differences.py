"""Say what differs between two runs of the harness: file by file, and inside JSON and tables field by field.

python tests/bytes/differences.py BEFORE.json AFTER.json [--only GLOB]     exits 1 where anything differs
"""

import argparse
import csv
import difflib
import io
import json
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from normalise import normalised

SHOWN = 12
"""Fields or lines of one file that are printed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument(
        "--only", default="*", metavar="GLOB", help="files to look at, such as 'people/run0/*'"
    )
    arguments = parser.parse_args()
    found = list(differences(arguments.before, arguments.after, arguments.only))
    for path, lines in found:
        print(path)
        for line in lines[:SHOWN]:
            print(f"    {line}")
        if len(lines) > SHOWN:
            print(f"    ... and {len(lines) - SHOWN} more")
    print(f"{len(found)} files differ." if found else "No file differs.")
    sys.exit(bool(found))


def differences(before: Path, after: Path, only: str = "*") -> Iterator[tuple[str, list[str]]]:
    """Each file that differs with what differs in it, from two JSON files of the harness and the folders beside them."""
    sums = [json.loads(one.read_text(encoding="utf-8"))["files"] for one in (before, after)]
    folders = [one.with_suffix(".files") for one in (before, after)]
    for path in sorted(sums[0].keys() | sums[1].keys()):
        if not fnmatch(path, only) or sums[0].get(path) == sums[1].get(path):
            continue
        if path not in sums[1]:
            yield path, ["only before"]
        elif path not in sums[0]:
            yield path, ["only after"]
        else:
            old, new = (normalised(path, (folder / path).read_bytes()) for folder in folders)
            yield path, inside(path, old, new)


def inside(path: str, old: bytes, new: bytes) -> list[str]:
    """What differs between two versions of one file, one line a field, cell, tensor or line of text."""
    kind = Path(path).suffix
    try:
        if kind == ".safetensors":
            return _tensors(old, new)
        texts = old.decode(), new.decode()
        if kind == ".json" or (path.endswith(".out.txt") and texts[0].startswith("{")):
            return _fields(*(dict(_leaves(json.loads(text))) for text in texts))
        if kind == ".jsonl":
            return _fields(
                *(dict(_leaves([json.loads(line) for line in text.splitlines()])) for text in texts)
            )
        if kind == ".tsv":
            return _fields(*(dict(_cells(text)) for text in texts))
    except (UnicodeDecodeError, json.JSONDecodeError):
        return [f"{len(old):,} bytes before, {len(new):,} after; first at byte {_first(old, new):,}"]
    lines = difflib.unified_diff(*(text.splitlines() for text in texts), lineterm="", n=0)
    return [line[:300] for line in lines if line[:2] not in {"--", "++", "@@"}]


def _fields(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    lines = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            lines.append(f"{name}: only before ({old[name]!r})")
        elif name not in old:
            lines.append(f"{name}: only after ({new[name]!r})")
        elif repr(old[name]) != repr(new[name]):
            lines.append(f"{name}: {old[name]!r} -> {new[name]!r}")
    return lines or ["the same fields with the same values, in another order or layout"]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _leaves(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for place, one in enumerate(value):
            yield from _leaves(one, f"{name}[{place}]")
    else:
        yield name, value


def _cells(text: str) -> Iterator[tuple[str, str]]:
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    for place, row in enumerate(rows[1:], start=1):
        for column, cell in zip([*rows[0], *["(beyond the header)"] * len(row)], row, strict=False):
            yield f"line {place} ({row[0]}), {column}", cell


def _tensors(old: bytes, new: bytes) -> list[str]:
    import torch
    from safetensors.torch import load

    before, after = load(old), load(new)
    shapes = [
        {name: f"{one.dtype} {list(one.shape)}" for name, one in side.items()} for side in (before, after)
    ]
    if shapes[0] != shapes[1]:
        return _fields(*shapes)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    far = {name: (before[name].double() - after[name].double()).abs().max().item() for name in moved}
    return [f"{name}: {shapes[0][name]}, by at most {far[name]:.3g}" for name in moved] or [
        "the header alone"
    ]


def _first(old: bytes, new: bytes) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )


if __name__ == "__main__":
    main()
