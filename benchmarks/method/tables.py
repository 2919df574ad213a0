"""The figures of ``few_scans.py`` as tables: paired differences over cohorts with 95% t intervals."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

RESULTS = Path(__file__).parent / "results" / "few_scans"
RECOMMENDED = "deft_labels"
"""The recipe that was chosen on the development cohorts."""
COMPARATORS = {
    "linear_probe": "linear probe on the frozen base",
    "projections": "trained projections alone",
    "volumes": "regression on the true volumes",
    "mmse": "MMSE alone",
}
"""Every comparator of a cell that stands on a page, with its name there."""
PAPERS = "deft"
"""The paper's recipe, trained at some sizes."""
NAMES = {
    "alone": "class texts attend to nothing (default)",
    "bank": "class texts attend to the bank (Eq. 9)",
    "none": "no cross-attention at inference",
}
CLASSES = ("NC", "MCI", "AD")


def cells(results: Path = RESULTS) -> list[dict[str, Any]]:
    """The finished cells of a study."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]


def by_size(results: Path = RESULTS) -> dict[int, list[dict[str, Any]]]:
    """Finished cells of a study by their number of training scans."""
    found = cells(results)
    sizes = sorted({one["scans"]["train"] for one in found})
    return {size: [one for one in found if one["scans"]["train"] == size] for size in sizes}


def accuracy(cell: dict[str, Any], name: str) -> float:
    """Of an arm or a baseline, percent."""
    arm = cell["arms"].get(name)
    return 100 * float(arm["accuracy"] if arm else cell["baselines"][name])


def spread(values: Sequence[float]) -> str:
    """Mean and, of several, standard deviation."""
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def paired(differences: Sequence[float]) -> str:
    """Mean difference with its t interval over cohorts."""
    from scipy.stats import t

    if len(differences) < 3:
        return f"{mean(differences):+.1f} [too few cohorts]"
    half = t.ppf(0.975, len(differences) - 1) * stdev(differences) / len(differences) ** 0.5
    return f"{mean(differences):+.1f} [{mean(differences) - half:+.1f}, {mean(differences) + half:+.1f}]"


def few_scans() -> str:
    """The recommended recipe and each comparator at every number of training scans."""
    sizes = by_size()
    if not sizes:
        return "Not measured yet."
    heads = " | ".join(f"{name}, %<br>recipe less it" for name in COMPARATORS.values())
    lines = [
        f"| training scans | cohorts | recipe `{RECOMMENDED}`, % | {heads} | recipe `{PAPERS}`, %<br>`{RECOMMENDED}` less it |",
        "|---" * (4 + len(COMPARATORS)) + "|",
    ]
    for size, some in sizes.items():
        own = [accuracy(one, RECOMMENDED) for one in some]
        columns = []
        for name in COMPARATORS:
            its = [accuracy(one, name) for one in some]
            columns.append(f"{spread(its)}<br>{paired([a - b for a, b in zip(own, its, strict=True)])}")
        columns.append(_papers(some))
        lines.append(f"| {size} | {len(some)} | **{spread(own)}** | {' | '.join(columns)} |")
    one = next(iter(sizes.values()))[0]
    lines.append(
        f"\nSIMULATED, base `tiny`, raw rule (nothing calibrated); {one['scans']['test']} test people in each cohort, the same for every column; one scan a person, a "
        "quarter as many validation scans as training scans. Mean ± sd over cohorts; differences in points, paired over cohorts, 95% t interval. "
        "Settings were chosen on other cohorts."
    )
    return "\n".join(lines)


def _papers(some: Sequence[dict[str, Any]]) -> str:
    """The column of the paper's recipe by its default rule, over the cohorts where it was trained."""
    both = [one for one in some if PAPERS in one["arms"]]
    if not both:
        return "not trained"
    its = [100 * one["arms"][PAPERS]["rules"]["alone"] for one in both]
    own = [accuracy(one, RECOMMENDED) for one in both]
    return f"{spread(its)}<br>{paired([a - b for a, b in zip(own, its, strict=True)])}"


def rules() -> str:
    """The same adapters of recipe ``deft`` under each inference rule."""
    some = [one for one in cells() if "deft" in one["arms"]]
    if not some:
        return "Not measured yet."
    lines = [
        "| rule at inference | cohorts | accuracy, %: mean ± sd | less the default, points [95% interval over cohorts] | a class never said, cohorts |",
        "|---|---|---|---|---|",
    ]
    before = [100 * one["arms"]["deft"]["rules"]["alone"] for one in some]
    for rule, name in NAMES.items():
        own = [100 * one["arms"]["deft"]["rules"][rule] for one in some]
        silent = sum(0 in one["arms"]["deft"]["said"][rule] for one in some)
        told = "" if rule == "alone" else paired([a - b for a, b in zip(own, before, strict=True)])
        lines.append(f"| {name} | {len(some)} | {spread(own)} | {told} | {silent} of {len(some)} |")
    sizes = ", ".join(str(size) for size in sorted({one["scans"]["train"] for one in some}))
    lines.append(
        f"\nThe same adapters of recipe `deft`, {sizes} training scans, the same test people; raw rule. SIMULATED."
    )
    return "\n".join(lines)


RECIPES = ("projections", RECOMMENDED)
"""Those whose figures stand on the front page, in the order of their brackets."""


def summary() -> str:
    """A sentence for each number of training scans: the two recipes, and each less every comparator."""
    sizes = by_size()
    if not sizes:
        return "Not measured yet."
    parts = []
    for size, some in sizes.items():
        own = {recipe: [accuracy(one, recipe) for one in some] for recipe in RECIPES}
        said = ", ".join(f"recipe `{recipe}` **{spread(values)}%**" for recipe, values in own.items())
        if all(PAPERS in one["arms"] for one in some):
            its = [100 * one["arms"][PAPERS]["rules"]["alone"] for one in some]
            said += f", recipe `{PAPERS}` **{spread(its)}%**"
        versus = []
        for key, name in COMPARATORS.items():
            if key in RECIPES:
                continue
            its = [accuracy(one, key) for one in some]
            less = "; ".join(
                paired([a - b for a, b in zip(values, its, strict=True)]) for values in own.values()
            )
            versus.append(f"{name} {spread(its)} ({less})")
        cohorts = f"{len(some)} cohort{'s' if len(some) > 1 else ''}"
        parts.append(f"- {size} training scans, {cohorts}: {said}; {', '.join(versus)}.")
    names = " and ".join(f"`{recipe}`" for recipe in RECIPES)
    return (
        "By number of training scans on fresh SIMULATED cohorts, three-way accuracy, mean ± sd over cohorts; in brackets recipes "
        f"{names} less it, in points, paired, with the 95% interval:\n\n" + "\n".join(parts)
    )
