"""The tables of ``docs/concepts/simulated-populations.md``, from the result files beside this one and the probes of the small bases."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

RESULTS = Path(__file__).with_name("results")
ASSETS = Path(__file__).resolve().parents[2] / "src" / "voxtune" / "backbones" / "assets"
NOT_YET = "Not measured yet."
NAMES = {
    "hippocampus": "hippocampus, mm³", "ventricles": "ventricles, mm³", "entorhinal": "entorhinal cortex, mm³",
    "fusiform": "fusiform gyrus, mm³", "middle_temporal": "middle temporal gyrus, mm³", "whole_brain": "whole brain, cm³",
    "icv": "ICV, cm³", "mmse": "MMSE, points",
}  # fmt: skip
RULES = {
    "volumes": "six measured volumes over ICV", "ventricles": "ventricles over ICV", "age_sex": "age, sex",
    "voxel_count": "voxels above 0.02", "mean_intensity": "mean brightness", "majority": "most frequent class",
}  # fmt: skip


def _read(population: str) -> dict[str, Any] | None:
    path = RESULTS / f"{population}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _groups(name: str, groups: Mapping[str, Any]) -> str:
    scale, digits = {"whole_brain": (1000, 0), "icv": (1000, 0), "mmse": (1, 1)}.get(name, (1, 0))
    return " / ".join(f"{groups[kind][0] / scale:,.{digits}f} ({groups[kind][1] / scale:,.{digits}f})" for kind in ("NC", "MCI", "AD"))  # fmt: skip


def measures(population: str) -> str:
    """Every measure: published, simulated, effect sizes, overlaps."""
    found = _read(population)
    if found is None or "measures" not in found:
        return NOT_YET
    lines = [
        "| measure | published NC / MCI / AD: mean (sd) | simulated | d NC-AD published [95%] | simulated | within | d NC-MCI published [95%] | simulated | overlap NC, AD published | simulated |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["measures"]:
        d, middle = row["d_published"], row["d_mci_published"]
        lines.append(
            f"| {NAMES[row['measure']]} | {_groups(row['measure'], row['published'])} | {_groups(row['measure'], row['simulated'])} "
            f"| {d['value']:.2f} [{d['low']:.2f}, {d['high']:.2f}] | {row['d_simulated']:.2f} | {'yes' if row['d_within'] else 'no'} "
            f"| {middle['value']:.2f} [{middle['low']:.2f}, {middle['high']:.2f}] | {row['d_mci_simulated']:.2f} "
            f"| {100 * row['overlap_published']:.0f}% | {100 * row['overlap_simulated']:.0f}% |"
        )
    within = sum(row["d_within"] for row in found["measures"])
    lines.append(
        f"\n{found['people']:,} SIMULATED people of population `{population}`, seed {found['seed']}; volumes of {found['counted']} are counted in their bent labels, "
        f"the others follow by a fit on those that leaves {100 * found['left_by_the_fit']:.1f}% at most. Of {len(found['measures'])} effect sizes of NC against AD "
        f"{within} lie within the sampling interval of the published one. The published overlap is that of normal distributions."
    )
    return "\n".join(lines)


def others(population: str) -> str:
    """Figures from elsewhere."""
    found = _read(population)
    if found is None or "others" not in found:
        return NOT_YET
    lines = ["| figure | published | counts as met | simulated | met | source |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row['what']} | {row['published']:.3g} | {row['low']:.3g} to {row['high']:.3g} | {row['simulated']:.3g} "
        f"| {'yes' if row['within'] else 'no'} | {row['source']} |"
        for row in found["others"]
    ]
    who = found["who"]
    patterns = ", ".join(
        f"{name.replace('_', ' ')} {100 * share:.0f}%" for name, share in who["subtypes_of_AD"].items()
    )
    lines.append(
        f"\nAmong those written as AD: {patterns}. Vascular damage in NC, MCI, AD: {_shares(who['vascular'])}; another cause than "
        f"Alzheimer's disease: {_shares(who['other_cause'])}. The clinic writes the true class of {100 * who['written_as_true']:.0f}%. "
        f"Of three yearly visits all are attended by {_shares(who['third_visit'])}."
    )
    return "\n".join(lines)


def _shares(by_class: Mapping[str, float]) -> str:
    return ", ".join(f"{100 * by_class[kind]:.0f}%" for kind in ("NC", "MCI", "AD"))


def reached() -> str:
    """The best possible and the rules, on the cohorts of the probes and on those of ``run.py --part reached``."""
    lines = [
        "| population | seed | scans | best possible, % (expected) | " + " | ".join(f"{words}, %" for words in RULES.values()) + " |",
        "|---|---|---|---|" + "---|" * len(RULES),
    ]  # fmt: skip
    path = ASSETS / "tiny_untaught" / "probe.json"
    probes = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    for population in ("separable", "published"):
        own = [
            one | {"seed": one["cohort"]["seed"]}
            for one in probes
            if one["pretraining_seed"] == 0 and one["cohort"]["population"] == population
        ]
        lines += [
            f"| {population} | {one['seed']} | {one['scans']} | {100 * one['best_possible']:.1f} ({100 * one['expected_best_possible']:.1f}) | "
            + " | ".join(f"{100 * one['rules'][name]:.1f}" for name in RULES)
            + " |"
            for one in [*own, *(_read(population) or {}).get("reached", [])]
        ]
    return "\n".join(lines) if len(lines) > 2 else NOT_YET


def bases() -> str:
    """What the frozen small bases read, mean over cohorts."""
    lines = [
        "| base, pretraining seed | population | zero-shot, % | CLS probe, % | tokens probe, % | best possible, % | six volumes, % | voxels above 0.02, % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for base in ("tiny", "tiny_untaught"):
        path = ASSETS / base / "probe.json"
        probes = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        for seed in sorted({one["pretraining_seed"] for one in probes}):
            for population in ("separable", "published"):
                own = [
                    one
                    for one in probes
                    if (one["pretraining_seed"], one["cohort"]["population"]) == (seed, population)
                ]
                columns = [
                    [one["zero_shot_accuracy"] for one in own], [one["probe_accuracy"] for one in own], [one["tokens_accuracy"] for one in own],
                    [one["expected_best_possible"] for one in own], [one["rules"]["volumes"] for one in own], [one["rules"]["voxel_count"] for one in own],
                ]  # fmt: skip
                cells = " | ".join(f"{100 * mean(column):.1f}" for column in columns)
                lines.append(f"| `{base}`, {seed} | {population} | {cells} |")
    return "\n".join(lines) if len(lines) > 2 else NOT_YET
