"""What the testbed of DEFT's tables says, for ``benchmarks/tables.py``."""

import json
from pathlib import Path
from typing import Any

from voxtune.evaluation.over_cohorts import over_cohorts

RESULTS = Path(__file__).parent / "results" / "deft"
WHOLE = "48"
"""The regime whose tables stand on the page; all others are in the result file."""
HEAD = "| row | accuracy, %: mean ± sd over cohorts [95%] | published | minus the reference, points [95%] | p after Holm | in words | smallest difference found with 80% |"  # fmt: skip


def _read() -> dict[str, Any] | None:
    path = RESULTS / "testbed.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


AGAINST_PROBE = {"recipe deft_labels": "recipe `deft_labels`", "projections": "recipe `projections`", "ours": "recipe `deft` (the paper's method)"}  # fmt: skip
"""Rows of Table 2 that the front page holds against the probe, and what they are called there."""


def front() -> str:
    """The rows we recommend and publish less the linear probe, on each base: what nobody who reads the front page alone should miss."""
    found = _read()
    if found is None:
        return "Not run yet."
    said = []
    for base in dict.fromkeys(one["base"] for one in found["blocks"]):
        for label, words in AGAINST_PROBE.items():
            parts = []
            for block in found["blocks"]:
                lines = {line["label"]: line["by_cohort"] for line in block["lines"]}
                if (block["base"], block["side"]) != (base, "same") or not {
                    label,
                    "linear probe",
                } <= lines.keys():
                    continue
                both = sorted(lines[label].keys() & lines["linear probe"].keys())
                if both:
                    apart = over_cohorts([lines[label][seed] - lines["linear probe"][seed] for seed in both])
                    parts.append(
                        f"{apart.mean:+.1f} [{apart.low:+.1f}, {apart.high:+.1f}] with {block['regime_words'].removesuffix(' training scans')}"
                    )
            if parts:
                said.append(f"- {words} on `{base}`: {'; '.join(parts)}.")
    head = (
        f"On the testbed ({len(found['cohorts'])} SIMULATED cohorts, {found['people']['test']} held-out participants each), accuracy less that of a linear probe "
        "on the same frozen base and training scans, points, paired over cohorts, 95% intervals, by number of training scans:"
    )
    return "\n".join([head, "", *said])


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
