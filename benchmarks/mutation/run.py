"""Does a test notice? Changes one operator or constant at a time and runs the tests.

``python benchmarks/mutation/run.py [losses|splits|metrics ...]``; ``--every=N`` takes every N-th change, ``--again`` those not noticed so far.

Works on a copy of ``src``, one fork for each change, on Linux. A survivor needs a test, or a line in ``equivalent.json`` with the reason
why no test can tell it from the original. Results are one JSON a group; the sha256 of each file says for which source they hold.
"""

import hashlib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
GROUPS: dict[str, dict[str, list[str]]] = {
    "losses": {
        f"losses/{name}.py": ["tests/parity/test_parity_equations.py", "tests/unit/test_loss_terms.py"]
        for name in ("contrastive", "mmse", "total", "classification", "findings")
    },
    "splits": {
        f"data/{name}.py": ["tests/unit/test_split_small.py", "tests/unit/test_split_files.py", "tests/property/test_split_participants.py"]
        for name in ("splits", "split_strata")
    },
    "metrics": {
        f"evaluation/{name}.py": [
            "tests/unit/test_metrics_evaluate.py", "tests/unit/test_metrics_tables.py", "tests/unit/test_intervals_bootstrap.py",
            "tests/property/test_metrics_match_sklearn.py", "tests/parity/test_parity_statistics.py",
        ]
        for name in ("metrics", "weighted", "auc")
    },
}  # fmt: skip
LIMIT = 180  # seconds a change may take: one that hangs is noticed too


def warm() -> None:
    """Import what every child needs and no change touches, once."""
    for name in (
        "pytest",
        "hypothesis",
        "beartype",
        "jaxtyping",
        "pandas",
        "pydantic",
        "scipy.stats",
        "sklearn.linear_model",
        "sklearn.metrics",
    ):
        importlib.import_module(name)
    torch.set_num_threads(1)


def outcome(source: Path, tests: list[str]) -> str:
    """Run the tests on the copied source in a child: ``passed``, ``failed`` or ``hung``."""
    child = os.fork()
    if child == 0:
        os.setpgrp()
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.path.insert(0, str(source))
        sys.dont_write_bytecode = True
        os.chdir(ROOT)
        import pytest

        # Already imported modules cannot be rewritten, which pytest says as a warning.
        quietly = [
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
        ]
        os._exit(int(pytest.main(["-x", "-q", *quietly, *tests])))
    began = time.monotonic()
    while time.monotonic() - began < LIMIT:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "passed" if os.waitstatus_to_exitcode(status) == 0 else "failed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def examine(
    file: str, tests: list[str], source: Path, equivalent: dict[str, str], every: int
) -> dict[str, Any]:
    """Every change of one file, or every so-manieth."""
    path = source / "voxtune" / file
    original = path.read_text(encoding="utf-8")
    tests = [one for one in tests if (ROOT / one).is_file()]
    if outcome(source, tests) != "passed":
        sys.exit(f"The tests of {file} fail without any change: {' '.join(tests)}")
    survivors, excused, killed = [], [], 0
    possible: list[Mutant] = mutants(original)
    chosen = possible[::every]
    for number, one in enumerate(chosen, start=1):
        path.write_text(one.source, encoding="utf-8")
        if outcome(source, tests) != "passed":
            killed += 1
        elif one.name in equivalent:
            excused.append({"change": one.name, "reason": equivalent[one.name]})
        else:
            survivors.append(one.name)
            print(f"not noticed: {one.name}")
        print(f"{file} {number}/{len(chosen)}: {killed} noticed, {len(survivors)} not", flush=True)
    path.write_text(original, encoding="utf-8")
    return {
        "file": f"src/voxtune/{file}", "sha256": hashlib.sha256(original.encode()).hexdigest(), "tests": tests, "possible": len(possible), "changes": len(chosen),
        "noticed": killed, "equivalent": excused, "survivors": survivors,
    }  # fmt: skip


def again() -> None:
    """Try the survivors of the stored results once more, after tests were written or reasons found."""
    equivalent = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    for path in sorted((HERE / "results").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        for one in found["files"]:
            names, one["survivors"] = one["survivors"], []
            one["tests"] = (
                GROUPS[found["group"]][one["file"].removeprefix("src/voxtune/")] if names else one["tests"]
            )
            for name in names:
                if name in equivalent:
                    one["equivalent"].append({"change": name, "reason": equivalent[name]})
                elif noticed(ROOT / one["file"], name, one["tests"]):
                    one["noticed"] += 1
                else:
                    one["survivors"].append(name)
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def noticed(file: Path, name: str, tests: list[str]) -> bool:
    """Whether the tests fail with that change of the file."""
    [source] = [one.source for one in mutants(file.read_text(encoding="utf-8")) if one.name == name]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / file.relative_to(ROOT / "src")).write_text(source, encoding="utf-8")
        return outcome(copy, tests) != "passed"


def main() -> None:
    """Examine the groups that are named, or all; ``--again`` tries only what was not noticed before."""
    warm()
    if "--again" in sys.argv:
        again()
        return
    equivalent = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    named = [one for one in sys.argv[1:] if not one.startswith("--every=")]
    every = next((int(one.removeprefix("--every=")) for one in sys.argv if one.startswith("--every=")), 1)
    for group in named or list(GROUPS):
        found: list[dict[str, Any]] = []
        for file, tests in GROUPS[group].items():
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder) / "src"
                shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
                found.append(examine(file, tests, source, equivalent, every))
            text = json.dumps({"group": group, "files": found}, indent=2, ensure_ascii=False) + "\n"
            (HERE / "results" / f"{group}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
