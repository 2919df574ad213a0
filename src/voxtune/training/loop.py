"""The training loop: one flat function that reads from top to bottom."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from voxtune.config import OptimiserSettings, RunConfig
from voxtune.data.examples import Examples, ReadScan
from voxtune.errors import DataError
from voxtune.losses.total import total
from voxtune.model.build import adapter_state
from voxtune.model.vlm import ClassTokens, VisionLanguageModel
from voxtune.training.checkpoint import (
    Progress,
    load_checkpoint,
    optimiser_groups,
    optimiser_tensors,
    restore_optimiser,
    save_checkpoint,
)
from voxtune.training.objective import loss_terms


@dataclass(frozen=True)
class Epoch:
    """What one epoch did; a line of ``log.jsonl``."""

    epoch: int
    loss: float
    contrastive: float
    mmse: float | None
    metric: float
    rate: float
    temperature: float
    scans: int
    seconds: float
    best: bool


@dataclass(frozen=True)
class Fitted:
    """How a run ended: the epochs of this call, and the best one of the whole run."""

    epochs: list[Epoch]
    best_epoch: int
    best_metric: float


Validate = Callable[[VisionLanguageModel], float]
"""The metric of a model on the validation scans (greater is better)."""


@dataclass(frozen=True)
class Task:
    """What a run learns from and is steered by."""

    train: Examples
    read: ReadScan
    validate: Validate
    class_tokens: ClassTokens
    embedded: bool = False
    """``read`` gives embedded scans (T, D), made once by the frozen front of the vision tower."""


@dataclass(frozen=True)
class Watcher:
    """Who is told about epochs, and about steps (done, of)."""

    epoch: Callable[[Epoch], None] = lambda _: None
    step: Callable[[int, int], None] = lambda _done, _of: None


def fit(  # noqa: C901, PLR0915  (one flat loop on purpose: it reads from top to bottom)
    model: VisionLanguageModel,
    task: Task,
    config: RunConfig,
    checkpoints: Path,
    watcher: Watcher,
    *,
    resume: bool = False,
) -> Fitted:
    """Train what is trainable in ``model``; it holds the best epoch's parameters afterwards.

    Same configuration, data and seed give the same parameters on CPU, also when the run is stopped between epochs and resumed.

    Raises:
        DataError: nothing to train, or a loss that is not finite (the scans of the step are named).
    """
    # ---- what is trained, on what
    settings = config.training
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if not trained:
        raise DataError("Nothing to train: the recipe has no method, no MMSE token and frozen projections.")
    fabric = Fabric(accelerator=settings.accelerator, devices=settings.devices, precision=settings.precision)
    optimiser = AdamW(
        list(trained.values()), lr=config.optimiser.rate, weight_decay=config.optimiser.weight_decay
    )
    schedule = make_schedule(optimiser, config.optimiser, settings.epochs)
    model = model.to(fabric.device)
    class_tokens = [(ids.to(fabric.device), mask.to(fabric.device)) for ids, mask in task.class_tokens]
    train = task.train

    read, embedded = task.read, task.embedded

    # ---- pick up where a stopped run left off
    start, best_metric, best_epoch = 0, -float("inf"), -1
    if resume and (checkpoints / "last.json").is_file():
        tensors, progress = load_checkpoint(checkpoints, "last")
        restore_parameters(trained, tensors)
        restore_optimiser(optimiser, tensors, progress.schedule.pop("groups"))
        schedule.load_state_dict(progress.schedule)
        start, best_epoch = progress.epoch + 1, progress.best_epoch if progress.best_epoch is not None else -1
        best_metric = progress.best_metric if progress.best_metric is not None else -float("inf")

    epochs: list[Epoch] = []
    for number in range(start, settings.epochs):
        if settings.stop_after is not None and best_epoch >= 0 and number - best_epoch > settings.stop_after:
            break
        # ---- one pass over the training scans, in an order that depends on seed and epoch alone
        began = time.perf_counter()
        model.train()
        order = torch.randperm(
            len(train), generator=torch.Generator().manual_seed(config.seed * 1_000_003 + number)
        )
        steps = batches(order.tolist(), settings.batch_size)
        sums = {"loss": 0.0, "contrastive": 0.0, "mmse": 0.0, "mmse_steps": 0.0}
        for step, index in enumerate(steps):
            batch = train.batch(index, read).to(fabric.device)
            with fabric.autocast():
                output = model(batch, class_tokens if config.loss.class_weight else None, embedded=embedded)
                terms = loss_terms(output, batch, config.loss, model.mmse_head)
            loss = total(terms, config.loss.mmse_weight, config.loss.class_weight)
            if not bool(torch.isfinite(loss)):
                raise DataError(
                    f"The loss of epoch {number}, step {step} is {loss.item()}; scans of the step: {', '.join(batch.scan_ids)}."
                )
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(loss)
            torch.nn.utils.clip_grad_norm_(trained.values(), config.optimiser.clip)
            if number == start == 0 and step == 0:
                refuse_unused(trained, config, has_mmse=terms.mmse is not None)
            optimiser.step()
            sums["loss"] += loss.item()
            sums["contrastive"] += terms.contrastive.item()
            if terms.mmse is not None:
                sums["mmse"] += terms.mmse.item()
                sums["mmse_steps"] += 1
            watcher.step(step + 1, len(steps))

        # ---- once an epoch: validate, lower the rate, keep the best
        model.eval()
        with torch.no_grad():
            metric = task.validate(model)
        rate = float(optimiser.param_groups[0]["lr"])
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(metric)
        else:
            schedule.step()
        better = metric > best_metric
        if better:
            best_metric, best_epoch = metric, number
        progress = Progress(
            number,
            best_metric,
            best_epoch,
            schedule_state(schedule) | {"groups": optimiser_groups(optimiser)},
        )
        state = adapter_state(model)
        if better:
            save_checkpoint(checkpoints, "best", state, replace(progress, schedule={}))
        save_checkpoint(checkpoints, "last", state | optimiser_tensors(optimiser), progress)
        mmse = sums["mmse"] / sums["mmse_steps"] if sums["mmse_steps"] else None
        epoch = Epoch(
            number, sums["loss"] / len(steps), sums["contrastive"] / len(steps), mmse, metric, rate,
            float(model.temperature().item()), len(train), time.perf_counter() - began, better,
        )  # fmt: skip
        epochs.append(epoch)
        watcher.epoch(epoch)

    # ---- leave with the best epoch
    tensors, progress = load_checkpoint(checkpoints, "best")
    restore_parameters(trained, tensors)
    model.eval()
    return Fitted(
        epochs, progress.epoch, progress.best_metric if progress.best_metric is not None else float("nan")
    )


def batches(order: list[int], size: int) -> list[list[int]]:
    """The order cut into batches; a last batch of one scan joins the one before, since contrast needs two."""
    cut = [order[start : start + size] for start in range(0, len(order), size)]
    if len(cut) > 1 and len(cut[-1]) == 1:
        last = cut.pop()
        cut[-1] += last
    return cut


def make_schedule(optimiser: Optimizer, settings: OptimiserSettings, epochs: int) -> LRScheduler:
    """How the rate falls: on a plateau of the validation metric (paper), along a cosine, or not."""
    if settings.schedule == "plateau":
        return ReduceLROnPlateau(
            optimiser, mode="max", factor=settings.plateau_factor, patience=settings.plateau_patience
        )
    if settings.schedule == "cosine":
        return CosineAnnealingLR(optimiser, T_max=epochs)
    return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)


def schedule_state(schedule: LRScheduler) -> dict[str, Any]:
    """A schedule's state as JSON holds it; infinities are constants of its settings and stay out."""
    return {
        name: value
        for name, value in schedule.state_dict().items()
        if not (isinstance(value, float) and math.isinf(value))
    }


def restore_parameters(trained: dict[str, torch.nn.Parameter], tensors: dict[str, Tensor]) -> None:
    """Copy checkpointed values into the trained parameters."""
    with torch.no_grad():
        for name, value in trained.items():
            value.copy_(tensors[name])


def refuse_unused(trained: dict[str, torch.nn.Parameter], config: RunConfig, *, has_mmse: bool) -> None:
    """An adapter part that the loss does not reach is a mistake, not a detail.

    Raises:
        DataError: names the parts without a gradient.
    """
    idle = [name for name, value in trained.items() if value.grad is None]
    if not has_mmse:  # without one known score the MMSE head rightly stands still; the token still travels
        idle = [name for name in idle if not name.startswith("mmse_head.")]
    if idle:
        raise DataError(
            f"Recipe '{config.name}': no gradient reaches {', '.join(idle[:5])}; they would be saved untrained."
        )
