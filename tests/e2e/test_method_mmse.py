"""MMSE is optional: missing for half of the people it still trains, missing for all it trains without that term and says so."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from voxtune.audit.report import CHECKS
from voxtune.commands.train.command import train
from voxtune.data.manifest import write_manifest
from voxtune.imaging.presets import TINY
from voxtune.model.adapter import load_adapter
from voxtune.run_dir import read_json
from voxtune.types.records import ManifestRow


def cohort(folder: Path, known: str) -> Path:
    """Sixteen people of two classes, noise whose brightness follows the class; ``known``: who has a score."""
    rng = np.random.default_rng(0)
    rows = []
    folder.mkdir()
    for i in range(16):
        ill = i % 2
        voxels = (0.3 * rng.random(TINY.shape) + 0.3 * ill).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(voxels, TINY.affine), folder / f"s{i}.nii.gz")
        score = 28.0 - 6 * ill + float(rng.integers(-1, 2))
        rows.append(
            ManifestRow(
                participant_id=f"p{i}", scan_id=f"s{i}", image=f"s{i}.nii.gz", diagnosis=("NC", "AD")[ill], age=70.0 + i % 5,
                mmse=score if known == "half" and i % 4 < 2 else None, hippocampus_mm3=7000.0 - 1500 * ill + 50 * float(rng.normal()),
            )
        )  # fmt: skip
    return write_manifest(rows, folder / "manifest.tsv")


@pytest.mark.parametrize(("recipe", "known"), [("deft", "half"), ("deft_lora", "none")])
def test_training_with_some_scores_and_with_none(tmp_path: Path, recipe: str, known: str) -> None:
    said: list[str] = []
    run = train(
        recipe,
        tmp_path / "run",
        data=cohort(tmp_path / "cohort", known),
        assignments=("training.epochs=1", "training.batch_size=8"),
        allow=tuple(CHECKS),
        say=said.append,
    ).run
    adapter = load_adapter(run / "adapter")
    config = read_json(run / "config.json", "settings")
    announced = any("the MMSE term is off" in line for line in said)
    if known == "half":
        assert not announced
        assert config["mmse"]["enabled"]
        assert 20 < float(adapter.model.target_heads["mmse"].mean) < 30
    else:
        assert announced
        assert not config["mmse"]["enabled"]
        assert adapter.model.target_heads == {}
    assert any("parameters are trained" in line and "MiB in the adapter" in line for line in said)
    with torch.no_grad():
        image = adapter.model.encode_image(torch.rand(1, 1, 64, 64, 64))
    assert ("mmse" in image.targets) == (known == "half")
