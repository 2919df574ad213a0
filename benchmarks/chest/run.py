"""Does recipe medct learn on SIMULATED chests, what do held-out findings do, and what does a volume cost for 1, 6, 18 findings?

    python benchmarks/chest/run.py            # every missing cell, about half an hour on two cores
    python benchmarks/chest/run.py cost       # those whose names begin so

Each cell is one immutable file in ``results/``; finished cells are never done again. ``VOXTUNE_BENCH`` keeps cohorts and runs.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SEEDS = (2, 3)
"""Of cohorts nobody looked at while base and recipe were made (those were 1 and 50)."""
HELD_OUT = ("Cardiomegaly", "Emphysema", "Pleural effusion")
VOLUMES = 1000
COUNTS = (1, 6, 18)
SCORES = ("auroc", "average_precision", "accuracy", "macro_f1", "ct_clip_f1")


@dataclass(frozen=True)
class Cell:
    """One question on one cohort."""

    name: str
    seed: int
    participants: int = 400
    scans: int = 2
    held_out: tuple[str, ...] = ()


def cells() -> list[Cell]:
    """Learning with two seeds, held-out findings, cost."""
    learn = [Cell(f"learn--seed{seed}", seed) for seed in SEEDS]
    return [*learn, Cell(f"held_out--seed{SEEDS[0]}", SEEDS[0], held_out=HELD_OUT), Cell("cost", SEEDS[0])]


def cohort_of(cell: Cell, root: Path) -> Path:
    """The preprocessed manifest of the cell's cohort; cells of a seed share one."""
    from voxtune.commands.preprocess import preprocess
    from voxtune.commands.simulate.chest import simulate_chest

    folder = root / f"cohort-{cell.seed}-{cell.participants}"
    ready = folder / "preprocessed" / "manifest.tsv"
    if ready.is_file():
        return ready
    made = simulate_chest(
        folder / "scans", participants=cell.participants, scans_each=cell.scans, seed=cell.seed
    )
    return preprocess(made, folder / "preprocessed", preset="ct_clip_small")


def run_of(cell: Cell, manifest: Path, root: Path) -> Path:
    """The trained run of a cell."""
    from voxtune.commands.train.command import train

    folder = root / f"run-{cell.name}"
    if (folder / "adapter" / "adapter.json").is_file():
        return folder
    edits = [f"seed={cell.seed}"]
    if cell.held_out:
        edits.append(f"classes.held_out={json.dumps(cell.held_out)}")
    return train(
        "medct_small", folder, data=manifest, assignments=edits, resume=(folder / "config.json").is_file()
    ).run


def measure(cell: Cell, root: Path) -> dict[str, Any]:
    """Train and score, or time."""
    from voxtune.commands.evaluate.command import evaluate
    from voxtune.data.manifest import read_manifest
    from voxtune.training.environment import environment

    manifest = cohort_of(cell, root)
    began = time.process_time()
    if cell.name == "cost":
        found = cost(manifest)
    else:
        run = run_of(cell, manifest, root)
        metrics = evaluate(run, data=manifest).metrics
        split = json.loads((run / "split.json").read_text(encoding="utf-8"))
        people = {row.scan_id: row.participant_id for row in read_manifest(manifest)}
        sides = ("train", "val", "test")
        found = {
            "scans": {side: len(split[side]) for side in sides},
            "participants": {side: len({people[scan] for scan in split[side]}) for side in sides},
            "tuned": {name: metrics[name] for name in SCORES},
            "zero_shot": {name: metrics[f"baseline/zero_shot/{name}"] for name in SCORES},
            "gain": metrics["gain/auroc"],
            "seen": {
                "auroc": metrics["fine_tuned_seen_classes/auroc"],
                "gain": metrics["fine_tuned_seen_classes/gain"],
            }
            if cell.held_out
            else None,
            "held_out": {"auroc": metrics["held_out_classes/auroc"], "gain": metrics["held_out_classes/gain"]}
            if cell.held_out
            else None,
            "findings": {
                name.removeprefix("auroc/"): {
                    "tuned": one["value"],
                    "zero_shot": metrics[f"baseline/zero_shot/{name}"]["value"],
                }
                for name, one in metrics.items()
                if name.startswith("auroc/")
            },
        }
    return {
        "status": "done",
        "data": "SIMULATED",
        "cell": asdict(cell),
        **found,
        "cpu_seconds": time.process_time() - began,
        "environment": environment(),
    }


def cost(manifest: Path) -> dict[str, Any]:
    """Processor time of scoring 1,000 volumes (those of a cohort in turn) with 1, 6 and 18 findings, each volume encoded once."""
    import itertools

    import torch

    from voxtune.cohorts.ct_rate import FINDINGS
    from voxtune.config import read_recipe
    from voxtune.data.images import load_preset, scan_reader
    from voxtune.data.manifest import read_manifest
    from voxtune.evaluation.answers import see_scans
    from voxtune.model.build import build_model
    from voxtune.model.questions import FindingQuestion, encoded_texts

    torch.set_num_threads(1)
    config = read_recipe("medct_small")
    model = build_model(config)
    rows = read_manifest(manifest)
    read = scan_reader(manifest, rows, load_preset(config.preset))
    names = list(itertools.islice(itertools.cycle(row.scan_id for row in rows), VOLUMES))
    encoded = 0
    plain = model.encode_image

    def counted(volumes: torch.Tensor, **how: bool) -> Any:
        nonlocal encoded
        encoded += len(volumes)
        return plain(volumes, **how)

    model.encode_image = counted  # type: ignore[method-assign]
    found: dict[str, Any] = {}
    for count in COUNTS:
        encoded, began = 0, time.process_time()
        question = FindingQuestion({name: (name,) for name in FINDINGS[:count]}, config.classes.pair)
        texts = encoded_texts(model, question.texts)
        after_texts = time.process_time()
        see_scans(model, {"": texts}, names, read)
        done = time.process_time()
        found[str(count)] = {
            "volumes": VOLUMES,
            "volumes_encoded": encoded,
            "text_seconds": after_texts - began,
            "seconds_a_volume": (done - after_texts) / VOLUMES,
            "seconds": done - began,
        }
    return {"cost": found, "clock": "processor time of one thread"}


def main() -> None:
    """Do what is missing."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(os.environ.get("VOXTUNE_BENCH") or scratch)
        for cell in cells():
            path = RESULTS / f"{cell.name}.json"
            if path.exists() or not cell.name.startswith(tuple(sys.argv[1:]) or ""):
                continue
            print(f"== {cell.name}", flush=True)
            path.write_text(json.dumps(measure(cell, root), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
