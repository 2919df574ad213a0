"""Are the tests green, and the promised bits kept, whatever instructions the matrix libraries may use?

The same tests run in processes of their own under several settings of torch, oneDNN and MKL, with one and two threads: settings
that hold a processor back stand in for older ones. Results go to ``results/<processor>.json``, one entry for each setting, threads
and selection; what was run before and is not run now stays. ``docs/concepts/same-bits.md`` shows them.

    python benchmarks/isa/run.py                       # every setting, one and two threads: 'bits', 'parity' and 'answers'
    python benchmarks/isa/run.py --selection fast      # all tests that are not slow: long
    python benchmarks/isa/run.py --short               # what 'make test' runs: writes nothing
"""

import argparse
import datetime as dt
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "as it is": {},
    "torch AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "torch without": {"ATEN_CPU_CAPABILITY": "default"},
    "MKL compatible": {"MKL_CBWR": "COMPATIBLE"},
    "torch AVX2, MKL compatible": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE"},
    "torch without, MKL compatible": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    "all AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "all SSE4": {"ATEN_CPU_CAPABILITY": "default", "DNNL_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
}  # fmt: skip
"""Names and the variables they set. 'without': torch's own kernels without vector instructions."""
OURS = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
)
UNIT = "tests/unit"
SELECTIONS: Mapping[str, Sequence[str]] = {
    "short": (f"{UNIT}/test_same_bits.py", f"{UNIT}/test_training_reach.py"),
    "bits": (
        f"{UNIT}/test_same_bits.py", f"{UNIT}/test_training_reach.py", f"{UNIT}/test_training_resume.py",
        f"{UNIT}/test_backbone_convert.py::test_what_is_never_read_is_left_out", f"{UNIT}/test_peft_methods.py", "-k", "not peft_methods or med3dvlm",
    ),
    "parity": ("-m", "not slow", "tests/parity"),
    "fast": ("-m", "not slow", UNIT, "tests/property", "tests/parity"),
}  # fmt: skip
"""Arguments of pytest. 'bits': what promises equal bits, five kills among it, and the tests that once leaned on rounding noise."""
PARTS = {"parity": "0.1"}
"""Selections that are held to a part of the tolerance of the golden numbers."""
ANSWERS = """
import csv, json, sys, tempfile
from pathlib import Path
from click.testing import CliRunner
from voxtune.cli import main
found = {}
for folder in sorted(Path("tests/golden/adapters").glob("*/*")):
    with tempfile.TemporaryDirectory() as out:
        done = CliRunner().invoke(main, ["predict", str(folder / "adapter"), str(folder / "scan.nii.gz"), "-o", out])
        assert done.exit_code == 0, done.output
        (row,) = csv.DictReader((Path(out) / "predictions.tsv").read_text(encoding="utf-8").splitlines(), delimiter="\\t")
        found |= {f"{folder.parent.name}/{folder.name}/{name}": float(cell) for name, cell in row.items() if name.startswith("p_")}
print(json.dumps(found))
"""
"""Every probability of the adapters and scans that are kept for each release."""
SHORT = (("all SSE4", 1), ("all AVX2", 2))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--selection",
        choices=[*SELECTIONS, "answers"],
        action="append",
        help="otherwise 'bits', 'parity' and 'answers'",
    )
    parser.add_argument("--setting", choices=SETTINGS, action="append", help="otherwise every one")
    parser.add_argument("--threads", type=int, action="append", help="otherwise 1 and 2")
    parser.add_argument(
        "--short", action="store_true", help="two settings on a few tests; nothing is written"
    )
    arguments = parser.parse_args()
    if arguments.short:
        done = [one(setting, threads, "short") for setting, threads in SHORT]
    else:
        chosen = itertools.product(
            arguments.selection or ("bits", "parity", "answers"),
            arguments.setting or SETTINGS,
            arguments.threads or (1, 2),
        )
        done = [
            keep(answers(setting, threads) if selection == "answers" else one(setting, threads, selection))
            for selection, setting, threads in chosen
        ]
    sys.exit(any(result["failed"] for result in done))


def one(setting: str, threads: int, selection: str) -> dict[str, Any]:
    """Run a selection under a setting: counts, what failed, how long it took."""
    environment = variables(setting, threads)
    if selection in PARTS:
        environment["VOXTUNE_TOLERANCE_PART"] = PARTS[selection]
    began = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        *SELECTIONS[selection],
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    counts = {
        word: int(number)
        for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", done.stdout.splitlines()[-1])
    }
    failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode and not failed:
        failed = [f"pytest ended with {done.returncode}"]
    if failed:
        print(done.stdout, done.stderr, file=sys.stderr)
    seconds = round(time.monotonic() - began)
    print(
        f"{setting}, {threads} thread(s), {selection}: {counts.get('passed', 0)} passed, {len(failed)} failed, {seconds} s",
        flush=True,
    )
    facts = {
        "passed": counts.get("passed", 0),
        "skipped": counts.get("skipped", 0),
        "failed": failed,
        "seconds": seconds,
    }
    return entry(setting, threads, selection) | facts


def answers(setting: str, threads: int) -> dict[str, Any]:
    """How far the answers of the kept adapters are from those of this processor as it is, with one thread."""
    here, plain = (
        json.loads(subprocess.run(
            [sys.executable, "-c", ANSWERS], cwd=ROOT, env=variables(*which), capture_output=True, encoding="utf-8", check=True
        ).stdout)
        for which in ((setting, threads), ("as it is", 1))
    )  # fmt: skip
    largest = max(abs(here[name] - plain[name]) for name in plain)
    print(
        f"{setting}, {threads} thread(s), answers: {len(plain)} probabilities, at most {largest:.1e} away",
        flush=True,
    )
    facts = {"probabilities": len(plain), "largest_difference": largest, "failed": []}
    return entry(setting, threads, "answers") | facts


def variables(setting: str, threads: int) -> dict[str, str]:
    """The environment of a process under a setting."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return kept | SETTINGS[setting] | {"OMP_NUM_THREADS": str(threads), "PYTHONUTF8": "1"}


def entry(setting: str, threads: int, selection: str) -> dict[str, Any]:
    """What was run and when."""
    date = dt.datetime.now(dt.UTC).date().isoformat()
    chosen = dict(SETTINGS[setting])
    return {"setting": setting, "variables": chosen, "threads": threads, "selection": selection, "date": date}


def keep(done: dict[str, Any]) -> dict[str, Any]:
    """Put a result in the place of the same one of before in this processor's file."""
    import torch

    from voxtune.training.environment import processor

    name, capability = processor(), torch.backends.cpu.get_cpu_capability()
    file = RESULTS / f"{re.sub(r'[^a-z0-9]+', '-', f'{name} {capability}'.lower()).strip('-')}.json"
    known = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.exists() else []
    identity = ("setting", "threads", "selection")
    runs = [old for old in known if any(old[key] != done[key] for key in identity)]
    facts = {
        "processor": name,
        "capability": capability,
        "torch": torch.__version__,
        "runs": sorted([*runs, done], key=_order),
    }
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return done


def _order(done: Mapping[str, Any]) -> tuple[int, int, int]:
    selections = [*SELECTIONS, "answers"]
    return selections.index(done["selection"]), list(SETTINGS).index(done["setting"]), done["threads"]


if __name__ == "__main__":
    main()
