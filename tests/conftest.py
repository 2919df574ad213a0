"""Where shared scans and golden numbers are, and the switches of the suite."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_folder(variable: str, default: str) -> Path:
    """The folder that a variable names, or its default beside the repository."""
    return Path(os.environ.get(variable) or ROOT.parent / "shared" / default).resolve()


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
