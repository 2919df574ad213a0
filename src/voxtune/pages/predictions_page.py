"""The index of a folder of answers: what needs a look stands first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxtune.pages.layout import render
from voxtune.types.verdict import SAID, Verdict

MISSING = "n/a"


@dataclass(frozen=True)
class Line:
    """One scan of the index."""

    scan: str
    file: str
    verdict: str
    kind: str
    answer: str
    confidence: str
    quality: str
    page: str | None


def predictions_page(
    rows: Sequence[Mapping[str, str]],
    failures: Sequence[Mapping[str, str]],
    facts: Mapping[str, Any],
    *,
    simulated: bool,
) -> str:
    """HTML from the rows of ``predictions.tsv`` and of ``failed.tsv``: failed, no answer, caution (least sure first), answer.

    Args:
        rows: of the table.
        failures: scans that could not be read or processed.
        facts: of ``adapter.json``.
        simulated: whether the adapter or any scan is SIMULATED.
    """
    read = [(Verdict.read("answer" if row["verdict"] == MISSING else row["verdict"]), row) for row in rows]
    worst_first = sorted(
        read, key=lambda one: (-SAID.index(one[0].said), _number(one[1]["confidence"]), one[1]["scan_id"])
    )
    lines = [
        Line(one["scan"], one["file"], f"failed: {one['error']}", "fail", "", "", "", None)
        for one in failures
    ]
    lines += [_line(verdict, row) for verdict, row in worst_first]
    counts = {said: sum(verdict.said == said for verdict, _ in read) for said in SAID}
    context = {"lines": lines, "counts": counts, "failed": len(failures), "facts": facts}
    return render("predictions_page.html.j2", context, title=f"{len(lines)} scans", simulated=simulated)


def _line(verdict: Verdict, row: Mapping[str, str]) -> Line:
    numbers = [
        f"{name.removesuffix('_predicted')} {float(value):.1f}"
        for name, value in row.items()
        if name.endswith("_predicted") and value != MISSING
    ]
    said = [row["predicted"]] if row["predicted"] != MISSING else []
    confidence = row["confidence"]
    return Line(
        scan=row["scan_id"].removeprefix("'"),
        file="" if row["file"] == MISSING else row["file"].removeprefix("'"),
        verdict=str(verdict),
        kind=verdict.kind,
        answer=", ".join([*said, *numbers]),
        confidence="" if confidence == MISSING or not verdict.answered else f"{float(confidence):.2f}",
        quality=row["quality"],
        page=row["page"],
    )


def _number(cell: str) -> float:
    return 2.0 if cell == MISSING else float(cell)
