"""The picture of what augmentation does: the right slice the right way up, scans before and after, nothing where nothing changes."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voxtune.commands.train.draw_augmentation import _axial, augmentation_picture
from voxtune.config import AugmentSettings
from voxtune.data.manifest import write_manifest
from voxtune.errors import UsageError
from voxtune.imaging.template import field_of_view
from voxtune.imaging.write import write_volume
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume
from voxtune_recipes.deft import recipe


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SLP", "SPL", "PLS", "ASR"])
def test_the_middle_axial_slice_stands_with_the_front_up(axes: str) -> None:
    shape = [4, 4, 4]
    up = next(place for place, letter in enumerate(axes) if letter in "SI")
    ahead = next(place for place, letter in enumerate(axes) if letter in "AP")
    shape[up] = 7
    voxels = np.zeros(shape, dtype=np.float32)
    front = [slice(None)] * 3
    front[up], front[ahead] = slice(3, 4), slice(-1, None) if axes[ahead] == "A" else slice(0, 1)
    voxels[tuple(front)] = 1
    drawn = _axial(voxels, axes)
    assert drawn.shape == (4, 4)
    assert (drawn[0] == 1).all(), "the front is the first row"
    assert (drawn[1:] == 0).all()


def test_training_scans_are_drawn_before_and_after(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    rows = []
    for number in range(6):
        ball = np.linalg.norm(np.indices((64, 64, 64)) - 32, axis=0) < 12 + 2 * number
        image = write_volume(
            Volume((0.3 * ball).astype(np.float32), field_of_view(64)), tmp_path / f"{number}.nii.gz"
        )
        rows.append(
            ManifestRow(participant_id=f"p{number}", scan_id=f"s{number}", image=image.name, diagnosis="NC")
        )
    manifest = write_manifest(rows, tmp_path / "manifest.tsv")
    augmented = recipe().model_copy(
        update={"preset": "tiny", "augment": AugmentSettings(enabled=True, probability=1)}
    )

    def brightness(settings: AugmentSettings) -> tuple[float, float]:
        """Of the row of scans as read, and of the row below as training saw them."""
        source = augmentation_picture(augmented.model_copy(update={"augment": settings}), rows, manifest)
        assert source is not None
        data = base64.b64decode(str(source).partition("base64,")[2].partition('"')[0])
        drawn = np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float)
        return drawn[: len(drawn) // 2].mean(), drawn[len(drawn) // 2 :].mean()

    still = {"rotation": 0, "scaling": 0, "shift": 0, "intensity_shift": 0, "noise": 0}
    before, same = brightness(AugmentSettings(enabled=True, probability=1, intensity_scale=0, **still))
    assert before > 20, "the scans are to be seen"
    assert same == pytest.approx(before, rel=0.02)
    before, changed = brightness(AugmentSettings(enabled=True, probability=1, intensity_scale=0.9, **still))
    assert changed != pytest.approx(before, rel=0.05)
    assert (
        augmentation_picture(augmented.model_copy(update={"augment": AugmentSettings()}), rows, manifest)
        is None
    )
    assert augmentation_picture(augmented, [], manifest) is None


def test_without_monai_the_picture_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "monai.transforms", None)
    row = ManifestRow(participant_id="p", scan_id="s", image="a.nii.gz", diagnosis="NC")
    config = recipe().model_copy(update={"preset": "tiny", "augment": AugmentSettings(enabled=True)})
    with pytest.raises(UsageError, match="pip install 'monai>="):
        augmentation_picture(config, [row], tmp_path / "manifest.tsv")
