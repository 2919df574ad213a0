"""The sentence of ``docs/how-to/predict.md`` on what the verdict refuses and answers, from the result file beside this one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "verdict.json"
PREDICT = Path(__file__).parents[1] / "predict" / "results" / "predict.json"
NOT_YET = "Not measured yet."
PARTS = ("two workers", "killed and called again", "dask")
"""Of ``benchmarks/predict``."""


def summary() -> str:
    """Shares of scans of another kind that got no answer, and of scans of its kind that got one."""
    if not RESULTS.is_file():
        return NOT_YET
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    foreign: list[Mapping[str, Any]] = list(found["foreign"].values())
    own: list[Mapping[str, Any]] = list(found["own"].values())
    refused = [one for one in foreign if one["verdict"].startswith(("no answer", "refused"))]
    errors = sum(one["verdict"].startswith("refused") for one in foreign)
    looks = sum(
        one["verdict"].startswith("refused") or bool(one.get("unlike")) or one.get("quality") == "fail"
        for one in foreign
    )
    let_in = [name[3:] for name, one in found["foreign"].items() if one not in refused]
    cautious = sum(one["verdict"].startswith("answer with caution") for one in own)
    plain = sum(one["verdict"] == "answer" for one in own)
    through = f" Let through: {'; '.join(let_in)}." if let_in else ""
    return (
        f"Of {len(foreign)} scans that the shipped adapter was not made for, {len(refused)} get no answer ({errors} are refused as files; {looks} by "
        f"their looks alone, without the rule on SIMULATED adapters).{through} Of {len(own)} SIMULATED people whom it has never seen, "
        f"{plain + cautious} get one: {plain} plainly, {cautious} with caution."
    )


def many() -> str:
    """A folder of many volumes: rows, a kill in the middle, the same table."""
    if not PREDICT.is_file():
        return NOT_YET
    found = json.loads(PREDICT.read_text(encoding="utf-8"))
    parts = {name: one for name, one in found.items() if isinstance(one, dict)}
    tables = {one["sha256"] for one in parts.values()}
    said = [f"{name}: {one['rows']} rows in {one['seconds']:.0f} s" for name, one in parts.items()]
    same = "one and the same table" if len(tables) == 1 else f"{len(tables)} different tables"
    missing = [name for name in PARTS if name not in parts]
    alone = f" Not run yet: {', '.join(missing)}." if missing else ""
    ends = f" {same.capitalize()}." if len(parts) > 1 else ""
    killed = parts.get("killed and called again", {})
    note = f"; the kill came after {killed['done_before_the_kill']} scans" if killed else ""
    return f"{found['volumes']} small SIMULATED volumes, two processes: {'; '.join(said)}{note}.{ends}{alone}"
