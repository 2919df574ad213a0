"""What the tests noticed of changed operators and constants, from the results of benchmarks/mutation."""

import json
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from types import MappingProxyType

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "mutation" / "results"


def mutation_table() -> str:
    """A row for each file: changes that are possible and were tried, those a test noticed, those no test can; then a sentence a group."""
    rows, sentences = [], []
    for path in sorted(RESULTS.glob("*.json")):
        counts = []
        for one in json.loads(path.read_text(encoding="utf-8"))["files"]:
            noticed, equivalent, left = (len(one[name]) for name in ("noticed", "equivalent", "survivors"))
            counts.append((one["possible"], noticed + equivalent + left, noticed, equivalent, left))
            cells = "".join(f"<td>{count}</td>" for count in counts[-1])
            rows.append(
                f"<tr><td><code>{escape(one['file'].removeprefix('src/voxtune/'))}</code></td>{cells}</tr>"
            )
        possible, tried, noticed, equivalent, left = (sum(some) for some in zip(*counts, strict=True))
        how = f"all {possible}" if tried == possible else f"only {tried} of {possible}"
        sentences.append(
            f"{path.stem.capitalize()}: {how} possible changes tried, {noticed} noticed, {equivalent} equal by reason, {left} not noticed."
        )
    head = "<th>file</th><th>possible changes</th><th>tried</th><th>noticed by a test</th><th>equal by reason</th><th>not noticed</th>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"{table}<p>{' '.join(sentences)}</p>"


FIGURES: Mapping[str, Callable[[], str]] = MappingProxyType({"mutation-table": mutation_table})
