"""How long and how much memory does a full-size forward of a vision tower take, against attention written out?

    python benchmarks/backbones/run.py [--device cuda] [--repeats 3] [--models m3d radfm med3dvlm]

One volume of the published shape, random weights written to a file and loaded from it, float32, no gradient. ``fused`` is
what the package runs (scaled_dot_product_attention), ``unfused`` the same model with attention as matrix products and a
softmax. Times alternate between the two in one process; peak memory is of one process for each on a CPU (Linux), above
what the imports left, and of the allocator on a GPU. DCFormer (med3dvlm) has no attention: it has no unfused form. One JSON for each model under ``results/``.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).resolve().parent
MODELS = {"m3d": True, "radfm": True, "med3dvlm": False}
"""Vision towers timed, and whether they have attention."""
PREFIXES = {
    "m3d": (
        ("vision_projection.", "mm_vision_proj."),
        ("text_projection.", "mm_language_proj."),
        ("vision.", "vision_encoder."),
        ("text.", "language_encoder."),
    ),
    "radfm": (
        ("vision.perceiver.", "embedding_layer.perceiver."),
        ("vision.", "embedding_layer.vision_encoder."),
        ("fc.", "embedding_layer.fc."),
    ),
}
PREFIXES["med3dvlm"] = PREFIXES["m3d"]


def unfused(q: Any, k: Any, v: Any, attn_mask: None = None) -> Any:
    """Attention written out: one matrix of all pairs in memory. The towers timed here use no mask."""
    assert attn_mask is None
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


def write_weights(name: str, file: Path) -> None:
    """Random weights of the published size, under the published names."""
    from safetensors.torch import save_file

    import voxtune

    model = cast(Any, voxtune.load_backbone(name))
    named = {}
    for key, value in model.state_dict().items():
        ours, theirs = next(((a, b) for a, b in PREFIXES[name] if key.startswith(a)), ("", ""))
        named[theirs + key[len(ours) :]] = value
    if name == "radfm":  # its text tower and projections are not in the published file
        named = {key: value for key, value in named.items() if key.startswith("embedding_layer.")}
    save_file(named, file)


def kernel_says(word: str) -> int:
    """A line of this process's status in Linux's /proc, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{word}:"))


def forget_peak() -> int:
    """Memory in use now, in KiB; the peak of the imports before it is forgotten."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return kernel_says("VmRSS")


def measure(name: str, file: Path, device: str, forms: list[str], repeats: int) -> dict[str, Any]:
    """In a process of its own: load, then forward in each form by turns."""
    import torch
    import torch.nn.functional as F

    import voxtune

    fused = F.scaled_dot_product_attention
    base = forget_peak()
    began = time.perf_counter()
    model = cast(Any, voxtune.load_backbone(name, file))
    tower = model.vision.to(device)
    loading = time.perf_counter() - began
    volume = torch.rand(1, *model.volume_shape, generator=torch.Generator().manual_seed(0)).to(device)
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    peaks: dict[str, float] = {}
    outputs = {}
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for form in forms:
                F.scaled_dot_product_attention = unfused if form == "unfused" else fused
                if device != "cpu":
                    torch.cuda.synchronize()
                    torch.cuda.reset_peak_memory_stats()
                began = time.perf_counter()
                found = tower(volume)
                if device != "cpu":
                    torch.cuda.synchronize()
                    peaks[form] = torch.cuda.max_memory_allocated() / 2**20
                if turn:  # the first of each is a warm-up
                    seconds[form].append(time.perf_counter() - began)
                outputs[form] = found.float().cpu()
                del found
    if device == "cpu":
        peaks = {forms[0]: (kernel_says("VmHWM") - base) / 1024} if len(forms) == 1 else {}
    first = outputs[forms[0]]
    return {
        "seconds": seconds,
        "peak_mib": peaks,
        "load_seconds": loading,
        "tokens": list(first.shape),
        "volume": list(model.volume_shape),
        "parameters": sum(parameter.numel() for parameter in tower.parameters()),
        "largest_difference": max(float((outputs[form] - first).abs().max()) for form in forms),
    }


def in_process(name: str, file: Path, device: str, forms: list[str], repeats: int) -> dict[str, Any]:
    """``measure`` in a fresh interpreter, so that peak memory is its own."""
    words = [sys.executable, __file__, "--measure", name, str(file), device, ",".join(forms), str(repeats)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return cast(dict[str, Any], json.loads(done.stdout.splitlines()[-1]))


def hardware(device: str) -> str:
    """A short name of what it ran on."""
    import torch

    if device != "cpu":
        return torch.cuda.get_device_name().replace(" ", "-")
    return f"cpu-{torch.get_num_threads()}-threads"


def commit() -> dict[str, Any]:
    """The commit, and whether the package differs from it."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=HERE, capture_output=True, text=True, check=False
        ).stdout.strip()

    return {
        "commit": git("rev-parse", "HEAD"),
        "dirty": bool(git("status", "--porcelain", "--", "../../src/voxtune/backbones")),
    }


def bench(name: str, device: str, repeats: int) -> dict[str, Any]:
    """One model: times of both forms by turns, peak of each."""
    forms = ["fused", "unfused"] if MODELS[name] else ["fused"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.safetensors"
        subprocess.run([sys.executable, __file__, "--write", name, str(file)], check=True)
        timed = in_process(name, file, device, forms, repeats)
        size = file.stat().st_size / 2**20
        peaks = timed["peak_mib"] or {
            form: in_process(name, file, device, [form], 1)["peak_mib"][form] for form in forms
        }
    median = {form: statistics.median(values) for form, values in timed["seconds"].items()}
    found = timed | {"peak_mib": peaks, "median_seconds": median, "weights_mib": size}
    if "unfused" in forms:
        found["time_unfused_over_fused"] = median["unfused"] / median["fused"]
        found["peak_unfused_over_fused"] = peaks["unfused"] / peaks["fused"]
    return found


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        return write_weights(given.write[0], Path(given.write[1]))
    if given.measure:
        name, file, device, forms, repeats = given.measure
        return print(json.dumps(measure(name, Path(file), device, forms.split(","), int(repeats))))
    for name in given.models:
        record = {
            "benchmark": "backbones",
            "model": name,
            "seed": 0,
            "dtype": "float32",
            "device": hardware(given.device),
            "cpus": os.cpu_count(),
            "load_average_at_start": os.getloadavg()[0],
            "python": platform.python_version(),
            "versions": {package: version(package) for package in ("torch", "safetensors", "voxtune")},
            **commit(),
            **bench(name, given.device, given.repeats),
            "status": "ok",
        }
        path = HERE / "results" / f"{name}--seed0--{hardware(given.device)}.json"
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
        print(
            path.name,
            {form: round(value, 2) for form, value in record["median_seconds"].items()},
            record["peak_mib"],
        )
    return None


if __name__ == "__main__":
    main()
