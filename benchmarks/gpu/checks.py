"""The checks of ``run.py``, each a function of the device that returns what it found and whether it holds."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
CODE = "from voxtune.cli import main; main()"
TOLERANCE = 1e-4
"""Of float32 on two devices, over the largest number: sums of another order."""
ANSWERS = 2e-3
"""Between probabilities of two devices."""
BF16 = 0.1
"""Between the losses of a training in bf16 and in float32, relative."""
PORT = 8941


class Check(Protocol):
    """A check."""

    def __call__(self, device: str, *, small: bool) -> dict[str, Any]:
        """What it found, with ``ok``."""


# ------------------------------------------------------------------------------------------- the checks
def towers(device: str, *, small: bool) -> dict[str, Any]:  # noqa: ARG001  (small copies either way)
    """The largest difference of each tower between the CPU and the device."""
    import torch

    sys.path.insert(0, str(ROOT / "tests" / "unit"))
    contract = import_module("test_backbone_contract")
    torch.backends.cudnn.allow_tf32 = False
    found: dict[str, Any] = {}
    for name in contract.PUBLISHED:
        model = contract.small(name).eval()
        volumes, texts = contract.volumes(model), contract.ids(model)
        with torch.no_grad():
            here = seen(model, volumes, texts)
            there = seen(model.to(device), volumes.to(device), tuple(one.to(device) for one in texts))
        found[name] = {
            side: float((a - b.cpu()).abs().max() / a.abs().max().clamp(min=1e-9))
            for side, a, b in zip(("image", "text"), here, there, strict=True)
        }
    worst = max(value for sides in found.values() for value in sides.values())
    return {"largest_difference": worst, "tolerance": TOLERANCE, "backbones": found, "ok": worst <= TOLERANCE}


def seen(model: Any, volumes: Any, texts: Any) -> tuple[Any, Any]:
    """What a backbone makes of volumes and of token ids."""
    return model.encode_image(volumes), model.encode_text(*texts)


def commands(device: str, *, small: bool) -> dict[str, Any]:
    """Every command on the device; its answers beside those of the CPU."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        people = "15" if small else "40"
        steps = (
            "--set",
            "training.steps=6",
            "--set",
            "training.save_steps=1",
            "--set",
            "training.validate_steps=3",
        )
        train = ("train", "deft", "--data", "cohort/manifest.tsv", "-o", "run", *steps, "--device", device)
        told(work, "simulate", "cohort", "--participants", people, "--visits", "1", "--seed", "2")
        report: dict[str, Any] = {"stopped": stopped(work, *train)}
        for words in (
            (*train, "--resume"),
            ("evaluate", "run", "--device", device),
            ("export", "run", "-o", "adapter"),
            ("embed", "adapter", "cohort/manifest.tsv", "-o", "features", "--device", device),
            ("embed", "adapter", "cohort/manifest.tsv", "-o", "features_cpu", "--device", "cpu"),
            ("explain", "demo", "-o", "explained", "--device", device),
        ):
            report[" ".join(words[:2])] = told(work, *words)["seconds"]
        for place in (device, "cpu"):
            made = told(work, "predict", "demo", "-o", f"answers_{place}", "--device", place, "--json")
            report[f"predict on {place}"] = made["seconds"]
            report[f"probabilities on {place}"] = json.loads(made["said"])["predictions"][0]["probabilities"]
        report["serve"] = served(work, device)
        report |= agreement(work, report, device)
    report["ok"] = all(report[name] for name in ("answers_agree", "embeddings_agree", "served_agrees"))
    return report


def agreement(work: Path, report: Mapping[str, Any], device: str) -> dict[str, Any]:
    """How far the device's answers lie from the CPU's."""
    import numpy as np

    here, there = report["probabilities on cpu"], report[f"probabilities on {device}"]
    arrays = [np.load(work / name / "embeddings.npy") for name in ("features", "features_cpu")]
    far = float(np.abs(arrays[0] - arrays[1]).max() / np.abs(arrays[1]).max())
    answers = max(abs(here[name] - there[name]) for name in here)
    through = max(abs(here[name] - value) for name, value in report["serve"]["probabilities"].items())
    return {
        "answers_differ": answers, "answers_agree": answers <= ANSWERS, "served_agrees": through <= ANSWERS,
        "embeddings_differ": far, "embeddings_agree": far <= 10 * TOLERANCE,
    }  # fmt: skip


def bf16(device: str, *, small: bool) -> dict[str, Any]:
    """Two trainings that differ in their precision alone; the bf16 one's adapter answers on a CPU."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        told(
            work,
            "simulate",
            "cohort",
            "--participants",
            "15" if small else "40",
            "--visits",
            "1",
            "--seed",
            "2",
        )
        losses = {}
        for name in ("32-true", "bf16-mixed"):
            told(
                work, "train", "deft", "--data", "cohort/manifest.tsv", "-o", name, "--device", device,
                "--set", f"training.precision={name}", "--set", "training.steps=6", "--set", "training.validate_steps=3",
            )  # fmt: skip
            lines = (work / name / "log.jsonl").read_text(encoding="utf-8").splitlines()
            losses[name] = [json.loads(line)["loss"] for line in lines if "loss" in json.loads(line)]
        told(work, "export", "bf16-mixed", "-o", "adapter")
        scan = str(next((work / "cohort" / "scans").glob("*.nii.gz")))
        told(work, "predict", "adapter", scan, "-o", "answers", "--device", "cpu")
    pairs = list(zip(*losses.values(), strict=True))
    far = max(abs(a - b) / abs(a) for a, b in pairs)
    return {"losses": losses, "largest_difference": far, "tolerance": BF16, "ok": far <= BF16}


def scoring(device: str, *, small: bool) -> dict[str, Any]:
    """Peak memory of a training step and of scoring twice its scans, with the same chunk, on M3D at its published size."""
    import torch

    from voxtune.evaluation.encode import encode

    train = trained()
    tokens, batch, chunk = (64, 4, 2) if small else (2048, 8, 2)
    config = train.recipe(tokens, "engine", chunk, device)
    if small:
        sizes = {"width": 48, "depth": 2, "heads": 2, "mlp": 64}
        config = config.model_copy(update={"backbone": config.backbone.model_copy(update=sizes)})
    examples, read = train.cohort(tokens, batch)
    step, peaks = train.engine_step(config, examples, read, device), {}
    step(0)
    peaks["step"] = peak(device)
    del step
    from voxtune.model.build import TargetScale, build_model

    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    model = build_model(config, scales={"mmse": TargetScale(25.0, 3.0)}).to(device).eval()
    model.chunk = chunk
    names = [f"scan-{number % batch}" for number in range(2 * batch)]
    seen_ = sum(len(some) for some, _ in encode(model, names, read, model.encode_image))
    peaks["scoring"] = peak(device)
    ok = seen_ == len(names) and (device == "cpu" or peaks["scoring"] <= peaks["step"])
    return {"peak_mib": peaks, "tokens": tokens, "batch": batch, "chunk": chunk, "ok": ok}


def step(device: str, *, small: bool) -> dict[str, Any]:
    """Seconds and peak memory of a step by arms, in float32 and bf16."""
    return arms(
        device, ("reference", "engine") if small else ("reference", "engine", "engine+bf16"), small=small
    )


def skip_empty(device: str, *, small: bool) -> dict[str, Any]:
    """Towers that leave tokens of background out, beside the CPU's, on scans of different numbers of tokens; then a step of each kind."""
    import torch

    from voxtune.model.skip_empty import SkipEmpty

    sys.path.insert(0, str(ROOT / "tests" / "unit"))
    contract = import_module("test_backbone_contract")
    torch.backends.cudnn.allow_tf32 = False
    found: dict[str, float] = {}
    for name in contract.PUBLISHED:
        model = contract.small(name).eval()
        if not getattr(model.vision, "order_free", False):
            continue
        volumes = contract.volumes(model).abs() + 0.1
        volumes[:, :, : volumes.shape[2] // 2] = 0
        volumes[1:, :, :, : volumes.shape[3] // 2] = 0
        both = []
        for place in ("cpu", device):
            tower = SkipEmpty(model.to(place).vision)
            with torch.no_grad():
                tokens = tower.embed(volumes.to(place))
                mask = tower.groups(tokens)
                for block in tower.blocks:
                    tokens = block(tokens, mask)
                both.append(tower.pool(tower.finish(tokens), mask).cpu())
        found[name] = float((both[0] - both[1]).abs().max() / both[0].abs().max().clamp(min=1e-9))
    worst = max(found.values())
    names = ("reference", "fast+batch") if small else ("reference", "fast+batch", "fast+batch+bf16")
    steps = arms(device, names, small=small)
    return {
        "largest_difference": worst,
        "tolerance": TOLERANCE,
        "backbones": found,
        "steps": steps,
        "ok": worst <= TOLERANCE,
    }


def compiled(device: str, *, small: bool) -> dict[str, Any]:
    """The same, compiled; on a CPU a compiler is not asked for."""
    return arms(device, ("engine",) if small else ("reference", "engine+bf16+compile"), small=small)


def arms(device: str, names: tuple[str, ...], *, small: bool) -> dict[str, Any]:
    """Each arm of ``benchmarks/train`` in a process of its own, with ratios to the first."""
    import statistics

    train = trained()
    tokens, batch = (64, 2) if small else (2048, 4)
    found: dict[str, Any] = {}
    for name in names:
        given = {"arm": name, "device": device, "tokens": tokens, "batch": batch, "chunk": None}
        made = train.in_process(
            "measure", **given, steps=1 if small else 5, count=not small and "engine" in name
        )
        found[name] = made | {"seconds": statistics.median(made["wall"])}
    plain = found[names[0]]
    for one in found.values():
        one["throughput_over_first"] = plain["seconds"] / one["seconds"]
        one["memory_over_first"] = one["peak_mib"] / plain["peak_mib"]
        one["loss_off_by"] = max(abs(a - b) for a, b in zip(one["losses"], plain["losses"], strict=False))
    exact = all(
        found[name]["loss_off_by"] <= 1e-2 for name in found if "bf16" not in name and "fast" not in name
    )
    return {"tokens": tokens, "batch": batch, "arms": found, "ok": exact}


def growth(device: str, *, small: bool) -> dict[str, Any]:
    """Seconds and memory over tokens and batch."""
    train = trained()
    wanted = [(64, 2, None)] if small else [point for curve in train.GROWTH.values() for point in curve]
    found = train.in_process("points", device=device, points=wanted)
    return {"points": [{"point": list(p), **one} for p, one in zip(wanted, found, strict=True)], "ok": True}


# ----------------------------------------------------------------------------------------- what they use
def trained() -> Any:
    """``benchmarks/train/run.py``."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("train_run", ROOT / "benchmarks" / "train" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def peak(device: str) -> float:
    """The allocator's peak on a GPU, the process's on a CPU; MiB."""
    import resource

    import torch

    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return float(torch.cuda.max_memory_allocated() / 2**20)


def told(work: Path, *words: str) -> dict[str, Any]:
    """One command to its end; an exit code other than 0 is an error with the last lines it said."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], cwd=work, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RuntimeError(f"voxtune {' '.join(words)} ended with {done.returncode}: {done.stderr[-1500:]}")
    return {"said": done.stdout, "seconds": round(time.monotonic() - began, 1)}


def stopped(work: Path, *words: str) -> dict[str, Any]:
    """A training that gets SIGTERM at its first checkpoint."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *words], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while process.poll() is None and not list((work / "run" / "checkpoints").glob("*.safetensors")):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    if process.returncode not in {0, 143}:
        raise RuntimeError(f"a stopped training ended with {process.returncode}: {said.decode()[-1500:]}")
    return {"exit_code": process.returncode}


def served(work: Path, device: str) -> dict[str, Any]:
    """The shipped SIMULATED person through ``serve``, twice."""
    import urllib.request

    from voxtune.serving.bundled import PERSON, scan_file

    words = ("serve", "demo", "--port", str(PORT), "--token-file", "token", "--device", device)
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *words], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seconds: list[float] = []
    answer: dict[str, Any] = {}
    try:
        until(process)
        for name in ("first", "second"):
            began = time.monotonic()
            request = urllib.request.Request(
                f"http://127.0.0.1:{PORT}/api/v1/scans?wait=120&name={name}.nii.gz",
                data=scan_file(Path(PERSON)).read_bytes(),
                headers={"Authorization": f"Bearer {(work / 'token').read_text(encoding='utf-8').strip()}"},
            )
            with urllib.request.urlopen(request, timeout=180) as reply:
                answer = json.loads(reply.read())
            seconds.append(round(time.monotonic() - began, 2))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    return {"seconds": seconds, "verdict": answer["verdict"], "probabilities": answer["probabilities"]}


def until(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers."""
    import urllib.request

    while process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5).close()
        except OSError:
            time.sleep(0.3)
        else:
            return
    raise RuntimeError(f"serve ended with {process.returncode} before it answered")


MAKERS: dict[str, Check] = {
    "towers": towers,
    "commands": commands,
    "scoring": scoring,
    "bf16": bf16,
    "step": step,
    "skip_empty": skip_empty,
    "growth": growth,
    "compile": compiled,
}
