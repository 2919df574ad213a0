"""The mutation check itself, and what it has left: every change that no test noticed is explained."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "mutation"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", HERE / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted((HERE / "results").glob("*.json")), ids=lambda path: path.stem)
def test_what_no_test_notices_is_explained(path: Path) -> None:
    for one in json.loads(path.read_text(encoding="utf-8"))["files"]:
        assert one["survivors"] == [], one["file"]
        assert one["noticed"] + len(one["equivalent"]) == one["changes"]
        assert all(len(some["reason"]) > 20 for some in one["equivalent"])


def test_every_operator_and_constant_is_changed_once(tool: ModuleType) -> None:
    source = '"""A docstring 1."""\nLIMIT: int = 3\n\n\ndef f(a: float, b: float = 2) -> bool:\n    """Text."""\n    return a + b < 1 and not a or max(a, b) == -b\n'
    changed = {one.source for one in tool.mutants(source)}
    for wanted in (
        "a - b < 1",
        "a + b <= 1",
        "a + b < 2",
        "and a or",
        "< 1 and a or",
        "min(a, b)",
        "!= -b",
        "== b",
        "LIMIT: int = 4",
        "b: float=3",
    ):
        assert any(wanted in one for one in changed), wanted
    assert not any("docstring 2" in one for one in changed)
    assert len(changed) == len(tool.mutants(source))


def test_what_states_an_invariant_or_raises_is_left_alone(tool: ModuleType) -> None:
    source = (
        "def f(a):\n    assert a > 0\n    for _ in zip(a, a, strict=True):\n        raise ValueError(1 + 1)\n"
    )
    assert tool.mutants(source) == []
