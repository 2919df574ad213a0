"""Adapters that earlier versions exported load and answer as they did then (``tests/bytes/freeze.py`` keeps them)."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.data.manifest import read_table

KEPT = Path(__file__).parents[1] / "golden" / "adapters"
CASES = sorted(path.parent for path in KEPT.glob("*/*/answer.json"))
TOLERANCE = 1e-3
"""Of probabilities and points: answers are equal to the bit on one machine only."""


def test_every_release_has_its_adapters() -> None:
    assert {folder.parent.name for folder in CASES} >= {"0.1"}


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_an_older_adapter_answers_the_same(folder: Path, tmp_path: Path) -> None:
    arguments = ["predict", str(folder / "adapter"), str(folder / "scan.nii.gz"), "-o", str(tmp_path)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    (row,) = read_table(tmp_path / "predictions.tsv")
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    assert answer.keys() <= row.keys()
    for name, before in answer.items():
        try:
            value = float(before)
        except ValueError:
            assert row[name] == before, name
        else:
            assert float(row[name]) == pytest.approx(value, abs=TOLERANCE), name
