"""Every check and measurement that needs a GPU, in one call of under ten minutes.

    python benchmarks/gpu/run.py                    # on a machine with a GPU: every check that its result file does not hold yet
    python benchmarks/gpu/run.py --only towers step # these
    python benchmarks/gpu/run.py --cpu-small        # rehearsal: the same calls on a CPU, at tiny sizes; nothing is stored

``towers``: small copies of every published backbone give on the GPU what they give on the CPU (float32, ``checks.TOLERANCE`` of the largest number).
``commands``: train (stopped and resumed), evaluate, export, embed, predict, explain and serve with ``--device``; what they answer agrees
with the CPU's. ``bf16``: a training in bf16 ends near the one in float32, and what it exports answers on a CPU. ``scoring``: full-size
M3D encodes scans with no more memory than a training step with the same chunk. ``step``: a step of full-size M3D against the plain
reference (``benchmarks/train``). ``skip_empty``: the same by recipe ``deft_fast``, in float32 and bf16, and ragged batches that give what they
give on the CPU. ``compile``: the same with torch.compile. ``growth``: seconds and memory over tokens and batch.

Each check runs in a process of its own with a time limit; results stand in ``results/<hardware>.json`` as soon as they are known, and a
second call does what is missing. A check that fails is stored with its reason and tried again by the next call. Works from a clone:
the package need not be installed, only what it imports.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from checks import MAKERS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
CHECKS: dict[str, tuple[float, str]] = {
    "towers": (90, "small copies of every published backbone"),
    "commands": (240, "every command with --device"),
    "scoring": (90, "memory of scoring against a step"),
    "bf16": (120, "bf16 against float32"),
    "step": (150, "a step of full-size M3D against the plain reference"),
    "skip_empty": (120, "a step without tokens of background, and the same numbers as on the CPU"),
    "growth": (150, "growth of a step"),
    "compile": (240, "a compiled step"),
}
"""Seconds each may take, in the order of their worth."""


# --------------------------------------------------------------------------------------------- the whole
def inside(name: str, device: str, *, small: bool) -> dict[str, Any]:
    """One check; an error becomes its result."""
    try:
        return MAKERS[name](device, small=small)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what the check found)
        return {
            "ok": False,
            "error": f"{type(error).__name__}: {error}",
            "where": traceback.format_exc()[-1500:],
        }


def apart(name: str, device: str, seconds: float, *, small: bool) -> dict[str, Any]:
    """One check in a process of its own, ended after its time with all that it started."""
    began = time.monotonic()
    words = [sys.executable, __file__, "--inside", name, device, *(["--cpu-small"] if small else [])]
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    try:
        said, _ = process.communicate(timeout=seconds)
        made: dict[str, Any] = json.loads(said.splitlines()[-1])
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        made = {"ok": False, "error": f"not done after {seconds:.0f} s"}
    except (IndexError, ValueError):
        made = {"ok": False, "error": f"ended with {process.returncode} without an answer"}
    return made | {"check_seconds": round(time.monotonic() - began, 1)}


def machine(device: str) -> dict[str, Any]:
    """What it runs on."""
    import torch

    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    gpu = torch.cuda.get_device_name() if device != "cpu" else "no GPU"
    return {
        "hardware": gpu, "torch": torch.__version__, "cuda": torch.version.cuda, "cpus": os.cpu_count(),
        "commit": git.stdout.strip(),
    }  # fmt: skip


def main() -> None:
    """Do what is missing; exit code 1 where a check failed or was not reached."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--only", nargs="+", choices=sorted(CHECKS))
    arguments.add_argument(
        "--seconds", type=float, default=560, help="after which nothing more is begun or goes on"
    )
    arguments.add_argument("--cpu-small", action="store_true")
    arguments.add_argument("--results", type=Path, default=RESULTS)
    arguments.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.inside:
        print(json.dumps(inside(*given.inside, small=given.cpu_small)))
        return
    began = time.monotonic()
    device = "cpu" if given.cpu_small else "cuda"
    about = machine(device)
    path = given.results / f"{about['hardware'].replace(' ', '-')}.json"
    report: dict[str, Any] = {**about, "checks": {}}
    if path.is_file() and not given.cpu_small:
        report = json.loads(path.read_text(encoding="utf-8"))
    for name in given.only or CHECKS:
        if report["checks"].get(name, {}).get("ok"):
            continue
        left = given.seconds - (time.monotonic() - began)
        if left < 10:
            print(f"{name}: no time left; call again", flush=True)
            continue
        made = apart(
            name, device, min(CHECKS[name][0] * (4 if given.cpu_small else 1), left), small=given.cpu_small
        )
        report["checks"][name] = made
        print(name, json.dumps(made)[:600], flush=True)
        if not given.cpu_small:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    wanted = given.only or CHECKS
    bad = [name for name in wanted if not report["checks"].get(name, {}).get("ok")]
    print(
        f"{len(wanted) - len(bad)} of {len(wanted)} checks hold" + (f"; not: {', '.join(bad)}" if bad else "")
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
