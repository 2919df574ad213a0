"""What does a training step of the full-size M3D recipe ``deft`` cost, against a plain reference, and how does the cost grow?

    python benchmarks/train/run.py step    [--device cuda] [--batch 2] [--steps 3] [--arms reference engine ...]
    python benchmarks/train/run.py growth  [--device cuda]
    python benchmarks/train/run.py data    [--scans 1000]

Random weights of the published size (a step costs the same), volumes of 128^3 voxels (2,048 tokens) with random values inside the
template's brain and nothing around it, as a stripped head has, texts of 100-130 tokens as the reports of template ``deft`` have, deep visual prompts, MMSE token, text prompts, cross-attention over the batch.

``reference`` is the same mathematics written plainly: attention as matrix products and a softmax, every block over every token as
in the published class, texts padded to 512, float32, one graph, no activation checkpointing. The other arms are the package's own step with the settings their names say. Each arm
runs in a process of its own (``fast`` is recipe ``deft_fast``: tokens of background never enter), the processes take turns by rounds, on a GPU the first step of each is a warm-up. Seconds are of the
wall and of the processor; ratios are of the wall's on a quiet machine (load below one at the start) and of the processor's on one
that does other things. Peak memory is the process's above what the imports left (Linux), or the allocator's on a GPU. On a CPU the
arithmetic of the engine's step is counted too, and how fast the machine multiplies matrices: no step of the same mathematics can
be faster than one over the other. ``data`` times an epoch that reads every scan from the training cache.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

CLASSES = ("NC", "MCI", "AD")
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
ARMS: dict[str, list[str]] = {
    "reference": [],
    "engine": [],
    "engine+checkpointing": ["training.checkpointing=true"],
    "engine+chunk1": ["training.chunk=1"],
    "engine+chunk1+checkpointing": ["training.chunk=1", "training.checkpointing=true"],
    "fast": ["training.chunk=1"],
    "fast+checkpointing": ["training.chunk=1", "training.checkpointing=true"],
    "fast+bf16": ["training.chunk=1", "training.precision=bf16-mixed"],
    "fast+batch": [],
    "fast+batch+bf16": ["training.precision=bf16-mixed"],
    "engine+bf16": ["training.precision=bf16-mixed"],
    "engine+bf16+compile": ["training.precision=bf16-mixed", "training.compile=true"],
}
CPU_ARMS = (
    "reference", "engine", "engine+checkpointing", "engine+chunk1+checkpointing", "fast", "fast+checkpointing", "fast+bf16",
)  # fmt: skip
"""``fast+bf16`` only where the processor multiplies bf16 by itself."""
GPU_ARMS = ("reference", "engine", "engine+bf16", "fast+batch", "fast+batch+bf16", "engine+bf16+compile")
BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""What Linux calls processors that do."""
PADDED = 512
"""Tokens of every text in the reference."""
PEAK_FLOPS = {
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "V100": 125e12,
}
"""Dense half-precision tensor peak by words in the GPU's name (the makers' data sheets)."""
GROWTH = {
    "tokens": [(256, 2, None), (512, 2, None), (1024, 2, None)],
    "batch": [(256, 2, None), (256, 4, None), (256, 8, None)],
    "batch, chunk 2": [(256, 2, 2), (256, 4, 2), (256, 8, 2)],
}
"""Curves of (tokens of a scan, scans of a step, chunk)."""


# ------------------------------------------------------------------------------- in a process of its own
def kernel_says(word: str) -> int:
    """A line of this process's status in Linux's /proc, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{word}:"))


def unfused(q: Any, k: Any, v: Any, attn_mask: Any = None) -> Any:
    """Attention written out: one matrix of all pairs in memory."""
    import torch

    scores = q @ k.mT * q.shape[-1] ** -0.5
    if attn_mask is not None:
        scores = (
            scores.masked_fill(~attn_mask, -torch.inf)
            if attn_mask.dtype == torch.bool
            else scores + attn_mask
        )
    return scores.softmax(dim=-1) @ v


def recipe(tokens: int, arm: str, chunk: int | None, device: str) -> Any:
    """Recipe ``deft``, or ``deft_fast``, around a full-size M3D with as many tokens."""
    from voxtune.backbones.m3d_clip import M3dClip
    from voxtune.config import read_recipe

    config = read_recipe("deft_fast" if arm.startswith("fast") else "deft").model_copy(
        update={"backbone": M3dClip(input_volume=(tokens // 16, 128, 128)), "preset": "deft"}
    )
    for assignment in [
        *ARMS[arm],
        f"training.accelerator={'cpu' if device == 'cpu' else 'cuda'}",
        "training.workers=0",
    ]:
        config = config.edit(assignment)
    return config if chunk is None else config.edit(f"training.chunk={chunk}")


def brain(tokens: int) -> Any:
    """Where a stripped brain is in a volume of preset ``deft`` (slices, rows, columns); of fewer tokens its middle slices."""
    import numpy as np
    import torch

    from voxtune.imaging.orient import orient
    from voxtune.imaging.template import brain_mask, field_of_view
    from voxtune.types.volume import Volume

    mask = Volume(brain_mask(128).astype(np.float32), field_of_view(128))
    inside = torch.from_numpy(np.ascontiguousarray(orient(mask, "SPL").voxels > 0.5))
    slices = tokens // 16
    return inside[64 - slices // 2 :][:slices]


def cohort(tokens: int, count: int) -> tuple[Any, Any]:
    """Stripped heads of random values by name, and their facts."""
    import torch

    from voxtune.data.examples import Examples, Labels

    generator = torch.Generator().manual_seed(0)
    inside = brain(tokens)
    scans = {f"scan-{i}": torch.rand(1, *inside.shape, generator=generator) * inside for i in range(count)}
    lengths = torch.randint(100, 131, (count,), generator=generator)
    ids = torch.randint(1000, 30000, (count, 130), generator=generator)
    labels, mmse = torch.arange(count) % 3, 20 + 10 * torch.rand(count, generator=generator)
    mask = torch.arange(130)[None] < lengths[:, None]
    return Examples(tuple(scans), tuple(scans), Labels(labels, {"mmse": mmse}), ids, mask), scans.__getitem__


def measure(given: dict[str, Any]) -> dict[str, Any]:
    """Steps of one arm: seconds, losses, peak memory, and on a GPU the arithmetic of a step."""
    import torch
    import torch.nn.functional as F

    arm, device, tokens, batch = given["arm"], given["device"], given["tokens"], given["batch"]
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    base = kernel_says("VmRSS")
    config = recipe(tokens, arm, given["chunk"], device)
    examples, read = cohort(tokens, batch)
    if arm == "reference":
        F.scaled_dot_product_attention = unfused
    step = (plain_step if arm == "reference" else engine_step)(config, examples, read, device)
    wall, processor, losses = [], [], []
    for number in range(given["steps"] + 1):
        if device != "cpu":
            torch.cuda.synchronize()
        times, began = os.times(), time.perf_counter()
        losses.append(step(number))
        if device != "cpu":
            torch.cuda.synchronize()
        if number or device == "cpu":  # on a GPU the first is a warm-up
            wall.append(time.perf_counter() - began)
            now = os.times()
            processor.append(now.user + now.system - times.user - times.system)
    peak = (
        (kernel_says("VmHWM") - base) / 1024 if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20
    )
    flops = None
    if device != "cpu" and arm != "reference":
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            step(0)
        flops = counter.get_total_flops()
    rate = None
    if device == "cpu" and arm == "engine" and given["count"]:
        flops, rate = arithmetic(step), matmul_rate()
    return {
        "matmul_flops_per_second": rate,
        "wall": wall,
        "processor": processor,
        "losses": losses,
        "peak_mib": peak,
        "flops": flops,
    }


def arithmetic(step: Callable[[int], float]) -> int:
    """Floating-point operations of one step, attention counted as its two matrix products (the fused kernel recomputes one more)."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step(0)
    return int(counter.get_total_flops())


def matmul_rate(repeats: int = 20) -> float:
    """Operations a second of the step's largest kind of matrix product, the best of a few."""
    import torch

    rows, inner, columns = 4136, 768, 3072
    a, b = torch.rand(rows, inner), torch.rand(inner, columns)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return 2 * rows * inner * columns / min(seconds)


def plain_step(config: Any, examples: Any, read: Any, device: str) -> Callable[[int], float]:
    """One training step as anybody would write it."""
    import torch
    import torch.nn.functional as F

    from voxtune.losses.total import total
    from voxtune.model.build import TargetScale, build_model
    from voxtune.tasks.task import task_of
    from voxtune.training.objective import loss_terms

    task, weights = task_of(config, CLASSES), {target.name: target.weight for target in config.targets}
    model = build_model(config, scales={"mmse": TargetScale(25.0, 3.0)}).to(device).train()
    model.vision.tower.reads_lead = False  # the last block whole, as the published class computes it
    trained = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(
        trained, lr=config.optimiser.rate, weight_decay=config.optimiser.weight_decay
    )
    batch = examples.batch(range(len(examples)), read).to(device)
    wide = (0, PADDED - batch.token_ids.shape[1])
    from dataclasses import replace

    batch = replace(batch, token_ids=F.pad(batch.token_ids, wide), token_mask=F.pad(batch.token_mask, wide))

    def step(_: int) -> float:
        terms = loss_terms(model(batch), batch, config.loss, task, model.target_heads)
        loss = total(terms, weights, config.loss.class_weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, config.optimiser.clip)
        optimiser.step()
        return float(loss.detach())

    return step


def engine_step(config: Any, examples: Any, read: Any, _: str) -> Callable[[int], float]:
    """The step of ``voxtune.training.loop``."""
    import torch

    from voxtune.model.build import TargetScale, build_model
    from voxtune.tasks.task import task_of
    from voxtune.training.devices import clip_gradients, place
    from voxtune.training.loop import read_shares
    from voxtune.training.ranks import start_ranks
    from voxtune.training.records import Steer, TrainingInputs
    from voxtune.training.step import StepSettings, step_gradients

    ranks = start_ranks(config.training)
    model = place(
        build_model(config, scales={"mmse": TargetScale(25.0, 3.0)}), config.training, ranks
    ).train()
    trained = [value for value in model.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(
        trained, lr=config.optimiser.rate, weight_decay=config.optimiser.weight_decay
    )
    task, weights = task_of(config, CLASSES), {target.name: target.weight for target in config.targets}
    inputs = TrainingInputs(task, examples, read, lambda _: Steer(0.0), [])
    settings = StepSettings(config.loss, task, weights, "volumes", config.training.chunk, ranks)

    def step(number: int) -> float:
        share = next(read_shares(inputs, [(0, list(range(len(examples))))], 0, ranks))
        optimiser.zero_grad(set_to_none=True)
        loss, _ = step_gradients(model, share.to(ranks.device), None, settings, number)
        clip_gradients(trained, config.optimiser.clip, ranks)
        optimiser.step()
        return float(loss)

    return step


def points(given: dict[str, Any]) -> list[dict[str, Any]]:
    """One step of the engine at each (tokens, batch, chunk); on a CPU each in a forked process, so that its peak is its own."""
    import torch  # noqa: F401  (imported once, not counted)

    import voxtune.training.loop  # noqa: F401

    return [one_point(given["device"], *point) for point in given["points"]]


def one_point(device: str, tokens: int, batch: int, chunk: int | None) -> dict[str, Any]:
    """Seconds and peak memory of one step."""
    if device != "cpu":
        found = measure(
            {
                "arm": "engine",
                "device": device,
                "tokens": tokens,
                "batch": batch,
                "chunk": chunk,
                "steps": 2,
                "count": False,
            }
        )
        return {"seconds": min(found["wall"]), "peak_mib": found["peak_mib"]}
    read, write = os.pipe()
    if os.fork() == 0:
        given = {
            "arm": "engine",
            "device": device,
            "tokens": tokens,
            "batch": batch,
            "chunk": chunk,
            "steps": 0,
            "count": False,
        }
        found = measure(given)
        os.write(
            write, json.dumps({"seconds": found["processor"][0], "peak_mib": found["peak_mib"]}).encode()
        )
        os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        answer = json.loads(pipe.read())
    os.wait()
    print(tokens, batch, chunk, answer, file=sys.stderr, flush=True)
    return dict(answer)


def epoch_from_cache(given: dict[str, Any]) -> dict[str, Any]:
    """One epoch of recipe ``deft`` on ``tiny``, every scan a file of its own in a training cache; nothing is kept in memory."""
    import numpy as np
    import torch

    from voxtune.config import read_recipe
    from voxtune.data.examples import Examples, Labels
    from voxtune.data.images import load_preset
    from voxtune.data.scans import ScanCache
    from voxtune.model.build import TargetScale, build_model
    from voxtune.tasks.task import task_of
    from voxtune.training.loop import fit
    from voxtune.training.records import Steer, TrainingInputs

    count = given["scans"]
    preset = load_preset("tiny")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        files = {}
        for number in range(count):
            files[f"scan-{number}"] = f"{number}.npy"
            np.save(folder / f"{number}.npy", rng.integers(0, 256, (1, *preset.size), dtype=np.uint8))
        index = {"preset": preset.model_dump(mode="json"), "dtype": "uint8", "scans": files}
        (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
        cache = ScanCache(folder)
        config = read_recipe("deft")
        for assignment in (
            "training.epochs=1",
            "training.accelerator=cpu",
            f"training.workers={given['workers']}",
        ):
            config = config.edit(assignment)
        model = build_model(config, scales={"mmse": TargetScale(25.0, 3.0)})
        ids, mask = model.backbone.tokenize(["A photo of NC. Hippocampal volume: 7323.00 mm^3."] * count)
        known = Labels(torch.arange(count) % 3, {"mmse": 20 + torch.arange(count) % 10.0})
        examples = Examples(tuple(files), tuple(files), known, ids, mask.bool())
        inputs = TrainingInputs(
            task_of(config, CLASSES),
            examples,
            lambda scan: torch.from_numpy(cache[scan]),
            lambda _: Steer(0.0),
            [],
        )
        from voxtune.training.records import Watcher

        (epoch,) = fit(model, inputs, config, folder / "checkpoints", Watcher()).epochs
    training = epoch.seconds - epoch.validation_seconds
    return {
        "scans": count, "workers": given["workers"], "steps": epoch.steps, "seconds": training,
        "data_seconds": epoch.data_seconds, "data_share": epoch.data_seconds / training,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------ the whole
def in_process(what: str, **given: Any) -> Any:
    """A function of this file in a fresh interpreter, so that peak memory is its own."""
    words = [sys.executable, __file__, "inside", what, json.dumps(given)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    return json.loads(done.stdout.splitlines()[-1])


def hardware(device: str) -> str:
    """A short name of what it ran on."""
    import torch

    if device != "cpu":
        return torch.cuda.get_device_name().replace(" ", "-")
    return f"cpu-{torch.get_num_threads()}-threads-{re.sub('[^A-Za-z0-9]+', '-', processor()).strip('-')}"


def processor() -> str:
    """The processor's own name on Linux, with the number of the model, which clouds leave out of the name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    number = "/".join(found[key] for key in ("cpu family", "model") if key in found)
    return f"{found.get('model name', platform.machine())}{f' ({number})' if number else ''}"


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 by itself."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return any(BF16 & set(line.split()) for line in lines if line.startswith(("flags", "Features")))


def tokens_entering(tokens: int) -> int:
    """Tokens of a scan of ``cohort`` that hold anything."""
    import torch

    from voxtune.backbones.m3d_clip import M3dClip
    from voxtune.model.skip_empty import SkipEmpty
    from voxtune.weights.shapes import shapes_only

    with shapes_only():
        tower = SkipEmpty(M3dClip(input_volume=(tokens // 16, 128, 128), fresh=True).build().vision)
    _, read = cohort(tokens, 1)
    with torch.no_grad():
        return int(tower.kept(read("scan-0")[None]).sum())


def facts(question: str, device: str) -> dict[str, Any]:
    """What every result file says of itself."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=HERE, capture_output=True, encoding="utf-8", check=False
        ).stdout.strip()

    return {
        "benchmark": "train",
        "question": question,
        "device": hardware(device),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "load_average_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("torch", "voxtune")},
        "commit": git("rev-parse", "HEAD"),
        "dirty": bool(
            git("status", "--porcelain", "--", "../../src/voxtune/training", "../../src/voxtune/model")
        ),
    }


def write(record: dict[str, Any], name: str) -> None:
    """One JSON for each question and machine."""
    path = RESULTS / f"{name}--{record['device']}.json"
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record | {"status": "ok"}, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
    print(path.name)


def bench_step(device: str, batch: int, steps: int, arms: list[str]) -> None:
    """Every arm by turns, a step at a time, then the ratios to the reference."""
    record = facts("step", device)
    rounds: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for turn in range(steps):
        for arm in arms:
            rounds[arm].append(
                in_process(
                    "measure",
                    arm=arm,
                    device=device,
                    tokens=2048,
                    batch=batch,
                    chunk=None,
                    steps=1,
                    count=not turn,
                )
            )
            print(turn, arm, {k: v for k, v in rounds[arm][-1].items() if k != "flops"}, flush=True)
    quiet = record["load_average_at_start"] < 1
    kind = "wall" if quiet or device != "cpu" else "processor"
    found: dict[str, Any] = {}
    for arm in arms:
        seconds = [value for one in rounds[arm] for value in one[kind]]
        found[arm] = {
            "seconds": statistics.median(seconds),
            "wall_seconds": [value for one in rounds[arm] for value in one["wall"]],
            "processor_seconds": [value for one in rounds[arm] for value in one["processor"]],
            "scans_per_second": batch / statistics.median(seconds),
            "peak_mib": max(one["peak_mib"] for one in rounds[arm]),
            "losses": rounds[arm][0]["losses"],
        }
        flops = rounds[arm][0]["flops"]
        peak = next((value for word, value in PEAK_FLOPS.items() if word in record["device"]), None)
        if flops:
            found[arm] |= {"flops": flops, "flops_per_second": flops / found[arm]["seconds"]}
            found[arm]["share_of_peak"] = flops / found[arm]["seconds"] / peak if peak else None
        if rate := rounds[arm][0]["matmul_flops_per_second"]:
            found[arm] |= {"matmul_flops_per_second": rate, "seconds_of_arithmetic_alone": flops / rate}
    if "reference" in found:
        plain = found["reference"]
        for one in found.values():
            one["throughput_over_reference"] = plain["seconds"] / one["seconds"]
            if "seconds_of_arithmetic_alone" in one:
                one["most_throughput_over_reference"] = plain["seconds"] / one["seconds_of_arithmetic_alone"]
            one["memory_over_reference"] = one["peak_mib"] / plain["peak_mib"]
            one["largest_loss_difference"] = max(
                abs(a - b) for a, b in zip(one["losses"], plain["losses"], strict=True)
            )
    entering = tokens_entering(2048)
    write(
        record
        | {"batch": batch, "tokens": 2048, "tokens_entering": entering, "seconds_are": kind, "arms": found},
        "step",
    )


def bench_growth(device: str) -> None:
    """Seconds and memory of a step over tokens and batch, of an epoch over scans; slopes of the logarithms; a plot."""
    import numpy as np

    record = facts("growth", device)
    kind = "processor" if device == "cpu" else "wall"
    curves: dict[str, Any] = {}
    wanted = list(dict.fromkeys(point for curve in GROWTH.values() for point in curve))
    measured = dict(zip(wanted, in_process("points", device=device, points=wanted), strict=True))
    for name, curve in GROWTH.items():
        place = 0 if name == "tokens" else 1
        curves[name] = {"points": [{"x": point[place], **measured[point]} for point in curve], "of": "a step"}
    epochs = [in_process("epoch_from_cache", scans=scans, workers=1) for scans in (64, 256)]
    rows = [{"x": one["scans"], "seconds": one["seconds"], "peak_mib": None} for one in epochs]
    curves["scans"] = {"points": rows, "of": "an epoch of tiny, seconds of the wall"}
    for curve in curves.values():
        x = np.log([point["x"] for point in curve["points"]])
        for what in ("seconds", "peak_mib"):
            y = [point[what] for point in curve["points"]]
            curve[f"slope_{what}"] = None if None in y else float(np.polyfit(x, np.log(y), 1)[0])
    write(record | {"seconds_are": kind, "curves": curves}, "growth")
    plot()


def plot() -> None:
    """Draw every stored growth file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "voxtune"
    for path in sorted(RESULTS.glob("growth--*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        curves = record["curves"]
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        panels = figure.subplots(1, 3)
        for panel, names, what, unit in (
            (panels[0], ("tokens", "batch", "batch, chunk 2"), "seconds", "s a step"),
            (panels[1], ("tokens", "batch", "batch, chunk 2"), "peak_mib", "MiB, peak"),
            (panels[2], ("scans",), "seconds", "s an epoch (tiny)"),
        ):
            for name in names:
                points = curves[name]["points"]
                label = f"{name}: slope {curves[name][f'slope_{what}']:.2f}"
                panel.plot([p["x"] for p in points], [p[what] for p in points], "o-", label=label)
            panel.set(xscale="log", yscale="log", xlabel=", ".join(names[:2]), ylabel=unit)
            panel.legend(frameon=False, fontsize=8)
            panel.spines[["top", "right"]].set_visible(False)
        figure.suptitle(
            f"Cost of training, {record['device']}, seconds of the {record['seconds_are']}", fontsize=10
        )
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def bench_data(scans: int) -> None:
    """How long the steps of an epoch wait for scans from the training cache."""
    record = facts("data", "cpu")
    found = [in_process("epoch_from_cache", scans=scans, workers=workers) for workers in (0, 1)]
    print(found)
    write(
        record
        | {
            "epochs": found,
            "backbone": "tiny",
            "note": "random arrays in the cache's format; files warm in the page cache",
        },
        "data",
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", choices=["step", "growth", "data", "plot", "inside"])
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--arms", nargs="+", choices=sorted(ARMS))
    given = parser.parse_args()
    if given.question == "inside":
        inside = {"measure": measure, "points": points, "epoch_from_cache": epoch_from_cache}[given.rest[0]]
        print(json.dumps(inside(json.loads(given.rest[1]))))
    elif given.question == "step":
        known = [arm for arm in CPU_ARMS if arm != "fast+bf16" or has_bf16()]
        arms = given.arms or (known if given.device == "cpu" else list(GPU_ARMS))
        bench_step(given.device, given.batch, given.steps, arms)
    elif given.question == "growth":
        bench_growth(given.device)
    elif given.question == "data":
        bench_data(given.scans)
    else:
        plot()


if __name__ == "__main__":
    main()
