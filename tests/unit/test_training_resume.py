"""Killed, stopped, damaged: a run goes on as if nothing had happened."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

from voxtune.config import TrainingSettings
from voxtune.errors import DataError, StoppedError
from voxtune.model.build import TargetScale, adapter_state, build_model
from voxtune.tasks.task import task_of
from voxtune.training.checkpoint import Standing, load_last, save_standing, standings
from voxtune.training.loop import fit
from voxtune.training.records import Fitted, Steer, TrainingInputs, Watcher

HERE = Path(__file__).parent


def load_worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ranks_worker", HERE / "ranks_worker.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load_worker()


def run(
    folder: Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    epochs: int = 2,
    save_steps: int | None = 2,
) -> tuple[dict[str, torch.Tensor], Fitted]:
    examples, scans = worker.cohort(20)
    training = TrainingSettings(accelerator="cpu", save_steps=save_steps, stop_after=None)
    config = worker.settings("batch", 4, training)
    config = config.model_copy(update={"training": config.training.model_copy(update={"epochs": epochs})})
    model = build_model(config, scales={"mmse": TargetScale(24.0, 3.0)})
    texts = torch.tensor([[2, 5, 3], [2, 40, 3], [2, 21, 3]])
    tokens = [(texts, torch.ones_like(texts, dtype=torch.bool))]
    inputs = TrainingInputs(
        task_of(config, ("a", "b", "c")),
        examples,
        scans.__getitem__,
        lambda model: Steer(float(model.temperature())),
        tokens,
    )
    fitted = fit(model, inputs, config, folder, watcher or Watcher(), resume=resume)
    return adapter_state(model), fitted


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("seed", [0])
def test_five_kills_change_no_bit(tmp_path: Path, seed: int) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_worker.py"), str(tmp_path), str(seed)],
        capture_output=True, encoding="utf-8", check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    whole, *kills, last = (int(number) for number in done.stdout.split())
    assert whole == 48
    assert len(kills) == 5
    assert last < whole  # it went on, it did not start again
    assert same(load_file(tmp_path / "whole.safetensors"), load_file(tmp_path / "cut.safetensors"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_request_saves_at_the_end_of_the_step(tmp_path: Path, number: signal.Signals) -> None:
    whole, _ = run(tmp_path / "whole")
    seen: list[int] = []

    def step(done: int, of: int, loss: float) -> None:
        seen.append(done)
        if len(seen) == 8:  # the third step of the second epoch
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match=r"epoch 2 after step 3; everything is saved, --resume") as stopped:
        run(tmp_path / "cut", watcher=Watcher(step=step), save_steps=None)
    assert stopped.value.exit_code == 128 + number
    assert signal.getsignal(number) == before
    assert standings(tmp_path / "cut")[-1] == "epoch-0001-step-000003"
    resumed, fitted = run(tmp_path / "cut", resume=True)
    assert same(whole, resumed)
    assert [epoch.steps for epoch in fitted.epochs] == [5]


@pytest.mark.parametrize("damage", ["truncated", "altered", "no facts", "facts cut"])
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_is_used(
    tmp_path: Path, damage: str
) -> None:
    whole, _ = run(tmp_path / "whole")
    run(tmp_path / "cut", epochs=1)
    before, last = standings(tmp_path / "cut")
    tensors, facts = (tmp_path / "cut" / f"{last}.{ending}" for ending in ("safetensors", "json"))
    if damage == "truncated":
        tensors.write_bytes(tensors.read_bytes()[:-100])
    elif damage == "altered":
        content = bytearray(tensors.read_bytes())
        content[-5] ^= 1
        tensors.write_bytes(content)
    elif damage == "no facts":
        facts.unlink()
    else:
        facts.write_text(facts.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    said: list[str] = []
    resumed, fitted = run(tmp_path / "cut", resume=True, watcher=Watcher(say=said.append))
    assert last in said[0]
    assert "not used" in said[0]
    assert before in said[1]
    assert [epoch.epoch for epoch in fitted.epochs] == [0, 1]  # from the checkpoint inside the first epoch
    assert same(whole, resumed)


def test_no_whole_checkpoint_is_an_error_that_names_them(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    for name in standings(tmp_path):
        (tmp_path / f"{name}.safetensors").write_bytes(b"nothing")
    with pytest.raises(
        DataError, match=r"No checkpoint of this run is whole \(epoch-0001-step-000000, epoch-0000"
    ):
        run(tmp_path, resume=True)


def test_a_finished_run_resumes_to_what_it_was(tmp_path: Path) -> None:
    first, _ = run(tmp_path)
    again, fitted = run(tmp_path, resume=True)
    assert same(first, again)
    assert fitted.epochs == []
    assert len(fitted.history) == 2


def test_two_checkpoints_are_kept_and_best_is_for_people(tmp_path: Path) -> None:
    state, _ = run(tmp_path, save_steps=1)
    assert standings(tmp_path) == ["epoch-0001-step-000005", "epoch-0002-step-000000"]
    assert not list(tmp_path.glob(".part-*"))
    best = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(best[name], state[name]) for name in best)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    found = load_last(tmp_path, print)
    assert found is not None
    tensors, standing = found
    del tensors["model.temperature.value"]
    save_standing(tmp_path, tensors, standing)
    with pytest.raises(DataError, match=r"of another model: temperature\.value"):
        run(tmp_path, resume=True)


def test_a_new_run_forgets_the_checkpoints_of_an_old_one(tmp_path: Path) -> None:
    save_standing(tmp_path, {"model.x": torch.zeros(2)}, Standing(epoch=7))
    save_file({"x": torch.zeros(1)}, tmp_path / "unrelated.safetensors")
    run(tmp_path, epochs=1)
    assert "epoch-0007-step-000000" not in standings(tmp_path)
    assert (tmp_path / "unrelated.safetensors").exists()


def test_tensors_without_their_facts_are_no_checkpoint(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    place = tmp_path / "cut"
    place.mkdir()
    (place / "epoch-0000-step-000002.safetensors").write_bytes(b"what a killed process left")
    said: list[str] = []
    assert load_last(place, said.append) is None
    assert "no such file" in said[0]
    again, _ = run(place, resume=True)
    assert same(whole, again)
    assert standings(place) == standings(tmp_path / "whole")


@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_what_is_derived_of_an_epoch_is_there_before_the_epoch_counts(
    tmp_path: Path, write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying at any write of the last epoch's end: after --resume all is there as without it."""

    class Died(BaseException):
        pass

    logs: dict[str, int] = {}

    def watcher(name: str) -> Watcher:
        return Watcher(lambda history: logs.update({name: len(history)}), lambda *_: None, lambda _: None)

    run(tmp_path / "whole", watcher=watcher("whole"), save_steps=None, epochs=1)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    real, seen = Path.replace, [0]

    def dies(self: Path, target: Path) -> Path:
        seen[0] += 1
        if seen[0] == write:
            raise Died
        return real(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(Died):
        run(tmp_path / "cut", watcher=watcher("cut"), save_steps=None, epochs=1)
    monkeypatch.undo()
    run(tmp_path / "cut", watcher=watcher("cut"), save_steps=None, epochs=1, resume=True)
    assert logs["cut"] == logs["whole"] == 1
    found = {path.name for path in (tmp_path / "cut").iterdir()}
    assert found == expected.keys()
    assert (tmp_path / "cut" / "best.safetensors").read_bytes() == expected["best.safetensors"]
