"""Run the whole path by its commands with fixed seeds and write down the sha256 of every file that came of it.

    PYTHONPATH=TREE/src python tests/bytes/harness.py OUT.json
    python tests/bytes/differences.py BEFORE.json AFTER.json

The source under test is the one that Python imports, so that one harness runs trees of any age. What the commands wrote is kept
in ``OUT.files/``, what they said in ``OUT.files/said/``. Sums are of normalised content (``normalise.py``). They differ between
processors: compare two trees on one machine, never with sums from elsewhere. ``make bytes BEFORE=REVISION`` does all of it.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

# Before torch is imported: one thread, the processor alone, nothing of the user's own.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONUTF8": "1"}

from normalise import normalised

PEOPLE, OTHERS = "people/cohort/manifest.tsv", "other/cohort/manifest.tsv"
CHESTS, STRANGERS = "chests/ready/manifest.tsv", "strangers/ready/manifest.tsv"
HEAD, CHEST = "people/one.nii.gz", "chests/one.nii.gz"
FAST = ("--set", "training.epochs=1")
DEFT = ("--data", PEOPLE, "--split", "people/split", "--set", "report.file=people/reports.tsv")
DEFT_2 = (*DEFT, "--set", "training.epochs=2")
MEDCT = ("--data", CHESTS, "--split", "chests/split", *FAST)
HELD_OUT = ("--set", 'classes.held_out=["Emphysema", "Pleural effusion"]')

COMMANDS: list[tuple[str, ...]] = [
    # ---- a diagnosis and MMSE: 60 simulated people, 12 of another cohort
    ("simulate", "people/cohort", "--participants", "60", "--visits", "2", "--seed", "3"),
    ("simulate", "other/cohort", "--participants", "12", "--visits", "1", "--seed", "8"),
    ("describe", PEOPLE, "-o", "people/reports.tsv"),
    ("split", PEOPLE, "-o", "people/split", "--seed", "1"),
    ("audit", "people/split"),
    ("train", "deft", "-o", "people/run0", *DEFT_2, "--set", "seed=0", "--control"),
    ("train", "deft", "-o", "people/run1", *DEFT_2, "--set", "seed=1"),
    ("train", "deft", "-o", "people/lora0", *DEFT, *FAST, "--set", "seed=0", "--set", "vision=lora(4)"),
    ("train", "deft", "-o", "people/lora1", *DEFT, *FAST, "--set", "seed=1", "--set", "vision=lora(4)"),
    ("evaluate", "people/run0", "--data", PEOPLE, "--json"),
    ("evaluate", "people/run1", "--data", PEOPLE),
    ("evaluate", "people/run0", "people/run1", "-o", "people/seeds"),
    ("evaluate", "people/lora0", "people/lora1", "-o", "people/lora_seeds"),
    ("evaluate", "people/run0", "people/run1", "--data", OTHERS, "-o", "people/external_seeds"),
    ("evaluate", "people/run0", "--data", OTHERS, "-o", "people/external"),
    ("evaluate", "people/run0", "--data", OTHERS, "--classes", "NC,AD", "-o", "people/two_classes"),
    ("evaluate", "deft", "--data", OTHERS, "-o", "people/base"),
    ("compare", "people/run0", "people/run1", "-o", "people/compared"),
    ("compare", "people/seeds", "people/lora_seeds", "-o", "people/compared_seeds"),
    ("export", "people/run0", "-o", "people/adapter"),
    ("predict", "people/adapter", HEAD, "-o", "people/predicted", "--json"),
    ("predict", "people/adapter", OTHERS, "-o", "people/predicted_many", "--tsv"),
    ("explain", "people/run0", HEAD, "-o", "people/explained", "--json"),
    ("explain", "people/adapter", HEAD, "-o", "people/explained_mmse", "--target", "mmse"),
    ("explain", "people/adapter", OTHERS, "-o", "people/explained_cohort", "--limit", "1"),
    # ---- findings: 24 simulated chests, 6 of another cohort
    ("simulate", "chests/cohort", "--kind", "chest", "--participants", "24", "--visits", "1", "--seed", "6"),
    (
        "simulate",
        "strangers/cohort",
        "--kind",
        "chest",
        "--participants",
        "6",
        "--visits",
        "1",
        "--seed",
        "9",
    ),
    ("ingest", "ct_rate", "chests/cohort", "-o", "chests/study/manifest.tsv"),
    ("ingest", "ct_rate", "strangers/cohort", "-o", "strangers/study/manifest.tsv"),
    ("preprocess", "chests/study/manifest.tsv", "chests/ready", "--preset", "ct_clip_small"),
    ("preprocess", "strangers/study/manifest.tsv", "strangers/ready", "--preset", "ct_clip_small"),
    ("split", CHESTS, "-o", "chests/split", "--seed", "1"),
    ("train", "medct_small", "-o", "chests/run0", *MEDCT, *HELD_OUT, "--set", "seed=0"),
    ("train", "medct_small", "-o", "chests/run1", *MEDCT, *HELD_OUT, "--set", "seed=1"),
    ("evaluate", "chests/run0", "--json"),
    ("evaluate", "chests/run1"),
    ("evaluate", "chests/run0", "chests/run1", "-o", "chests/seeds"),
    ("evaluate", "chests/run0", "--data", STRANGERS, "-o", "chests/external"),
    ("evaluate", "medct_small", "--data", STRANGERS, "-o", "chests/base"),
    ("compare", "chests/run0", "chests/run1", "-o", "chests/compared"),
    ("export", "chests/run0", "-o", "chests/adapter"),
    ("predict", "chests/adapter", CHEST, "-o", "chests/predicted", "--json"),
    ("predict", "chests/adapter", STRANGERS, "-o", "chests/predicted_many", "--tsv"),
    ("explain", "chests/adapter", CHEST, "-o", "chests/explained", "--json"),
]
"""The path. A command that fails is written down with its exit code; the others run all the same."""

COPIES = {HEAD: "people/cohort/scans/*.nii.gz", CHEST: "chests/cohort/**/*.nii.gz"}
"""Scans under a name that no manifest knows, for ``predict`` and ``explain``: the first of their cohort."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the JSON file to write; OUT.files/ beside it is replaced")
    arguments = parser.parse_args()
    out: Path = arguments.out.resolve()
    files = out.with_suffix(".files")
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    os.environ["VOXTUNE_HOME"] = str(files / "home")
    os.chdir(files)  # every path the commands see is relative: no sum may depend on where a tree lies
    failed = run_all(files / "said")
    sums = {path: digest(files, path) for path in written(files)}
    out.write_text(json.dumps({"files": sums}, indent=2) + "\n", encoding="utf-8")
    print(f"{out.name}: {len(sums)} files{f', {failed} commands failed' if failed else ''}")
    sys.exit(bool(failed))


def run_all(said: Path) -> int:
    """Run every command in this process; its words and its exit code become files. The number that failed."""
    import torch
    from click.testing import CliRunner

    import voxtune
    from voxtune.cli import main as voxtune_main

    torch.set_num_threads(1)
    print(f"Source: {Path(voxtune.__file__).parent}", file=sys.stderr)
    said.mkdir()
    failed = 0
    for place, command in enumerate(COMMANDS):
        for copy, pattern in COPIES.items():
            if copy in command and not Path(copy).exists():
                shutil.copy(min(Path().glob(pattern)), copy)
        began = time.monotonic()
        result = CliRunner().invoke(voxtune_main, command)
        name = f"{place:02d}-{command[0]}"
        (said / f"{name}.out.txt").write_text(result.stdout, encoding="utf-8")
        (said / f"{name}.err.txt").write_text(result.stderr, encoding="utf-8")
        (said / f"{name}.code.txt").write_text(f"{result.exit_code}\n", encoding="utf-8")
        print(f"{time.monotonic() - began:6.1f} s  {' '.join(command)}", file=sys.stderr)
        if result.exit_code:
            failed += 1
            print(f"  exit {result.exit_code}: {result.output.strip()} {result.exception!r}", file=sys.stderr)
    return failed


def written(files: Path) -> list[str]:
    """Every file below a folder, relative, in order."""
    return sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())


def digest(files: Path, path: str) -> str:
    """The sha256 of a file's normalised content."""
    return hashlib.sha256(normalised(path, (files / path).read_bytes())).hexdigest()


if __name__ == "__main__":
    main()
