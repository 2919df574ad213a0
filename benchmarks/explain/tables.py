"""The tables of ``docs/concepts/explanations.md``, from the result files beside this one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet."


def result(name: str) -> dict[str, Any] | None:
    """A result file, where it is there."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def interval(one: Mapping[str, Any], digits: int = 2, scale: float = 1) -> str:
    """Value with its 95% interval."""
    if one["low"] is None:
        return f"{scale * one['value']:.{digits}f}"
    return f"{scale * one['value']:.{digits}f} [{scale * one['low']:.{digits}f}, {scale * one['high']:.{digits}f}]"


def localisation() -> str:
    """Every method against the truth, beside its nonsense twins."""
    found = result("simulated--seed0")
    if found is None:
        return NOT_YET
    labels = result("labels--seed0")
    lines = [
        "| method, target | AUC over voxels (chance 0.50) | the same, shuffled weights | AUC less that of occlusion | hottest voxel changed | share of heat in changed voxels | rank correlation with shuffled weights | deletion better than chance |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, against in found["auc_against_occlusion"].items():
        own, nonsense = found["localisation"][name], f"{name}; shuffled weights"
        curve = found["curves"].get(f"{name}; deletion")
        better = f"{curve['better_than_chance']} of {curve['scans']} scans" if curve else ""
        less = "" if name.startswith("occlusion") else interval(against)
        lines.append(
            f"| {name} | {interval(own['auc'])} | {interval(found['localisation'][nonsense]['auc'])} | {less} | {interval(own['hit'])} "
            f"| {interval(own['heat_share'])} | {interval(found['likeness_to_nonsense'][nonsense])} "
            f"| {better} |"
        )
    first = next(iter(found["localisation"].values()))
    lines.append(
        f"\n{first['auc']['n_participants']} participants with AD, one scan each; the changed voxels are {interval(first['changed_share'], 1, 100)}% of the brain, "
        "which is the chance level of the hottest voxel and of the share of heat. Brackets: 95% intervals over participants."
    )
    if labels is not None:
        lines += control(labels)
    return "\n".join(lines)


def control(found: Mapping[str, Any]) -> list[str]:
    """Every method beside the control of the adapter."""
    lines = [
        "\nThe same people, the adapter beside its control (`train --control`):\n",
        "| method, target | AUC over voxels | the same, the control | AUC less that of the control | rank correlation with the control |",
        "|---|---|---|---|---|",
    ]
    for name, against in found["auc_against_nonsense"].items():
        own = name.split(";")[0]
        lines.append(
            f"| {own} | {interval(found['localisation'][own]['auc'])} | {interval(found['localisation'][name]['auc'])} "
            f"| {interval(against)} | {interval(found['likeness_to_nonsense'][name])} |"
        )
    taught = found["adapters"]["control"]["training"]
    learned, chance = taught["learned"], 1 / len(taught["diagnoses"])
    lines.append(
        f"\nThe control knows the labels it was dealt by {learned['metric'].replace('_', ' ')} {learned['value']:.2f} (chance {chance:.2f}); "
        f"both learned from {taught['participants']['train']} participants."
    )
    return lines


def biomarkers() -> str:
    """Whether one biomarker moves the heat to its region."""
    found = result("simulated--seed0")
    if found is None:
        return NOT_YET
    lines = [
        "| biomarker kept | its region's share of the heat alone, % | with the full report, % | difference, points | moves toward it |",
        "|---|---|---|---|---|",
    ]
    for name, one in found["one_biomarker"].items():
        low, high = one["difference"]["low"], one["difference"]["high"]
        verdict = "yes" if low > 0 else "no: away from it" if high < 0 else "no"
        lines.append(
            f"| {name} | {interval(one['alone'], 2, 100)} | {interval(one['full'], 2, 100)} | {interval(one['difference'], 2, 100)} | {verdict} |"
        )
    return "\n".join(lines)


def words() -> str:
    """The tokens that give most at each stage, and how well they add up."""
    found = result("simulated--seed0")
    if found is None:
        return NOT_YET
    lines = ["| stage | token 1 | token 2 | token 3 |", "|---|---|---|---|"]
    for stage, tokens in found["tokens"].items():
        lines.append(f"| {stage} | {' | '.join(one['token'] + ': ' + interval(one, 3) for one in tokens)} |")
    error = found["completeness_error"]
    lines.append(
        f"\nCompleteness error over {error['reports']} reports: mean {100 * error['mean']:.5f}%, largest {100 * error['largest']:.5f}%."
    )
    return "\n".join(lines)


def cost() -> str:
    """Seconds and memory of one real head."""
    found = result("head")
    if found is None:
        return NOT_YET
    return (
        f"`voxtune explain` on the shipped real head with `tiny`, preprocessing and every check included: {found['cpu_seconds']:.0f} seconds of processor time, "
        f"{found['seconds']:.0f} seconds by the clock with {found['threads']} threads on a machine under a load of {found['load']:.0f}; "
        f"{found['peak_mb']:.0f} MB at the peak, a page of {found['page_kb']:.0f} kB."
    )
