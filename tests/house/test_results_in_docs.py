"""Figures in the docs are those of the result files."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_are_written_from_the_results() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/tables.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_errors_of_volumes_are_those_of_the_shipped_network() -> None:
    assets = ROOT / "src" / "voxtune" / "segmentation" / "assets"
    network = hashlib.sha256((assets / "regions.safetensors").read_bytes()).hexdigest()
    stated = json.loads((assets / "accuracy.json").read_text(encoding="utf-8"))
    assert stated["measured_with"] == network, "python benchmarks/volumes/accuracy.py writes them anew"
    results = sorted((ROOT / "benchmarks" / "volumes" / "results").glob("*.json"))
    assert results
    for result in results:
        of = json.loads(result.read_text(encoding="utf-8"))["network"]
        assert network.startswith(of), f"{result.name}: python benchmarks/volumes/run.py measures again"
