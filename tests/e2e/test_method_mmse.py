"""MMSE is optional: missing for half of the people it still trains, missing for all it trains without that term and says so."""

import json
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


def test_a_number_alone_is_learned_and_comes_back_with_the_adapter(tmp_path: Path) -> None:
    """Regression without a diagnosis, a column of one's own: a bright corner tells it, the adapter predicts it within its range."""
    rng = np.random.default_rng(1)
    rows, volumes = [], {}
    for i in range(24):
        score = 10 * i / 23
        picture = 0.1 * rng.random(TINY.shape)
        edge = 4 + 2 * i
        picture[:edge, :edge, :edge] += 0.8
        volumes[f"s{i}"] = picture.astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(volumes[f"s{i}"], TINY.affine), tmp_path / f"s{i}.nii.gz")
        rows.append(
            ManifestRow.model_validate(
                {"participant_id": f"p{i}", "scan_id": f"s{i}", "image": f"s{i}.nii.gz", "updrs.total": "n/a" if i == 5 else f"{score:.2f}"}
            )
        )  # fmt: skip
    run = train(
        "deft",
        tmp_path / "run",
        data=write_manifest(rows, tmp_path / "manifest.tsv"),
        assignments=(
            "classes=none", "targets=updrs.total(low=0,high=10,units=points)", "loss.contrastive_weight=0", "text=none",
            "projections=frozen", "loss.temperature_learned=false", "training.epochs=12", "training.batch_size=4", "optimiser.rate=0.003",
        ),
        allow=tuple(CHECKS),
        say=lambda _: None,
    ).run  # fmt: skip
    adapter = load_adapter(run / "adapter")
    assert (adapter.facts.task, adapter.facts.classes, adapter.config.training.metric) == (
        "regression",
        (),
        "mae",
    )
    assert adapter.facts.target_scores["updrs.total"].scans == len(
        read_json(run / "split.json", "a split")["train"]
    )
    last = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["mmse"] is None
    assert last["targets"]["updrs.total"] > 0
    with torch.no_grad():
        tensors = torch.stack([torch.from_numpy(volume)[None] for volume in volumes.values()])
        found = adapter.model.target_values(adapter.model.encode_image(tensors).targets)[
            "updrs.total"
        ].numpy()
    assert ((found >= 0) & (found <= 10)).all()
    assert np.corrcoef(found, np.linspace(0, 10, 24))[0, 1] > 0.8
