"""The tables of ``docs/how-to/volumes.md`` from the stored results."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

HERE = Path(__file__).parent
WORDS = {
    "hippocampus": "Hippocampus", "ventricles": "Lateral ventricles", "whole_brain": "Whole brain", "entorhinal": "Entorhinal", "fusiform": "Fusiform",
    "middle_temporal": "Middle temporal", "icv": "Intracranial", "brain": "Brain with ventricles", "amygdala": "Amygdala", "thalamus": "Thalamus",
    "caudate": "Caudate", "putamen": "Putamen", "pallidum": "Pallidum", "accumbens": "Accumbens", "third_ventricle": "Third ventricle",
    "fourth_ventricle": "Fourth ventricle", "cerebellar_cortex": "Cerebellar cortex", "white_matter": "White matter", "brain_stem": "Brain stem",
    "cerebellar_white_matter": "Cerebellar white matter", "ventral_diencephalon": "Ventral diencephalon",
}  # fmt: skip
FOR_REPORTS = ("hippocampus", "ventricles", "whole_brain", "entorhinal", "fusiform", "middle_temporal", "icv")
REPEATS = (("1003", "1023"), ("1018", "1038"))
"""The same person scanned twice."""
LOOKED_AT = frozenset({"1000", "1101", "1122"})
"""Scans that were looked at while the network was made; figures without them stand beside those of all."""


def words(name: str) -> str:
    """A region as a table says it."""
    return WORDS.get(name, name.replace("_", " ").capitalize())


def scans(kind: str) -> dict[str, Any]:
    """What was stored of a kind, by scan; nothing where it was not run."""
    file = HERE / "results" / f"{kind}.json"
    return json.loads(file.read_text(encoding="utf-8"))["scans"] if file.is_file() else {}


def of_people(held: dict[str, Any]) -> list[dict[str, Any]]:
    """One scan of each person, the first."""
    first: dict[str, dict[str, Any]] = {}
    for name in sorted(held):
        first.setdefault(held[name]["person"], held[name])
    return list(first.values())


def pearson(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """R with its 95% interval (Fisher's z)."""
    a, b = np.array(pairs).T
    r = float(np.corrcoef(a, b)[0, 1])
    z, half = np.arctanh(min(r, 0.99999)), 1.959964 / np.sqrt(max(len(pairs) - 3, 1))
    return r, float(np.tanh(z - half)), float(np.tanh(z + half))


def t_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean with its 95% interval over people."""
    from scipy.stats import t

    middle = mean(values)
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return middle, middle - half, middle + half


def _line(name: str, people: Sequence[dict[str, Any]]) -> str:
    regions = [one["regions"][name] for one in people]
    overlap = (
        "none drawn"
        if "dice" not in regions[0]
        else "{:.2f} [{:.2f}, {:.2f}]".format(*t_interval([one["dice"] for one in regions]))
    )
    r = "{:.2f} [{:.2f}, {:.2f}]".format(*pearson([(one["measured"], one["true"]) for one in regions]))
    off = [100 * (one["measured"] / one["true"] - 1) for one in regions]
    bias = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*t_interval(off))
    return f"| {words(name)} | {overlap} | {r} | {bias} | {stdev(off):.1f} |"


def oasis() -> str:
    """Every region that was drawn by hand: overlap, r, difference and its spread, with intervals over people."""
    held = scans("oasis")
    people = of_people(held)
    fresh = of_people({name: one for name, one in held.items() if name not in LOOKED_AT})
    lines = [
        "| region | Dice | r | difference, % | its SD, % |",
        "|---|---|---|---|---|",
        *(
            _line(name, people)
            for name in (*FOR_REPORTS, *(n for n in people[0]["regions"] if n not in FOR_REPORTS))
        ),
        "",
        f"{len(people)} people. Without the three scans that were looked at: hippocampus Dice "
        f"{mean(one['regions']['hippocampus']['dice'] for one in fresh):.2f}, ventricles {mean(one['regions']['ventricles']['dice'] for one in fresh):.2f} "
        f"({len(fresh)} people). Intracranial volume is beside FreeSurfer's estimate (eTIV).",
    ]
    for one, other in REPEATS:
        a, b = held[one]["regions"], held[other]["regions"]
        parts = [
            f"{words(name).lower()} {100 * (b[name]['measured'] / a[name]['measured'] - 1):+.1f}%"
            for name in ("hippocampus", "ventricles", "icv")
        ]
        drawn = [
            f"{words(name).lower()} {100 * (b[name]['true'] / a[name]['true'] - 1):+.1f}%"
            for name in ("hippocampus", "ventricles")
        ]
        lines.append(
            f"\nThe same person scanned twice ({one}, {other}): {', '.join(parts)}; by hand {', '.join(drawn)}."
        )
    return "\n".join(lines)


def others() -> str:
    """DLMUSE on five heads, SIMULATED truth, other forms of a scan, and what it costs."""
    parts = []
    if heads := of_people(scans("ixi")):
        names = list(heads[0]["regions"])
        rows = [
            f"| {words(name)} | {pearson([(one['regions'][name]['measured'], one['regions'][name]['true']) for one in heads])[0]:.2f} | "
            f"{mean(100 * (one['regions'][name]['measured'] / one['regions'][name]['true'] - 1) for one in heads):+.1f} |"
            for name in names
        ]
        parts.append(
            f"Beside DLMUSE on {len(heads)} IXI heads of 2 mm (five people give no interval worth printing):\n\n| region | r | difference, % |\n|---|---|---|\n"
            + "\n".join(rows)
        )
    if people := of_people(scans("simulated")):
        rows = [
            "| {} | {:.2f} [{:.2f}, {:.2f}] |".format(
                words(name),
                *pearson(
                    [(one["regions"][name]["measured"], one["regions"][name]["true"]) for one in people]
                ),
            )
            for name in people[0]["regions"]
        ]
        parts.append(
            f"**SIMULATED** people in template space, 3 mm ({len(people)} people), against the truth:\n\n| region | r |\n|---|---|\n"
            + "\n".join(rows)
        )
        seen = [(name, one["less"][name]) for one in people for name in one["less"]]
        if seen:
            said = ", ".join(
                f"{words(name).lower()} {mean(100 * pair['measured'] for n, pair in seen if n == name):+.1f}% measured for {mean(100 * pair['true'] for n, pair in seen if n == name):+.1f}%"
                for name in dict.fromkeys(n for n, _ in seen)
            )
            parts.append(
                f"Atrophy of 5% in one region of a SIMULATED brain ({sum(bool(one['less']) for one in people)} people): {said}."
            )
    if formed := scans("forms"):
        names = [name for name in next(iter(formed.values()))["forms"] if name != "as it is"]
        rows = []
        for name in names:
            cells = []
            for region in ("hippocampus", "ventricles", "whole_brain", "icv"):
                off = [
                    100
                    * (
                        one["forms"][name]["volumes"][region] / one["forms"]["as it is"]["volumes"][region]
                        - 1
                    )
                    for one in formed.values()
                ]
                cells.append(f"{max(off, key=abs):+.1f}")
            rows.append(f"| {name} | {' | '.join(cells)} |")
        parts.append(
            f"The same brain in other forms ({len(formed)} scans): the largest change, %\n\n| form | hippocampus | ventricles | whole brain | intracranial |\n|---|---|---|---|---|\n"
            + "\n".join(rows)
        )
    if spent := scans("time"):
        one = next(iter(spent.values()))
        parts.append(
            f"One head of 1 mm: {one['clock']:.0f} s by the clock, {one['seconds']:.0f} s of processor time, {one['peak_gb']:.1f} GB at most."
        )
    return "\n\n".join(parts)
