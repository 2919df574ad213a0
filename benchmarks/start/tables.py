"""The table of ``docs/concepts/training-cost.md`` on starts, from the result files beside this one."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet."


def stored(name: str) -> dict[str, Any] | None:
    """A result by its name."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def table() -> str:
    """Before and now."""
    now, before = stored("now"), stored("before")
    if now is None:
        return NOT_YET
    lines = [
        f"{now['processor']}, one thread, seconds of the processor; {now['people']} SIMULATED scans.",
        "",
        "| until | before | now | imported among the heavy ones |",
        "|---|---|---|---|",
    ]
    for name, one in now["starts"].items():
        old = "" if before is None else f"{before['starts'][name]['seconds']:.1f}"
        lines.append(f"| {name} | {old} | {one['seconds']:.1f} | {', '.join(one['modules']) or 'none'} |")
    return "\n".join(lines)
