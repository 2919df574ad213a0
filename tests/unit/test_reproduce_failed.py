"""Cells that failed end ``voxtune reproduce`` with code 5, after its tables: a script that goes by the code is not misled."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.commands.reproduce.command import Reproduced


@pytest.mark.parametrize("failed", [{}, {"tiny-trained--seed0": "OSError: no room"}])
@pytest.mark.parametrize("words", [[], ["--cohorts", "1"]])
def test_the_code_says_whether_cells_failed(
    failed: dict[str, str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Reproduced(tmp_path, "Table 3: 1 row.", failed)
    monkeypatch.setattr("voxtune.commands.reproduce.command.reproduce", lambda *_: done)
    monkeypatch.setattr("voxtune.commands.testbed.asked.run_testbed", lambda *_: done)
    said = CliRunner().invoke(main, ["reproduce", "deft", "-o", str(tmp_path / "out"), *words])
    assert "Table 3: 1 row." in said.output
    assert said.exit_code == (5 if failed else 0)
    assert ("no room" in said.output) == bool(failed)
