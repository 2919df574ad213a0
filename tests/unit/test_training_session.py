"""A run as the command makes it, on random scans in a training cache: frozen towers encoded once, page, log, trackers."""

import io
import json
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from voxtune.commands.train.fit import fit_run
from voxtune.commands.train.session import Session, TrainingCohort
from voxtune.config import (
    Aggregation,
    AugmentSettings,
    RunConfig,
    TrainingSettings,
    read_recipe,
)
from voxtune.data.images import load_preset
from voxtune.data.scans import ScanCache
from voxtune.errors import StoppedError, UsageError
from voxtune.model.adapter import load_adapter
from voxtune.model.build import build_model
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.text_prompts import TextPrompts
from voxtune.run_dir import RunDir
from voxtune.storage.seal import with_hash
from voxtune.training import trackers
from voxtune.training.ranks import start_ranks
from voxtune.types.records import ManifestRow, Report

TRAINING = TrainingSettings(accelerator="cpu", epochs=2, batch_size=5, stop_after=None)
NAMES = ("NC", "MCI", "AD")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> TrainingCohort:
    """Ten scans to train on and six to validate, uint8 noise, in the cache of preset ``tiny``."""
    root = tmp_path_factory.mktemp("cohort")
    preset = load_preset("tiny")
    folder = root / "cache" / "tiny"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    files = {}
    for number in range(16):
        files[f"scan-{number}"] = f"{number}.npy"
        buffer = io.BytesIO()
        np.save(buffer, rng.integers(0, 256, (1, *preset.size), dtype=np.uint8))
        (folder / f"{number}.npy").write_bytes(with_hash(buffer.getvalue()))
    index = {"preset": preset.model_dump(mode="json"), "dtype": "uint8", "scans": files}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    rows = [
        ManifestRow(
            participant_id=f"p{number}", session_id="1", scan_id=scan, image="none.nii.gz",
            diagnosis=NAMES[number % 3], mmse=20.0 + number % 9, source="SIMULATED",
        )
        for number, scan in enumerate(files)
    ]  # fmt: skip
    reports = {
        row.scan_id: Report(scan_id=row.scan_id, text=f"A photo of {row.diagnosis}. Volume {number}.")
        for number, row in enumerate(rows)
    }
    return TrainingCohort(
        root / "manifest.tsv", {"train": rows[:10], "val": rows[10:], "test": []}, reports, simulated=True
    )


def config(training: TrainingSettings = TRAINING, **changes: object) -> RunConfig:
    return read_recipe("deft").model_copy(update={"training": training, **changes})


def run(
    cohort: TrainingCohort,
    folder: Path,
    chosen: RunConfig,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[str, list[dict[str, Any]]]:
    session = Session(RunDir(folder), chosen, cohort, say, resume, start_ranks(chosen.training))
    summary = fit_run(session)
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return summary, [json.loads(line) for line in lines]


def losses(log: list[dict[str, Any]]) -> list[float]:
    return [value for line in log for value in (line["loss"], line["metric"], line["gradient"])]


VARIANTS: Mapping[str, Mapping[str, object]] = {
    "prompts": {},
    "neither": {"vision": (), "text": (), "targets": ()},
    "text only, tokens": {
        "vision": (),
        "targets": (),
        "aggregation": Aggregation(form="tokens"),
    },
    "vision only, tokens": {"text": (), "aggregation": Aggregation(form="tokens")},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_encoded_once_gives_the_same_run(cohort: TrainingCohort, tmp_path: Path, name: str) -> None:
    # Pictures of noise get nearly one vector: drawn apart, their rounding would be drawn apart with them.
    chosen = config(TRAINING.model_copy(update={"epochs": 1}), standardise="never", **VARIANTS[name])
    again = {"epochs": 1, "reuse": False, "workers": 0}
    anew = chosen.model_copy(update={"training": TRAINING.model_copy(update=again)})
    _, once = run(cohort, tmp_path / "once", chosen)
    _, each = run(cohort, tmp_path / "each", anew)
    assert losses(once) == pytest.approx(losses(each), abs=2e-5)


def test_a_frozen_tower_runs_once_for_each_scan_and_never_again(
    cohort: TrainingCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config(vision=(), targets=(), text=(TextPrompts(length=7),))
    session = Session(RunDir(tmp_path), chosen, cohort, lambda _: None, False, start_ranks(TRAINING))
    model = build_model(chosen)
    scans = session.scans(model)
    assert scans.train_form == "finished"
    seen: list[int] = []
    tower = type(model.vision)
    forward = tower.forward
    monkeypatch.setattr(
        tower,
        "forward",
        lambda self, *inputs: (seen.append(1) if self is model.vision else None, forward(self, *inputs))[1],
    )
    again = session.scans(model)
    assert torch.equal(again.train("scan-3"), scans.train("scan-3"))
    assert len(seen) == 1  # the one look that finds nothing trained
    assert session.reports(model, None) is None  # type: ignore[arg-type]  (prompts: the text tower is not frozen)


def test_a_length_in_steps_keeps_the_last_of_few_and_carries_a_bank(
    cohort: TrainingCohort, tmp_path: Path
) -> None:
    """Five steps in rounds of two, over ten scans in batches of five: a round begins and ends inside a pass."""
    short = TrainingSettings(accelerator="cpu", steps=5, validate_steps=2, batch_size=5)
    chosen = config(short, text=(), aggregation=Aggregation(inference="bank"))
    said: list[str] = []
    summary, log = run(cohort, tmp_path, chosen, say=said.append)
    assert [(line["step"], line["steps"], line["best"]) for line in log] == [
        (2, 2, True),
        (4, 2, True),
        (5, 1, True),
    ]
    assert log[0]["rate"] < log[1]["rate"] or log[-1]["rate"] < log[0]["rate"]
    assert "Kept after step 5" in summary
    assert "A linear probe on the frozen base" in summary
    assert any("the last step is kept: 6 validation participants" in line for line in said)
    kept = load_file(tmp_path / "adapter" / "adapter.safetensors")
    assert kept["bank"].shape == (1, 128), "no class has five people here: one vector of all ten"
    adapter = load_adapter(tmp_path / "adapter")
    assert torch.equal(adapter.model.bank, kept["bank"])


def test_the_page_tells_cost_and_origin(cohort: TrainingCohort, tmp_path: Path) -> None:
    _, log = run(cohort, tmp_path, config())
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for words in (
        "What it cost",
        "peak memory",
        "energy",
        "estimated",
        "waiting for scans",
        "SIMULATED",
    ):
        assert words in page
    assert str(tmp_path) not in page
    assert "2 epochs of 2 steps, as the settings say; the best validation is kept." in page
    assert (
        "A linear probe on the frozen base, fitted on the same training scans, reaches balanced accuracy"
        in page
    )
    assert "6 validation participants cannot tell them apart" in page
    facts = json.loads((tmp_path / "adapter" / "adapter.json").read_text(encoding="utf-8"))
    assert facts["training"]["linear_probe"]["people"] == 6
    assert facts["training"]["not_calibrated"].startswith("6 validation participants")
    assert (facts["temperature"], facts["offsets"]) == (1.0, {})
    assert [line["epoch"] for line in log] == [0, 1]
    assert log[0]["memory_mib"] > 100
    assert 0 <= log[0]["data_seconds"] < log[0]["seconds"]
    assert log[0]["energy_wh"] > 0
    environment = json.loads((tmp_path / "environment.json").read_text(encoding="utf-8"))
    # A machine without git, or a source archive, has no commit to name.
    assert ("commit <code>" in page) == (environment["git"] is not None)
    assert environment["processes"] == 1
    assert environment["processor"]


def test_stopped_and_resumed_with_other_workers_is_the_same_run(
    cohort: TrainingCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = run(cohort, tmp_path / "whole", config())
    told = "voxtune.commands.train.told.Told.step"
    monkeypatch.setattr(told, lambda self, done, of, loss: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(StoppedError, match="epoch 1 after step 1"):
        run(cohort, tmp_path / "cut", config())
    monkeypatch.undo()
    other = config(TRAINING.model_copy(update={"workers": 3, "save_steps": 1}))
    assert other.same_run(config())
    said: list[str] = []
    _, resumed = run(cohort, tmp_path / "cut", other, resume=True, say=said.append)
    assert not [line for line in said if "last bits" in line]
    assert losses(resumed) == losses(whole)
    adapters = [
        (tmp_path / name / "adapter" / "adapter.safetensors").read_bytes() for name in ("whole", "cut")
    ]
    assert adapters[0] == adapters[1]


def test_a_run_that_goes_on_elsewhere_says_that_its_last_bits_may_differ(
    cohort: TrainingCohort, tmp_path: Path
) -> None:
    run(cohort, tmp_path, config())
    file = tmp_path / "environment.json"
    here = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(here | {"threads": 77, "arithmetic": {"MKL_CBWR": "AVX2"}}), encoding="utf-8")
    said: list[str] = []
    run(cohort, tmp_path, config(), resume=True, say=said.append)
    (line,) = [line for line in said if "last bits" in line]
    assert f"number of threads (77 before, {here['threads']} now)" in line
    assert "settings of the matrix libraries ({'MKL_CBWR': 'AVX2'} before" in line
    assert json.loads(file.read_text(encoding="utf-8")) == here


def test_bf16_trains_and_stays_close(cohort: TrainingCohort, tmp_path: Path) -> None:
    _, exact = run(cohort, tmp_path / "exact", config())
    _, rounded = run(
        cohort,
        tmp_path / "rounded",
        config(TRAINING.model_copy(update={"precision": "bf16-mixed", "checkpointing": True})),
    )
    assert losses(rounded) != losses(exact)
    assert rounded[-1]["loss"] == pytest.approx(exact[-1]["loss"], rel=0.05)


class Recorder:
    """A tracker's package, as a module."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []

    def init(self, **given: Any) -> None:
        self.said.append(("init", given))

    def log(self, values: dict[str, float], step: int) -> None:
        self.said.append(("log", (step, values)))

    def finish(self) -> None:
        self.said.append(("finish", None))


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_gets_steps_and_epochs(
    cohort: TrainingCohort, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Recorder()
    monkeypatch.setitem(sys.modules, name, package)
    run(cohort, tmp_path, config(TRAINING.model_copy(update={"epochs": 1, "trackers": (name,)})))
    kinds = [kind for kind, _ in package.said]
    assert kinds == ["init", "log", "log", "log", "finish"]
    given = package.said[0][1]
    assert given["project"] == "voxtune"
    assert str(cohort.manifest) not in json.dumps(given["config"])
    step, epoch = package.said[1][1], package.said[3][1]
    assert step[0] == 1
    assert step[1].keys() == {"step/loss"}
    assert (
        epoch[1]["epoch/metric"] == json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8"))["metric"]
    )


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_tracker_that_is_not_installed_says_how_to_get_it(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "torch.utils.tensorboard" if name == "tensorboard" else name
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"pip install '{name}>="):
        trackers.start_trackers((name,), tmp_path, "deft", {})


def test_tensorboard_writes_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="extra tensorboard")
    (tracker,) = trackers.start_trackers(("tensorboard",), tmp_path, "deft", {"seed": 0})
    tracker.log({"epoch/loss": 1.0}, 1)
    tracker.close()
    assert list((tmp_path / "tensorboard").glob("events*"))


# ------------------------------------------------------------------------------------ augmentation
@pytest.fixture(scope="module")
def augment() -> Callable[..., torch.Tensor]:
    pytest.importorskip("monai", reason="extra augment")
    from voxtune.data.augment import augmentation

    found = augmentation(AugmentSettings(enabled=True, flip=True), load_preset("tiny"), 3)
    assert found is not None
    return found


def test_augmentation_depends_on_seed_scan_and_epoch_alone(augment: Callable[..., torch.Tensor]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    volume = torch.rand(1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    volume[:, :10] = 0
    asked = [(f"s{scan}", epoch) for scan in range(3) for epoch in range(2)]
    alone = [augment(volume, *one) for one in asked]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda one: augment(volume, *one), asked[::-1]))[::-1]
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert len({one.numpy().tobytes() for one in alone}) == 6
    for one in alone:
        assert one.shape == volume.shape
        assert type(one) is torch.Tensor
        assert 0 <= float(one.min()) <= float(one.max()) <= 1
        assert (one == 0).float().mean() > 0.05  # what is outside stays outside


def test_augmentation_repeats_one_channel(augment: Callable[..., torch.Tensor]) -> None:
    found = augment(torch.rand(1, 64, 64, 64).expand(3, -1, -1, -1), "s", 0)
    assert torch.equal(found[0], found[2])


def test_a_run_with_augmentation_reads_volumes_and_is_the_same_with_any_workers(
    cohort: TrainingCohort, tmp_path: Path
) -> None:
    pytest.importorskip("monai", reason="extra augment")
    changed = AugmentSettings(enabled=True)
    one = config(TRAINING.model_copy(update={"epochs": 1, "workers": 0}), augment=changed)
    many = config(TRAINING.model_copy(update={"epochs": 1, "workers": 3}), augment=changed)
    _, first = run(cohort, tmp_path / "one", one)
    _, second = run(cohort, tmp_path / "many", many)
    _, plain = run(cohort, tmp_path / "plain", config(TRAINING.model_copy(update={"epochs": 1})))
    assert losses(first) == losses(second)
    assert losses(first) != losses(plain)


def test_augmentation_without_monai_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.data.augment import augmentation

    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(UsageError, match=r"pip install 'monai>="):
        augmentation(AugmentSettings(enabled=True), load_preset("tiny"), 0)
    assert augmentation(AugmentSettings(), load_preset("tiny"), 0) is None


def test_the_model_of_a_frozen_vision_run_scores_volumes_as_features(cohort: TrainingCohort) -> None:
    """``finished`` enters where ``base_image`` left off."""
    model: VisionLanguageModel = build_model(config(vision=(), targets=()))
    cache = ScanCache(cohort.manifest.parent / "cache" / "tiny")
    volumes = torch.from_numpy(np.stack([cache["scan-0"], cache["scan-1"]]))
    with torch.no_grad():
        whole = model.encode_image(volumes)
        finished = model.encode_image(model.base_image(model.vision(volumes)), finished=True)
    torch.testing.assert_close(whole.vector, finished.vector)
