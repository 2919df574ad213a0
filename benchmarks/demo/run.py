"""Does the method learn on the SIMULATED default cohort, on other cohorts, and better with more scans?

    python benchmarks/demo/run.py            # every missing cell, about half an hour on two cores
    python benchmarks/demo/run.py curve      # those whose names begin so

Each cell is one immutable file in ``results/``; finished cells are never done again.
"""

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2, 3, 4)
SIZES = (50, 100, 200, 400)
SCORES = ("accuracy", "balanced_accuracy", "auroc", "ece", "mmse_mae")


@dataclass(frozen=True)
class Cell:
    """One cohort, one training."""

    name: str
    seed: int
    participants: int = 200
    visits: int = 3
    scanners: int = 3
    difficulty: float = 1.0
    train_scans: int | None = None


def cells() -> list[Cell]:
    """Five seeds of the default cohort, three cohorts with other settings, a curve over training size with two."""
    default = [Cell(f"default--seed{seed}", seed) for seed in SEEDS]
    other = [
        Cell("other--seed101", 101, participants=260, visits=2, scanners=6),
        Cell("other--seed102", 102, participants=150, visits=4, scanners=1, difficulty=0.8),
        Cell("other--seed103", 103, participants=220, visits=3, scanners=4, difficulty=1.2),
    ]
    curve = [
        Cell(f"curve--{size}--seed{seed}", seed, participants=330, train_scans=size)
        for seed in (11, 12)
        for size in SIZES
    ]
    return [*default, *other, *curve]


def cohort_of(cell: Cell, root: Path) -> Path:
    """The manifest of the cell's cohort; cells of a curve share one."""
    from voxtune.commands.simulate.command import simulate

    folder = root / f"{cell.seed}-{cell.participants}"
    if (folder / "manifest.tsv").is_file():
        return folder / "manifest.tsv"
    return simulate(
        folder, participants=cell.participants, visits=cell.visits, seed=cell.seed, scanners=cell.scanners,
        difficulty=cell.difficulty,
    )  # fmt: skip


def split_of(cell: Cell, manifest: Path, folder: Path) -> Path:
    """The cell's split; training sizes are nested subsets of the same people, validation a quarter as large."""
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.split_files import write_split
    from voxtune.data.splits import SplitSettings, make_split

    settings = SplitSettings(train_sizes=SIZES if cell.train_scans else ())
    split = make_split(read_manifest(manifest), settings, cell.seed)
    if cell.train_scans:
        # Who has N labelled scans has them for everything: the validation side shrinks with the training side.
        kept = np.random.default_rng(cell.seed).permutation(len(split.val))[: cell.train_scans // 4]
        split = replace(
            split,
            train=split.subsets[cell.train_scans],
            val=tuple(scan for place, scan in enumerate(split.val) if place in set(kept.tolist())),
            subsets={},
        )
    write_split(split, folder, file_sha256(manifest), manifest)
    return folder


def measure(cell: Cell, root: Path) -> dict[str, Any]:
    """Train, score, and put the regression on volumes and the guess of the mean beside it."""
    from voxtune.commands.evaluate.command import evaluate
    from voxtune.commands.train.command import train
    from voxtune.data.manifest import read_manifest
    from voxtune.data.split_files import read_split
    from voxtune.simulate.simple_rules import volume_regression_accuracy
    from voxtune.training.environment import environment

    began = time.perf_counter()
    manifest = cohort_of(cell, root)
    split_dir = split_of(cell, manifest, root / f"split-{cell.name}")
    run = train(
        "deft",
        root / f"run-{cell.name}",
        data=manifest,
        split_dir=split_dir,
        assignments=(f"seed={cell.seed}",),
    ).run
    metrics = evaluate(run, data=manifest).metrics
    rows = {row.scan_id: row for row in read_manifest(manifest)}
    sides = {side: [rows[scan] for scan in scans] for side, scans in read_split(split_dir).sides().items()}
    mean = sum(row.mmse for row in sides["train"]) / len(sides["train"])
    everyone = list(rows.values())
    return {
        "status": "done",
        "data": "SIMULATED",
        "cell": asdict(cell),
        "scans": {side: len(found) for side, found in sides.items()},
        "participants": {side: len({row.participant_id for row in found}) for side, found in sides.items()},
        "scores": {name: metrics[name] for name in SCORES},
        "zero_shot": metrics["baseline/zero_shot/accuracy"],
        "linear_probe": metrics["baseline/linear_probe/accuracy"],
        "volume_regression_accuracy": volume_regression_accuracy(
            [row.model_dump() for row in everyone],
            [row.diagnosis for row in everyone],
            [row.participant_id for row in everyone],
        ),
        "volumes_on_test": metrics["baseline/volumes/accuracy"],
        "baselines": {
            name.split("/")[1]: one
            for name, one in metrics.items()
            if name.startswith("baseline/") and name.endswith("/accuracy")
        },
        "raw": {
            name.split("/")[1]: one
            for name, one in metrics.items()
            if name.startswith("raw/") and name.endswith("/accuracy")
        },
        "mmse_mae_of_mean": sum(abs(row.mmse - mean) for row in sides["test"]) / len(sides["test"]),
        "seconds": time.perf_counter() - began,
        "environment": environment(),
    }


def main() -> None:
    """Do what is missing."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        for cell in cells():
            path = RESULTS / f"{cell.name}.json"
            if path.exists() or not cell.name.startswith(tuple(sys.argv[1:]) or ""):
                continue
            print(f"== {cell.name}", flush=True)
            path.write_text(json.dumps(measure(cell, Path(root)), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
