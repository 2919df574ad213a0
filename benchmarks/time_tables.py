"""The tables of ``docs/how-to/time-to-event.md`` from the results of ``time/run.py``; not in that folder, whose name is that of a module of Python."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "time" / "results"
NOT_YET = "Not measured yet."
PLANNED = 10
"""Cohorts of each signal."""
SIGNALS = {"level": "what one scan shows", "change": "the pace, which two scans show"}


def cohorts() -> str:
    """The C-index of each row over the cohorts that are done, and the paired difference of the model from it."""
    path = RESULTS / "time.json"
    if not path.is_file():
        return NOT_YET
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    parts = []
    for signal, words in SIGNALS.items():
        if signal not in content:
            continue
        found = content[signal]
        done = int(found["cohorts"])
        rest = "" if done >= PLANNED else f" of {PLANNED} planned; the others are not run yet"
        parts += [
            f"The hazard goes by {words}: {done} SIMULATED {'cohort' if done == 1 else 'cohorts'}{rest}.",
            "",
            "| | C-index | several visits minus it | Brier score |",
            "|---|---|---|---|",
            *(
                f"| {name} | {_said(one['c_index'])} | {_said(one['model minus it'], signed=True)} | {_said(one['brier'])} |"
                for name, one in found["rows"].items()
            ),
            "",
        ]
        later = found["several minus one visit, scans with an earlier one"]["c_index"]
        parts += [
            f"Of the scans with an earlier one alone: several visits minus one {_said(later, signed=True)}.",
            "",
        ]
    return "\n".join(parts).rstrip()


def _said(value: Sequence[float | None], *, signed: bool = False) -> str:
    """A mean, with its 95% interval over cohorts where there are two of them."""
    middle, half = value
    if middle is None:
        return "n/a"
    mark = "+" if signed else ""
    if half is None:
        return f"{middle:{mark}.3f}"
    return f"{middle:{mark}.3f} ({middle - half:{mark}.3f} to {middle + half:{mark}.3f})"


def risks() -> str:
    """How far risks by three years lie from the true ones, with the lost weighted for and with them left out."""
    path = RESULTS / "calibration.json"
    if not path.is_file():
        return NOT_YET
    content = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        f"Means over {len({one['seed'] for one in content['rows']})} SIMULATED cohorts.",
        "",
        "| left by chance or for their risk | lost before the event | estimated | estimated without the lost | observed | observed without the lost |",
        "|---|---|---|---|---|---|",
    ]
    for one in content["summary"]:
        if one["years"] != 3:
            continue
        cells = (
            f"{one[name][0]:+.3f}"
            for name in ("estimated", "estimated without the lost", "observed", "observed without the lost")
        )
        how = "for their risk" if one["informative"] else "by chance"
        lines.append(f"| {how} | {100 * one['lost']:.0f}% | {' | '.join(cells)} |")
    return "\n".join(lines)
