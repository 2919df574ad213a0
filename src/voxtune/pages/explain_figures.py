"""Heat over anatomy: slices with the sides lettered and a colour bar that says what the colours mean."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxtune.pages.layout import ACCENT
from voxtune.pages.slices import PLANES, current_view, cut, lettered, to_ras
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float32]
STRONGEST = 0.8
"""Opacity of heat 1."""
FAINTEST = 0.05
"""Heat below this is not drawn."""
INK = "#e6edf3"
VIEWER_STYLE = f"html {{ color-scheme: only light; }} body {{ background: #000; color: {INK}; margin: 0; font: 14px sans-serif; }}"
"""The viewer is a page in a page: without a ground of its own it takes that of the browser, white or dark."""
HIPPOCAMPI = 0.48
"""Where the coronal slice through both hippocampi lies along the template cube."""


def heat_figure(scan: Volume, heat: Volume, label: str) -> "Figure":
    """Three planes of a scan, each through the middle, a little off it, and the hottest place, with heat over them.

    Args:
        scan: the grey picture.
        heat: on its voxels, -1..1.
        label: of the colour bar.
    """
    from matplotlib.figure import Figure

    grey, hot = to_ras(scan), to_ras(heat)
    peak = np.unravel_index(int(np.abs(hot.voxels).argmax()), hot.shape)
    figure = Figure(figsize=(8.4, 7.0), facecolor="black", layout="compressed")
    panels = figure.subplots(3, 4, squeeze=False)
    window = window_of(grey)
    for row, plane in enumerate(PLANES):
        hottest = (float(peak[row]) + 0.5) / hot.shape[row]
        for column, share in enumerate((0.36, HIPPOCAMPI, 0.6, hottest)):
            panel = panels[row, column]
            overlay(panel, grey, hot, plane, share, window)
            if row == 0 and column == 3:
                panel.set_title("through the hottest place", color=INK, fontsize=9)
    _bar(figure, panels, label, signed=bool((hot.voxels < -FAINTEST).any()))
    return figure


def panel_figure(
    scan: Volume | Mapping[str, Volume],
    panel: Mapping[tuple[str, str], Volume],
    label: str,
    *,
    share: float = HIPPOCAMPI,
) -> "Figure":
    """The figure of the paper: one coronal slice for each row (class, stage) and column (biomarker kept alone).

    Args:
        scan: the grey picture of every row, or one for each row.
        panel: heat by row and column.
        label: of the colour bar.
        share: where the slice lies along the axis from back to front.
    """
    from matplotlib.figure import Figure

    rows, columns = (list(dict.fromkeys(place[i] for place in panel)) for i in (0, 1))
    figure = Figure(
        figsize=(1.75 * len(columns) + 0.9, 1.75 * len(rows) + 0.6), facecolor="black", layout="compressed"
    )
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    for i, row in enumerate(rows):
        grey = to_ras(scan if isinstance(scan, Volume) else scan[row])
        window = window_of(grey)
        for j, column in enumerate(columns):
            place = panels[i, j]
            if (row, column) in panel:
                overlay(place, grey, to_ras(panel[row, column]), "coronal", share, window)
            place.axis("off")
            if i == 0:
                place.set_title(_wrapped(column), color=INK, fontsize=8)
            if j == 0:
                place.text(
                    -0.12,
                    0.5,
                    row,
                    transform=place.transAxes,
                    rotation=90,
                    ha="center",
                    va="center",
                    color=INK,
                    fontsize=10,
                )
    _bar(figure, panels, label, signed=False)
    return figure


def overlay(
    panel: Any, grey: Volume, hot: Volume, plane: str, share: float, window: tuple[float, float]
) -> None:
    """One slice of a RAS volume with heat over it, superior up, in the current view; black and white at ``window``."""
    spacing = [grey.spacing[axis] for axis in range(3) if axis != PLANES.index(plane)]
    aspect = spacing[1] / spacing[0]
    picture = cut(grey.voxels, plane, share)
    panel.imshow(
        picture,
        cmap="gray",
        origin="lower",
        vmin=window[0],
        vmax=window[1],
        aspect=aspect,
        interpolation="bilinear",
    )
    heat = cut(hot.voxels, plane, share)
    extent = (-0.5, picture.shape[1] - 0.5, -0.5, picture.shape[0] - 0.5)
    panel.imshow(coloured(heat), origin="lower", aspect=aspect, interpolation="bilinear", extent=extent)
    panel.set_axis_off()
    lettered(panel, plane, 11)


def window_of(grey: Volume) -> tuple[float, float]:
    """The 1st and 99.7th percentile of a volume."""
    inside = grey.voxels[np.isfinite(grey.voxels)]
    low, high = float(np.percentile(inside, 1)), float(np.percentile(inside, 99.7))
    return low, max(high, low + 1e-6)


def coloured(values: Array) -> Array:
    """Red to yellow above 0, blue to cyan below, as opaque as they are strong (..., RGBA)."""
    strength = np.clip(np.abs(values), 0, 1)
    warm = (values > 0).astype(np.float32)
    opacity = np.where(strength < FAINTEST, 0, np.sqrt(strength) * STRONGEST)
    return np.stack([warm, strength, 1 - warm, opacity], axis=-1).astype(np.float32)


def curves_figure(curves: Sequence[Mapping[str, Any]], says: str) -> "Figure":
    """Deletion and insertion: the score along the way, against random orders."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 2.9), layout="constrained")
    panels = np.atleast_1d(np.array(figure.subplots(1, len(curves), sharey=True)))
    for panel, one in zip(panels, curves, strict=True):
        x = np.linspace(0, 100, len(one["scores"]))
        panel.fill_between(
            x, one["random_low"], one["random_high"], color="0.85", label="random orders, middle 95%"
        )
        panel.plot(x, one["random_mean"], color="0.5", linestyle="--", label="random orders, mean")
        panel.plot(x, one["scores"], color=ACCENT, marker="o", markersize=3, label="hottest first")
        verb = "hidden" if one["kind"] == "deletion" else "shown"
        panel.set(xlabel=f"cells {verb}, %", title=f"{one['kind']}, p = {one['p']:.2f}")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(_wrapped(says, 26), fontsize=8)
    panels[0].legend(fontsize=7, frameon=False)
    return figure


def viewer(scan: Volume, heat: Volume) -> str:
    """Nilearn's interactive viewer of heat over a scan as a page of its own; it loads nothing from anywhere.

    The same volumes give the same text.
    """
    import warnings

    import nibabel
    from matplotlib.colors import ListedColormap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nilearn.plotting import view_img

        grey, hot = to_ras(scan), to_ras(heat)
        shown = _image(nibabel, np.where(np.abs(hot.voxels) < FAINTEST, 0, hot.voxels), hot)
        signed = bool((hot.voxels < -FAINTEST).any())
        scale = np.linspace(-1 if signed else 0, 1, 256, dtype=np.float32)
        made = view_img(
            shown, bg_img=_image(nibabel, grey.voxels - grey.voxels.min(), grey), cut_coords=_hottest(hot), threshold=FAINTEST, cmap=ListedColormap(coloured(scale)[:, :3].tolist()),
            vmin=-1 if signed else 0, vmax=1, symmetric_cmap=signed, black_bg=True, dim=0, opacity=0.65, title=None,
            radiological=current_view() == "radiological", show_lr=True,
        )  # fmt: skip
    page = re.sub(r"<link rel=\"icon\".*?/>", "", str(made.get_standalone()), flags=re.DOTALL)
    for number in set(
        re.findall(r"div_viewer-([0-9a-f]{32})", page)
    ):  # drawn at random by later versions of nilearn
        page = page.replace(number, "heat")
    return page.replace("</head>", f"<style>{VIEWER_STYLE}</style></head>", 1)


def _hottest(hot: Volume) -> tuple[float, float, float]:
    """Where the strongest heat lies, mm."""
    place = np.unravel_index(int(np.abs(hot.voxels).argmax()), hot.shape)
    x, y, z = hot.affine[:3, :3] @ np.array(place, dtype=np.float64) + hot.affine[:3, 3]
    return float(x), float(y), float(z)


def _image(nibabel: Any, voxels: Array, place: Volume) -> Any:
    return nibabel.Nifti1Image(np.asarray(voxels, dtype=np.float32), place.affine)


def _bar(figure: "Figure", panels: Any, label: str, *, signed: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    scale = np.linspace(-1 if signed else 0, 1, 256, dtype=np.float32)
    colours = coloured(scale)
    over_black = colours[:, :3] * colours[:, 3:]
    mappable = ScalarMappable(Normalize(float(scale[0]), 1.0), ListedColormap(over_black.tolist()))
    bar = figure.colorbar(mappable, ax=panels, orientation="horizontal", shrink=0.6, aspect=40, pad=0.02)
    bar.set_label(_wrapped(label, 110), color=INK, fontsize=8)
    bar.ax.tick_params(colors=INK, labelsize=8)
    bar.outline.set_edgecolor("#57606a")


def _wrapped(text: str, width: int = 18) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
