"""What is taken away from an explanation or the demo carries SIMULATED, the word of its checks, and no picture of a person that others may read."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxtune.pages.demo_prints import write_demo_prints
from voxtune.pages.explain_prints import DOUBTED, write_group_prints, write_scan_prints
from voxtune.types.volume import Volume

GRID = np.linspace(-1, 1, 12**3, dtype=np.float32).reshape(12, 12, 12)
SCAN, HEAT = (Volume(some, np.diag([2.0, 2.0, 2.0, 1.0])) for some in (GRID + 2, GRID))
REGION = {"label": 1, "region": "left hippocampus", "share": 0.3, "volume_share": 0.01, "null_low": 0.0, "null_high": 0.1, "p": 0.01, "q": 0.02, "drop": 0.4}  # fmt: skip
CURVE = {"scores": [1.0, 0.5, 0.0], "random_mean": [1.0, 0.8, 0.0], "random_low": [1.0, 0.7, 0.0], "random_high": [1.0, 0.9, 0.0], "p": 0.04}  # fmt: skip
ONE: dict[str, Any] = {
    "simulated": True,
    "warnings": ["Do not lean on this explanation."],
    "scan": "sub-01_ses-02",
    "target": {"name": "AD", "says": "the log-odds of AD"},
    "maps": {"heat": {"title": "Grad-ECLIP"}},
    "regions": [REGION],
    "checks": {"curves": [{"kind": "deletion", **CURVE}, {"kind": "insertion", **CURVE}]},
    "verdicts": [{"check": "Shuffled labels?", "found": "0.9 & more", "verdict": "no", "kind": "warn"}],
    "text": {"bars": [("Hippocampal volume", {"value": 0.02, "share": 1.0}), ("label sentence and frame", {"value": -0.01, "share": 0.5})]},
}  # fmt: skip


def mean(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n_scans": 6, "n_participants": 6}


STAGES = {"NC": mean(0.1, 0.05, 0.2), "AD": mean(0.3), "MCI": mean(None)}
GROUP: dict[str, Any] = {
    "simulated": False,
    "warnings": [],
    "groups": {stage: {"scans": 6, "participants": 6} for stage in STAGES},
    "target": {"says": "the log-odds of AD"},
    "text": {"parts": {stage: {"Hippocampal volume": one} for stage, one in STAGES.items()}},
    "regions": [{"region": "left hippocampus", **STAGES}],
    "shuffled_weights": mean(0.1, 0.0, 0.2),
    "shuffled_labels": mean(None),
}


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "tables" / f"{name}.csv").read_text(encoding="utf-8"))))


def drawn(folder: Path) -> set[str]:
    return {path.name for path in (folder / "figures").iterdir()}


def test_an_explanation_leaves_its_figures_and_tables(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "of_before.pdf").touch()
    write_scan_prints(ONE, SCAN, {"heat": HEAT}, tmp_path)
    names = {"heat", "regions", "deletion_insertion", "words"}
    assert drawn(tmp_path) == {f"{name}.{ending}" for name in names for ending in ("svg", "pdf")}
    for name in names:
        text = (tmp_path / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        said = re.sub(r"\s+", " ", " ".join(re.findall(r"<!-- (.*?) -->", text, re.DOTALL)))
        assert "SIMULATED" in said
        assert DOUBTED in said
        assert "sub-01" not in text
        assert b"Type0" in (tmp_path / "figures" / f"{name}.pdf").read_bytes(), (
            "letters that a printer must have itself"
        )
    assert (tmp_path / "figures" / "heat.pdf").stat().st_mode & 0o077 == 0, (
        "a slice of a person for everybody to read"
    )
    assert (
        rows(tmp_path, "regions")[0] | {"share": "0.3", "simulated": "true"} == rows(tmp_path, "regions")[0]
    )
    assert rows(tmp_path, "checks")[0]["verdict"] == "no"
    assert r"0.9 \& more" in (tmp_path / "tables" / "checks.tex").read_text()
    assert [one["value"] for one in rows(tmp_path, "words")] == ["0.02", "-0.01"]
    again = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    write_scan_prints(ONE, SCAN, {"heat": HEAT}, tmp_path)
    assert {path: path.read_bytes() for path in again} == again


def test_without_words_or_an_atlas_the_rest_is_there_and_no_doubt_is_invented(tmp_path: Path) -> None:
    bare = ONE | {"text": None, "regions": [], "warnings": [], "simulated": False}
    bare["checks"] = {"curves": ONE["checks"]["curves"][:1]}
    write_scan_prints(bare, SCAN, {"heat": HEAT}, tmp_path)
    assert drawn(tmp_path) == {
        f"{name}.{end}" for name in ("heat", "deletion_insertion") for end in ("svg", "pdf")
    }
    text = (tmp_path / "figures" / "heat.svg").read_text(encoding="utf-8")
    assert "SIMULATED" not in text
    assert DOUBTED not in text
    assert "simulated" not in rows(tmp_path, "checks")[0]


@pytest.mark.parametrize(
    ("changed", "names"), [({}, {"biomarkers", "regions"}), ({"text": None, "regions": []}, set())]
)
def test_a_cohort_leaves_biomarkers_and_regions_by_stage(
    tmp_path: Path, changed: dict[str, Any], names: set[str]
) -> None:
    (tmp_path / "figures").mkdir()
    write_group_prints(GROUP | changed, tmp_path)
    assert drawn(tmp_path) == {f"{name}.{ending}" for name in names for ending in ("svg", "pdf")}
    assert [one["value"] for one in rows(tmp_path, "checks")] == ["0.1", ""]
    for name in names:
        assert [one["low"] for one in rows(tmp_path, name)] == ["0.05", "", ""]


def test_the_demo_leaves_its_comparison_and_its_regions(tmp_path: Path) -> None:
    metrics = {
        "accuracy": mean(0.8, 0.7, 0.9),
        "baseline/majority/accuracy": mean(0.4),
        "baseline/text/accuracy": mean(None),
    }
    drops = [
        {"region": "hippocampus", "drop": 0.3, "voxels": 10},
        {"region": "whole_brain", "drop": 0.5, "voxels": 90},
    ]
    write_demo_prints({"metrics": metrics, "explanation": {"drops": drops}}, tmp_path)
    assert drawn(tmp_path) == {
        f"{name}.{end}" for name in ("accuracy", "hidden_regions") for end in ("svg", "pdf")
    }
    assert [one["model"] for one in rows(tmp_path, "accuracy")] == [
        "fine-tuned (recipe deft)",
        "most frequent class",
    ]
    assert [one["region"] for one in rows(tmp_path, "hidden_regions")] == ["whole brain", "hippocampus"]
    assert all(one["simulated"] == "true" for one in rows(tmp_path, "accuracy"))
