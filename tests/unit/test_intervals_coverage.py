"""The stored coverage benchmark meets its target, and a small one run here agrees with it."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_benchmark", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stored_intervals_hold_the_truth_as_often_as_they_say() -> None:
    stored = json.loads(
        next((FOLDER / "results").glob("clustered-intervals--*.json")).read_text(encoding="utf-8")
    )
    assert stored["data"] == "SIMULATED"
    assert len(stored["settings"]) >= 6
    for one in stored["settings"]:
        assert one["test_sets"] >= 500
        for name in ("accuracy", "auroc"):
            assert 0.92 <= one["coverage"][f"{name}, clustered"] <= 0.97, one
            assert one["coverage"][f"{name}, naive"] < 0.9, one


def test_a_small_run_agrees(benchmark: ModuleType) -> None:
    found = benchmark.run(participants=30, shared=0.7, sets=60, resamples=300, seed=11)
    assert found["coverage"]["accuracy, clustered"] >= 0.85
    assert found["coverage"]["auroc, clustered"] >= 0.85
    assert found["coverage"]["auroc, naive"] < found["coverage"]["auroc, clustered"] - 0.1
    assert found["mean_width"]["auroc, naive"] < 0.7 * found["mean_width"]["auroc, clustered"]


def test_the_truth_of_the_simulation_is_the_truth(benchmark: ModuleType) -> None:
    import numpy as np
    from sklearn.metrics import roc_auc_score

    rows = benchmark.test_set(4000, 0.5, np.random.default_rng(0))
    label = [row.diagnosis == "AD" for row in rows]
    truth = benchmark.run(participants=4, shared=0.5, sets=1, resamples=2, seed=0)["truth"]
    assert np.mean([row.predicted == row.diagnosis for row in rows]) == pytest.approx(
        truth["accuracy"], abs=0.015
    )
    assert roc_auc_score(label, [row.probabilities["AD"] for row in rows]) == pytest.approx(
        truth["auroc"], abs=0.015
    )
