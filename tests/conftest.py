"""Where shared scans and golden numbers are, and the switches of the suite."""

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parents[1]


def shared_folder(variable: str, default: str) -> Path:
    """The folder that a variable names, or its default beside the repository."""
    return Path(os.environ.get(variable) or ROOT.parent / "shared" / default).resolve()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of whole paths first, on each of two processes.

    pytest-xdist cuts the list in the middle and lets a process that is done take from the end of another's part. What is taken
    then are single unit tests; of a file of whole paths it would be a few tests for which the file's cohort is made once more.
    """
    whole = [item for item in items if "e2e" in item.path.parts]
    rest = [item for item in items if "e2e" not in item.path.parts]
    files = list(dict.fromkeys(item.path for item in whole))
    first, second = ([item for item in whole if item.path in set(files[k::2])] for k in (0, 1))
    cut = max(0, len(items) // 2 - len(first))
    items[:] = [*first, *rest[:cut], *second, *rest[cut:]]


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not look at it again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _same_draws_in_any_order() -> None:
    """What a test draws from torch's own generator does not depend on the tests that ran before it in its process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _children_unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marker ``no_cover`` holds for the processes that a test starts too, ``no_cover_children`` for them alone."""
    if request.node.get_closest_marker("no_cover") or request.node.get_closest_marker("no_cover_children"):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture(scope="session")
def unmeasured() -> dict[str, str]:
    """The environment for a process that runs other people's code, or ours on paths that other tests measure."""
    return {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}


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
