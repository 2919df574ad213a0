"""What of an explanation goes into a paper: ``figures/`` and ``tables/`` beside its page, with the word of its checks on what is taken away."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from voxtune.pages.explain_figures import coloured, overlay, window_of
from voxtune.pages.print_files import (
    COLOURS,
    GREY,
    MARKS,
    Draw,
    clear_prints,
    height_of,
    intervals,
    wrapped,
    write_figure,
    write_print_table,
)
from voxtune.pages.slices import PLANES, to_ras
from voxtune.types.volume import Volume

TOP = 12
"""Regions of a figure; the table has all."""
DOUBTED = "checks do not support it"
"""On every figure of an explanation that its own checks warn of: away from its page nothing else would say so."""
REGION_COLUMNS = ("region", "share", "volume_share", "null_low", "null_high", "p", "q", "drop")


def write_scan_prints(
    facts: Mapping[str, Any], scan: Volume, maps: Mapping[str, Volume], folder: Path
) -> None:
    """Of one scan: the heat through its hottest place, regions against their null maps, deletion and insertion, words; checks as a table.

    Args:
        facts: of ``explanation.json``.
        scan: the grey picture.
        maps: heat by name, on its voxels.
        folder: of the explanation.
    """
    clear_prints(folder)
    simulated, note = bool(facts["simulated"]), DOUBTED if facts["warnings"] else ""
    says, by = str(facts["target"]["says"]), str(facts["maps"]["heat"]["title"])
    # A slice shows a person: its file is its owner's alone, as the page is.
    write_figure(
        folder, "heat", _heat(scan, maps["heat"], by), height=1.9, width=6.9, panels=3, note=note, simulated=simulated, shared=False
    )  # fmt: skip
    about = f"What raises {says}, by {by}, in one scan."
    regions = facts["regions"][:TOP]
    if facts["regions"]:
        height = height_of([(row["region"], 0.0, None, None) for row in regions])
        write_figure(folder, "regions", _regions(regions), height=height, note=note, simulated=simulated)
        rows = [{name: row[name] for name in REGION_COLUMNS} for row in facts["regions"]]
        caption = f"{about} Share of the heat by region, with the middle 95% of null maps."
        write_print_table(folder, "regions", REGION_COLUMNS, rows, caption=caption, simulated=simulated)
    write_figure(
        folder, "deletion_insertion", _curves(facts["checks"]["curves"], says), height=2.1, width=6.9, panels=len(facts["checks"]["curves"]),
        note=note, simulated=simulated,
    )  # fmt: skip
    checks = [{name: row[name] for name in ("check", "found", "verdict")} for row in facts["verdicts"]]
    caption = f"{about} What was asked of the map, and what was found."
    write_print_table(
        folder, "checks", ("check", "found", "verdict"), checks, caption=caption, simulated=simulated
    )
    if facts["text"] is not None:
        parts = [(name, one["value"], None, None) for name, one in facts["text"]["bars"]]
        axis = "what it gives to the cosine of report and scan"
        write_figure(
            folder, "words", intervals(parts, axis, zero=True), height=height_of(parts), note=note, simulated=simulated
        )  # fmt: skip
        listed = [{"part": name, "value": value} for name, value, _, _ in parts]
        caption = (
            "What each part of the report gives to its similarity with the scan, by Integrated Gradients."
        )
        write_print_table(folder, "words", ("part", "value"), listed, caption=caption, simulated=simulated)


def write_group_prints(facts: Mapping[str, Any], folder: Path) -> None:
    """Of a cohort: biomarkers and regions by stage with intervals over participants, and the checks."""
    clear_prints(folder)
    simulated, note = bool(facts["simulated"]), DOUBTED if facts["warnings"] else ""
    stages = list(facts["groups"])
    people = ", ".join(f"{stage}: {facts['groups'][stage]['participants']}" for stage in stages)
    if facts["text"]:
        parts = facts["text"]["parts"]
        names = list(next(iter(parts.values())))
        labels = {name: textwrap.shorten(name, 44, placeholder=" ...") for name in names}
        axis = "what it gives to the cosine of report and scan"
        _by_stage(folder, "biomarkers", {labels[name]: {stage: parts[stage][name] for stage in stages} for name in names}, axis, note, simulated=simulated)  # fmt: skip
        rows = [
            {"biomarker": name, "stage": stage} | _numbers(parts[stage][name])
            for name in names
            for stage in stages
        ]
        caption = f"What each biomarker gives to the similarity of report and scan; 95% intervals over participants ({people})."
        columns = ("biomarker", "stage", "value", "low", "high", "n_participants")
        write_print_table(folder, "biomarkers", columns, rows, caption=caption, simulated=simulated)
    if facts["regions"]:
        top = {row["region"]: {stage: row[stage] for stage in stages} for row in facts["regions"][:TOP]}
        _by_stage(folder, "regions", top, "share of the heat", note, simulated=simulated)
        rows = [
            {"region": row["region"], "stage": stage} | _numbers(row[stage])
            for row in facts["regions"]
            for stage in stages
        ]
        caption = f"Share of the heat for {facts['target']['says']} by region; 95% intervals over participants ({people})."
        columns = ("region", "stage", "value", "low", "high", "n_participants")
        write_print_table(folder, "regions", columns, rows, caption=caption, simulated=simulated)
    checks = [
        {"check": f"rank correlation with maps of {what}"} | _numbers(facts[name])
        for name, what in (("shuffled_weights", "shuffled weights"), ("shuffled_labels", "shuffled labels"))
    ]
    caption = "Checks of the maps: a correlation below 0.3 passes; empty where it was not asked."
    write_print_table(
        folder, "checks", ("check", "value", "low", "high", "n_participants"), checks, caption=caption, simulated=simulated
    )  # fmt: skip


def _numbers(one: Mapping[str, Any]) -> dict[str, object]:
    return {name: one[name] for name in ("value", "low", "high", "n_participants")}


# -------------------------------------------------------------------------------------------- what is drawn
def _heat(scan: Volume, heat: Volume, by: str) -> Draw:
    """Three planes through the hottest place, and what the colours mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    def draw(panels: Any) -> None:
        grey, hot = to_ras(scan), to_ras(heat)
        peak = np.unravel_index(int(np.abs(hot.voxels).argmax()), hot.shape)
        for axis, plane in enumerate(PLANES):
            share = (float(peak[axis]) + 0.5) / hot.shape[axis]
            overlay(panels[axis], grey, hot, plane, share, window_of(grey))
        signed = bool((hot.voxels < 0).any())
        scale = np.linspace(-1 if signed else 0, 1, 256, dtype=np.float32)
        colours = coloured(scale)
        map_of = ListedColormap((colours[:, :3] * colours[:, 3:]).tolist())
        mappable = ScalarMappable(Normalize(float(scale[0]), 1.0), map_of)
        bar = panels[0].figure.colorbar(mappable, ax=panels, shrink=0.8, aspect=18, pad=0.02)
        bar.set_label(wrapped(f"{by}, relative to the strongest place"))

    return draw


def _regions(rows: list[Mapping[str, Any]]) -> Draw:
    """Shares of heat on the middle 95% of null maps."""

    def draw(axes: Any) -> None:
        for place, row in enumerate(rows):
            label = "null maps, middle 95%" if place == 0 else None
            axes.plot([row["null_low"], row["null_high"]], [place, place], color=GREY, linewidth=4, alpha=0.4, solid_capstyle="butt", label=label)  # fmt: skip
            axes.plot(
                [row["share"]], [place], MARKS[0], color=COLOURS[0], label="this map" if place == 0 else None
            )
        axes.set_yticks(range(len(rows)), [wrapped(row["region"]) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("share of the heat")
        axes.legend(loc="lower right")

    return draw


def _curves(curves: list[Mapping[str, Any]], says: str) -> Draw:
    """Deletion and insertion, hottest first, against random orders."""

    def draw(panels: Any) -> None:
        listed = panels if isinstance(panels, list) else [panels]
        for axes, one in zip(listed, curves, strict=True):
            x = np.linspace(0, 100, len(one["scores"]))
            axes.fill_between(
                x, one["random_low"], one["random_high"], color="0.85", label="random orders, middle 95%"
            )
            axes.plot(x, one["random_mean"], color=GREY, linestyle="--", label="random orders, mean")
            axes.plot(
                x, one["scores"], color=COLOURS[1], marker=MARKS[0], markersize=2.5, label="hottest first"
            )
            verb = "hidden" if one["kind"] == "deletion" else "shown"
            axes.set_xlabel(f"{one['kind']}: cells {verb}, % (p = {one['p']:.2f})")
        listed[0].set_ylabel(wrapped(says))
        listed[0].legend()

    return draw


def _by_stage(
    folder: Path, name: str, rows: Mapping[str, Mapping[str, Mapping[str, Any]]], axis: str, note: str, *, simulated: bool
) -> None:  # fmt: skip
    """A row of the figure for each name, a mark with its interval for each stage."""

    def draw(axes: Any) -> None:
        axes.axvline(0, color=GREY, linewidth=0.6)
        for place, stages in enumerate(rows.values()):
            for number, (stage, one) in enumerate(stages.items()):
                if one["value"] is None:
                    continue
                colour, y = COLOURS[number % len(COLOURS)], place + 0.22 * (number - (len(stages) - 1) / 2)
                mark = MARKS[number % len(MARKS)]
                axes.plot(
                    one["value"], y, mark, color=colour, markersize=3, label=stage if place == 0 else None
                )
                if one["low"] is not None:
                    axes.plot([one["low"], one["high"]], [y, y], color=colour)
        axes.set_yticks(range(len(rows)), [wrapped(label) for label in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(axis)
        axes.legend()

    height = 1.5 * height_of([(label, 0.0, None, None) for label in rows])
    write_figure(folder, name, draw, height=height, note=note, simulated=simulated)
