"""Two passes over a chunk draw the same dropout; frozen weights in bf16; compiled blocks; what a step costs in memory."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from voxtune.config import LossSettings, TrainingSettings
from voxtune.model.build import TargetScale, build_model
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.lora import Lora
from voxtune.tasks.task import task_of
from voxtune.training.cost import energy_meter, memory_mib
from voxtune.training.devices import place, round_frozen
from voxtune.training.interrupt import stop_requests
from voxtune.training.loop import read_shares
from voxtune.training.prefetch import AHEAD, read_ahead
from voxtune.training.ranks import start_ranks
from voxtune.training.records import Steer, TrainingInputs
from voxtune.training.step import Share, StepSettings, step_gradients

CPU = TrainingSettings(accelerator="cpu")
RANKS = start_ranks(CPU)


def load_worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ranks_worker", Path(__file__).with_name("ranks_worker.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load_worker()
TASK = task_of(worker.settings("batch", 8, CPU), ("a", "b", "c"))


def share_of(count: int) -> Share:
    examples, scans = worker.cohort(count)
    inputs = TrainingInputs(TASK, examples, scans.__getitem__, lambda _: Steer(0.0), [])
    return next(read_shares(inputs, [(0, list(range(count)))], 0, RANKS))


def model_with(*methods: Lora) -> VisionLanguageModel:
    config = worker.settings("batch", 8, CPU)
    model = build_model(
        config.model_copy(update={"vision": methods or config.vision}),
        scales={"mmse": TargetScale(24.0, 3.0)},
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:  # LoRA starts at zero, where dropout changes nothing
                value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return model.train()


def gradients(
    model: VisionLanguageModel, share: Share, chunk: int | None, seed: int
) -> dict[str, torch.Tensor]:
    model.zero_grad(set_to_none=True)
    step_gradients(
        model, share, None, StepSettings(LossSettings(), TASK, {"mmse": 0.5}, "volumes", chunk, RANKS), seed
    )
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


def test_dropout_is_drawn_alike_in_both_passes_over_a_chunk() -> None:
    """A step's gradient is that of one function: a finite difference of the same step's loss agrees with it."""
    model, share = model_with(Lora(rank=2, dropout=0.5)), share_of(6)
    found = gradients(model, share, 2, seed=7)
    assert all(torch.equal(found[name], one) for name, one in gradients(model, share, 2, seed=7).items())
    other = gradients(model, share, 2, seed=8)
    assert any(not torch.equal(found[name], one) for name, one in other.items())
    settings = StepSettings(LossSettings(), TASK, {"mmse": 0.5}, "volumes", 2, RANKS)
    direction = {name: grad / grad.norm() for name, grad in found.items() if "lora" in name}
    named = dict(model.named_parameters())

    up, down = (_loss(model, share, settings, named, direction, by) for by in (0.05, -0.05))
    slope = (up - down) / 0.1
    expected = sum(float((found[name] * way).sum()) for name, way in direction.items())
    assert slope == pytest.approx(expected, rel=0.05)


def _loss(
    model: VisionLanguageModel, share: Share, settings: StepSettings, named: dict[str, torch.nn.Parameter],
    direction: dict[str, torch.Tensor], by: float,
) -> float:  # fmt: skip
    """The loss of the step with parameters moved along a direction."""
    with torch.no_grad():
        for name, way in direction.items():
            named[name].add_(by * way)
    loss, _ = step_gradients(model, share, None, settings, 7)
    with torch.no_grad():
        for name, way in direction.items():
            named[name].sub_(by * way)
    return float(loss)


def test_frozen_weights_in_bf16_train_what_is_learned_in_float32() -> None:
    exact, rounded, share = model_with(), model_with(), share_of(6)
    round_frozen(rounded)
    kinds: dict[bool, set[torch.dtype]] = {}
    for value in rounded.parameters():
        kinds.setdefault(value.requires_grad, set()).add(value.dtype)
    assert kinds[True] == {torch.float32}
    assert torch.bfloat16 in kinds[False]
    mixed = start_ranks(TrainingSettings(accelerator="cpu", precision="bf16-mixed"))
    rounded.zero_grad(set_to_none=True)
    loss, _ = step_gradients(
        rounded, share, None, StepSettings(LossSettings(), TASK, {"mmse": 0.5}, "volumes", 2, mixed), 0
    )
    plain, _ = step_gradients(
        exact, share, None, StepSettings(LossSettings(), TASK, {"mmse": 0.5}, "volumes", None, RANKS), 0
    )
    assert float(loss) == pytest.approx(float(plain), rel=0.03)
    assert all(value.grad.dtype == torch.float32 for value in rounded.parameters() if value.grad is not None)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_blocks_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captured forward and backward; making machine code of them takes minutes and is left to the compiler's own tests."""
    whole = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: whole(self, backend="aot_eager"))
    share = share_of(6)
    plain = gradients(model_with(), share, None, 0)
    model = place(model_with(), TrainingSettings(accelerator="cpu", compile=True), RANKS)
    compiled = gradients(model, share, None, 0)
    assert plain.keys() == compiled.keys()
    for name, value in plain.items():
        torch.testing.assert_close(compiled[name], value, atol=1e-5, rtol=1e-4)


def test_chunks_hold_the_activations_of_a_chunk() -> None:
    """What autograd keeps between the passes grows with the chunk, not with the batch."""
    share = share_of(16)

    def kept(chunk: int | None) -> int:
        largest = now = 0

        def pack(value: torch.Tensor) -> torch.Tensor:
            nonlocal largest, now
            now += value.numel()
            largest = max(largest, now)
            return value

        def unpack(value: torch.Tensor) -> torch.Tensor:
            nonlocal now
            now -= value.numel()
            return value

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            gradients(model_with(), share, chunk, 0)
        return largest

    assert kept(2) < 0.3 * kept(None)


def test_reading_ahead_changes_nothing_and_reads_no_more_than_it_must() -> None:
    seen: list[str] = []

    def read(name: str) -> torch.Tensor:
        seen.append(name)
        return torch.tensor([float(name)])

    steps = [[str(2 * step), str(2 * step + 1)] for step in range(8)]
    now = [one.tolist() for one in read_ahead(steps, read, 0)]
    assert [one.tolist() for one in read_ahead(steps, read, 3)] == now
    seen.clear()
    reading = read_ahead(steps, read, 1)
    next(reading)
    reading.close()
    assert len(seen) <= 2 * (AHEAD + 1)


def test_an_error_of_a_reading_thread_reaches_the_step() -> None:
    def read(name: str) -> torch.Tensor:
        raise ValueError(name)

    with pytest.raises(ValueError, match="scan-1"):
        next(read_ahead([["scan-1"]], read, 2))


def test_a_stop_request_in_another_thread_changes_nothing() -> None:
    import threading

    found: list[int] = []

    def work() -> None:
        with stop_requests() as wish:
            found.append(wish.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]


def test_cost_is_counted() -> None:
    meter = energy_meter(torch.device("cpu"))
    while (meter.used_wh() or 0) == 0:
        torch.rand(200, 200) @ torch.rand(200, 200)
    assert "estimated" in meter.source
    assert memory_mib(torch.device("cpu")) > 50
