"""Five training steps of a small model, alone or as one of several processes; run by ``test_training_ranks.py``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file

from voxtune.backbones.bert import BertSizes
from voxtune.backbones.m3d_clip import M3dClip
from voxtune.config import Aggregation, LossSettings, OptimiserSettings, RunConfig, TrainingSettings
from voxtune.data.examples import Examples, Labels
from voxtune.model.build import TargetScale, build_model
from voxtune.peft.lora import Lora
from voxtune.peft.text_prompts import TextPrompts
from voxtune.peft.visual_prompts import VisualPrompts
from voxtune.tasks.task import task_of
from voxtune.training.devices import can_shard, whole
from voxtune.training.loop import fit
from voxtune.training.ranks import start_ranks
from voxtune.training.records import Steer, TrainingInputs, Watcher

BACKBONE = M3dClip(
    volume=(8, 16, 16), patch=(4, 8, 8), width=32, depth=2, heads=4, mlp=48,
    text=BertSizes(vocab=60, width=32, depth=2, heads=4, mlp=48, max_length=32), seed=4,
)  # fmt: skip
FORMS = {
    "batch": Aggregation(form="batch"),
    "lora": Aggregation(form="batch"),
    "learned": Aggregation(form="batch", learned=True, heads=4),
    "tokens": Aggregation(form="tokens"),
    "none": Aggregation(form="none"),
}
SIZES = {"8": (40, 8), "7": (35, 7)}
"""Scans of an epoch of five steps, scans of a step."""


def settings(form: str, size: int, training: TrainingSettings) -> RunConfig:
    """The class term and class targets are on, so that nothing is left out."""
    # LoRA trains inside the blocks that a sharded run shares out, and its gradient is shortened.
    inside = form == "lora"
    return RunConfig(
        name=form, backbone=BACKBONE, preset="deft", vision=(Lora(rank=2) if inside else VisualPrompts(length=4),),
        text=(TextPrompts(length=3),), aggregation=FORMS[form], loss=LossSettings(targets="class", class_weight=0.7),
        optimiser=OptimiserSettings(rate=3e-3, clip=0.05 if inside else 1e6, schedule="constant"), training=training.model_copy(update={"epochs": 1, "batch_size": size}),
    )  # fmt: skip


def cohort(count: int) -> tuple[Examples, dict[str, torch.Tensor]]:
    """Scans with texts of different lengths, some without a label and many without an MMSE."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(count) % 3
    labels[4::9] = -100
    scans = {f"s{i}": torch.rand(1, 8, 16, 16, generator=generator) for i in range(count)}
    ids = torch.randint(6, 60, (count, 12), generator=generator)
    lengths = torch.randint(4, 13, (count,), generator=generator)
    mmse = 24 + 3 * torch.randn(count, generator=generator)
    mmse[::3] = torch.nan
    mask = torch.arange(12)[None] < lengths[:, None]
    return Examples(tuple(scans), tuple(scans), Labels(labels, {"mmse": mmse}), ids, mask), scans


def five_steps(form: str, size: str, training: TrainingSettings) -> dict[str, torch.Tensor]:
    """The losses of five steps, the gradients of the last one and the parameters after it, by name."""
    count, batch = SIZES[size]
    examples, scans = cohort(count)
    config = settings(form, batch, training)
    model = build_model(config, scales={"mmse": TargetScale(24.0, 3.0)})
    losses: list[float] = []
    texts = torch.tensor([[2, 5, 3], [2, 40, 3], [2, 21, 3]])
    inputs = TrainingInputs(
        task_of(config, ("a", "b", "c")),
        examples,
        scans.__getitem__,
        lambda _: Steer(0.0),
        [(texts, torch.ones_like(texts, dtype=torch.bool))],
    )
    watcher = Watcher(step=lambda _done, _of, loss: losses.append(loss))
    ranks = start_ranks(config.training)
    with TemporaryDirectory() as folder:
        fit(model, inputs, config, Path(folder), watcher, ranks=ranks)
    assert len(losses) == 5
    found = {"losses": torch.tensor(losses)}
    for name, value in model.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, name
            found[f"gradient.{name}"] = whole(value.grad).detach().clone()
            found[f"value.{name}"] = whole(value.detach()).clone()
    return found


def cases() -> Iterator[tuple[str, str, TrainingSettings]]:
    """What the processes of the test compute, in order."""
    for form in FORMS:
        yield form, "8", TrainingSettings(accelerator="cpu")
    yield "batch", "7", TrainingSettings(accelerator="cpu", chunk=3, workers=0)
    if can_shard(torch.device("cpu")):
        yield "batch", "8", TrainingSettings(accelerator="cpu", strategy="fsdp", chunk=2, checkpointing=True)
        yield "lora", "8", TrainingSettings(accelerator="cpu", strategy="fsdp")


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    for number, (form, size, training) in enumerate(cases()):
        two = training.model_copy(update={"devices": 2})  # the first case starts the second process
        found = five_steps(form, size, two)
        if start_ranks(two).leads:
            save_file(found, out / f"{number}.safetensors")
    start_ranks(TrainingSettings(accelerator="cpu", devices=2)).leave()
