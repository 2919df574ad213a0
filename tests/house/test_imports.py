"""Which heavy libraries a command may import: a start is waited for, and what nobody needs is not paid for."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEVER = {"accelerate", "lightning_fabric", "monai", "nilearn", "peft", "torch._dynamo", "transformers"}
"""Of no command that trains prompts in one process, or answers: only where a recipe names them (lora, ia3, augment, several devices)."""
MAY = {
    "train, a cohort never seen": {"pandas", "scipy", "sklearn", "torch"},
    "train, the same cohort again": {"pandas", "scipy", "sklearn", "torch"},
    "predict, a preprocessed volume": {"matplotlib", "scipy", "torch"},
    "--help": set(),
    "import torch": {"torch"},
}
"""pandas and scipy come with sklearn, which the audit asks whether texts or pictures give a label away; matplotlib draws the page."""


@pytest.fixture(scope="module")
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start_run", ROOT / "benchmarks" / "start" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processor seconds of a process as Linux counts them")
def test_a_command_imports_what_it_uses(start: ModuleType, tmp_path: Path) -> None:
    found = start.measured(tmp_path)
    assert found.keys() == MAY.keys()
    for name, one in found.items():
        extra = set(one["modules"]) - MAY[name]
        assert not extra, f"{name}: imports {sorted(extra)} and does not use it"
        assert not extra & NEVER
    torch = found["import torch"]["seconds"]
    assert found["predict, a preprocessed volume"]["seconds"] < 6 * torch, "torch alone is most of a start"
    assert found["train, the same cohort again"]["seconds"] < 6 * torch


def test_a_library_that_is_imported_is_seen(start: ModuleType, tmp_path: Path) -> None:
    seen = start.spent(start.COMMAND + "import scipy\nsaid()\n", "-", cwd=tmp_path)
    assert seen["modules"] == ["scipy"]
    assert 0 < seen["seconds"] < 60
