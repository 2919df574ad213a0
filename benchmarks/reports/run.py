"""Do reports that know medicine help ``deft``, and how well are similar cases found? SIMULATED people, every arm on the same test people.

    python benchmarks/method/people.py KEPT                # cohorts, half a minute each on one core; kept in the folder KEPT
    python benchmarks/reports/run.py KEPT                  # every missing cell, cohort after cohort; finished ones are never done again
    python benchmarks/reports/run.py KEPT 24 400 401       # one number of training scans, some cohorts

A cell is one cohort and one number of training scans. Arms differ in their training texts alone: raw volumes (template ``deft``), percentiles
(``normative``), sentences of the knowledge graph (``graph``). Each is scored twice, with the class texts it was trained beside and with those
and three descriptions of each class by its signs (``classes.signs=3``): the same adapter, other words. An arm that needs percentiles and has
too few controls is refused, and says so in its place. Every figure is the raw rule, without temperature or offsets. Nothing was chosen on
these cohorts.
"""

import importlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxtune.cases.nearest import Floats
from voxtune.commands.train.in_memory import Trained, train_in_memory
from voxtune.config import RunConfig
from voxtune.errors import DataError
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.records import ManifestRow
from voxtune_recipes.deft import recipe as deft

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "method"))
COHORTS = importlib.import_module("people")
"""The cohorts of ``benchmarks/method``, and how their people are divided."""
ARM = importlib.import_module("arm")
SIDES, CLASSES = ARM.sides, ARM.CLASSES
People = Any
"""``people.People``: rows and encoded scans of a cohort."""
RESULTS = Path(__file__).parent / "results"
SIZES = (24, 48, 96, 168)
"""Training scans, one a person; a quarter as many to validate. The last is all of the pool."""
ARMS = {"raw": "deft", "normative": "normative", "graph": "graph"}
"""Each arm's report template."""
SIGNS = 3


def scored(found: Trained, people: People, *, signs: bool) -> dict[str, Any]:
    """Accuracy on the test people, by class texts with or without signs."""
    from voxtune.commands.train.validate import score_together
    from voxtune.model.questions import encoded_texts
    from voxtune.tasks.task import task_of

    names = [row.scan_id for row in people.test]
    texts = found.task.class_texts()
    if signs:
        config = deft().edit(f"classes.signs={SIGNS}").settled()
        texts = task_of(config, CLASSES).class_texts()
    encoded = encoded_texts(found.model, texts)
    seen = score_together(found.model, names, found.read, found.form, encoded, found.ranks)
    assert seen.logits is not None
    said = seen.logits.argmax(dim=1)
    truth = torch.tensor([CLASSES.index(str(row.diagnosis)) for row in people.test])
    right = (said == truth).float()
    recalls = [float(right[truth == place].mean()) for place in range(len(CLASSES))]
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "said": torch.bincount(said, minlength=len(CLASSES)).tolist(),
    }


def found_again(
    found: Trained, people: People, train: list[ManifestRow], config: RunConfig
) -> dict[str, Any]:
    """Retrieval among the test people by this adapter: images, and reports without their label sentence."""
    from voxtune.commands.train.validate import score_together

    with torch.no_grad():
        names = [row.scan_id for row in people.test]
        images = score_together(found.model, names, found.read, found.form, [], found.ranks).vectors
    return searched(found.model, images.double().numpy(), people, train, config)


def searched(
    model: VisionLanguageModel, images: Floats, people: People, train: list[ManifestRow], config: RunConfig
) -> dict[str, Any]:
    """Retrieval among the test people: their image vectors (n, E), and the texts of a configuration as the model reads them."""
    from voxtune.cases.retrieval import Searched, retrieval
    from voxtune.evaluation.baselines import unlabelled_texts
    from voxtune.model.questions import encoded_texts
    from voxtune.reports.needed import needed_norms

    settled = config.settled()
    norms = needed_norms(settled.report, settled.profile, train)
    reports = unlabelled_texts(people.test, settled.report.template, settled.profile, norms=norms)
    vectors = {
        name: encoded_texts(model, [[report.text]])[0].vector[0].double().numpy()
        for name, report in reports.items()
    }
    nothing = np.full(images.shape[1], np.nan)
    return retrieval(
        Searched(
            images,
            [row.participant_id for row in people.test],
            [row.diagnosis for row in people.test],
            np.stack([vectors.get(row.scan_id, nothing) for row in people.test]),
            [row.mmse for row in people.test],
        )
    )


def of_the_base(people: People, train: list[ManifestRow]) -> dict[str, Any]:
    """The linear probe's accuracy, and retrieval among the test people in its space; texts are the raw volumes, as the base reads them."""
    from voxtune.model.build import frozen_base

    vectors = ARM.base_vectors(deft(), people, train)
    images = np.stack([vectors[row.scan_id] for row in people.test]).astype(np.float64)
    with torch.no_grad():
        found = searched(frozen_base(deft()), images, people, train, deft())
    return {"baselines": ARM.baselines(people, train, vectors), "retrieval": found}


def arm(
    template: str, people: People, train: list[ManifestRow], val: list[ManifestRow], seed: int
) -> dict[str, Any]:
    """One training, scored with both kinds of class texts; or why it was refused."""
    import dataclasses

    from voxtune.reports.needed import needed_norms

    config = deft().edit(f"report.template={template}").model_copy(update={"seed": seed})
    began = time.process_time()
    try:
        norms = needed_norms(config.settled().report, config.settled().profile, train)
        found = train_in_memory(config, CLASSES, train, val, people.embedded)
    except DataError as error:
        return {"status": "refused", "why": str(error)}
    without = None if norms is None else sum(norms.standings(row).why is not None for row in train)
    return {
        "status": "done",
        "class_texts": scored(found, people, signs=False),
        "with_signs": scored(found, people, signs=True),
        "retrieval": found_again(found, people, train, config),
        "controls": None if norms is None else norms.norms.participants,
        "adjusted_for": None if norms is None else list(norms.norms.terms),
        "train_scans_without_percentiles": without,
        "plan": dataclasses.asdict(found.plan),
        "cpu_seconds": round(time.process_time() - began, 1),
        "config": config.model_dump(mode="json"),
    }


def measure(seed: int, scans: int, kept: Path) -> Mapping[str, Any]:
    """Every arm of a cell."""
    from voxtune.training.environment import environment

    people = COHORTS.people_of(seed, kept)
    train, val = SIDES(people, scans, seed)
    return {
        "status": "done",
        "data": "SIMULATED",
        "seed": seed,
        "people": COHORTS.PEOPLE,
        "scans": {"train": len(train), "val": len(val), "test": COHORTS.TEST},
        "signs": SIGNS,
        "arms": {name: arm(template, people, train, val, seed) for name, template in ARMS.items()},
        "base": of_the_base(people, train),
        "environment": environment(),
    }


def main() -> None:
    """Do what is missing."""
    kept = Path(sys.argv[1])
    sizes = (int(sys.argv[2]),) if len(sys.argv) > 2 else SIZES
    seeds = tuple(int(seed) for seed in sys.argv[3:]) or COHORTS.FRESH[:12]
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for scans in sizes:
            path = RESULTS / f"scans{scans}--seed{seed}.json"
            if not path.exists():
                print(f"== {scans} scans, seed {seed}", flush=True)
                part = path.with_suffix(".part")
                part.write_text(json.dumps(measure(seed, scans, kept), indent=1) + "\n", encoding="utf-8")
                part.replace(path)


if __name__ == "__main__":
    main()
