"""The tables of ``docs/concepts/same-bits.md``: what was run under which setting, from the result files beside this one."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_RUN = "not run"
COLUMNS = {
    "bits": "tests of bits",
    "parity": "golden numbers, at a tenth of their tolerance",
    "fast": "all tests that are not slow",
    "answers": "answers: largest difference of a probability",
}


def table() -> str:
    """One table for each processor: settings and threads by selection."""
    blocks = []
    for path in sorted(RESULTS.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        runs = {(one["setting"], one["threads"], one["selection"]): one for one in record["runs"]}
        rows = {key[:2]: runs[key]["variables"] for key in sorted(runs, key=lambda key: key[1])}
        order = sorted(rows, key=lambda row: (row[1], len(rows[row]), row[0] != "as it is"))
        lines = [
            f"{record['processor']}, {record['capability']}, torch {record['torch']}:",
            "",
            f"| set | threads | {' | '.join(COLUMNS.values())} |",
            f"|---|---|{'---|' * len(COLUMNS)}",
        ]
        for row in order:
            variables = " ".join(f"`{name}={value}`" for name, value in rows[row].items()) or "nothing"
            cells = [cell(runs.get((*row, selection))) for selection in COLUMNS]
            lines.append(f"| {variables} | {row[1]} | {' | '.join(cells)} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) or "Not measured yet."


def cell(run: dict[str, Any] | None) -> str:
    """What came of a selection under a setting."""
    if run is None:
        return NOT_RUN
    if "largest_difference" in run:
        return (
            f"{run['largest_difference']:.1e} of {run['probabilities']}"
            if run["largest_difference"]
            else "none"
        )
    if run["failed"]:
        return f"**{len(run['failed'])} failed**, {run['passed']:,} passed"
    return f"{run['passed']:,} passed"
