"""What augmentation does to training volumes, for the eye: the same slices as read and as an epoch of training saw them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    import numpy as np
    from markupsafe import Markup
    from numpy.typing import NDArray

SHOWN = 4
"""Training scans in the picture."""


def augmentation_picture(config: RunConfig, rows: Sequence[ManifestRow], manifest: Path) -> "Markup | None":
    """The picture as the source of an image; ``None`` where the run changes nothing or there is no scan.

    Raises:
        UsageError: the changes need a library that is not installed.
    """
    from matplotlib.figure import Figure

    from voxtune.data.augment import augmentation
    from voxtune.data.images import load_preset, scan_reader
    from voxtune.pages.layout import image

    chosen = rows[:: max(1, len(rows) // SHOWN)][:SHOWN]
    preset = load_preset(config.preset)
    change = augmentation(config.augment, preset, config.seed)
    if change is None or not chosen:
        return None
    read = scan_reader(manifest, chosen, preset)
    low = preset.value_range[0]
    high = min(preset.value_range[1], 0.4)  # bone may be white, or soft tissue is one grey
    figure = Figure(figsize=(2.3 * len(chosen), 4.6), facecolor="black", layout="compressed")
    panels = figure.subplots(2, len(chosen), squeeze=False)
    for column, row in enumerate(chosen):
        before = read(row.scan_id)
        for line, volume in enumerate((before, change(before, row.scan_id, 0))):
            panel = panels[line, column]
            panel.imshow(_axial(volume[0].numpy(), preset.axes), cmap="gray", vmin=low, vmax=high)
            panel.set_axis_off()
    return image(figure, dpi=90)


def _axial(voxels: "NDArray[np.float32]", axes: str) -> "NDArray[np.float32]":
    """The axial slice through the middle, rows from front to back."""
    import numpy as np

    up = next(place for place, letter in enumerate(axes) if letter in "SI")
    kept = [letter for letter in axes if letter not in "SI"]
    middle: NDArray[np.float32] = np.take(voxels, voxels.shape[up] // 2, axis=up)
    turned = middle.T if kept[0] in "LR" else middle
    back = next(letter for letter in kept if letter in "AP")
    return turned if back == "P" else turned[::-1]
