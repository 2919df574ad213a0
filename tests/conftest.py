"""Where shared scans and golden numbers are, and the switches of the suite."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_folder(variable: str, default: str) -> Path:
    """The folder that a variable names, or its default beside the repository."""
    return Path(os.environ.get(variable) or ROOT.parent / "shared" / default).resolve()


@pytest.fixture(autouse=True)
def _same_draws_in_any_order() -> None:
    """What a test draws from torch's own generator does not depend on the tests that ran before it in its process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _children_unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marker ``no_cover`` holds for the processes that a test starts too."""
    if request.node.get_closest_marker("no_cover"):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real scans and tables; skips where absent."""
    path = shared_folder("VOXTUNE_DATA", "data")
    if not path.is_dir():
        pytest.skip("real scans are absent (set VOXTUNE_DATA to their folder)")
    return path


@pytest.fixture(scope="session")
def shared_parity() -> Path:
    """Golden numbers of the original classes; skips where absent."""
    path = shared_folder("VOXTUNE_PARITY", "parity")
    if not path.is_dir():
        pytest.skip("golden numbers are absent (set VOXTUNE_PARITY to their folder)")
    return path
