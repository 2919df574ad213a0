"""The worker process itself, spoken to as the server does: JSON lines in, JSON lines and the files of a scan out."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxtune.commands.simulate.command import simulate
from voxtune.serving.bundled import adapter_folder
from voxtune.serving.pool import COMMAND
from voxtune.serving.scans import GREY, PAGE, RESULT, TENSOR, ZERO

SIZE = (64, 64, 64)
"""Of the preset ``tiny``."""


def spoken(tasks: list[dict[str, Any]], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """What a worker says to these tasks before its input ends."""
    text = "".join(json.dumps(line) + "\n" for line in (settings, *tasks))
    done = subprocess.run(COMMAND, input=text, capture_output=True, encoding="utf-8", check=True, timeout=300)
    return [json.loads(line) for line in done.stdout.splitlines()]


def settings(adapter: Path) -> dict[str, Any]:
    return {"adapter": str(adapter), "base": None, "threads": 1, "memory_bytes": 4 * 2**30}


def test_a_worker_predicts_draws_and_outlives_a_file_that_is_no_scan(tmp_path: Path) -> None:
    folder, broken = tmp_path / "scan", tmp_path / "broken"
    folder.mkdir()
    broken.mkdir()
    manifest = simulate(tmp_path / "cohort", participants=3, visits=1, seed=5)
    scan = min((manifest.parent / "scans").glob("*.nii.gz"))
    (broken / "b.nii").write_bytes(b"\x5c\x01\x00\x00" + bytes(400))
    tasks: list[dict[str, Any]] = [
        {"do": "predict", "folder": str(broken), "scan": str(broken / "b.nii"), "name": "b.nii"},
        {"do": "predict", "folder": str(folder), "scan": str(scan), "name": "mine.nii.gz"},
        {"do": "map", "folder": str(folder), "file": "map-AD", "target": "AD", "biomarker": None},
        {"do": "map", "folder": str(folder), "file": "map-h", "target": "AD", "biomarker": "hippocampus"},
    ]
    first, *said = spoken(tasks, settings(adapter_folder(Path("demo"))))
    facts = first["ready"]
    assert facts["targets"] == [*facts["classes"], "mmse"]
    assert "hippocampus" in facts["biomarkers"]
    assert set(facts["trust"]["familiar"]).isdisjoint({"mean", "directions", "variances"}), "people stay in"
    failed, answer, plain, asked = (line for line in said if "step" not in line)
    assert str(broken) not in failed["failed"]
    assert [line["step"] for line in said if "step" in line][-1] == "draw"
    assert answer["done"]["scan"] == "mine.nii.gz"
    assert sum(answer["done"]["probabilities"].values()) == pytest.approx(1)
    figures = answer["done"].pop("figures")  # for the server's own watch over drift, in no file
    assert figures["brain_ml"] > 0
    assert json.loads((folder / RESULT).read_text(encoding="utf-8")) == answer["done"]
    assert answer["done"]["view"] == {"shape": list(SIZE), "spacing": [3.0, 3.0, 3.0]}
    grey = np.frombuffer((folder / GREY).read_bytes(), dtype=np.uint8).reshape(SIZE, order="F")
    assert (grey.min(), grey.max()) == (0, 255)
    tensor = np.frombuffer((folder / TENSOR).read_bytes(), dtype="<f4").reshape(SIZE)
    assert np.corrcoef(grey.ravel(), tensor.ravel())[0, 1] > 0.95, "the view is of the scan, axes in order"
    heat = np.frombuffer((folder / "map-AD.u8").read_bytes(), dtype=np.uint8)
    assert heat.size == 64**3
    assert heat.min() >= ZERO - 127
    assert plain["done"]["title"] == "What speaks for AD"
    assert asked["done"]["title"] == "What speaks for AD, asked with 'Hippocampal volume' alone"
    page = (folder / PAGE).read_text(encoding="utf-8")
    for words in ("SIMULATED", "mine.nii.gz", "What speaks for AD", "Hippocampal volume"):
        assert words in page
    assert str(tmp_path) not in page


def test_a_worker_without_an_adapter_says_so_and_ends(tmp_path: Path) -> None:
    (said,) = spoken([], settings(tmp_path))
    assert "is not an adapter" in said["fatal"]
    assert said["exit_code"] == 3
