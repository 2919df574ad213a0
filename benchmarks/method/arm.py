"""One arm of a question on one cohort: train in memory, then score the same test people under several inference rules."""

import dataclasses
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from people import People
from torch import Tensor

from voxtune.config import RunConfig
from voxtune.types.records import ManifestRow

CLASSES = ("NC", "MCI", "AD")


def sides(people: People, scans: int, seed: int) -> tuple[list[ManifestRow], list[ManifestRow]]:
    """Training scans and a quarter as many to validate, drawn from the pool; smaller sets lie in larger ones."""
    order = np.random.default_rng(seed).permutation(len(people.pool)).tolist()
    chosen = [people.pool[place] for place in order]
    return chosen[:scans], chosen[scans : scans + round(scans / 4)]


def fitted(
    config: RunConfig, people: People, train: list[ManifestRow], val: list[ManifestRow]
) -> dict[str, Any]:
    """Train; the vectors of every side, and of the texts."""
    from voxtune.commands.train.fit import steer, training_scales
    from voxtune.commands.train.validate import score_together
    from voxtune.data.examples import make_examples, reports_of
    from voxtune.model.bank import centroids
    from voxtune.model.build import build_model
    from voxtune.model.questions import encoded_texts
    from voxtune.reports.needed import needed_norms
    from voxtune.tasks.task import task_of
    from voxtune.training.loop import fit
    from voxtune.training.ranks import start_ranks
    from voxtune.training.records import TrainingInputs, Watcher

    config = config.settled()
    task = task_of(config, CLASSES)
    norms = needed_norms(config.report, config.profile, train)
    reports = reports_of([*train, *val], config.report, config.profile, norms=norms)
    model = build_model(config, scales=training_scales(config, train))
    tokenize, texts = model.backbone.tokenize, task.class_texts()
    train_set, val_set = (
        make_examples(side, reports, task.labels(side, train), tokenize) for side in (train, val)
    )
    read, form = people.embedded.__getitem__, "embedded"
    if model.vision_frozen:
        with torch.no_grad():
            ready = {
                row.scan_id: model.base_image(model.vision.run(people.embedded[row.scan_id][None]))[0]
                for row in people.rows
            }
        read, form = ready.__getitem__, "finished"
    ranks = start_ranks(config.training)
    kept_texts = None
    if model.text_frozen:
        with torch.no_grad():
            made = {
                name: model.base_text(ids[None, mask], mask[None, mask])[0]
                for name, ids, mask in zip(
                    train_set.scan_ids, train_set.token_ids, train_set.token_mask, strict=True
                )
            }
        kept_texts = made.__getitem__

    def scored(rows: list[str]) -> Any:
        return score_together(model, rows, read, form, encoded_texts(model, texts), ranks)

    def validate(_: object) -> Any:
        if model.uses_bank:
            seen = scored([*train_set.scan_ids]).vectors
            model.bank = centroids(seen, train_set.labels.classes, train_set.participant_ids)
        return steer(task, scored([*val_set.scan_ids]), val_set.labels, config, model)

    inputs = TrainingInputs(
        task, train_set, read, validate, [tokenize(some) for some in texts], form, kept_texts,
        validated=len(set(val_set.participant_ids)),
    )  # fmt: skip
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        done = fit(model, inputs, config, Path(folder), Watcher())
    spent = time.process_time() - began
    test = [row.scan_id for row in people.test]
    with torch.no_grad():
        of_test = score_together(model, test, read, form, [], ranks)
        return {
            "train": score_together(model, [*train_set.scan_ids], read, form, [], ranks).vectors,
            "val": score_together(model, [*val_set.scan_ids], read, form, [], ranks).vectors,
            "test": of_test.vectors,
            "mmse": of_test.targets.get("mmse"),
            "classes": torch.stack([one.vector for one in encoded_texts(model, texts)]).mean(dim=0),
            "reports": torch.cat(
                [
                    model.encode_text(ids[None, mask], mask[None, mask]).vector
                    for ids, mask in zip(train_set.token_ids, train_set.token_mask, strict=True)
                ]
            ),
            "labels": train_set.labels.classes,
            "val_labels": val_set.labels.classes,
            "participants": train_set.participant_ids,
            "attention": model.attention,
            "tau": float(model.temperature()),
            "plan": dataclasses.asdict(done.plan),
            "cpu_seconds": spent,
        }


def rules(found: Mapping[str, Any], side: str) -> dict[str, Tensor]:
    """Scaled similarities of a side to the classes under each inference rule; no scan's row depends on another scan of the side."""
    from voxtune.model.bank import centroids
    from voxtune.model.cross_attention import attend

    images, texts = found[side], found["classes"]
    attention = found["attention"]

    def mix(queries: Tensor, keys: Tensor) -> Tensor:
        with torch.no_grad():
            return (
                attend(queries, keys) if attention is None else attention.attend(queries[None], keys[None])[0]
            )

    def alike(one: Tensor, two: Tensor) -> Tensor:
        return found["tau"] * F.normalize(one, dim=-1) @ F.normalize(two, dim=-1).T

    bank = centroids(found["train"], found["labels"], found["participants"])
    words = centroids(found["reports"], found["labels"], found["participants"])
    rules = {
        "none": alike(images, texts),
        "alone": alike(mix(images, texts), texts),
        "bank": alike(mix(images, texts), mix(texts, bank) if len(bank) else texts),
        "both": alike(mix(images, words), mix(texts, bank)) if len(words) else alike(images, texts),
    }
    if len(words) == len(CLASSES):
        rules["report_means"] = alike(images, words)
    return rules


def base_vectors(config: RunConfig, people: People, train: list[ManifestRow]) -> dict[str, Any]:
    """Image vectors (E,) of the frozen base, the space of the linear probe: of training and test people."""
    from voxtune.model.build import frozen_base

    frozen = frozen_base(config)
    with torch.no_grad():
        return {
            row.scan_id: frozen.encode_image(people.embedded[row.scan_id][None], embedded=True)
            .vector[0]
            .numpy()
            for row in [*train, *people.test]
        }


def baselines(people: People, train: list[ManifestRow], vectors: Mapping[str, Any]) -> dict[str, float]:
    """Accuracy of what needs no training of ours, fitted on the same training scans."""
    from voxtune.evaluation.baseline_answers import ClassAnswer
    from voxtune.evaluation.baselines import Inputs, run_baselines
    from voxtune.model.questions import ClassQuestion

    answer = ClassAnswer(ClassQuestion(CLASSES, ()))
    found = run_baselines(answer, train, people.test, Inputs(embeddings=vectors))
    return {name: float((table.predicted == table.true).mean()) for name, table in found.items()}
