"""The tables and the drawing of ``docs/concepts/leakage.md``, from the result files beside this one.

python benchmarks/audit/tables.py            # draws docs/images/audit-doses.svg
"""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
IMAGES = Path(__file__).parents[2] / "docs" / "images"
NOT_YET = "Not measured yet."
SOURCES = ("SIMULATED", "OASIS-1, 2 mm", "SIMULATED chests")


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def people() -> str:
    """Copies found by kind of change, strangers accused and clean cohorts refused."""
    found = {name: one for name, one in _read("images.json").items() if name in SOURCES}
    if not found:
        return NOT_YET
    kinds = list(dict.fromkeys(kind for one in found.values() for kind in one["kinds"]))
    head = " | ".join(f"{name}: found, least at any dose (mean of 20 draws)" for name in found)
    lines = [f"| a copy under another ID | {head} |", "|---|" + "---|" * len(found)]
    for kind in kinds:
        cells = []
        for one in found.values():
            curve = one["kinds"].get(kind)
            cells.append(
                f"{100 * curve['found']:.1f}%, {100 * min(curve['found_by_dose']):.0f}%" if curve else "-"
            )
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines.append("")
    for name, one in found.items():
        accused = sum(curve["strangers_accused"] for curve in one["kinds"].values())
        pairs = sum(curve["stranger_pairs"] for curve in one["kinds"].values())
        value, low, high = one["clean"]["per_100"]
        lines.append(
            f"- {name}: {one['people']} people, 1 to {one['people']} of them there twice. Strangers accused: {accused} of {pairs:,} pairs. "
            f"Of {one['clean']['cohorts']} clean cohorts of {one['clean']['scans'][0]} to {one['clean']['scans'][1]} people {one['clean']['refused']} are refused: "
            f"{value:g} of 100 (95% interval {low:g} to {high:g}; the cohorts share their people)."
        )
        lines += [f"- {name}: {said}" for said in _before(one)]
        if rescans := one.get("real_rescans"):
            lines.append(
                f"- Second scans of a person under an ID of their own: {rescans['found']} of {rescans['pairs']} found, {rescans['strangers_accused']} strangers accused."
            )
    return "\n".join(lines)


def cost() -> str:
    """Seconds a scan and memory of many."""
    found = _read("images.json")
    lines = []
    if timed := found.get("time"):
        lines.append(
            f"- {timed['scans']:,} SIMULATED scans ({timed['voxels']}): {timed['processor_seconds_a_scan']:.2f} processor seconds a scan with reading, "
            f"so 1,000 take about {1000 * timed['processor_seconds_a_scan'] / 2:.0f} s on two cores of the machine it was measured on, if nothing else runs there."
        )
    sizes = sorted(found.get("many", {}).values(), key=lambda one: one["scans"])
    lines += [
        f"- {many['scans']:,} scans: {many['megabytes_of_fingerprints']:,} MB of fingerprints and {many['megabytes_more_at_the_peak']:,} MB for the comparison at its peak "
        f"(a table of all pairs alone would be {many['megabytes_of_all_pairs_would_be']:,} MB), {many['processor_seconds']:.0f} processor seconds."
        for many in sizes
    ]
    return "\n".join(lines) or NOT_YET


def _before(one: dict[str, Any]) -> list[str]:
    """What was measured before a decision changed the code and not again since."""
    return [
        f"measured before decision {key.removeprefix('before_decision_')} and not again since: {', '.join(what)}."
        for key, what in one.items()
        if key.startswith("before_decision_")
    ]


def texts() -> str:
    """The matrix of text leaks and innocent texts."""
    found = _read("texts.json")
    if not found:
        return NOT_YET
    lines = [
        f"Of {len(found['leaks'])} leaks {found['caught']} are caught; of {len(found['innocent'])} innocent sets {found['passed']} pass. {found['what']}.",
        *(f"\n{said.capitalize()}" for said in _before(found)),
        "",
        "| leak | answer | by | innocent | answer |",
        "|---|---|---|---|---|",
    ]
    for place, leak in enumerate(found["leaks"]):
        answer = "refused" if leak["refused"] else "warned" if leak["warned"] else "**missed**"
        by = ", ".join(dict.fromkeys([*leak["refused"], *leak["warned"]]))
        innocent = found["innocent"][place] if place < len(found["innocent"]) else None
        right = ("" if innocent is None else f"{innocent['set']}") + " | "
        right += "" if innocent is None else _passed(innocent)
        lines.append(f"| {leak['set']} | {answer} | {by} | {right} |")
    return "\n".join(lines)


def _passed(one: dict[str, Any]) -> str:
    said = [*one["refused"], *one["warned"]]
    return f"**{', '.join(said)}**" if said else "passed"


def draw() -> None:
    """Share of copies found by the share of people that are there twice, for each kind of change."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "voxtune"
    from matplotlib import pyplot as plt

    found = {name: one for name, one in _read("images.json").items() if name in SOURCES}
    figure, axes = plt.subplots(1, len(found), figsize=(4.6 * len(found), 3.4), sharey=True, squeeze=False)
    for axis, (name, one) in zip(axes[0], found.items(), strict=True):
        for place, (kind, curve) in enumerate(one["kinds"].items()):
            shares = curve["found_by_dose"]
            axis.plot(
                [100 * (k + 1) / one["people"] for k in range(len(shares))], [100 * share for share in shares],
                label=kind, lw=1.4, ls=("-", "--", ":")[place // 4 % 3],
            )  # fmt: skip
        axis.axhline(95, color="0.6", lw=0.8)
        axis.set(title=f"{name}, {one['people']} people", xlabel="people there twice, %", ylim=(0, 103))
    axes[0][0].set_ylabel("copies found, %")
    for axis in (axes[0][0], axes[0][-1]):
        axis.legend(fontsize=7, frameon=False, loc="lower right")
    figure.tight_layout()
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / "audit-doses.svg", metadata={"Date": None})


if __name__ == "__main__":
    draw()
