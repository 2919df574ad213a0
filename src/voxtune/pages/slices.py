"""Slices of a volume as radiologists expect them: superior up, anterior up in axial views, the person's right on the left, sides lettered."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANES = ("sagittal", "coronal", "axial")
View = Literal["radiological", "neurological"]
_VIEW: ContextVar[View] = ContextVar("voxtune_view", default="radiological")
_LETTERS = {"sagittal": ("P", "A"), "coronal": ("L", "R"), "axial": ("L", "R")}
"""The sides of a slice as it lies in memory, axes to right, anterior, superior."""


@contextmanager
def seen_from(view: View) -> Iterator[None]:
    """Every picture inside is drawn in this view: radiological (from the feet, as is the default) or neurological (from behind)."""
    before = _VIEW.set(view)
    try:
        yield
    finally:
        _VIEW.reset(before)


def current_view() -> View:
    """How pictures are drawn now."""
    return _VIEW.get()


def view_words() -> str:
    """What a caption says of the sides."""
    side = "left" if current_view() == "radiological" else "right"
    return f"{current_view().capitalize()} view: the person's right (R) is on the {side} of the picture."


def letters(plane: str) -> tuple[str, str]:
    """What stands at the left and at the right edge of a slice."""
    first, second = _LETTERS[plane]
    return (second, first) if _turned(plane) else (first, second)


def _turned(plane: str) -> bool:
    return plane != "sagittal" and current_view() == "radiological"


def lettered(panel: Any, plane: str, size: float = 9) -> None:
    """Write the sides on a picture, on a dark ground, so that they can be read over anything."""
    ground = {"facecolor": "black", "edgecolor": "none", "alpha": 0.55, "boxstyle": "round,pad=0.15"}
    for place, letter in zip((0.02, 0.98), letters(plane), strict=True):
        panel.text(
            place, 0.5, letter, transform=panel.transAxes, color="#8fd0ff", fontsize=size, fontweight="bold", va="center",
            ha="left" if place < 0.5 else "right", bbox=ground,
        )  # fmt: skip


def to_ras(volume: Volume) -> Volume:
    """The same voxels with axes nearest to right, anterior, superior; no resampling."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    turn = io_orientation(volume.affine)
    voxels = np.ascontiguousarray(apply_orientation(volume.voxels, turn))
    return Volume(voxels, volume.affine @ inv_ornt_aff(turn, volume.shape))


def cut(voxels: NDArray[np.float32], plane: str, share: float) -> NDArray[np.float32]:
    """One slice of RAS voxels (rows upward) in the current view, at ``share`` (0..1) of the axis across the plane."""
    axis = PLANES.index(plane)
    place = min(int(share * voxels.shape[axis]), voxels.shape[axis] - 1)
    slice_: NDArray[np.float32] = np.take(voxels, place, axis=axis).T
    return slice_[:, ::-1] if _turned(plane) else slice_


def slice_figure(
    volume: Volume, shares: Sequence[float] = (0.35, 0.5, 0.65), planes: Sequence[str] = PLANES
) -> "Figure":
    """A row of slices for each plane, grey on black, in millimetres, with the sides lettered."""
    from matplotlib.figure import Figure

    ras = to_ras(volume)
    inside = ras.voxels[np.isfinite(ras.voxels)]
    low, high = (float(np.percentile(inside, q)) for q in (1, 99.7)) if inside.size else (0.0, 1.0)
    figure = Figure(figsize=(2.2 * len(shares), 2.3 * len(planes)), facecolor="black", layout="compressed")
    axes = np.atleast_2d(np.array(figure.subplots(len(planes), len(shares), squeeze=False)))
    for row, plane in enumerate(planes):
        spacing = [ras.spacing[axis] for axis in range(3) if axis != PLANES.index(plane)]
        for column, share in enumerate(shares):
            panel = axes[row, column]
            panel.imshow(
                cut(ras.voxels, plane, share), cmap="gray", origin="lower", vmin=low, vmax=max(high, low + 1e-6),
                aspect=spacing[1] / spacing[0], interpolation="bilinear",
            )  # fmt: skip
            panel.set_axis_off()
            lettered(panel, plane)
    return figure
