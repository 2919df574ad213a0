"""The second form of the figure of maps: Integrated Gradients of the biomarkers of a report by stage, as a heat map."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.commands.reproduce.files import md_row, tex
from voxtune.run_dir import write_text

if TYPE_CHECKING:
    from voxtune.pages.reproduce_page import HeatMap

FRAME = "label sentence and the words between"
"""The row of what stands around the biomarkers; with it the rows of a stage add up to what the report gives."""
CAPTION = "Integrated Gradients of the similarity of report and scan, summed over the words of each biomarker, by stage: mean with its 95% interval over participants"  # fmt: skip


def heat_of(facts: Mapping[str, Any]) -> "HeatMap":
    """The heat map of an explanation (``explained/explanation.json``); without reports it has no row."""
    from voxtune.pages.reproduce_page import HeatCell, HeatMap

    said, groups = facts["text"], facts["groups"]
    stages = tuple(f"{name} ({one['participants']} participants)" for name, one in groups.items())
    if said is None:
        return HeatMap(stages, {}, None)
    names = list(dict.fromkeys(name for parts in said["parts"].values() for name in parts))
    rows = {
        name: tuple(_cell(HeatCell, said["parts"][stage].get(name)) for stage in groups) for name in names
    }
    rows[FRAME] = tuple(_cell(HeatCell, said["frame"].get(stage)) for stage in groups)
    return HeatMap(stages, rows, said["completeness_error"]["mean"])


def _cell(kind: Any, one: Mapping[str, Any] | None) -> Any:
    return kind(None) if one is None else kind(one["value"], one.get("low"), one.get("high"))


def heat_json(heat: "HeatMap") -> dict[str, Any]:
    """Everything, for scripts."""
    return {
        "caption": CAPTION,
        "stages": list(heat.stages),
        "rows": {name: [asdict(one) for one in cells] for name, cells in heat.rows.items()},
        "completeness_error": heat.completeness_error,
    }


def write_heat_files(stem: Path, number: int, heat: "HeatMap", *, simulated: bool) -> None:
    """``figure_<n>.md``, ``.csv`` and ``.tex``."""
    write_text(stem.with_suffix(".md"), _markdown(number, heat, simulated=simulated))
    write_text(stem.with_suffix(".csv"), _csv(number, heat, simulated=simulated))
    write_text(stem.with_suffix(".tex"), _latex(heat, simulated=simulated))


def _markdown(number: int, heat: "HeatMap", *, simulated: bool) -> str:
    head = ("biomarker", *heat.stages)
    rows = (head, ["---"] * len(head), *((name, *(one.text for one in row)) for name, row in heat.rows.items()))  # fmt: skip
    opening = f"**Figure {number}, gradients.** {CAPTION}.{' SIMULATED people.' if simulated else ''}"
    return "\n".join([opening, "", *map(md_row, rows), ""])


def _csv(number: int, heat: "HeatMap", *, simulated: bool) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("figure", "biomarker", "stage", "value", "low", "high", "simulated"))
    for name, row in heat.rows.items():
        for stage, one in zip(heat.stages, row, strict=True):
            numbers = ["" if value is None else value for value in (one.value, one.low, one.high)]
            writer.writerow((number, name, stage, *numbers, simulated))
    return buffer.getvalue()


def _latex(heat: "HeatMap", *, simulated: bool) -> str:
    body = [" & ".join(tex(one) for one in (name, *(cell.text for cell in row))) + r" \\" for name, row in heat.rows.items()]  # fmt: skip
    caption = tex(f"{'SIMULATED people. ' if simulated else ''}{CAPTION}.")
    return "\n".join(
        [
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{l{'r' * len(heat.stages)}}}", r"\toprule",
            " & ".join(tex(one) for one in ("Biomarker", *heat.stages)) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]
    ) + "\n"  # fmt: skip
