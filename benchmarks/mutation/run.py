"""Does a test notice? Changes one operator or constant at a time and runs the tests.

``python benchmarks/mutation/run.py [losses|splits|metrics ...] [--jobs=2] [--anew]``

Works on copies of ``src``, one fork for each change, on Linux. Results are one JSON a group, written after every change: a run that was
stopped goes on where it was, and of a file whose code is as it was only what no test noticed is tried again (``--anew`` tries everything).
A survivor needs a test, or a line in ``equivalent.json`` with the reason why no test can tell it from the original.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mutants import Mutant, code_sha256, mutants
from trial import ROOT, Order, Trial, start, warm

HERE = Path(__file__).resolve().parent
GROUPS: dict[str, dict[str, list[str]]] = {
    "losses": {
        f"losses/{name}.py": ["tests/parity/test_parity_equations.py", "tests/unit/test_loss_terms.py"]
        for name in ("contrastive", "regression", "total", "classification", "findings")
    },
    "splits": {
        f"data/{name}.py": ["tests/unit/test_split_small.py", "tests/unit/test_split_files.py", "tests/property/test_split_participants.py"]
        for name in ("splits", "split_strata", "split_files")
    },
    "metrics": {
        f"evaluation/{name}.py": [
            "tests/unit/test_metrics_evaluate.py", "tests/unit/test_metrics_tables.py", "tests/unit/test_intervals_bootstrap.py",
            "tests/property/test_metrics_match_sklearn.py", "tests/parity/test_parity_statistics.py",
        ]
        for name in ("metrics", "weighted_metrics", "auc", "intervals")
    },
}  # fmt: skip
UNCHANGED = "nothing is changed"


def examine(file: str, tests: list[str], stored: dict[str, Any], jobs: int) -> Iterator[dict[str, Any]]:
    """Try every change of one file that is not known to be noticed; what is known so far after each."""
    original = (ROOT / "src" / "voxtune" / file).read_text(encoding="utf-8")
    reasons: dict[str, str] = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    possible = mutants(original)
    known = stored if stored.get("sha256") == code_sha256(original) else {}
    names = {one.name for one in possible}  # another Python may spell an f-string otherwise
    noticed: dict[str, str] = {name: by for name, by in known.get("noticed", {}).items() if name in names}
    equivalent = {
        name: reasons[name] for name in known.get("equivalent", {}) if name in names & reasons.keys()
    }
    survivors: list[str] = []
    found: dict[str, Any] = {
        "file": f"src/voxtune/{file}", "sha256": code_sha256(original), "tests": tests, "possible": len(possible),
        "seconds": known.get("seconds", 0.0), "noticed": noticed, "equivalent": equivalent, "survivors": survivors,
    }  # fmt: skip
    waiting = [one for one in possible if one.name not in {**noticed, **equivalent}]
    before, began = found["seconds"], time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        for trial in trials(file, waiting, tests, jobs, Path(place)):
            if not trial.passed:
                noticed[trial.change] = trial.by
            elif trial.change in reasons:
                equivalent[trial.change] = reasons[trial.change]
            else:
                survivors.append(trial.change)
                print(f"not noticed: {trial.change}")
            found["seconds"] = round(before + time.monotonic() - began, 1)
            print(f"{told(found)}, {time.monotonic() - trial.began:.1f} s", flush=True)
            yield found
    yield found


def trials(file: str, changes: list[Mutant], tests: list[str], jobs: int, place: Path) -> Iterator[Trial]:
    """Every change tried, ``jobs`` at a time, each as it ends."""
    if not changes:
        return
    free = [place / str(number) for number in range(jobs)]
    for folder in free:
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    order, limit = Order({}, None), 600.0
    whole = start(UNCHANGED, free[0], tests, order, limit)
    while not whole.ended():
        time.sleep(0.02)
    if not whole.passed:
        said = (whole.folder / "said.txt").read_text(encoding="utf-8")
        sys.exit(f"{said}\nThe tests of {file} fail where {UNCHANGED}: {whole.by}")
    order.seconds, limit = whole.took, max(60.0, 10 * (time.monotonic() - whole.began))
    waiting, running = changes[::-1], list[Trial]()
    while waiting or running:
        while waiting and free:
            folder, one = free.pop(), waiting.pop()
            (folder / "src" / "voxtune" / file).write_text(one.source, encoding="utf-8")
            running.append(start(one.name, folder, tests, order, limit))
        for trial in [one for one in running if one.ended()]:
            running.remove(trial)
            free.append(trial.folder)
            order.first = trial.by or order.first
            yield trial
        time.sleep(0.02)


def told(found: dict[str, Any]) -> str:
    """One line of results."""
    noticed, equivalent, left = (len(found[name]) for name in ("noticed", "equivalent", "survivors"))
    return (
        f"{found['file']}: {noticed + equivalent + left} of {found['possible']} possible changes tried: "
        f"{noticed} noticed, {equivalent} equal by reason, {left} not noticed"
    )


def main() -> None:
    """Examine the groups that are named, or all."""
    options = [one for one in sys.argv[1:] if one.startswith("--")]
    jobs = next((int(one.removeprefix("--jobs=")) for one in options if one.startswith("--jobs=")), 1)
    warm()
    for group in [one for one in sys.argv[1:] if one not in options] or list(GROUPS):
        path = HERE / "results" / f"{group}.json"
        stored = json.loads(path.read_text(encoding="utf-8"))["files"] if path.is_file() else []
        files = {one["file"].removeprefix("src/voxtune/"): one for one in stored if "--anew" not in options}
        for file, tests in GROUPS[group].items():
            for found in examine(file, tests, files.get(file, {}), jobs):
                files[file] = found
                write(path, group, [files[one] for one in GROUPS[group] if one in files])
            print(told(files[file]))


def write(path: Path, group: str, files: list[dict[str, Any]]) -> None:
    """Replace the results of a group in one step."""
    text = json.dumps({"group": group, "files": files}, indent=1, ensure_ascii=False)
    path.with_suffix(".tmp").write_text(text + "\n", encoding="utf-8")
    path.with_suffix(".tmp").replace(path)


if __name__ == "__main__":
    main()
