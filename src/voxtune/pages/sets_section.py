"""What a page says of prediction sets: what is promised, and what held here."""

from typing import Any

from voxtune.pages.evaluation_facts import EvaluationFacts, SetFacts
from voxtune.pages.score_labels import COLUMNS
from voxtune.types.records import Metric

COVERAGE, SIZE = "set_coverage", "set_size"


def sets_section(facts: EvaluationFacts, sets: SetFacts) -> dict[str, Any]:
    """The variables of its template: a row for all, for each class or finding, for each part of the people."""
    overall = [
        (name, sets.metrics.get(f"{COVERAGE}/{name}"), sets.metrics.get(f"{SIZE}/{name}"))
        for name in facts.classes
    ]
    rows: list[tuple[str, Metric | None, Metric | None]] = [
        ("All scans", sets.metrics.get(COVERAGE), sets.metrics.get(SIZE)),
        *((name, held, size) for name, held, size in overall if held is not None),
    ]
    for name, metric in sets.metrics.items():
        place, _, rest = name.partition("/")
        if place == "subgroup":
            column, _, value = rest.removesuffix(f"/{COVERAGE}").partition("/")
            rows.append((f"{COLUMNS.get(column, column)}: {value}", metric, None))
    return {
        "sentences": sets.sentences,
        "rows": rows,
        "wanted": f"{sets.coverage:.0%}",
        "of_findings": facts.task == "findings",
    }
