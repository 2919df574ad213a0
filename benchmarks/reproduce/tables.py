"""What the testbed of DEFT's tables says, for ``benchmarks/tables.py``."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "deft"
WHOLE = "48"
"""The regime whose tables stand on the page; all others are in the result file."""
HEAD = "| row | accuracy, %: mean ± sd over cohorts [95%] | published | minus the reference, points [95%] | p after Holm | in words | smallest difference found with 80% |"  # fmt: skip


def _read() -> dict[str, Any] | None:
    path = RESULTS / "testbed.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


NOT_TRAINED = {"zero-shot", "none", "none (zero-shot)", "linear probe"}


def front() -> str:
    """The linear probe beside the best of all trained rows, on each base: what nobody who reads the front page alone should miss."""
    found = _read()
    if found is None:
        return "Not run yet."
    said = []
    for base in dict.fromkeys(one["base"] for one in found["blocks"]):
        apart = []
        for regime in dict.fromkeys(one["regime"] for one in found["blocks"] if one["regime"]):
            lines = [
                line
                for one in found["blocks"]
                if (one["base"], one["regime"], one["side"]) == (base, regime, "same")
                for line in one["lines"]
                if line["accuracy"]
            ]
            probe = [line["accuracy"]["mean"] for line in lines if line["label"] == "linear probe"]
            trained = [
                line["accuracy"]["mean"]
                for line in lines
                if not line["comparator"] and line["label"] not in NOT_TRAINED
            ]
            apart += [probe[0] - max(trained)] if probe and trained else []
        said.append(f"on `{base}` {min(apart):+.1f} to {max(apart):+.1f}")
    people = found["people"]["test"]
    return (
        f"On the testbed ({len(found['cohorts'])} SIMULATED cohorts, {people} held-out participants each), the accuracy of the linear probe on the frozen base "
        f"less that of the best trained row, in points, from the lowest to the highest of the regimes: {'; '.join(said)}. The best row is picked "
        "afterwards, which favours it. Where the probe is ahead, image-text training has learned less than the base knows: "
        "look at the probe that `evaluate` prints before you trust a base."
    )


def summary() -> str:
    """How the testbed was run, and which comparisons are decided, by table, base and regime."""
    found = _read()
    if found is None:
        return "Not run yet."
    lines = ["| table | base | regime | side | decided | the others |", "|---|---|---|---|---|---|"]
    for one in found["blocks"]:
        tested = [
            line for line in one["lines"] if line["comparison"] and line["comparison"]["p_holm"] is not None
        ]
        if not tested:
            continue
        decided = [
            f"{line['label']} {line['comparison']['difference']['mean']:+.1f}"
            for line in tested
            if line["verdict"].startswith("decided")
        ]
        name = f"Table {one['table']}" if one["table"] else "another scanner"
        regime = one["regime"] or "all of them"
        lines.append(
            f"| {name} | `{one['base']}` | {regime} | {one['side']} | {'; '.join(decided) or 'none'} | {len(tested) - len(decided)} not decided |"
        )
    again = RESULTS / "testbed_again.json"
    parts = [found["method"], found["power"], "\n".join(lines), found["cost"]]
    if again.is_file():
        cells = json.loads(again.read_text(encoding="utf-8"))
        same = sum(one["first"] == one["again"] for one in cells)
        parts.append(
            f"{same} of {len(cells)} trained cells that were done once more gave the same accuracies."
        )
    return "\n\n".join(parts)


def table(number: int) -> str:
    """A table on both bases, on the scanners of training, in one regime; of sizes and of scanners all that there is of it."""
    found = _read()
    if found is None:
        return "Not run yet."
    parts = []
    for one in found["blocks"]:
        side = "other" if number == 0 else "same"
        if one["table"] != number or one["side"] != side or one["regime"] not in {WHOLE, ""}:
            continue
        rows = ["| " + " | ".join(line["cells"]) + " |" for line in one["lines"]]
        parts.append("\n".join([f"**{one['title']}.** {one['summary']} SIMULATED people.", "", HEAD, "|---|---|---|---|---|---|---|", *rows]))  # fmt: skip
    return "\n\n".join(parts)
