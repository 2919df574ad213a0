"""What the tests noticed of changed operators and constants, from the results of benchmarks/mutation."""

import json
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from types import MappingProxyType

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "mutation" / "results"


def mutation_table() -> str:
    """A row for each file: changes that are possible and were tried, those a test noticed, those no test can."""
    rows = []
    for path in sorted(RESULTS.glob("*.json")):
        for one in json.loads(path.read_text(encoding="utf-8"))["files"]:
            counts = (
                one["possible"],
                one["changes"],
                one["noticed"],
                len(one["equivalent"]),
                len(one["survivors"]),
            )
            cells = "".join(f"<td>{count}</td>" for count in counts)
            rows.append(
                f"<tr><td><code>{escape(one['file'].removeprefix('src/voxtune/'))}</code></td>{cells}</tr>"
            )
    head = "<th>file</th><th>possible changes</th><th>tried</th><th>noticed by a test</th><th>equal by reason</th><th>not noticed</th>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


FIGURES: Mapping[str, Callable[[], str]] = MappingProxyType({"mutation-table": mutation_table})
