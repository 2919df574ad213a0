"""What the pages quote of this folder's results."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet."


def stored(name: str) -> dict[str, Any]:
    """A result of this folder."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}--seed0--cpu.json").read_text(encoding="utf-8"))
    return found


def prediction_sets() -> str:
    """How often prediction sets hold the truth, beside what counting every scan as evidence gives."""
    found = stored("sets")
    lines = [
        "| validation participants | sets hold the truth, % | theory, % | by class, % | every scan counted, % | classes in a set, mean |",
        "|---|---|---|---|---|---|",
    ]
    for one in found["sets"]:
        low, high = (100 * share for share in one["theory"])
        by_class = one["coverage"]["of each class"]
        refused = one["refused_by_class"]
        said = "refused" if by_class is None else f"{100 * by_class:.1f}"
        if by_class is not None and refused:
            said += f" (refused in {100 * refused:.0f}% of draws)"
        lines.append(
            f"| {one['participants']} | {100 * one['coverage']['marginal']:.1f} | {low:.1f} to {high:.1f} | {said} | "
            f"{100 * one['coverage']['naive by scan']:.1f} | {one['size']['marginal']:.2f} |"
        )
    draws = found["sets"][0]["draws"]
    wanted = 100 * found["findings"][0]["rate_wanted"]
    rates = ", ".join(
        f"{100 * one['false']:.1f}% with {one['participants']} participants ({100 * one['said_of_those_there']:.0f}% of those there were said)"
        for one in found["findings"]
    )
    return (
        "\n".join(lines)
        + f"\n\nMeans over {draws} draws of calibration and test people. Of 18 findings said to be there at a false-discovery rate of at most "
        f"{wanted:.0f}%, false were {rates}."
    )


def intervals() -> str:
    """How often intervals of numbers hold the truth, where the model is poor and where it is good, beside two plainer rules."""
    found = stored("intervals")
    lines = [
        "| validation participants | theory, % | locally weighted, % | where poor / good, % | width where poor / good | one width for all, % | where poor / good, % | width | every scan counted, % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found["intervals"]:
        low, high = (100 * share for share in one["theory"])
        local, plain = one["local"], one["one width"]
        lines.append(
            f"| {one['participants']} | {low:.1f} to {high:.1f} | {100 * local['coverage']:.1f} | {100 * local['where_poor']:.1f} / "
            f"{100 * local['where_good']:.1f} | {local['width_where_poor']:.1f} / {local['width_where_good']:.1f} | {100 * plain['coverage']:.1f} | "
            f"{100 * plain['where_poor']:.1f} / {100 * plain['where_good']:.1f} | {plain['width']:.1f} | "
            f"{100 * one['every scan counted']['coverage']:.1f} |"
        )
    return (
        "\n".join(lines)
        + f"\n\nMeans over {found['intervals'][0]['draws']} draws of training, validation and new people."
    )


def scanner() -> str:
    """A new scanner in five steps: accuracy, how often drift is found, how often estimated accuracy holds."""
    if not (RESULTS / "scanner--seed0--cpu.json").is_file():
        return NOT_YET
    found = stored("scanner")
    lines = [
        "| validation / new people | scanner | accuracy, % | drift found, % | accuracy withheld, % | estimate holds or is withheld, % |",
        "|---|---|---|---|---|---|",
    ]
    for one in found["steps"]:
        name = "that of training" if one["step"] == 0 else f"step {one['step']}"
        lines.append(
            f"| {one['validation']} / {one['new']} | {name} | {100 * one['accuracy']:.1f} | {100 * one['found']:.1f} | "
            f"{100 * one['accuracy_withheld']:.0f} | {100 * one['inside_or_withheld']:.1f} |"
        )
    draws = found["steps"][0]["draws"]
    return (
        "\n".join(lines)
        + f"\n\nMeans over {draws} draws. On the scanner of training what is found is a false alarm: 5% is promised."
    )


def harmonise() -> str:
    """Site and disease read before and after harmonisation, and how often it is refused."""
    if not (RESULTS / "harmonise--seed0--cpu.json").is_file():
        return NOT_YET
    found = stored("harmonise")
    lines = [
        "| cohort | refused, % | site read, before and after, % | largest site, % | diagnosis read, before and after, % |",
        "|---|---|---|---|---|",
    ]
    for one in found["cohorts"]:
        read = one["read"]
        if read is None:
            lines.append(f"| {one['kind']} | {100 * one['refused']:.0f} | | | |")
            continue
        site, ill = read["site"], read["diagnosis"]
        lines.append(
            f"| {one['kind']} | {100 * one['refused']:.0f} | {100 * site['before']:.1f}, {100 * site['after']:.1f} | {100 * site['largest']:.1f} | "
            f"{100 * ill['before']:.1f}, {100 * ill['after']:.1f} |"
        )
    first = found["cohorts"][0]
    return (
        "\n".join(lines)
        + f"\n\nMeans over {first['draws']} draws of {first['participants']} people, of the draws that were not refused. Less than the "
        "largest site is no knowledge: the means of whole sites were made alike, so whoever is left out of a fold lies on the other side."
    )
