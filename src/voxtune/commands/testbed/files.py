"""The results of a testbed as Markdown, CSV, LaTeX and JSON; the page is ``pages/testbed_page``."""

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from voxtune.commands.reproduce.files import md_row, p_text, tex
from voxtune.commands.testbed.design import SIDES
from voxtune.commands.testbed.results import Block, ComparedRow, verdict_words
from voxtune.evaluation.over_cohorts import OverCohorts

if TYPE_CHECKING:
    from voxtune.commands.testbed.command import Results

HEAD = (
    "row", "accuracy: mean ± sd over cohorts [95%]", "published", "minus the reference [95%]", "p after Holm", "in words",
    "smallest difference found with 80%",
)  # fmt: skip
CSV_COLUMNS = (
    "table", "base", "regime", "side", "row", "comparator", "simulated", "accuracy", "sd", "low", "high", "cohorts", "published",
    "minus_reference", "minus_reference_sd", "minus_reference_low", "minus_reference_high", "p", "p_holm", "verdict",
    "smallest_found_with_80", "trained_parameters", "by_cohort", "reason",
)  # fmt: skip


def cells_of_line(line: ComparedRow) -> tuple[str, ...]:
    """The texts of a line, in the order of ``HEAD``."""
    one = line.comparison
    published = "-" if line.published is None else f"{line.published.value:.1f}"
    return (
        line.label,
        accuracy_text(line.accuracy) if line.accuracy else line.reason,
        published,
        "-" if one is None else difference_text(one.difference),
        "-" if one is None or one.p_holm is None else p_text(one.p_holm),
        verdict_words(line),
        "-" if one is None or one.detectable is None else f"{one.detectable:.1f}",
    )


def accuracy_text(one: OverCohorts) -> str:
    """``74.5 ± 4.2 [71.5, 77.5]``; no end is beyond 0 or 100."""
    spread = "" if one.sd is None else f" ± {one.sd:.1f}"
    interval = (
        ""
        if one.low is None or one.high is None
        else f" [{max(one.low, 0.0):.1f}, {min(one.high, 100.0):.1f}]"
    )
    return f"{one.mean:.1f}{spread}{interval}"


def difference_text(one: OverCohorts) -> str:
    """``-3.1 [-7.0, +0.9]``."""
    interval = "" if one.low is None or one.high is None else f" [{one.low:+.1f}, {one.high:+.1f}]"
    return f"{one.mean:+.1f}{interval}"


def title_of(block: Block) -> str:
    """What a block is about."""
    return f"{table_of(block)}. Base {block.base}, {where_of(block)}"


def table_of(block: Block) -> str:
    """Number and caption."""
    return f"Table {block.number}: {block.caption}" if block.number else block.caption


def where_of(block: Block) -> str:
    """Regime and side."""
    return f"{block.regime_words}, {SIDES[block.side]}" if block.regime_words else SIDES[block.side]


def markdown(found: "Results") -> str:
    """All tables for a README."""
    parts = [f"# Testbed of '{found.paper}': SIMULATED people", "", found.method, "", found.power, ""]
    for block in found.blocks:
        parts += [f"**{title_of(block)}.** {block.summary}", "", md_row(HEAD), md_row(["---"] * len(HEAD))]
        parts += [*(md_row(cells_of_line(line)) for line in block.lines), ""]
    return "\n".join([*parts, found.cost, ""])


def csv_text(found: "Results") -> str:
    """One line for each row of each block, with every number in full."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for block in found.blocks:
        for line in block.lines:
            values: dict[str, object] = {
                "table": block.number, "base": block.base, "regime": block.regime, "side": block.side, "row": line.label,
                "comparator": line.comparator, "simulated": True, "verdict": verdict_words(line), "reason": line.reason,
                "published": line.published.value if line.published else None, "trained_parameters": line.trained,
                "by_cohort": " ".join(f"{seed}:{value:.4f}" for seed, value in line.by_cohort.items()),
            }  # fmt: skip
            if (one := line.accuracy) is not None:
                values |= {"accuracy": one.mean, "sd": one.sd, "low": one.low, "high": one.high, "cohorts": one.cohorts}  # fmt: skip
            if (against := line.comparison) is not None:
                difference = against.difference
                values |= {
                    "minus_reference": difference.mean, "minus_reference_sd": difference.sd, "minus_reference_low": difference.low,
                    "minus_reference_high": difference.high, "p": against.p, "p_holm": against.p_holm,
                    "smallest_found_with_80": against.detectable,
                }  # fmt: skip
            writer.writerow({name: "" if value is None else value for name, value in values.items()})
    return buffer.getvalue()


def latex(found: "Results") -> str:
    """A ``table`` environment for booktabs for each block."""
    parts = []
    for block in found.blocks:
        body = [" & ".join(tex(one) for one in cells_of_line(line)) + r" \\" for line in block.lines]
        caption = tex(f"SIMULATED people. {title_of(block)}. Accuracy (%). {block.summary}")
        parts += [
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", r"\begin{tabular}{lrrrrlr}", r"\toprule",
            " & ".join(tex(one) for one in HEAD) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
        ]  # fmt: skip
    return "\n".join(parts)


def as_json(found: "Results") -> dict[str, Any]:
    """Everything, for scripts."""
    return {
        "paper": found.paper,
        "simulated": True,
        "cohorts": list(found.seeds),
        "people": found.people,
        "method": found.method,
        "power": found.power,
        "cost": found.cost,
        "cells": {"all": found.cells, "done": found.done},
        "blocks": [_block_json(block) for block in found.blocks],
    }


def _block_json(block: Block) -> dict[str, Any]:
    return {
        "table": block.number,
        "caption": block.caption,
        "base": block.base,
        "regime": block.regime,
        "regime_words": block.regime_words,
        "side": block.side,
        "reference": block.reference,
        "summary": block.summary,
        "title": title_of(block),
        "lines": [_line_json(line) for line in block.lines],
    }


def _line_json(line: ComparedRow) -> dict[str, Any]:
    return {
        "label": line.label,
        "comparator": line.comparator,
        "reference": line.is_reference,
        "accuracy": asdict(line.accuracy) if line.accuracy else None,
        "comparison": asdict(line.comparison) if line.comparison else None,
        "verdict": verdict_words(line),
        "published": line.published.value if line.published else None,
        "trained_parameters": line.trained,
        "by_cohort": {str(seed): value for seed, value in line.by_cohort.items()},
        "reason": line.reason,
        "cells": list(cells_of_line(line)),
    }
