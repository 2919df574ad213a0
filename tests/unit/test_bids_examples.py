"""Every tree of the public BIDS examples that holds a T1w is read, with totals that add up, or refused with a sentence."""

import importlib.util
import json
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "bids_examples"
pytestmark = pytest.mark.skipif(not HERE.is_dir(), reason="the source archive has no benchmarks")


def test_the_trees_become_what_the_page_says() -> None:
    spec = importlib.util.spec_from_file_location("bids_examples", HERE / "run.py")
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    found = run.measure()
    assert found == json.loads((HERE / "results" / "trees.json").read_text(encoding="utf-8"))
    assert len(found) > 60
    for name, one in found.items():
        if "kept" in one:
            assert one["images"] == one["kept"] + one["dropped"], name
        else:
            assert one["refused"].startswith(f"{name}: no image"), one
        assert ("participants.tsv" in one.get("refused", "")) == (
            "kept" in one and "participants.tsv" not in run.trees()[name]
        )
