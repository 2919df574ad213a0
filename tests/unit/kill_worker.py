"""A run killed (SIGKILL) at random moments and resumed, one forked child after another; run by ``test_training_resume.py``."""

import os
import random
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file


def child(worker: ModuleType, folder: Path, out: Path, pipe: int) -> None:
    """Train to the end, one byte into the pipe for each step."""
    from voxtune.config import TrainingSettings
    from voxtune.model.build import TargetScale, adapter_state, build_model
    from voxtune.tasks.task import task_of
    from voxtune.training.loop import fit
    from voxtune.training.records import Steer, TrainingInputs, Watcher

    examples, scans = worker.cohort(24)
    training = TrainingSettings(accelerator="cpu", save_steps=2, stop_after=None)
    config = worker.settings("batch", 4, training)
    config = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 8})})
    model = build_model(config, scales={"mmse": TargetScale(24.0, 3.0)})
    texts = torch.tensor([[2, 5, 3], [2, 40, 3], [2, 21, 3]])
    mask = torch.ones_like(texts, dtype=torch.bool)

    def validate(model: object) -> Steer:
        with torch.no_grad():
            return Steer(float(model.encode_image(torch.stack(list(scans.values())[:4])).vector.sum()))

    inputs = TrainingInputs(
        task_of(config, ("a", "b", "c")), examples, scans.__getitem__, validate, [(texts, mask)]
    )
    watcher = Watcher(step=lambda *_: os.write(pipe, b"."), say=lambda line: print(line, file=sys.stderr))
    fitted = fit(model, inputs, config, folder, watcher, resume=True)
    history = [[epoch.loss, epoch.metric, epoch.gradient] for epoch in fitted.history]
    save_file(adapter_state(model) | {"history": torch.tensor(history, dtype=torch.float64)}, out)


def attempt(worker: ModuleType, folder: Path, out: Path, steps: int | None, delay: float) -> int:
    """One child, killed ``delay`` seconds after so many steps; returns how many steps it took."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        code = 1
        try:
            child(worker, folder, out, write)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    done = 0
    while os.read(read, 1):
        done += 1
        if done == steps:
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
    os.close(read)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed if steps else status == 0, status
    return done


def main(worker: ModuleType, root: Path, seed: int) -> None:
    """The whole run, then the same run killed five times."""
    chance = random.Random(seed)
    whole = attempt(worker, root / "whole", root / "whole.safetensors", None, 0)
    kills = [
        attempt(worker, root / "cut", root / "cut.safetensors", chance.randint(1, 5), chance.uniform(0, 0.02))
        for _ in range(5)
    ]
    last = attempt(worker, root / "cut", root / "cut.safetensors", None, 0)
    print(whole, *kills, last)


if __name__ == "__main__":
    import importlib.util

    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("ranks_worker", Path(__file__).with_name("ranks_worker.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main(module, Path(sys.argv[1]), int(sys.argv[2]))
