"""Which changes to DEFT's loss help on SIMULATED people? The evidence behind recipe ``deft_plus``.

    python benchmarks/method/run.py            # every missing cell, about an hour on two cores
    python benchmarks/method/run.py class      # those whose arms begin so

Each cell is one arm on one cohort and one immutable file in ``results/``; finished cells are never done again. Arms share cohorts, splits
and seeds, so they are compared scan by scan.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SEEDS = tuple(range(20, 30))
PARTICIPANTS, VISITS = 100, 2
TEST = 0.4
EPOCHS = 8
ARMS = {
    "deft": (),
    "class_term": ("loss.class_weight=1",),
    "class_targets": ("loss.targets=class",),
    "both": ("loss.class_weight=1", "loss.targets=class"),
}
"""What each arm changes in recipe ``deft``."""
SCORES = ("accuracy", "balanced_accuracy", "auroc", "mmse_mae")


def cohort_of(seed: int, root: Path) -> tuple[Path, Path]:
    """Manifest and split of a seed, shared by its arms."""
    from voxtune.commands.simulate.command import simulate
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.split_files import write_split
    from voxtune.data.splits import SplitSettings, make_split

    folder, split_dir = root / f"cohort-{seed}", root / f"split-{seed}"
    manifest = folder / "manifest.tsv"
    if not manifest.is_file():
        simulate(folder, participants=PARTICIPANTS, visits=VISITS, seed=seed)
        split = make_split(read_manifest(manifest), SplitSettings(test=TEST), seed)
        write_split(split, split_dir, file_sha256(manifest), manifest)
    return manifest, split_dir


def measure(arm: str, seed: int, root: Path) -> dict[str, Any]:
    """Train one arm and score the people it never saw."""
    from voxtune.commands.evaluate.command import evaluate
    from voxtune.commands.train.command import train
    from voxtune.training.environment import environment

    manifest, split_dir = cohort_of(seed, root)
    began = time.perf_counter()
    edits = (f"seed={seed}", f"training.epochs={EPOCHS}", *ARMS[arm])
    run = train("deft", root / f"run-{arm}-{seed}", data=manifest, split_dir=split_dir, assignments=edits).run
    metrics = evaluate(run, data=manifest).metrics
    return {
        "status": "done",
        "data": "SIMULATED",
        "arm": arm,
        "edits": list(edits),
        "seed": seed,
        "cohort": {"participants": PARTICIPANTS, "visits": VISITS, "test": TEST},
        "scores": {name: metrics[name] for name in SCORES},
        "zero_shot": metrics["baseline/zero_shot/accuracy"],
        "seconds": time.perf_counter() - began,
        "environment": environment(),
    }


def main() -> None:
    """Do what is missing."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        for seed in SEEDS:
            for arm in ARMS:
                path = RESULTS / f"{arm}--seed{seed}.json"
                if path.exists() or not arm.startswith(tuple(sys.argv[1:]) or ""):
                    continue
                print(f"== {arm}, seed {seed}", flush=True)
                path.write_text(json.dumps(measure(arm, seed, Path(root)), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
