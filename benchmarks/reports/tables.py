"""The figures of ``run.py`` as tables: paired differences over cohorts with 95% t intervals, and retrieval beside chance."""

from pathlib import Path
from statistics import mean

from method.tables import by_size, paired, spread

RESULTS = Path(__file__).parent / "results"
FIRST = "raw"
ENOUGH = 10
"""Cohorts from which a row says something."""
NAMES = {
    ("normative", "class_texts"): "normative reports",
    ("graph", "class_texts"): "graph reports",
    ("raw", "with_signs"): "raw volumes, graph class texts",
    ("normative", "with_signs"): "normative reports, graph class texts",
    ("graph", "with_signs"): "graph reports, graph class texts",
}
FOUND = {
    "precision@5": "5 nearest: same class",
    "severity@5": "5 nearest: same third of MMSE",
    "text_to_image@10": "own scan among 10, by its report",
    "image_to_text@10": "own report among 10, by its scan",
}


def accuracies() -> str:
    """Recipe ``deft`` with raw volumes, and each other way less it, at every number of training scans."""
    sizes = by_size(RESULTS)
    if not sizes:
        return "Not measured yet."
    lines = [
        f"| training scans | cohorts | raw volumes, % | {' | '.join(f'{name}, less raw' for name in NAMES.values())} | linear probe, less raw |",
        "|---" * (4 + len(NAMES)) + "|",
    ]
    refused = 0
    for size, some in sizes.items():
        own = [100 * one["arms"][FIRST]["class_texts"]["accuracy"] for one in some]
        columns = []
        for arm, texts in NAMES:
            both = [one for one in some if one["arms"][arm]["status"] == "done"]
            refused += len(some) - len(both)
            less = [
                100 * (one["arms"][arm][texts]["accuracy"] - one["arms"][FIRST]["class_texts"]["accuracy"])
                for one in both
            ]
            few = f" ({len(both)} cohorts)" if len(both) < len(some) else ""
            columns.append(f"{paired(less)}{few}" if less else "refused")
        probe = [
            100 * one["base"]["baselines"]["linear_probe"] - raw for one, raw in zip(some, own, strict=True)
        ]
        lines.append(f"| {size} | {len(some)} | {spread(own)} | {' | '.join(columns)} | {paired(probe)} |")
    one = next(iter(sizes.values()))[0]
    note = (
        " Where the training side has fewer than five controls, texts with percentiles are refused."
        if refused
        else ""
    )
    fewest = min(len(some) for some in sizes.values())
    early = f" **Not finished**: {fewest} of at least {ENOUGH} cohorts; so few say that it runs and no more." if fewest < ENOUGH else ""  # fmt: skip
    lines.append(
        f"\nSIMULATED, recipe `deft` on base `tiny`, raw rule; {one['scans']['test']} test people in each cohort, the same for every column. Mean ± sd over "
        f"cohorts; differences in points, paired over cohorts, 95% t interval, not corrected for their number.{note}{early}"
    )
    return "\n".join(lines)


def retrievals() -> str:
    """Similar cases among the test people: by the adapters, by the frozen base, by chance; mean ± sd over cohorts, per cent."""
    sizes = by_size(RESULTS)
    if not sizes:
        return "Not measured yet."
    lines = [
        "| training scans | search | raw volumes | normative reports | graph reports | frozen base | chance |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, some in sizes.items():
        for score, words in FOUND.items():
            arms = []
            for name in ("raw", "normative", "graph"):
                values = [
                    100 * one["arms"][name]["retrieval"][score]["value"]
                    for one in some
                    if one["arms"][name]["status"] == "done"
                ]
                arms.append(spread(values) if values else "refused")
            base = [
                100 * one["base"]["retrieval"][score]["value"]
                for one in some
                if score in one["base"]["retrieval"]
            ]
            chance = [100 * one["arms"]["raw"]["retrieval"][score]["chance"] for one in some]
            lines.append(
                f"| {size} | {words} | {' | '.join(arms)} | {spread(base) if base else ''} | {mean(chance):.1f} |"
            )
    lines.append(
        "\nSIMULATED, the same test people; reports have no label sentence. Intervals over participants of every cell stand in "
        "`benchmarks/reports/results`. The frozen base is the space that the linear probe is fitted in; its texts are the raw volumes."
    )
    return "\n".join(lines)
