"""What of a written file does not count when two trees of source are compared, each with the reason. Everything else does.

Rules name fields of one kind of file; a field that no rule names is compared to the last byte. Values are masked, not removed:
a field that is missing on one side is a difference.
"""

import json
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

MASK = "(not compared)"

JSON_FIELDS: Mapping[str, Mapping[str, str]] = {
    "*/environment.json": {
        "git": "the commit under test is what differs",
        "voxtune": "the version under test",
    },
    "*/log.jsonl": {
        "seconds": "clock",
        "data_seconds": "clock",
        "validation_seconds": "clock",
        "memory_mib": "of the process, which has run other commands before",
        "energy_wh": "processor time, so clock",
    },
    "*/looks.jsonl": {"when": "clock"},
    "*/chain.json": {"voxtune": "the version under test", "content_sha256": "covers the version"},
    "*/cells/*/result.json": {
        "seconds": "clock",
        "cpu_seconds": "clock",
        "peak_bytes": "of the process, which has run other commands before",
        "content_sha256": "covers the clock",
    },
    "*/table_*.json": {
        "seconds": "clock",
        "cpu_seconds": "clock",
        "peak_bytes": "of the process, which has run other commands before",
        "content_sha256": "covers the clock",
    },
    "*/cells/*/attempts.jsonl": {"began": "clock"},
    "*/checkpoints/*.json": {"content_sha256": "covers the clock in the history"},
}
"""Fields by name, at any depth of a JSON file or of a line of one. The log's stand in checkpoints too (``history``)."""
ALIASES = {"*/checkpoints/*.json": "*/log.jsonl"}

COST = {
    r"[\d.]+(?= GB of memory a worker)": "of the process, which has run other commands before",
    r"[\d.]+(?= (?:s|min|minutes|h|hours)\b)": "clock",
}
"""Of the tables of a paper: what they took."""
TEXTS: Mapping[str, Mapping[str, str]] = {
    "*/table_*.html": COST,
    "*/table_*.md": COST,
    "*/made/page.html": COST,
    "*/table_*.csv": {r"(?m)(?<=,)[\d.]+(?=\r?$)": "clock: the last column, seconds"},
    "*/page.html": {
        r"(?<=<td>time</td><td>)[\d.]+ (?:s|min|h)(?= on )": "clock, of a run's page",
        r"(?<=<td>device time</td><td>)[\d.]+ (?:s|min|h)(?=</td>)": "clock",
        r"(?<=<td>training rate</td><td>)[\d.e+]+(?= scans a second</td>)": "clock",
        r"(?<=<td>waiting for scans</td><td>)[\d.]+(?=% of the training time</td>)": "clock",
        r"(?<=<td>peak memory</td><td>)[\d.]+(?= GiB a process</td>)": "of the process, which has run other commands before",
        r"(?<=<td>energy</td><td>)[\d.e-]+(?= Wh, )": "processor time, so clock",
        r"(?<=<p class=\"soft\">VoxTune )\S+?(?:, commit <code>\w+</code>(?: with changes)?)?(?=; Python )": "the tree under test",
    },
    "said/*.err.txt": {
        r"(?m)^[^:\n]+: (?P<done>\d+)/(?!(?P=done),)\d+, \d+ s.*\n(?=[^:\n]+: \d+/)": "progress on the way: one line every ten seconds",
        r"(?m)^(?P<kept>[^:\n]+: \d+/\d+, )\d+ s.*$": "clock and rates at the end of a line of progress",
    },
}
"""Patterns in text, by file; of its match the group ``kept`` stays, and a whole line is gone."""


def normalised(path: str, content: bytes) -> bytes:
    """A file's content without what does not count.

    Args:
        path: of the file, relative to the folder of all; rules go by it.
        content: its bytes.
    """
    fields = _json_fields(path)
    patterns = [pattern for glob, found in TEXTS.items() if fnmatch(path, glob) for pattern in found]
    if not fields and not patterns:
        return content
    text = content.decode()
    if fields:
        text = _each_line(text, path, lambda value: json.dumps(masked(value, fields)))
    for pattern in patterns:
        text = re.sub(pattern, _mask, text)
    return text.encode()


def masked(value: Any, fields: Mapping[str, str]) -> Any:
    """A JSON value with the fields named in ``fields`` masked where they have a value."""
    if isinstance(value, dict):
        return {
            name: MASK if name in fields and one is not None else masked(one, fields)
            for name, one in value.items()
        }
    return [masked(one, fields) for one in value] if isinstance(value, list) else value


def _mask(found: re.Match[str]) -> str:
    return "" if found[0].endswith("\n") else found.groupdict().get("kept", "") + MASK


def _json_fields(path: str) -> Mapping[str, str]:
    globs = [*JSON_FIELDS, *ALIASES]
    found = [glob for glob in globs if fnmatch(path, glob)]
    return {
        name: why
        for glob in found
        for rules in (JSON_FIELDS.get(ALIASES.get(glob, glob), {}), JSON_FIELDS.get(glob, {}))
        for name, why in rules.items()
    }


def _each_line(text: str, path: str, change: Callable[[Any], str]) -> str:
    if PurePosixPath(path).suffix != ".jsonl":
        return change(json.loads(text))
    return "".join(f"{change(json.loads(line))}\n" for line in text.splitlines())
