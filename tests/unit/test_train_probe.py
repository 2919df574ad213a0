"""The linear probe that stands on every run's page: fitted on the training side alone, for classes, findings and numbers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from voxtune.commands.train.probe import Probe, base_vectors, fit_probe
from voxtune.config import ClassTexts, LossSettings, RunConfig
from voxtune.data.examples import Examples, Labels
from voxtune.model.heads import TargetHead
from voxtune.tasks.task import task_of
from voxtune.training.plan import ENOUGH_TO_CHOOSE
from voxtune.types.target import Target
from voxtune_recipes.deft import recipe

WIDTH = 6


def examples(count: int, start: int, labels: Labels) -> Examples:
    names = tuple(f"s{start + n}" for n in range(count))
    ids = torch.zeros(count, 1, dtype=torch.long)
    return Examples(names, names, labels, ids, ids.bool())


def sides(kind: str, *, teach: bool = True) -> tuple[tuple[Examples, Examples], dict[str, torch.Tensor]]:
    """Vectors whose first entry tells the answer."""
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(60, WIDTH, generator=generator)
    truth = (vectors[:, 0] > 0).long() if teach else torch.zeros(60, dtype=torch.long)
    known = {
        "classes": lambda part: Labels(classes=truth[part]),
        "findings": lambda part: Labels(
            findings=truth[part, None].float(), finding_weights=torch.ones(len(truth[part]), 1)
        ),
        "targets": lambda part: Labels(targets={"cdr_sb": 3 * vectors[part, 0]}),
    }[kind]
    found = examples(40, 0, known(slice(0, 40))), examples(20, 40, known(slice(40, 60)))
    return found, {f"s{n}": vector for n, vector in enumerate(vectors)}


def session_of(config: RunConfig, control: str | None = None) -> Any:
    return SimpleNamespace(config=config, cohort=SimpleNamespace(control_of=control))


CONFIGS = {
    "classes": recipe().model_copy(update={"targets": ()}),
    "findings": recipe().model_copy(
        update={
            "targets": (), "classes": ClassTexts(findings=("nodule",)), "loss": LossSettings(class_weight=1.0),
            "training": recipe().training.model_copy(update={"metric": "auroc"}),
        }
    ),
    "targets": recipe().model_copy(
        update={
            "targets": (Target(name="cdr_sb"),), "classes": ClassTexts(templates=()),
            "training": recipe().training.model_copy(update={"metric": "mae"}),
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "least"), [("classes", 0.8), ("findings", 0.9), ("targets", -0.1)])
def test_a_probe_finds_what_the_base_knows(kind: str, least: float) -> None:
    both, vectors = sides(kind)
    config = CONFIGS[kind]
    heads = {"cdr_sb": TargetHead(4, 2, 0.0, 3.0)} if kind == "targets" else {}
    session, task = session_of(config), task_of(config, ("a", "b"))
    found = fit_probe(session, task, vectors, both, heads)
    assert found is not None
    assert found.metric == config.training.metric
    assert found.value > least
    assert found.people == 20
    # The answers of the validation side are never looked at while it is fitted.
    shuffled = {name: vectors[f"s{(int(name[1:]) * 7) % 60}"] for name in vectors}
    other = fit_probe(session, task, shuffled, both, heads)
    assert other is not None
    assert other.value < found.value


@pytest.mark.parametrize("kind", ["classes", "findings"])
def test_one_answer_alone_teaches_nothing(kind: str) -> None:
    both, vectors = sides(kind, teach=False)
    config = CONFIGS[kind]
    assert fit_probe(session_of(config), task_of(config, ("a", "b")), vectors, both, {}) is None


def test_no_vectors_no_probe() -> None:
    both, _ = sides("classes")
    config = CONFIGS["classes"]
    nothing: Any = None
    assert base_vectors(session_of(config, control="0" * 64), nothing) is None
    shared = config.edit("training.strategy=fsdp")
    assert base_vectors(session_of(shared), nothing) is None
    assert fit_probe(session_of(config), task_of(config, ("a", "b")), None, both, {}) is None


@pytest.mark.parametrize(("own", "said"), [(0.5, "below it"), (0.9, "above it"), (0.7, "level with it")])
def test_a_run_is_set_beside_its_probe(own: float, said: str) -> None:
    few, many = (Probe("balanced_accuracy", 0.7, people) for people in (6, ENOUGH_TO_CHOOSE))
    assert f"this run is {said} with {own:.3f}" in few.beside(own)
    assert "6 validation participants cannot tell them apart" in few.beside(own)
    assert "cannot tell" not in many.beside(own)
    assert np.isfinite(few.value)
