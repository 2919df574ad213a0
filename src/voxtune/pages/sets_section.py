"""What a page says of prediction sets, intervals and findings that may be said: what is promised, and what held here."""

from collections.abc import Mapping
from typing import Any

from voxtune.pages.evaluation_facts import EvaluationFacts, SetFacts
from voxtune.pages.score_labels import COLUMNS
from voxtune.types.records import Metric

SIZES = {"set_coverage": "set_size", "interval_coverage": "interval_width", "false_discovery": "discovered"}
"""Which score stands beside which."""


def sets_section(facts: EvaluationFacts, sets: SetFacts) -> dict[str, Any]:
    """The variables of its template: a table for each promise, with a row for all, each class or finding, each part of the people."""
    return {
        "wanted": "" if sets.coverage is None else f"{sets.coverage:.0%}",
        "rate": "" if sets.false_discovery is None else f"{sets.false_discovery:.0%}",
        "of_findings": facts.task == "findings",
        "of_numbers": facts.task == "regression",
        "tables": [_table(facts, sets, place) for place in sets.sentences],
    }


def _table(facts: EvaluationFacts, sets: SetFacts, place: str) -> dict[str, Any]:
    score, _, target = place.partition("/")
    other = SIZES[score] + (f"/{target}" if target else "")
    units = sets.units.get(target, "")
    sizes = {
        "set_coverage": {"findings": "Answers left, 1 or 2"}.get(facts.task, "Classes in a set, mean"),
        "interval_coverage": f"Width, mean{f' ({units})' if units else ''}",
        "false_discovery": "Of those there, said",
    }
    held = {
        "set_coverage": "Sets that hold the truth",
        "interval_coverage": f"Intervals of {'MMSE' if target == 'mmse' else target} that hold the truth",
        "false_discovery": "Of those said, not there",
    }
    return {
        "sentences": sets.sentences[place],
        "held": held[score],
        "size": sizes[score],
        "rows": _rows(facts, sets.metrics, place, other),
    }


def _rows(
    facts: EvaluationFacts, metrics: Mapping[str, Metric], place: str, other: str
) -> list[tuple[str, Metric | None, Metric | None]]:
    rows = [("All scans", metrics.get(place), metrics.get(other))]
    rows += [
        (name, held, metrics.get(f"{other}/{name}"))
        for name in facts.classes
        if (held := metrics.get(f"{place}/{name}")) is not None
    ]
    for name, metric in metrics.items():
        if name.startswith("subgroup/") and name.endswith(f"/{place}"):
            part = name.removesuffix(f"/{place}")
            column, _, value = part.removeprefix("subgroup/").partition("/")
            rows.append((f"{COLUMNS.get(column, column)}: {value}", metric, metrics.get(f"{part}/{other}")))
    return rows
