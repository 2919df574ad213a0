"""Models and scans go to the device that was asked for: a spy stands in for a GPU and refuses to compute across devices."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from voxtune.config import RunConfig, TrainingSettings
from voxtune.errors import SettingError
from voxtune.evaluation.encode import encode
from voxtune.evaluation.ood_detection import features_of
from voxtune.explanation.heat_map import explain_targets
from voxtune.explanation.scan_explanation import Case, Control, Question, explain_scan, predicted
from voxtune.explanation.target import choose_target
from voxtune.model.adapter import load_adapter
from voxtune.model.build import frozen_base
from voxtune.model.device import on_device, placed, torch_device
from voxtune.serving.bundled import adapter_folder
from voxtune.serving.predictor import Predictor
from voxtune.types.volume import Volume

SPY = torch.device("mps")
"""A device that no machine of the tests has: its tensors lie in memory and carry a mark."""
CROSSING = {"__getitem__", "__setitem__", "__set__", "copy_", "set_", "__get__", "type", "new"}
"""What takes tensors of two devices, or only passes one on."""
TO_PYTHON = {"numpy", "__array__"}


def marked(value: Any) -> bool:
    """Whether a tensor lies on the spy."""
    return isinstance(value, Tensor) and value.__dict__.get("on_spy", False)


class Spy(TorchFunctionMode):
    """Marks what goes to ``SPY``, hands the mark on, and refuses what a GPU would refuse."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if getattr(func, "__self__", None) is Tensor.device and name == "__get__":
            return SPY if marked(args[0]) else func(*args)
        if name == "_parse_to":  # of Module.to: which device its parameters are to go to
            return func(*args, **given)
        if name == "__deepcopy__":  # what else it is given is a memory of copies
            found = func(*args, **given)
            found.__dict__["on_spy"] = marked(args[0])
            return found
        flat, _ = tree_flatten((list(args), given))
        wanted = [one for one in flat if isinstance(one, torch.device)]
        real = tree_map(lambda one: torch.device("cpu") if one == SPY else one, (list(args), given))
        tensors = [one for one in flat if isinstance(one, Tensor)]
        here = any(marked(one) for one in tensors)
        if name in {"to", "cpu"} and (wanted or name == "cpu"):
            found = func(*real[0], **real[1])
            found = (
                found
                if isinstance(found, torch.nn.Parameter) or found is not args[0]
                else found.view_as(found)
            )
            found.__dict__["on_spy"] = bool(wanted) and wanted[0] == SPY
            return found
        if name in TO_PYTHON and here:
            raise AssertionError(f"{name} of a tensor on a GPU: it needs .cpu() first")
        sized = [one for one in tensors if one.dim()]
        if name not in CROSSING and here and not all(marked(one) for one in sized):
            raise AssertionError(f"{name} computes with tensors of two devices")
        found = func(*real[0], **real[1])
        if getattr(func, "__self__", None) is Tensor.data and name == "__set__":
            args[0].__dict__["on_spy"] = marked(args[1])
        on = here or any(one == SPY for one in wanted)

        def mark(value: Any) -> Any:
            if isinstance(value, Tensor) and on:
                value.__dict__["on_spy"] = True
            return value

        return tree_map(mark, found)


@contextmanager
def spied(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything inside believes in a GPU."""
    copied = torch.nn.Parameter.__deepcopy__

    def deepcopy(value: torch.nn.Parameter, memo: dict[int, Any]) -> torch.nn.Parameter:
        found: torch.nn.Parameter = copied(value, memo)
        found.__dict__["on_spy"] = marked(value)
        return found

    monkeypatch.setattr(torch.nn.Parameter, "__deepcopy__", deepcopy)
    monkeypatch.setattr("voxtune.model.device.torch_device", lambda _: SPY)
    with Spy(), on_device("cuda"):
        yield


def test_the_spy_sees_what_a_gpu_refuses() -> None:
    with Spy():
        there, here = torch.ones(2).to(SPY), torch.ones(2)
        assert there.device == SPY
        assert (there + there).device == SPY
        assert (there * 2.0).cpu().numpy().sum() == 4
        with pytest.raises(AssertionError, match="two devices"):
            there + here
        with pytest.raises(AssertionError, match="needs"):
            there.numpy()


def test_a_command_computes_where_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = torch.rand(1, 64, 64, 64)
    plain = Predictor(adapter_folder(Path("demo")))
    expected, odds = plain.answer("scan", volume), plain.log_odds(volume, "AD")
    with spied(monkeypatch):
        predictor = Predictor(adapter_folder(Path("demo")))
        model = predictor.adapter.model
        assert {one.device for one in (*model.parameters(), *model.buffers())} == {SPY}
        assert predictor.answer("scan", volume) == expected
        assert predictor.log_odds(volume, "AD") == odds
        features = features_of(model, ["scan"], lambda _: volume)
        assert features.shape[0] == 1
        assert predicted(predictor.adapter, volume)["probabilities"] == pytest.approx(expected.probabilities)
        target = choose_target(predictor.adapter, volume, "AD")
        for method in ("auto", "voxel_gradient"):
            (heat,) = explain_targets(predictor.adapter, volume, [target], method)
            assert heat.voxels.shape == (64, 64, 64)
        assert next(frozen_base(predictor.adapter.config).parameters()).device == SPY
    assert next(load_adapter(adapter_folder(Path("demo"))).model.parameters()).device.type == "cpu"


@pytest.mark.slow
def test_an_explanation_computes_where_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.imaging.template import template

    stored = template(64)
    tensor = torch.from_numpy(stored.voxels / stored.voxels.max())[None]
    with spied(monkeypatch):
        predictor = Predictor(adapter_folder(Path("demo")))
        case = Case("scan", Volume(stored.voxels, stored.affine), tensor)
        found = explain_scan(predictor.adapter, predictor.preset, case, Question("AD"), Control(None, ""))
    assert found.facts["regions"]


def test_scoring_takes_no_more_at_once_than_a_step_did() -> None:
    model = torch.nn.Linear(2, 2)
    seen: list[int] = []

    def see(inputs: Tensor) -> Tensor:
        seen.append(len(inputs))
        if len(inputs) > room:
            raise torch.OutOfMemoryError
        return inputs

    def run() -> list[str]:
        seen.clear()
        found = encode(model, [str(n) for n in range(7)], lambda name: torch.full((2,), float(name)), see)  # type: ignore[arg-type]
        return [name for names, _ in found for name in names]

    room, model.chunk = 9, None  # type: ignore[assignment]
    assert run() == [str(n) for n in range(7)]
    assert seen == [7]
    model.chunk = 3  # type: ignore[assignment]
    run()
    assert seen == [3, 3, 1]
    room, model.chunk = 2, None  # type: ignore[assignment]
    assert run() == [str(n) for n in range(7)]
    assert seen == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        run()


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "tpu:0"])
def test_what_is_no_device_is_one_sentence(name: str) -> None:
    with pytest.raises(SettingError, match="auto, cpu, cuda, cuda:N or mps"):
        torch_device(name)


def test_a_device_that_is_absent_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert torch_device("auto") == torch.device("cuda")
    assert torch_device("cuda:0") == torch.device("cuda:0")
    for name in ("cuda:1", "mps"):
        with pytest.raises(SettingError, match="one that is here"):
            torch_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert torch_device("auto") == torch_device("cpu") == torch.device("cpu")
    with on_device("cpu"):
        assert placed(torch.nn.Linear(1, 1)).weight.device.type == "cpu"


def test_training_takes_one_gpu_of_several_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.training.ranks import start_ranks

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = {name: start_ranks(TrainingSettings(accelerator=name), {}) for name in ("cuda:1", "cuda", "cpu")}
    assert {name: str(one.device) for name, one in found.items()} == {
        "cuda:1": "cuda:1", "cuda": "cuda:0", "cpu": "cpu",
    }  # fmt: skip
    assert all(one.count == 1 and one.leads for one in found.values())
    with pytest.raises(SettingError, match="one that is here"):
        start_ranks(TrainingSettings(accelerator="cuda:2"), {})
    config = RunConfig.model_validate({"name": "x", "backbone": "tiny", "preset": "tiny"})
    assert config.edit("training.accelerator=cuda:1").same_run(config), "where it is computed is no other run"
