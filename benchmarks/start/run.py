"""How long until something happens: seconds of the processor until a training begins its first step, and until a prediction ends.

    python benchmarks/start/run.py [--name WORD]

A cohort of SIMULATED people is trained on twice with recipe ``deft`` on ``tiny`` (the second time everything that is kept of scans is
there), and the shipped adapter answers for one preprocessed volume. Each command is a process of its own with one thread; what counts is what that
process computed, not the clock, so that a busy machine changes little. The heavy libraries that each command had imported are
listed; ``tests/house/test_imports.py`` holds the list.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PEOPLE = 12
HEAVY = (
    "accelerate", "lightning_fabric", "matplotlib", "monai", "nilearn", "pandas", "peft", "scipy", "sklearn", "torch", "torch._dynamo",
    "transformers",
)  # fmt: skip
COMMAND = f"""
import json, os, sys
def said():
    times = os.times()
    found = {{"seconds": times.user + times.system, "modules": [one for one in {HEAVY!r} if one in sys.modules]}}
    print("AT" + json.dumps(found), flush=True)
"""
TO_THE_END = COMMAND + "from voxtune.cli import main\ntry:\n    main()\nfinally:\n    said()\n"
TO_THE_FIRST_STEP = (
    COMMAND
    + """
import importlib.abc, importlib.machinery
class Stop(importlib.abc.MetaPathFinder):
    # The first step is a function of the loop's module: it is exchanged when that module is imported, and not before.
    def find_spec(self, name, path, target=None):
        if name != "voxtune.training.loop":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module
        def run(module):
            load(module)
            def first(*_, **__):
                said()
                os._exit(0)
            module.step_gradients = first
        spec.loader.exec_module = run
        return spec
sys.meta_path.insert(0, Stop())
from voxtune.cli import main
main()
"""
)


def spent(script: str, *words: str, cwd: Path) -> dict[str, Any]:
    """What a command in a process of its own took, and what it had imported."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=cwd, env=environ, capture_output=True, encoding="utf-8", check=False
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("AT")]
    if not lines:
        raise RuntimeError(f"voxtune {words[0]} said nothing: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(lines[-1][2:])
    return found


def measured(work: Path) -> dict[str, Any]:
    """Every start once."""
    plain = "from voxtune.cli import main\nmain()\n"

    def told(*words: str) -> None:
        subprocess.run([sys.executable, "-c", plain, *words], cwd=work, check=True, capture_output=True)

    told("simulate", "cohort", "--participants", str(PEOPLE), "--visits", "1", "--seed", "3")
    train = ("train", "deft", "--data", "cohort/manifest.tsv", "-o")
    found = {
        "import torch": spent(COMMAND + "import torch\nsaid()\n", "-", cwd=work),
        "train, a cohort never seen": spent(TO_THE_FIRST_STEP, *train, "one", cwd=work),
        "train, the same cohort again": spent(TO_THE_FIRST_STEP, *train, "two", cwd=work),
    }
    told("preprocess", str(next((work / "cohort" / "scans").glob("*.nii.gz"))), "ready", "--preset", "tiny")
    volume = next((work / "ready").glob("*/volume.nii.gz"))
    found["predict, a preprocessed volume"] = spent(
        TO_THE_END, "predict", "demo", str(volume), "-o", "answers", cwd=work
    )
    found["--help"] = spent(TO_THE_END, "--help", cwd=work)
    return found


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", default="now", help="of the result file: what was measured")
    given = parser.parse_args()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    processor = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder))
    record = {
        "status": "ok",
        "processor": processor,
        "people": PEOPLE,
        "load_average": os.getloadavg()[0],
        "starts": found,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{given.name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
