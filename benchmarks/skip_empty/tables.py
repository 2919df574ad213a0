"""The tables of ``docs/concepts/training-cost.md`` on empty tokens, from the result files beside this one."""

import json
from pathlib import Path
from statistics import mean
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet."
SCORES = {
    "accuracy": ("accuracy, points", 100.0),
    "balanced_accuracy": ("balanced accuracy, points", 100.0),
    "mmse_error": ("mean error of MMSE, points", 1.0),
    "grad_eclip": ("localisation by Grad-ECLIP, ROC AUC", 1.0),
    "occlusion": ("localisation by occlusion, ROC AUC", 1.0),
}


def value(arm: dict[str, Any], score: str) -> float:
    """A score of an arm."""
    return float(arm["localisation"][score] if score in arm["localisation"] else arm[score])


def cohorts() -> str:
    """Both recipes over cohorts: means, and the mean difference with its t interval."""
    from voxtune.evaluation.over_cohorts import over_cohorts

    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("cohort-*.json"))]
    if not found:
        return NOT_YET
    sizes = found[0]["sizes"]
    lines = [
        f"{len(found)} SIMULATED cohorts of {sizes['participants']} people, {sizes['test']} of them to test; of 64 tokens "
        f"{mean(one['arms']['deft_fast']['tokens'] for one in found):.0f} hold anything.",
        "",
        "| score | `deft` | `deft_fast` | difference (95% t interval over cohorts) |",
        "|---|---|---|---|",
    ]
    for score, (words, scale) in SCORES.items():
        plain, fast = (
            [scale * value(one["arms"][arm], score) for one in found] for arm in ("deft", "deft_fast")
        )
        apart = over_cohorts([b - a for a, b in zip(plain, fast, strict=True)])
        interval = (
            "one cohort says nothing of it" if apart.low is None else f"{apart.low:+.3g} to {apart.high:+.3g}"
        )
        lines.append(f"| {words} | {mean(plain):.3g} | {mean(fast):.3g} | {apart.mean:+.3g} ({interval}) |")
    return "\n".join(lines)


def brains() -> str:
    """Tokens of real brains by preset, and the cosine of vectors."""
    path = RESULTS / "brains.json"
    if not path.is_file():
        return NOT_YET
    record = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        f"{record['scans']} real brain{'s' if record['scans'] > 1 else ''}.",
        "",
        "| preset | tokens | of which hold anything | cosine of the frozen vector to that of all tokens |",
        "|---|---|---|---|",
    ]
    for name, one in record["tokens"].items():
        share = mean(one["entering"]) / one["whole"]
        found = record["cosines"].get(name)
        said = (
            f"{mean(found):.4f} (lowest {min(found):.4f})"
            if found
            else "needs published weights (`--base`, `--weights`)"
        )
        lines.append(f"| {name} | {one['whole']:,} | {100 * share:.0f}% | {said} |")
    return "\n".join(lines)
