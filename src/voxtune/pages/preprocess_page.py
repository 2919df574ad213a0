"""The pages of preprocessing: one a scan, and one for the cohort with the worst scans first."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from voxtune.imaging.qc import Qc
from voxtune.imaging.record import ChainRecord
from voxtune.pages.layout import image, render
from voxtune.pages.slices import PLANES, cut, slice_figure, to_ras
from voxtune.types.volume import Volume

MOST_THUMBNAILS = 300
"""Of the worst scans; the table and qc.tsv hold all of them."""
FIGURES: Mapping[str, str] = {
    "brain_ml": "Brain volume (ml)",
    "dice": "Overlap with the template's brain (Dice)",
    "correlation": "Correlation with the template inside its brain",
    "contents": "Correlation of detail with the template, deep inside",
    "dark": "Darkest tissue over brightest",
    "turned": "Turned by the registration (degrees)",
    "scale": "Volume of the template's brain over this one's",
    "clipped": "Share of voxels with clipped brightness",
    "slice_mm": "Largest distance between voxels in the file (mm)",
    "darkest_hu": "Smallest value (HU)",
    "nonfinite": "NaN and infinite voxels in the file",
}


@dataclass(frozen=True)
class CohortEntry:
    """A scan on the cohort page."""

    scan_id: str
    qc: Qc
    thumbnail: bytes | None
    """PNG."""
    series: str = ""
    """Which DICOM series was read, where there were others."""


def scan_page(scan_id: str, volume: Volume, record: ChainRecord, *, simulated: bool) -> str:
    """The page of one preprocessed scan: verdict, slices, figures, and every step with its parameters."""
    context = {
        "scan_id": scan_id,
        "qc": record.qc,
        "figures": [(words, getattr(record.qc, name)) for name, words in FIGURES.items()],
        "picture": image(slice_figure(volume)),
        "steps": [(step.name, _said(step.parameters), _said(step.result)) for step in record.steps],
        "record": record,
    }
    return render(
        "preprocess_scan.html.j2", context, title=f"Preprocessed scan {scan_id}", simulated=simulated
    )


def worst_first(figures: Mapping[str, Qc]) -> list[str]:
    """Scans by what a person should look at first: by verdict, then by fit to the template."""
    return sorted(
        figures, key=lambda name: (_RANK[figures[name].verdict], figures[name].correlation or 0.0, name)
    )


def cohort_page(
    entries: Sequence[CohortEntry], failed: Mapping[str, str], preset: str, *, pending: int, simulated: bool
) -> str:
    """The page of all scans, worst first: those that failed, then by verdict, then by fit to the template."""
    by_name = {entry.scan_id: entry for entry in entries}
    ordered = [by_name[name] for name in worst_first({name: entry.qc for name, entry in by_name.items()})]
    context = {
        "entries": [(entry, _inline(entry.thumbnail)) for entry in ordered[:MOST_THUMBNAILS]],
        "left_out": max(0, len(ordered) - MOST_THUMBNAILS),
        "failed": sorted(failed.items()),
        "counts": {
            verdict: sum(entry.qc.verdict == verdict for entry in entries)
            for verdict in ("pass", "warn", "fail")
        },
        "preset": preset,
        "pending": pending,
    }
    return render("preprocess_cohort.html.j2", context, title="Preprocessing", simulated=simulated)


def thumbnail(volume: Volume, edge: int = 96) -> bytes:
    """The middle slice of each plane side by side, as a grey PNG."""
    from PIL import Image

    ras = to_ras(volume)
    low, high = np.percentile(ras.voxels, [1, 99.7])
    panels = []
    for plane in PLANES:
        rows, columns = (
            ras.spacing[axis]
            for axis in (1 if PLANES.index(plane) == 2 else 2, 1 if PLANES.index(plane) == 0 else 0)
        )
        piece = cut(ras.voxels, plane, 0.5)[::-1]
        grey = np.clip((piece - low) / max(float(high - low), 1e-6), 0, 1) * 255
        height, width = piece.shape[0] * rows, piece.shape[1] * columns
        scale = edge / max(height, width)
        small = Image.fromarray(grey.astype(np.uint8)).resize(
            (max(1, round(width * scale)), max(1, round(height * scale)))
        )
        panel = Image.new("L", (edge, edge))
        panel.paste(small, ((edge - small.width) // 2, (edge - small.height) // 2))
        panels.append(np.asarray(panel))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1)).save(buffer, format="png")
    return buffer.getvalue()


_RANK = {"fail": 0, "warn": 1, "pass": 2}


def _inline(png: bytes | None) -> Markup | None:
    # Base64 has no character that HTML reads.
    return None if png is None else Markup("data:image/png;base64," + base64.b64encode(png).decode("ascii"))  # noqa: S704


def _said(values: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {_short(value)}" for name, value in values.items() if value not in (None, (), "")
    )


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        sizes = all(isinstance(one, int | float) for one in value)
        return (" x " if sizes else "; ").join(_short(one) for one in value)
    text = str(value)
    return text[:12] if len(text) == 64 else text
