"""The tests on a changed source, in a fork of this process: quick tests first, stopped at the first that fails."""

import importlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
# It fails where the machine is busy, whatever the source says.
CLOCKED = ("tests/unit/test_metrics_evaluate.py::test_a_study_of_the_papers_size_takes_seconds",)
HUNG = "hung"


def warm() -> None:
    """Import once what every fork needs and no change touches."""
    for name in (
        "pytest", "hypothesis", "beartype", "jaxtyping", "pandas", "pydantic", "safetensors.torch", "scipy.stats", "sklearn.linear_model",
        "sklearn.metrics",
    ):  # fmt: skip
        importlib.import_module(name)
    torch.set_num_threads(1)


@dataclass(eq=False)
class Order:
    """A pytest plugin: runs the tests that took least first, and remembers what each took and which failed."""

    seconds: dict[str, float]
    first: str | None
    """A test to run before all others: the last one that noticed a change."""
    failed: str | None = None
    took: dict[str, float] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Put quick tests first."""
        items.sort(key=lambda item: (item.nodeid != self.first, self.seconds.get(item.nodeid, 0.0)))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add what set-up, call and clean-up took."""
        self.took[report.nodeid] = self.took.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed = report.nodeid


@dataclass(eq=False)
class Trial:
    """A running fork, and after its end what it found."""

    change: str
    folder: Path
    pid: int
    limit: float
    began: float = field(default_factory=time.monotonic)
    passed: bool = False
    by: str = ""
    """The test that failed, or what else stopped the run."""
    took: dict[str, float] = field(default_factory=dict)

    def ended(self) -> bool:
        """Whether it is over; one that takes longer than its limit is ended, which counts as noticed."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if not done:
            if time.monotonic() - self.began < self.limit:
                return False
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.by = HUNG
            return True
        report = self.folder / "report.json"
        found = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
        self.passed = os.waitstatus_to_exitcode(status) == 0
        self.took = found.get("took", {})
        self.by = found.get("failed") or "the tests could not be collected"
        return True


def start(change: str, folder: Path, tests: list[str], order: Order, limit: float) -> Trial:
    """Run the tests on ``folder/src`` in a fork."""
    (folder / "report.json").unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(_child(folder, tests, order))
        finally:
            os._exit(1)
    return Trial(change, folder, pid, limit)


def _child(folder: Path, tests: list[str], order: Order) -> int:
    os.setpgrp()
    said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.path.insert(0, str(folder / "src"))
    sys.dont_write_bytecode = True
    os.chdir(ROOT)
    import pytest
    from hypothesis import Phase, settings

    # The same examples each time and no smaller counterexample looked for: a test notices no more and no less by that.
    settings.register_profile(
        "once", phases=[Phase.explicit, Phase.generate], database=None, derandomize=True
    )
    settings.load_profile("once")
    # Already imported modules cannot be rewritten, which pytest says as a warning.
    quietly = ["-W", "ignore::pytest.PytestAssertRewriteWarning", "-p", "no:cacheprovider", "-p", "no:xdist"]
    left_out = [f"--deselect={one}" for one in CLOCKED]
    answer = int(pytest.main(["-x", "-q", *quietly, *left_out, *tests], plugins=[order]))
    found = json.dumps({"failed": order.failed, "took": order.took})
    (folder / "report.json").write_text(found, encoding="utf-8")
    return answer
