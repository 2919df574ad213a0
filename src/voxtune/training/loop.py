"""The training loop: one flat function that reads from top to bottom."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voxtune.config import RunConfig
from voxtune.errors import DataError, StoppedError
from voxtune.losses.total import LossTerms
from voxtune.model.vlm import ClassTokens, VisionLanguageModel
from voxtune.training import state
from voxtune.training.checkpoint import Standing, forget, load_last, save_checkpoint, save_standing
from voxtune.training.cost import energy_meter, memory_mib
from voxtune.training.devices import clip_gradients, is_sharded, place
from voxtune.training.interrupt import stop_requests
from voxtune.training.optimiser import PlainAdamW
from voxtune.training.order import round_batches, seed_of
from voxtune.training.plan import Plan, plan_of
from voxtune.training.prefetch import read_ahead
from voxtune.training.ranks import Ranks, start_ranks
from voxtune.training.reach import Unreached, unreached
from voxtune.training.records import Epoch, Fitted, TrainingInputs, Watcher
from voxtune.training.schedule import make_schedule
from voxtune.training.step import Share, StepSettings, step_gradients
from voxtune.types.target import MMSE

TEMPERATURE = "temperature.value"
"""Name of the learned temperature among a model's parameters."""


def fit(  # noqa: C901, PLR0912, PLR0915  (one flat loop on purpose: it reads from top to bottom)
    model: VisionLanguageModel,
    inputs: TrainingInputs,
    config: RunConfig,
    checkpoints: Path,
    watcher: Watcher,
    *,
    resume: bool = False,
    ranks: Ranks | None = None,
) -> Fitted:
    """Train what is trainable in ``model``; it holds afterwards what the plan keeps: the best validation, or the last step.

    Same configuration, data and seed give the same parameters to the bit on one processor with one number of threads, also when
    the run is killed at any moment and resumed (``docs/concepts/same-bits.md``).

    Raises:
        DataError: nothing to train, a part that no gradient can reach, a loss that is not finite (the scans of the step are named), no whole checkpoint to resume.
        StoppedError: SIGINT or SIGTERM came; the run is saved.
    """
    # ---- what is trained, on what
    settings = config.training
    ranks = ranks or start_ranks(settings)
    model = place(model, settings, ranks)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if not trained:
        raise DataError("Nothing to train: the recipe has no method, no target and frozen projections.")
    optimiser = PlainAdamW(
        groups_of(trained, config),
        lr=config.optimiser.rate,
        weight_decay=config.optimiser.weight_decay,
        foreach=False if any(is_sharded(value) for value in trained.values()) else None,
    )
    weights = {target.name: target.weight for target in config.targets}
    step_settings = StepSettings(config.loss, inputs.task, weights, inputs.form, settings.chunk, ranks)
    classes = class_inputs(model, inputs, ranks) if config.loss.class_weight and inputs.class_tokens else None
    train = inputs.train
    drawn_by = train.labels.classes if settings.sampling == "balanced" else None
    groups = None if drawn_by is None else drawn_by.tolist()
    plan = plan_of(settings, config.optimiser, len(train), inputs.validated)

    # ---- pick up where a stopped run left off
    now, best = Standing(), state.values(trained)
    found = load_last(checkpoints, watcher.say if ranks.leads else lambda _: None) if resume else None
    if found is not None and found[1].plan and settings.epochs is None and settings.steps is None:
        plan = Plan(**found[1].plan)
    schedule = make_schedule(optimiser, config.optimiser, plan)
    if found is not None:
        tensors, now = found
        state.put_back(trained, state.part(tensors, "model."))
        best = state.part(tensors, "best.")
        state.restore_optimiser(optimiser, state.part(tensors, "optimiser."), now.groups)
        schedule.restore(now.schedule)
    elif ranks.leads:
        forget(checkpoints)
    history = [Epoch(**line) for line in now.history]
    before = len(history)
    dead = Unreached()

    def save(standing: Standing) -> Standing:
        """Write where the run stands; every process takes part, the first one writes."""
        standing = replace(
            standing, schedule=schedule.state(), groups=optimiser.state_dict()["param_groups"],
            history=[epoch.line() for epoch in history], plan=asdict(plan),
        )  # fmt: skip
        tensors = state.taken(trained, best, optimiser)
        if ranks.leads:
            save_standing(checkpoints, tensors, standing)
        ranks.wait()
        return standing

    with (
        stop_requests() as wish,
        torch.random.fork_rng(devices=[ranks.device] if ranks.device.type == "cuda" else []),
    ):
        for number in range(now.epoch, plan.rounds):
            waited = number - (now.best_epoch if now.best_epoch is not None else number)
            if plan.patience is not None and waited * plan.round > plan.patience:
                break
            # ---- up to the next validation, through the scans in an order that depends on the seed and the pass alone
            began, energy, data_seconds = time.perf_counter(), energy_meter(ranks.device), 0.0
            saved = began
            model.train()
            steps = round_batches(len(train), settings.batch_size, config.seed, plan.steps_of(number), groups)
            sums = dict(now.sums)
            shares = read_shares(inputs, steps[now.step :], settings.workers, ranks)
            for step in range(now.step, len(steps)):
                asked = time.perf_counter()
                share = next(shares)
                data_seconds += time.perf_counter() - asked
                seed = seed_of(config.seed, number, step, ranks.rank)
                optimiser.zero_grad(set_to_none=True)
                schedule.before(plan.steps_of(number)[step])
                share = share.to(ranks.device)
                if number == step == 0:
                    dead = unreached(model, trained, share, classes, step_settings)
                loss, terms = step_gradients(model, share, classes, step_settings, seed)
                ranks.average_gradients(trained.values())
                norm = clip_gradients(trained.values(), config.optimiser.clip, ranks)
                if not (math.isfinite(loss) and math.isfinite(norm)):
                    raise DataError(
                        f"The {'gradient' if math.isfinite(loss) else 'loss'} of epoch {number}, step {step} is "
                        f"{norm if math.isfinite(loss) else loss.item()}; scans of the step: {', '.join(share.facts.scan_ids)}."
                    )
                if number == step == 0:
                    refuse_unused(trained, dead, config, resting=resting_heads(model, terms))
                    for doubt in dead.doubts:
                        watcher.say(doubt)
                optimiser.step()
                parts = {
                    "loss": loss,
                    "contrastive": terms.contrastive,
                    "classes": terms.task.classes,
                    **{_sum_of(name): term for name, term in terms.task.targets.items()},
                }
                for name, value in parts.items():
                    if value is not None:
                        sums[name] = sums.get(name, 0.0) + value.item()
                        sums[f"{name}_steps"] = sums.get(f"{name}_steps", 0.0) + 1
                sums["gradient"] = sums.get("gradient", 0.0) + norm
                watcher.step(step + 1, len(steps), loss.item())

                # ---- once in a while, and when asked to stop: save inside the epoch
                late = time.perf_counter() - saved > 60 * settings.save_minutes
                wanted = ranks.largest(2 * wish.signal + late)  # one exchange for both questions
                due = (step + 1) % settings.save_steps == 0 if settings.save_steps else bool(wanted)
                stop = wanted // 2
                if due or stop:
                    spent = {"seconds": time.perf_counter() - began + now.sums.get("seconds", 0.0)}
                    save(replace(now, epoch=number, step=step + 1, sums=sums | spent))
                    saved = time.perf_counter()
                if stop:
                    raise StoppedError(stop, number, step + 1)

            # ---- validate, lower the rate, keep the best or the last
            model.eval()
            validating = time.perf_counter()
            with torch.no_grad(), ranks.autocast():
                steer = inputs.validate(model)
            if not math.isfinite(steer.metric):
                raise DataError(
                    f"The validation metric '{settings.metric}' of epoch {number} is {steer.metric}."
                )
            rate = float(optimiser.param_groups[0]["lr"])
            schedule.after(steer.metric)
            better = plan.keep == "last" or steer.beats(now.best_metric, now.best_loss)
            if better:
                best = state.values(trained)
                now = replace(now, best_metric=steer.metric, best_loss=steer.loss, best_epoch=number)
            spent_before = now.sums.get("seconds", 0.0)

            def mean(name: str, sums: dict[str, float] = sums) -> float | None:
                count = sums.get(f"{name}_steps", 0.0)
                return sums[name] / count if count else None

            epoch = Epoch(
                number, mean("loss") or 0.0, mean("contrastive") or 0.0, mean(MMSE), steer.metric, rate,
                float(model.temperature().item()), sum(len(index) for _, index in steps), time.perf_counter() - began + spent_before, better,
                mean("classes"), sums.get("gradient", 0.0) / len(steps), len(steps), data_seconds,
                time.perf_counter() - validating, memory_mib(ranks.device), energy.used_wh(), energy.source,
                plan.steps_of(number).stop, steer.loss, {name: mean(_sum_of(name)) for name in weights if name != MMSE},
            )  # fmt: skip
            history.append(epoch)
            now = replace(now, epoch=number + 1, step=0, sums={})
            # The standing comes last: a process that dies before it does the epoch again and writes the same once more.
            if better and ranks.leads:
                kept = replace(now, plan=asdict(plan), history=[], groups=[], schedule={})
                save_checkpoint(checkpoints, "best", best, kept)
            watcher.epoch(history)
            now = save(now)
            stop = ranks.largest(wish.signal)
            if stop and number + 1 < plan.rounds:
                raise StoppedError(stop, number + 1, 0)

    # ---- leave with what is kept
    state.put_back(trained, best)
    model.eval()
    assert now.best_epoch is not None
    assert now.best_metric is not None
    return Fitted(history[before:], history, now.best_epoch, now.best_metric, plan)


def groups_of(trained: dict[str, torch.nn.Parameter], config: RunConfig) -> list[Any]:
    """The parameters as the optimiser takes them: all alike, or the temperature apart with its own rate and no decay."""
    rate = config.optimiser.temperature_rate
    if rate is None or TEMPERATURE not in trained:
        return list(trained.values())
    rest = [value for name, value in trained.items() if name != TEMPERATURE]
    own = {"params": [trained[TEMPERATURE]], "lr": rate, "weight_decay": 0.0}
    return [{"params": rest}, own] if rest else [own]


def read_shares(
    inputs: TrainingInputs, steps: list[tuple[int, list[int]]], workers: int, ranks: Ranks
) -> Iterator[Share]:
    """This process's part of each batch, its scans read ahead."""
    facts = [inputs.train.facts(index) for _, index in steps]
    rows = [ranks.filled(len(index)) for _, index in steps]
    names = [[one.scan_ids[row] for row in own] for one, (own, _) in zip(facts, rows, strict=True)]
    asked = [[(number, name) for name in own] for (number, _), own in zip(steps, names, strict=True)]
    images = read_ahead(asked, scan_reader(inputs), workers)
    for one, (own, real), scans, volumes in zip(facts, rows, names, images, strict=True):
        texts = None if inputs.reports is None else padded([inputs.reports(name) for name in scans])
        yield Share(one, own, real, volumes, texts)


def scan_reader(inputs: TrainingInputs) -> Callable[[tuple[int, str]], Tensor]:
    """How a scan is read in a pass: as it is, or changed by its augmentation."""
    read, augment = inputs.read, inputs.augment
    if augment is None:
        return lambda asked: read(asked[1])
    return lambda asked: augment(read(asked[1]), asked[1], asked[0])


def padded(texts: list[Tensor]) -> Tensor:
    """Texts of different lengths (1 + L, E) side by side, zeros after the shorter ones."""
    return torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)


def class_inputs(model: VisionLanguageModel, inputs: TrainingInputs, ranks: Ranks) -> ClassTokens:
    """The class texts for every step: their tokens, or, with a frozen text tower, what it makes of them, once."""
    tokens = [(ids.to(ranks.device), mask.bool().to(ranks.device)) for ids, mask in inputs.class_tokens]
    if inputs.reports is None:
        return tokens
    with torch.no_grad(), ranks.autocast():
        return [(model.base_text(ids, mask).float(), mask) for ids, mask in tokens]


def resting_heads(model: VisionLanguageModel, terms: LossTerms) -> tuple[str, ...]:
    """How the parameters of those heads begin that rightly stand still: no scan of the batch has a value; the token still travels."""
    known = terms.task.targets
    return tuple(f"{target.key}_head." for target in model.targets if target.name not in known)


def _sum_of(target: str) -> str:
    """Under which name the error of a target is summed: no column can have that of another term."""
    return target if target == MMSE else f"target {target}"


def refuse_unused(
    trained: dict[str, torch.nn.Parameter],
    dead: Unreached,
    config: RunConfig,
    *,
    resting: tuple[str, ...] = (),
) -> None:
    """An adapter part that the loss does not reach, or cannot reach at these sizes, is a mistake, not a detail.

    Raises:
        DataError: names the parts without a gradient.
    """
    idle = [name for name, value in trained.items() if value.grad is None or name in dead.names]
    idle = [name for name in idle if not name.startswith(resting)]
    if idle:
        more = f" and {len(idle) - 5} more" if len(idle) > 5 else ""
        why = (
            f" {dead.single} of the model's attentions have a single thing to look at here, so what they ask makes no difference: "
            "give them more (a larger volume, no spatial pooling, more guiding texts) or leave the method out."
        )
        raise DataError(
            f"Recipe '{config.name}': no gradient reaches {', '.join(idle[:5])}{more}; they would be saved untrained."
            f"{why if dead.single else ''}"
        )
