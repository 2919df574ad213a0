"""The page of ``voxtune volumes``: every brain with its regions outlined, those that need a look first."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from voxtune.pages.layout import render
from voxtune.pages.slices import cut, letters
from voxtune.segmentation.labels import REGIONS
from voxtune.types.volume import Volume

SHOWN: Mapping[str, tuple[str, tuple[int, int, int]]] = {
    "hippocampus": ("Hippocampus", (255, 170, 0)),
    "lateral_ventricle": ("Lateral ventricles", (64, 170, 255)),
    "entorhinal": ("Entorhinal cortex", (255, 80, 120)),
    "fusiform": ("Fusiform gyrus", (90, 220, 120)),
    "middle_temporal": ("Middle temporal gyrus", (200, 120, 255)),
}
"""Regions that are outlined: words and colour."""
BRAIN = (150, 150, 150)
SCALE = 2
"""Pixels along a millimetre."""
LETTER = 20
"""Pixels of a letter at the edge of a slice."""
SECTIONS = (("coronal", 0.49), ("coronal", 0.42), ("axial", 0.42), ("sagittal", 0.35))
"""Plane and place along its axis in the 192 mm cube: through the hippocampi, behind them, through the ventricles, one temporal lobe."""
WORDS = {
    "hippocampus_mm3": "Hippocampus", "ventricles_mm3": "Ventricles", "whole_brain_mm3": "Whole brain", "entorhinal_mm3": "Entorhinal",
    "fusiform_mm3": "Fusiform", "middle_temporal_mm3": "Middle temporal", "icv_mm3": "Intracranial",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One scan on the page."""

    scan_id: str
    verdict: str
    reasons: tuple[str, ...]
    picture: bytes | None
    """PNG with outlines."""
    row: Mapping[str, Any]


def outlines(brain: Volume, labels: NDArray[np.uint8]) -> bytes:
    """Slices of a brain on the template cube with the borders of its regions, two by two, sides lettered, as a PNG."""
    from PIL import Image

    panels = []
    for plane, share in SECTIONS:
        grey = cut(brain.voxels, plane, share)[::-1]
        named = cut(labels.astype(np.float32), plane, share)[::-1].astype(np.int64)
        panels.append(_lettered(_panel(grey, named), plane))
    height, width = (max(panel.shape[axis] for panel in panels) for axis in (0, 1))
    padded = [_centred(panel, height, width) for panel in panels]
    rows = [np.concatenate(padded[first : first + 2], axis=1) for first in (0, 2)]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _centred(panel: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    down, along = height - panel.shape[0], width - panel.shape[1]
    return np.pad(panel, ((down // 2, down - down // 2), (along // 2, along - along // 2), (0, 0)))


def _lettered(panel: NDArray[np.uint8], plane: str) -> NDArray[np.uint8]:
    """The sides at its edges, with room for them."""
    from PIL import Image, ImageDraw, ImageFont

    wide = np.pad(panel, ((0, 0), (LETTER, LETTER), (0, 0)))
    picture = Image.fromarray(wide)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(LETTER)
    for x, letter in zip((3, picture.width - LETTER + 3), letters(plane), strict=True):
        draw.text((x, picture.height // 2 - LETTER // 2), letter, fill=(143, 208, 255), font=font)
    return np.asarray(picture)


def _panel(grey: NDArray[np.floating], named: NDArray[np.int64]) -> NDArray[np.uint8]:
    rows, columns = (np.flatnonzero((grey > 0).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        rows, columns = np.array([0, grey.shape[0] - 1]), np.array([0, grey.shape[1] - 1])
    window = np.s_[max(0, rows[0] - 3) : rows[-1] + 4, max(0, columns[0] - 3) : columns[-1] + 4]
    large = np.kron(np.clip(grey[window], 0, 1), np.ones((SCALE, SCALE)))
    colour = np.repeat((large * 255).astype(np.uint8)[..., None], 3, axis=2)
    fine = np.kron(named[window], np.ones((SCALE, SCALE), dtype=np.int64))
    tissue = ~np.isin(
        fine,
        [
            REGIONS.index(name)
            for name in ("outside", "lateral_ventricle", "third_ventricle", "fourth_ventricle")
        ],
    )
    colour[_border(tissue)] = BRAIN
    for name, (_, rgb) in SHOWN.items():
        colour[_border(fine == REGIONS.index(name))] = rgb
    return colour


def _border(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels inside that touch the outside."""
    padded = np.pad(inside, 1)
    around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(inside & ~around)


def volumes_page(
    entries: Sequence[Entry],
    failed: Mapping[str, str],
    left_out: Sequence[str],
    *,
    limit: int,
    simulated: bool,
    source: str,
    everything: bool,
) -> str:
    """The page of all scans, those that need a look first."""
    rank = {"fail": 0, "warn": 1, "pass": 2}
    ordered = sorted(entries, key=lambda entry: (rank[entry.verdict], entry.scan_id))
    columns = [name for name in WORDS if any(entry.row.get(name) is not None for entry in entries)]
    context = {
        "entries": [
            (entry, _inline(entry.picture), [_said(entry.row, name) for name in columns])
            for entry in ordered[:limit]
        ],
        "columns": [WORDS[name] for name in columns],
        "more": max(0, len(ordered) - limit),
        "failed": sorted(failed.items()),
        "counts": {verdict: sum(entry.verdict == verdict for entry in entries) for verdict in rank},
        "left_out": [WORDS[name].lower() for name in left_out],
        "everything": everything,
        "source": source,
        "key": [(words, f"rgb{rgb}") for words, rgb in SHOWN.values()],
        "template": any(entry.row.get("space") == "template" for entry in entries),
    }
    return render("volumes_page.html.j2", context, title="Volumes of brain regions", simulated=simulated)


def _said(row: Mapping[str, Any], name: str) -> str:
    value, error = row.get(name), row.get(f"{name}_error")
    if value is None:
        return "not given"
    return f"{value / 1000:,.1f} ± {(error or 0) / 1000:,.1f}"


def _inline(png: bytes | None) -> Markup | None:
    # Base64 has no character that HTML reads.
    return None if png is None else Markup("data:image/png;base64," + base64.b64encode(png).decode("ascii"))  # noqa: S704
