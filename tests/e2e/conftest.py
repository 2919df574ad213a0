"""What tests of whole paths share."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.imaging.step_cache import StepCache

OPERATORS = set("();<>|&")


def plain(line: str) -> list[str]:
    """The words of a command with its variables filled in; none if only a shell can run it."""
    found = shlex.shlex(line, posix=True, punctuation_chars=True)
    found.whitespace_split = True
    words = [] if "<<" in line or "*" in line else [os.path.expandvars(word) for word in found]
    return [] if any(OPERATORS.issuperset(word) or "$" in word for word in words) else words


@pytest.fixture(autouse=True)
def _steps_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow steps of preprocessing are kept from test to test: most of them ask for the same shipped head.

    Marker ``every_step`` asks for a test as slow as a user's first scan.
    """
    if request.node.get_closest_marker("every_step") is None:
        base = tmp_path_factory.getbasetemp()
        kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "steps"
        path = StepCache._path
        monkeypatch.setattr(
            StepCache, "_path", lambda cache, step, key: path(cache, step, key) or kept / f"{step}-{key[:32]}"
        )


@pytest.fixture(scope="session")
def paste() -> Callable[[str], None]:
    """A function that runs one line of a page in the working folder, as a reader would paste it, and asserts that it succeeds.

    A line that only calls ``voxtune`` runs in this process: in one of its own it would import the same libraries once more.
    """

    def run(line: str) -> None:
        words = plain(line)
        if words and words[0] == "voxtune":
            result = CliRunner().invoke(main, words[1:])
            assert result.exit_code == 0, f"{line}\n{result.output}"
            return
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", line], env={**os.environ, "PATH": path}, capture_output=True, encoding="utf-8", check=False
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"

    return run
