"""The promise of bits: the same numbers from weights, checkpoints and scans wherever in memory, or in a file, they lie."""

import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # no stubs exist
from torch import Tensor

import voxtune
from voxtune.config import TrainingSettings
from voxtune.model.build import TargetScale, adapter_state, build_model
from voxtune.simulate.atlas import atlas, full_template
from voxtune.simulate.brains import template_anatomy
from voxtune.tasks.task import task_of
from voxtune.training import state
from voxtune.training.checkpoint import load_last, standings
from voxtune.training.loop import fit
from voxtune.training.records import Steer, TrainingInputs, Watcher
from voxtune.weights import memory
from voxtune.weights.memory import BOUNDARY, aligned, read_tensors

SHIFTS = (0, 4, 8, 20, 32, 60)
"""Bytes after the boundary at which the first tensor of a file begins."""
TEXT = {"vocab": 60, "width": 24, "depth": 2, "heads": 2, "mlp": 32, "max_length": 20}
CT = {
    "vision": {"width": 24, "codebook": 16, "image": 8, "frames": 6, "patch": 4, "depth_patch": 2, "spatial_depth": 1, "temporal_depth": 1,
               "heads": 2, "head_width": 8, "inner": 16},
    "text": TEXT, "latent": 16,
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "m3d": {
        "volume": (4, 8, 8),
        "patch": (2, 4, 4),
        "width": 24,
        "depth": 2,
        "heads": 2,
        "mlp": 32,
        "text": TEXT,
    },
    "ct_clip": CT,
}
THEIRS = {
    "m3d": {"vision_projection.": "mm_vision_proj.", "text_projection.": "mm_language_proj.", "vision.": "vision_encoder.", "text.": "language_encoder."},
    "ct_clip": {"vision_projection.": "to_visual_latent.", "text_projection.": "to_text_latent.", "vision.": "visual_transformer.", "text.": "text_transformer."},
}  # fmt: skip


def load_worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ranks_worker", Path(__file__).with_name("ranks_worker.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load_worker()


def shifted_file(path: Path, tensors: dict[str, Tensor], shift: int) -> Path:
    """A safetensors file, as the format's page describes it, whose first tensor begins ``shift`` bytes after the boundary."""
    kinds = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}
    facts: dict[str, Any] = {}
    start = 0
    ordered = sorted(tensors.items(), key=lambda one: -one[1].element_size())
    for name, value in ordered:
        facts[name] = {
            "dtype": kinds[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [start, start + value.nbytes],
        }
        start += value.nbytes
    header = json.dumps(facts).encode()
    header += b" " * ((shift - 8 - len(header)) % BOUNDARY)
    data = b"".join(
        value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() for _, value in ordered
    )
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    assert (8 + len(header)) % BOUNDARY == shift
    return path


def shifted(value: Tensor, shift: int) -> Tensor:
    """The same numbers in memory that starts ``shift`` bytes after the boundary."""
    places = BOUNDARY // value.element_size()
    room = torch.empty(value.numel() + places, dtype=value.dtype)
    first = (-room.data_ptr() % BOUNDARY + shift) // value.element_size()
    found = room[first : first + value.numel()].view(value.shape)
    assert found.data_ptr() % BOUNDARY == shift
    return found.copy_(value)


def off_boundary(tensors: dict[str, Tensor]) -> list[str]:
    return [name for name, value in tensors.items() if value.numel() and value.data_ptr() % BOUNDARY]


def test_a_tensor_off_the_boundary_is_copied_and_others_are_not() -> None:
    value = torch.arange(10.0)
    assert aligned(value) is value
    for shift in SHIFTS[1:]:
        moved = shifted(value, shift)
        assert aligned(moved).data_ptr() % BOUNDARY == 0
        assert torch.equal(aligned(moved), value)


@pytest.mark.parametrize("mapped", [1, 2**26])
def test_tensors_are_read_whatever_is_mapped_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: int
) -> None:
    monkeypatch.setattr(memory, "MAPPED_BYTES", mapped)
    tensors = {"a": torch.rand(3, 5), "b": torch.arange(7), "c": torch.tensor(2.0), "d": torch.rand(1, 33)}
    found = dict(read_tensors(shifted_file(tmp_path / "some.safetensors", tensors, 20)))
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    assert off_boundary(found) == []
    assert list(dict(read_tensors(tmp_path / "some.safetensors", ["d", "a"]))) == ["d", "a"]


@pytest.mark.parametrize("name", SIZES)
def test_weights_give_the_same_bits_from_any_file_and_from_none(tmp_path: Path, name: str) -> None:
    model = cast(Any, voxtune.load_backbone(name, **SIZES[name]))
    published = {}
    for key, value in model.state_dict().items():
        ours, theirs = next(((a, b) for a, b in THEIRS[name].items() if key.startswith(a)), ("", ""))
        published[theirs + key[len(ours) :]] = value
    image, ids = torch.rand(3, 1, *model.volume_shape[-3:]), torch.randint(5, 60, (2, 9))
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        expected = model.encode_image(image), model.encode_text(ids, mask)
        for shift in SHIFTS:
            file = shifted_file(tmp_path / f"{shift}.safetensors", published, shift)
            again = cast(Any, voxtune.load_backbone(name, file, **SIZES[name]))
            assert off_boundary(again.state_dict()) == []
            assert torch.equal(again.encode_image(image), expected[0]), shift
            assert torch.equal(again.encode_text(ids, mask), expected[1]), shift


def test_a_scan_gives_the_same_bits_wherever_it_lies(shrunken: ModuleType) -> None:
    model = build_model(worker.settings("tokens", 4, TrainingSettings(accelerator="cpu")))
    volumes = torch.rand(2, 1, 8, 16, 16)
    seen: list[int] = []
    embed = model.vision.tower.embed
    cast(Any, model.vision.tower).embed = lambda inputs: (
        seen.append(inputs.data_ptr() % BOUNDARY) or embed(inputs)
    )
    with torch.no_grad():
        expected = model.encode_image(volumes)
        for shift in SHIFTS:
            found = model.encode_image(shifted(volumes, shift))
            assert torch.equal(found.vector, expected.vector)
            assert torch.equal(found.patches, expected.patches)
    assert set(seen) == {0}


def trained(base: Path, folder: Path, *, resume: bool = False, steps: int | None = None) -> dict[str, Tensor]:
    """Two epochs of five steps on a base that comes from a file; ``steps``: it is killed in the step after so many."""

    class Killed(Exception):  # noqa: N818
        """Power is gone."""

    def step(done: int, _of: int, _loss: float) -> None:
        if steps is not None and len(list(count)) >= steps:
            raise Killed
        count.append(done)

    count: list[int] = []
    examples, scans = worker.cohort(20)
    config = worker.settings("batch", 4, TrainingSettings(accelerator="cpu", save_steps=2, stop_after=None))
    config = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 2})})
    config = config.model_copy(update={"backbone": worker.BACKBONE.model_copy(update={"weights": base})})
    model = build_model(config, scales={"mmse": TargetScale(24.0, 3.0)})
    texts = torch.tensor([[2, 5, 3], [2, 40, 3], [2, 21, 3]])
    inputs = TrainingInputs(
        task_of(config, ("a", "b", "c")),
        examples,
        scans.__getitem__,
        lambda model: Steer(float(model.temperature())),
        [(texts, torch.ones_like(texts, dtype=torch.bool))],
    )
    try:
        fit(model, inputs, config, folder, Watcher(step=step), resume=resume)
    except Killed:
        return {}
    return adapter_state(model)


def test_a_resumed_run_ends_the_same_from_files_at_any_alignment(tmp_path: Path) -> None:
    """Base and checkpoint are rewritten between the kill and the resume, each tensor somewhere else in its file."""
    plain = worker.BACKBONE.build()
    published = {}
    for key, value in cast(Any, plain).state_dict().items():
        ours, theirs = next(((a, b) for a, b in THEIRS["m3d"].items() if key.startswith(a)), ("", ""))
        published[theirs + key[len(ours) :]] = value
    bases = {
        shift: shifted_file(tmp_path / f"base-{shift}.safetensors", published, shift) for shift in SHIFTS
    }
    whole = trained(bases[0], tmp_path / "whole")
    for shift in SHIFTS:
        folder = tmp_path / f"cut-{shift}"
        assert trained(bases[shift], folder, steps=7) == {}
        file = folder / f"{standings(folder)[-1]}.safetensors"
        shifted_file(file, load_file(file), SHIFTS[-1] - shift)
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        facts["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        file.with_suffix(".json").write_text(json.dumps(facts), encoding="utf-8")
        found = load_last(folder, print)
        assert found is not None
        assert off_boundary(state.part(found[0], "optimiser.")) == []
        resumed = trained(
            bases[SHIFTS[-1] - shift if SHIFTS[-1] - shift in bases else 8], folder, resume=True
        )
        assert resumed.keys() == whole.keys()
        assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == [], shift


# -------------------------------------------------------------------------------- simulated people, however many threads multiply matrices
def _person() -> bytes:
    from voxtune.simulate.brains import render
    from voxtune.simulate.scanner import Scanner
    from voxtune.simulate.subjects import CohortSettings, scans

    settings = CohortSettings(participants=63, visits=1, seed=500)
    scan = list(scans(settings))[
        62
    ]  # a voxel of it lies so near to a half that one order of sums rounds it up
    volume, anatomy = render(settings, scan, Scanner.drawn(500, scan.participant.scanner))
    return volume.voxels.tobytes() + anatomy.maps.tobytes()


def _head() -> bytes:
    from voxtune.simulate.brains import anatomy_of
    from voxtune.simulate.heads import raw_head
    from voxtune.simulate.subjects import CohortSettings, scans

    settings = CohortSettings(participants=1, visits=1, seed=3)
    scan = next(iter(scans(settings)))
    return raw_head(
        anatomy_of(settings, scan), scan.participant.head, np.random.default_rng(1)
    ).voxels.tobytes()


def _chest() -> bytes:
    from voxtune.simulate.chest import ChestSettings, Scanner, render, scans

    settings = ChestSettings(participants=1, scans=1, seed=3)
    return render(settings, next(iter(scans(settings))), Scanner.drawn(3, 0)).voxels.tobytes()


@pytest.mark.parametrize("simulate", [_person, _head, _chest])
def test_simulated_scans_do_not_depend_on_the_number_of_threads(simulate: Callable[[], bytes]) -> None:
    found = []
    for threads in (1, 2):
        for kept in (atlas, full_template, template_anatomy):
            kept.cache_clear()
        with threadpool_limits(limits=threads, user_api="blas"):
            found.append(simulate())
    assert found[0] == found[1]
