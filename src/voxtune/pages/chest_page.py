"""The page of a chest CT cohort: how often each finding is there, and what the planted ones look like."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.pages import figures
from voxtune.pages.finding_figures import distribution
from voxtune.pages.layout import image, render
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Example = tuple[str, NDArray[np.float32], NDArray[np.float32]]
"""Finding, voxels in HU and where it is (0..1), both (left, posterior, superior)."""
LUNG_WINDOW, SOFT_WINDOW = (-1050.0, 150.0), (-150.0, 300.0)
SOFT = frozenset(
    {
        "Medical material", "Arterial wall calcification", "Coronary artery wall calcification", "Cardiomegaly",
        "Pericardial effusion", "Hiatal hernia", "Lymphadenopathy", "Pleural effusion",
    }
)  # fmt: skip
"""Findings that are looked for in the soft-tissue window."""


def chest_page(
    rows: Sequence[ManifestRow],
    findings: Sequence[str],
    examples: Sequence[Example] = (),
    settings: Mapping[str, Any] | None = None,
) -> str:
    """HTML of a chest CT cohort whose findings are extra columns of its manifest.

    Args:
        rows: its manifest.
        findings: names of the columns.
        examples: one scan for a finding, with the place where it was planted.
        settings: of the simulation, if it was simulated.
    """
    counts = {name: [sum(label(row, name) == 1 for row in rows)] for name in findings}
    context = {
        "figure_style": figures.STYLE,
        "people": len({row.participant_id for row in rows}),
        "scans": len(rows),
        "scanners": sorted({row.scanner for row in rows if row.scanner}),
        "distribution": distribution(counts, ["scans"]),
        "never": [name for name, count in counts.items() if not count[0]],
        "average": sum(count[0] for count in counts.values()) / max(len(rows), 1),
        "examples": image(example_figure(examples)) if examples else None,
        "settings": dict(settings or {}),
    }
    simulated = any(row.simulated for row in rows)
    title = "Simulated chest CT cohort" if simulated else "Chest CT cohort"
    return render("chest_page.html.j2", context, title=title, simulated=simulated)


def label(row: ManifestRow, finding: str) -> int | None:
    """1, 0 or unknown."""
    value = (row.model_extra or {}).get(finding)
    return None if value in {None, "n/a", ""} else int(float(str(value)))


def example_figure(examples: Sequence[Example]) -> "Figure":
    """The axial slice with most of each finding, its outline in colour."""
    from matplotlib.figure import Figure

    columns = 5
    lines = -(-len(examples) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.0 * lines), facecolor="black", layout="compressed")
    panels = figure.subplots(lines, columns, squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, (name, voxels, place) in zip(panels.flat, examples, strict=False):
        low, high = SOFT_WINDOW if name in SOFT else LUNG_WINDOW
        height = int((place > 0.4).sum(axis=(0, 1)).argmax())
        panel.imshow(voxels[:, :, height].T, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
        if place[:, :, height].max() > 0.5:
            panel.contour(place[:, :, height].T, [0.5], colors="#ffb347", linewidths=0.9)
        panel.set_title(name, color="white", fontsize=7.5)
    return figure
