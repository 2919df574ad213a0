"""The loop on a cohort of bright and dark boxes: it learns, resumes to the bit, and refuses what it cannot train on."""

from pathlib import Path

import pytest
import torch

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.config import LossSettings, OptimiserSettings, RunConfig, TrainingSettings
from voxtune.data.examples import Examples, Labels
from voxtune.errors import DataError
from voxtune.evaluation.answers import see_scans
from voxtune.evaluation.validation import validation_metric
from voxtune.losses.contrastive import class_targets
from voxtune.model.build import TargetScale, adapter_state, build_model
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts
from voxtune.tasks.task import task_of
from voxtune.training.checkpoint import load_checkpoint
from voxtune.training.loop import fit
from voxtune.training.order import batches
from voxtune.training.records import Epoch, Fitted, Steer, TrainingInputs, Watcher

SMALL = M3dClip(
    volume=(8, 16, 16), patch=(4, 8, 8), width=32, depth=2, heads=4, mlp=48,
    text=BertSizes(vocab=60, width=32, depth=2, heads=4, mlp=48, max_length=32), seed=4,
)  # fmt: skip
CLASS_IDS = torch.tensor([[2, 5, 3], [2, 40, 3]])


def config(**changes: object) -> RunConfig:
    base = RunConfig(
        name="boxes", backbone=SMALL, preset="deft", vision=(VisualPrompts(length=4),), text=(TextPrompts(length=3),),
        optimiser=OptimiserSettings(rate=3e-3), training=TrainingSettings(epochs=6, batch_size=8, stop_after=None),
        loss=LossSettings(targets="class"),
    )  # fmt: skip
    return base.model_copy(update=changes)


def boxes(count: int, seed: int) -> tuple[Examples, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    scans = {
        f"s{seed}-{i}": 0.5 * torch.rand(1, 8, 16, 16, generator=generator) + 0.5 * labels[i]
        for i in range(count)
    }
    ids = torch.cat([CLASS_IDS[labels], torch.randint(6, 39, (count, 4), generator=generator)], dim=1)
    mmse = torch.where(labels == 0, 28.0, 20.0)
    mmse[::3] = torch.nan
    people = tuple(f"p{i}" for i in range(count))
    known = Labels(labels, {"mmse": mmse})
    return Examples(tuple(scans), people, known, ids, torch.ones_like(ids, dtype=torch.bool)), scans


def run(
    chosen: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    poison: bool = False,
) -> tuple[VisionLanguageModel, Fitted]:
    train, scans = boxes(24, 0)
    validation, more = boxes(10, 1)
    scans |= more
    model = build_model(chosen, scales={"mmse": TargetScale(24.0, 4.0)})
    if poison:
        scans = {name: torch.full_like(scan, torch.nan) for name, scan in scans.items()}
    mask = torch.ones_like(CLASS_IDS, dtype=torch.bool)

    def validate(model: VisionLanguageModel) -> Steer:
        texts = [model.encode_text(CLASS_IDS, mask)]
        _, logits = see_scans(model, {"": texts}, validation.scan_ids, scans.__getitem__)
        return Steer(validation_metric(logits[""], validation.labels.classes, "loss"))

    inputs = TrainingInputs(
        task_of(chosen, ("dark", "bright")), train, scans.__getitem__, validate, [(CLASS_IDS, mask)]
    )
    return model, fit(model, inputs, chosen, folder, watcher or Watcher(), resume=resume)


def test_it_learns(tmp_path: Path) -> None:
    model, fitted = run(config(training=TrainingSettings(epochs=25, batch_size=8)), tmp_path)
    assert fitted.epochs[-1].loss < fitted.epochs[0].loss
    assert fitted.epochs[-1].mmse is not None
    validation, scans = boxes(40, 2)
    texts = [model.encode_text(CLASS_IDS, torch.ones_like(CLASS_IDS, dtype=torch.bool))]
    _, logits = see_scans(model, {"": texts}, validation.scan_ids, scans.__getitem__)
    assert validation_metric(logits[""], validation.labels.classes, "accuracy") > 0.9


class StoppedError(Exception):
    """A power cut."""


def test_a_stopped_run_resumes_to_the_bit(tmp_path: Path) -> None:
    whole, _ = run(config(), tmp_path / "whole")

    def stop(epochs: list[Epoch]) -> None:
        if epochs[-1].epoch == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(config(), tmp_path / "cut", watcher=Watcher(epoch=stop))
    resumed, fitted = run(config(), tmp_path / "cut", resume=True)
    # What is told of an epoch comes before its standing: cut between the two, it is done again.
    assert [epoch.epoch for epoch in fitted.epochs] == [2, 3, 4, 5]
    one, two = adapter_state(whole), adapter_state(resumed)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    run(config(training=TrainingSettings(epochs=1, batch_size=8)), tmp_path)
    path = tmp_path / "epoch-0001-step-000000.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"epoch-0001-step-000000\.safetensors is missing or not the file"):
        load_checkpoint(tmp_path, "epoch-0001-step-000000")


@pytest.mark.parametrize("schedule", ["plateau", "cosine", "constant"])
@pytest.mark.parametrize("class_weight", [0.0, 1.0])
def test_schedules_and_the_class_term_run(tmp_path: Path, schedule: str, class_weight: float) -> None:
    chosen = config(
        optimiser=OptimiserSettings(schedule=schedule), loss=LossSettings(class_weight=class_weight),
        training=TrainingSettings(epochs=2, batch_size=12, checkpointing=True),
    )  # fmt: skip
    _, fitted = run(chosen, tmp_path)
    assert len(fitted.epochs) == 2


def test_a_loss_that_is_not_a_number_names_the_scans(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"loss of epoch 0, step 0 is nan.*s0-"):
        run(config(), tmp_path, poison=True)


def test_nothing_to_train_is_an_error(tmp_path: Path) -> None:
    chosen = config(
        vision=(),
        text=(),
        projections="frozen",
        targets=(),
        loss=LossSettings(temperature_learned=False),
    )
    with pytest.raises(DataError, match="Nothing to train"):
        run(chosen, tmp_path)


def test_no_batch_of_one() -> None:
    assert batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4, 5]]
    assert batches([1], 4) == [[1]]


def test_class_targets_share_the_weight() -> None:
    targets = class_targets(torch.tensor([0, 1, 0, -100, -100]))
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(5))
    assert targets[0].tolist() == [0.5, 0.0, 0.5, 0.0, 0.0]
    assert targets[3].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]
