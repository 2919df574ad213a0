"""One process, several, shards, chunks: the same losses and gradients (gloo on the CPU)."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from voxtune.config import TrainingSettings
from voxtune.errors import SettingError
from voxtune.training.devices import shard
from voxtune.training.order import seed_of
from voxtune.training.ranks import number_of, processes

WORKER = Path(__file__).with_name("ranks_worker.py")
FORMS = ("batch", "learned", "tokens", "none")
TOLERANCE = 1e-5


def load_worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ranks_worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load_worker()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found, one file for each case."""
    out = tmp_path_factory.mktemp("two")
    done = subprocess.run(
        [sys.executable, str(WORKER), str(out)], capture_output=True, encoding="utf-8", check=False, timeout=500,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def largest_differences(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> dict[str, float]:
    assert one.keys() == other.keys()
    kinds: dict[str, float] = {}
    for name, value in one.items():
        kind = name.split(".")[0]
        kinds[kind] = max(kinds.get(kind, 0.0), float((value - other[name]).abs().max()))
    return kinds


@pytest.mark.parametrize("number", range(len(list(worker.cases()))))
def test_two_processes_compute_what_one_does(two: Path, number: int) -> None:
    form, size, _ = list(worker.cases())[number]
    alone = worker.five_steps(form, size, TrainingSettings(accelerator="cpu"))
    found = largest_differences(alone, load_file(two / f"{number}.safetensors"))
    assert found["losses"] < TOLERANCE
    assert found["gradient"] < TOLERANCE


def test_an_early_torch_refuses_to_share_a_model_out_on_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "Stream", type("Stream", (), {}))
    ranks = SimpleNamespace(device=torch.device("cpu"), count=2)
    with pytest.raises(SettingError, match=r"training\.strategy.*'ddp' on processors"):
        shard(None, ranks)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_features_first_then_chunks_of_two_compute_what_eight_at_once_do(form: str) -> None:
    alone = worker.five_steps(form, "8", TrainingSettings(accelerator="cpu"))
    chunks = worker.five_steps(form, "8", TrainingSettings(accelerator="cpu", chunk=2))
    found = largest_differences(alone, chunks)
    assert found["losses"] < TOLERANCE
    assert found["gradient"] < TOLERANCE


def test_the_loss_of_a_chunk_alone_is_another() -> None:
    """What plain gradient accumulation would train on: the comparison above can fail."""
    eight = worker.five_steps("batch", "8", TrainingSettings(accelerator="cpu"))
    worker.SIZES["4"] = (20, 4)
    four = worker.five_steps("batch", "4", TrainingSettings(accelerator="cpu"))
    assert largest_differences(eight, four)["gradient"] > 1e-3


def test_torchrun_and_srun_decide_how_many_processes_there_are() -> None:
    plain = TrainingSettings(devices=3, nodes=2)
    assert processes(plain, {}) == (3, 2)
    assert processes(plain, {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}) == (
        4,
        2,
    )
    assert processes(plain, {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "6", "SLURM_NNODES": "3"}) == (2, 3)
    assert processes(plain, {"SLURM_NTASKS": "6", "SLURM_NNODES": "3"}) == (
        3,
        2,
    )  # no srun: one process so far
    assert number_of({"SLURM_STEP_ID": "0", "SLURM_PROCID": "5"}) == 5
    assert number_of({"SLURM_PROCID": "5"}) == 0
    assert number_of({"LOCAL_RANK": "0", "NODE_RANK": "1"}) == 1
    assert number_of({}) == 0


def test_seeds_depend_on_every_part_of_the_place() -> None:
    assert (
        len(
            {
                seed_of(0, 1, 2, 3),
                seed_of(0, 1, 2, 4),
                seed_of(0, 1, 3, 3),
                seed_of(1, 1, 2, 3),
                seed_of(0, 12, 3),
            }
        )
        == 5
    )
