"""The page of a cohort: who is in it, how age, MMSE and volumes lie by class, and what the scans look like."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.pages.layout import image, render
from voxtune.pages.slices import cut, lettered
from voxtune.profiles.recognise import recognise
from voxtune.types.records import REGION_COLUMNS, ManifestRow
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES: Mapping[str, str] = {
    "age": "Age (years)",
    "mmse": "MMSE (points)",
    "hippocampus_mm3": "Hippocampus (cm³)",
    "ventricles_mm3": "Ventricles (cm³)",
    "whole_brain_mm3": "Whole brain (cm³)",
    "entorhinal_mm3": "Entorhinal cortex (cm³)",
    "fusiform_mm3": "Fusiform gyrus (cm³)",
    "middle_temporal_mm3": "Middle temporal gyrus (cm³)",
}
MARKS = "os^Dv"
RULES: Mapping[str, str] = {
    "volumes": "logistic regression on the six measured volumes over ICV",
    "ventricles": "ventricles over ICV alone",
    "age_sex": "age and sex",
    "voxel_count": "number of voxels above 0.02 in the picture",
    "mean_intensity": "mean brightness of those voxels",
    "majority": "always the most frequent class",
}
"""Rules that need no model of pictures, in words."""


@dataclass(frozen=True)
class Example:
    """One scan to show."""

    title: str
    scan: Volume
    change: Volume | None = None
    """Log volume change by disease, where it is known."""


def cohort_page(
    rows: Sequence[ManifestRow],
    examples: Sequence[Example] = (),
    settings: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
) -> str:
    """HTML of a cohort.

    Args:
        rows: its manifest.
        examples: scans to show; ``change`` is drawn over them in colour.
        settings: of the simulation, if it was simulated.
        limits: what the best reader of pictures and rules without a model get (``truth/limits.json``), if it is known.
    """
    classes = class_order(rows)
    context = {
        "people": len({row.participant_id for row in rows}),
        "scans": len(rows),
        "classes": classes,
        "counts": [
            {
                "name": kind,
                "scans": sum(row.diagnosis == kind for row in rows),
                "people": len({row.participant_id for row in rows if row.diagnosis == kind}),
                "women": _share([row.sex == "F" for row in rows if row.diagnosis == kind and row.sex]),
            }
            for kind in classes
        ],
        "scanners": sorted({row.scanner for row in rows if row.scanner}),
        "table": [
            {"name": label, "cells": [_spread(values(rows, name, kind)) for kind in classes]}
            for name, label in NAMES.items()
        ],
        "figure": image(by_class(rows, classes)),
        "examples": image(example_figure(examples)) if examples else None,
        "changes": any(example.change is not None for example in examples),
        "settings": {
            name: ", ".join(f"{part:.3g}" for part in value) if isinstance(value, list | tuple) else value
            for name, value in (settings or {}).items()
        },
        "limits": limits,
        "rules": RULES,
    }
    simulated = any(row.simulated for row in rows)
    title = "Simulated cohort" if simulated else "Cohort"
    return render("cohort_page.html.j2", context, title=title, simulated=simulated)


def class_order(rows: Sequence[ManifestRow]) -> list[str]:
    """The classes of the rows in the order of their disease; others follow by name."""
    order = recognise(rows).profile.classes
    present = {row.diagnosis for row in rows if row.diagnosis}
    return [kind for kind in order if kind in present] + sorted(present - set(order))


def values(rows: Sequence[ManifestRow], name: str, kind: str) -> list[float]:
    """A column of one class without the missing; volumes in cm^3."""
    scale = 1000.0 if name in REGION_COLUMNS else 1.0
    found = (getattr(row, name) for row in rows if row.diagnosis == kind)
    return [value / scale for value in found if value is not None]


def _spread(found: Sequence[float]) -> str:
    if not found:
        return "n/a"
    places = 0 if min(found) > 100 else 1
    sd = f" ({statistics.stdev(found):.{places}f})" if len(found) > 1 else ""
    return f"{statistics.mean(found):.{places}f}{sd}"


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags) / len(flags):.0%}" if flags else "n/a"


def by_class(rows: Sequence[ManifestRow], classes: Sequence[str]) -> "Figure":
    """Every scan as a dot, by class, one panel a column; the bar is the mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 6), layout="constrained")
    rng = np.random.default_rng(0)  # only spreads the dots sideways
    for panel, (name, label) in zip(figure.subplots(2, 4).flat, NAMES.items(), strict=True):
        for place, kind in enumerate(classes):
            found = values(rows, name, kind)
            if not found:
                continue
            sideways = place + rng.uniform(-0.28, 0.28, len(found))
            panel.scatter(sideways, found, s=9, alpha=0.45, marker=MARKS[place % len(MARKS)], linewidths=0)
            panel.hlines(statistics.mean(found), place - 0.35, place + 0.35, color="black", linewidth=1.6)
        panel.set_title(label, fontsize=10)
        panel.set_xticks(range(len(classes)), classes)
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def example_figure(examples: Sequence[Example]) -> "Figure":
    """One column a scan: axial and coronal slices, and the coronal one with the change in colour where it is known."""
    from matplotlib.figure import Figure

    lines = 3 if any(example.change is not None for example in examples) else 2
    figure = Figure(figsize=(2.4 * len(examples), 2.4 * lines), facecolor="black", layout="compressed")
    panels = figure.subplots(lines, len(examples), squeeze=False)
    for column, example in enumerate(examples):
        axial, coronal = (cut(example.scan.voxels, *at) for at in (("axial", 0.53), ("coronal", 0.56)))
        _grey(panels[0, column], axial, "axial")
        _grey(panels[1, column], coronal, "coronal")
        panels[0, column].set_title(example.title, color="white", fontsize=10)
        if lines == 3:
            _grey(panels[2, column], coronal, "coronal")
        if example.change is not None:
            change: NDArray[np.float32] = cut(example.change.voxels, "coronal", 0.56)
            shown = np.where(np.abs(change) < 0.03, np.nan, change)  # NaN is not drawn
            panels[2, column].imshow(shown, cmap="RdBu", origin="lower", vmin=-0.6, vmax=0.6, alpha=0.75)
    return figure


def _grey(panel: Any, voxels: NDArray[np.float32], plane: str) -> None:
    panel.imshow(voxels, cmap="gray", origin="lower", vmin=0, vmax=1)
    lettered(panel, plane, 8)
    panel.set_axis_off()
