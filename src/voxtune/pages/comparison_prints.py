"""What of a comparison goes into a paper: ``figures/`` and ``tables/`` beside its page."""

import re
from dataclasses import asdict
from pathlib import Path

from voxtune.pages.comparison_page import ComparisonFacts, is_error, score_name
from voxtune.pages.print_files import clear_prints, height_of, intervals, write_figure, write_print_table

COLUMNS = ("cohort", "score", "test", "a", "b", "difference", "low", "high", "p_value", "p_holm", "n_scans", "n_participants")  # fmt: skip


def write_prints(facts: ComparisonFacts, folder: Path) -> None:
    """The differences of each cohort as a figure, and all of them as a table."""
    clear_prints(folder)
    rows: list[dict[str, object]] = []
    simulated = any(one.simulated for one in facts.cohorts)
    for cohort in facts.cohorts:
        rows += [
            asdict(one)
            | {"cohort": cohort.said or cohort.cohort, "score": score_name(one.score, cohort.task)}
            for one in cohort.comparisons
        ]
        lines = [
            (score_name(one.score, cohort.task), one.difference, one.low, one.high)
            for one in cohort.comparisons
            if one.low is not None and not is_error(one.score)
        ]
        name = "differences" if len(facts.cohorts) == 1 else f"differences_{plain(cohort.cohort)}"
        if lines:
            write_figure(
                folder, name, intervals(lines, "A minus B", zero=True), height=height_of(lines), simulated=cohort.simulated
            )  # fmt: skip
    caption = f"A: {facts.a}. B: {facts.b}. Differences are A minus B on the same scans, with 95% intervals over participants."
    write_print_table(folder, "comparison", COLUMNS, rows, caption=caption, simulated=simulated)


def plain(name: str) -> str:
    """A name of a cohort as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
