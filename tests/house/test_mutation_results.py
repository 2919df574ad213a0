"""The mutation check itself, and what it has left: every change that no test noticed is explained."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benchmarks" / "mutation"
pytestmark = pytest.mark.skipif(not HERE.is_dir(), reason="the source archive has no benchmarks")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", HERE / "mutants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


RESULTS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((HERE / "results").glob("*.json"))
}
FILES = [one for found in RESULTS.values() for one in found["files"]]
each_file = pytest.mark.parametrize("found", FILES, ids=lambda one: one["file"])


def test_losses_splits_and_metrics_were_examined() -> None:
    assert set(RESULTS) == {"losses", "metrics", "splits"}


@each_file
def test_every_change_was_tried_and_what_no_test_notices_is_explained(found: dict[str, Any]) -> None:
    assert found["survivors"] == []
    assert len(found["noticed"]) + len(found["equivalent"]) == found["possible"]
    reasons = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    assert found["equivalent"] == {name: reasons[name] for name in found["equivalent"]}
    assert all(len(reason) > 20 for reason in found["equivalent"].values())


def test_no_reason_is_left_of_a_change_that_is_gone_or_noticed() -> None:
    reasons = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    assert set(reasons) == {name for one in FILES for name in one["equivalent"]}


@each_file
def test_the_results_hold_for_the_code_as_it_is(found: dict[str, Any], tool: ModuleType) -> None:
    source = (ROOT / found["file"]).read_text(encoding="utf-8")
    [group] = [name for name, some in RESULTS.items() if found in some["files"]]
    assert found["sha256"] == tool.code_sha256(source), (
        f"its code has changed: run 'python benchmarks/mutation/run.py {group}' (Linux, some minutes) and commit the result"
    )


@each_file
def test_the_tests_that_noticed_are_still_there(found: dict[str, Any]) -> None:
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in found["tests"]}
    for file, _, name in {one.partition("::") for one in found["noticed"].values()}:
        if name:  # else it hung, or the tests could not be collected
            assert f"def {name.partition('[')[0]}(" in texts[file]


def test_comments_docstrings_and_empty_lines_leave_the_results_valid(tool: ModuleType) -> None:
    source = 'def f(a):\n    """Text."""\n    return a + 1  # why\n'
    same = '# more\ndef f(a):\n    """Other\n\n    text."""\n\n    return a + 1\n'
    assert tool.code_sha256(source) == tool.code_sha256(same)
    for other in (
        source.replace("+", "-"),
        source.replace("1", "2"),
        source.replace("(a)", "(a, b)"),
        source.replace("a + 1", "'# a'"),
    ):
        assert tool.code_sha256(source) != tool.code_sha256(other)


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
