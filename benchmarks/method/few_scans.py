"""Does what we recommend beat a linear probe, at 24 scans as at all of them, and which inference rule fits the training? SIMULATED people.

    python benchmarks/method/people.py KEPT              # cohorts, half a minute each on one core; kept in the folder KEPT
    python benchmarks/method/few_scans.py KEPT           # every missing cell; finished ones are never done again
    python benchmarks/method/few_scans.py KEPT 24 400    # one number of training scans, one cohort

A cell is one cohort and one number of training scans: the same 120 test people for every arm. Settings and defaults were chosen on
``people.DEVELOPMENT``, never on ``people.FRESH``. Every figure is the raw rule, without temperature or offsets.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from arm import CLASSES, base_vectors, baselines, fitted, rules, sides
from people import FRESH, PEOPLE, TEST, people_of

from voxtune_recipes.deft import recipe as deft
from voxtune_recipes.deft_labels import recipe as deft_labels
from voxtune_recipes.projections import recipe as projections

RESULTS = Path(__file__).parent / "results" / "few_scans"
SIZES = (24, 48, 96, 168)
"""Training scans, one a person; a quarter as many to validate. The last is all of the pool."""
RULES_AT = (24,)
"""Sizes at which ``deft`` is trained as well, for the inference rules."""


ARMS = {"projections": projections, "deft_labels": deft_labels, "deft": deft}


def measure(seed: int, scans: int, kept: Path) -> dict[str, Any]:
    """Every arm of a cell."""
    from voxtune.training.environment import environment

    began = time.process_time()
    people = people_of(seed, kept)
    train, val = sides(people, scans, seed)
    truth = torch.tensor([CLASSES.index(str(row.diagnosis)) for row in people.test])
    arms: dict[str, Any] = {}
    for name, recipe in ARMS.items():
        if name == "deft" and scans not in RULES_AT:
            continue
        config = recipe().model_copy(update={"seed": seed})
        found = fitted(config, people, train, val)
        said = {rule: scores.argmax(dim=1) for rule, scores in rules(found, "test").items()}
        own = config.aggregation.inference if config.aggregation.form == "batch" else "none"
        arms[name] = {
            "rule": own,
            "accuracy": float((said[own] == truth).float().mean()),
            "rules": {rule: float((one == truth).float().mean()) for rule, one in said.items()},
            "said": {
                rule: torch.bincount(one, minlength=len(CLASSES)).tolist() for rule, one in said.items()
            },
            "plan": found["plan"],
            "temperature": found["tau"],
            "cpu_seconds": round(found["cpu_seconds"], 1),
            "config": config.model_dump(mode="json"),
        }
    return {
        "status": "done",
        "data": "SIMULATED",
        "seed": seed,
        "scans": {"train": len(train), "val": len(val), "test": TEST},
        "people": PEOPLE,
        "arms": arms,
        "baselines": baselines(people, train, base_vectors(deft(), people, train)),
        "cpu_seconds": round(time.process_time() - began, 1),
        "environment": environment(),
    }


def main() -> None:
    """Do what is missing."""
    kept = Path(sys.argv[1])
    sizes = (int(sys.argv[2]),) if len(sys.argv) > 2 else SIZES
    seeds = tuple(int(seed) for seed in sys.argv[3:]) or FRESH
    RESULTS.mkdir(parents=True, exist_ok=True)
    for scans in sizes:
        for seed in seeds:
            path = RESULTS / f"scans{scans}--seed{seed}.json"
            if not path.exists():
                print(f"== {scans} scans, seed {seed}", flush=True)
                path.write_text(json.dumps(measure(seed, scans, kept), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
