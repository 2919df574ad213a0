"""Does every command take a base at its published size, how long does each need, and how much memory?

    python benchmarks/backbones/walk.py BASE KEYS WORK [--scan FILE]

KEYS is a table of the published file: name, shape and number type, tab-separated, a line a tensor. A file of random numbers under those
names goes through the documented commands as a real one would: convert, preprocess, embed, zero-shot, three training steps that are
stopped on the way and resumed, evaluate, export, predict, explain, serve. The people trained on are SIMULATED; ``--scan`` names a real scan for ``embed`` and
``predict``. What a model of random numbers answers means nothing; that it answers, in what time and memory, does. Each command is a process of
its own: seconds by the clock and of the processor, peak resident memory as the kernel counts it. What is done is kept in WORK and not done again.
``results/walk-BASE.json``.
"""

import argparse
import json
import os
import platform
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VOXTUNE = Path(sys.executable).with_name("voxtune")
PEOPLE = 10
CHESTS = {"ct_clip": "medct", "colipri": "medct_colipri"}
"""Recipes of bases that read chests; the others read heads by the method of DEFT."""
WITHOUT_TEXT = {"radfm", "neurovfm", "brainiac"}
"""Bases that are published without a text tower: a BERT of random numbers stands beside them."""


def numbers(keys: Path) -> dict[str, Any]:
    """Random tensors under the published names and shapes: gains 1, biases 0, whole numbers counted, the rest small and normal."""
    import torch

    generator = torch.Generator().manual_seed(0)
    found = {}
    for line in keys.read_text(encoding="utf-8").splitlines():
        name, shape, kind = line.split("\t")[:3]
        sizes = json.loads(shape)
        if kind.startswith("int"):
            count = int(torch.tensor(sizes).prod()) if sizes else 1
            found[name] = torch.arange(count).reshape(sizes)
        elif len(sizes) < 2:
            bias = name.endswith(("bias", "running_mean"))
            found[name] = torch.zeros(sizes) if bias else torch.ones(sizes)
        else:
            fan = max(1, int(torch.tensor(sizes[1:]).prod()))
            found[name] = torch.randn(sizes, generator=generator) * min(0.05, fan**-0.5)
    return found


def command(
    arguments: Sequence[str], work: Path, meanwhile: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Run one command and measure it.

    Args:
        arguments: behind ``voxtune``.
        work: where it runs.
        meanwhile: waited for beside the command, which is then asked to end (SIGTERM).

    Raises:
        SystemExit: it failed; what it printed is shown.
    """
    print("voxtune", *arguments, flush=True)
    log = work / "log.txt"
    began = time.monotonic()
    child = os.fork()
    if not child:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(work)
        os.environ["VOXTUNE_HOME"] = str(work / "home")
        os.execv(VOXTUNE, [str(VOXTUNE), *arguments])
    beside = None
    if meanwhile is not None:
        beside = threading.Thread(target=_then_end, args=(meanwhile, child), daemon=True)
        beside.start()
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in ((0, 143, -signal.SIGTERM) if beside is not None else (0,)):
        sys.exit(f"failed: {code}\n{log.read_text(encoding='utf-8')[-3000:]}")
    if beside is not None:
        beside.join()
        if FAULTS:
            sys.exit(f"failed: {FAULTS.pop()}\n{log.read_text(encoding='utf-8')[-3000:]}")
    return {
        "command": " ".join(["voxtune", *arguments]),
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_gib": round(used.ru_maxrss / 2**20, 2),
    }


FAULTS: list[str] = []
"""What went wrong beside a command."""


def _then_end(meanwhile: Callable[[], None], child: int) -> None:
    try:
        meanwhile()
    except (OSError, AssertionError, ValueError) as error:
        FAULTS.append(repr(error))
    try:
        os.kill(child, signal.SIGTERM)
    except ProcessLookupError:
        FAULTS.append("it ended by itself")


def first_checkpoint(run: Path) -> Callable[[], None]:
    """Waits until a run has saved its first step."""

    def wait() -> None:
        while not any((run / "checkpoints").glob("*.json")):
            time.sleep(0.2)

    return wait


def one_answer(scan: Path, port: int, token: Path) -> Callable[[], None]:
    """Gives a server one scan and waits for the answer."""

    def ask() -> None:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/scans?name={scan.name}&wait=900",
            data=scan.read_bytes(),
            headers={"Authorization": f"Bearer {token.read_text(encoding='ascii').strip()}"},
        )
        with urllib.request.urlopen(request, timeout=1000) as answer:
            said = json.loads(answer.read())
        assert said.get("verdict"), said

    return ask


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def towers(base: str, keys: Path, work: Path) -> list[str]:
    """Write the published file and, at home, a tokenizer; where the base has no text tower, one, and the setting that names it."""
    import torch
    from safetensors.torch import save_file

    from voxtune.backbones.bert import BertSizes, BertTower

    home = work / "home" / "weights" / base
    home.mkdir(parents=True, exist_ok=True)
    file = home / "published.safetensors"
    if not file.is_file():
        save_file(numbers(keys), file)
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789.,:;()-/^'%"]
    joined = [f"##{letter}" for letter in marks[5:]]
    (home / "vocab.txt").write_text("\n".join([*marks, *joined]) + "\n", encoding="utf-8")
    (home / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    if base not in WITHOUT_TEXT:
        return []
    torch.manual_seed(0)
    save_file(BertTower(BertSizes()).state_dict(), work / "text.safetensors")
    return [f"backbone.text_weights={work / 'text.safetensors'}"]


def steps(base: str, recipe: str, settings: Sequence[str], scan: Path) -> dict[str, list[str]]:
    """The documented commands in order, by a name for each."""
    from voxtune.config import read_recipe

    chest = base in CHESTS
    sets = [part for one in settings for part in ("--set", one)]
    few = (
        "steps=2",
        "save_steps=1",
        "batch_size=2",
        "chunk=1",
        "checkpointing=true",
        "metric=loss",
        "precision=32-true",
    )
    short = [part for one in few for part in ("--set", f"training.{one}")]
    where = "people/manifest.tsv" if chest else "people/raw/manifest.tsv"
    own = ["--kind", "chest"] if chest else ["--raw-heads", str(PEOPLE)]
    preset = read_recipe(recipe).preset
    embedded = [part.removeprefix("backbone.") for part in sets]
    return {
        "simulate": [
            "simulate",
            "people",
            "--participants",
            str(PEOPLE),
            "--visits",
            "1",
            "--seed",
            "3",
            *own,
        ],
        "convert": ["weights", "convert", base, f"home/weights/{base}/published.safetensors"],
        "preprocess": ["preprocess", where, "ready", "--preset", preset],
        "split": ["split", "ready/manifest.tsv", "-o", "split"],
        "embed": ["embed", base, "ready/manifest.tsv", "-o", "vectors", *embedded],
        **({} if sets else {"zero-shot": ["evaluate", recipe, "--data", "ready/manifest.tsv", "-o", "zero"]}),
        "train": [
            "train",
            recipe,
            "-o",
            "run",
            "--data",
            "ready/manifest.tsv",
            "--split",
            "split",
            *sets,
            *short,
        ],
        "resume": [
            "train",
            recipe,
            "-o",
            "run",
            "--resume",
            "--data",
            "ready/manifest.tsv",
            "--split",
            "split",
            *sets,
            *short,
        ],
        "evaluate": ["evaluate", "run"],
        "export": ["export", "run", "-o", "adapter"],
        "predict": ["predict", "adapter", str(scan), "-o", "answers"],
        "explain": ["explain", "adapter", str(scan), "-o", "explained"],
        "serve": ["serve", "adapter", "--port", str(free_port()), "--token-file", "token"],
    }


def main() -> None:
    """Walk what is not walked yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base")
    parser.add_argument("keys", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--scan", type=Path, required=True, help="a real scan for predict and explain")
    arguments = parser.parse_args()
    base, work = arguments.base, arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    settings = towers(base, arguments.keys, work)
    recipe = CHESTS.get(base, f"deft_{base}")
    kept = work / "done.json"
    done: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    for name, words in steps(base, recipe, settings, arguments.scan.resolve()).items():
        if name not in done:
            meanwhile = None
            if name == "train":
                meanwhile = first_checkpoint(work / "run")
            elif name == "serve":
                meanwhile = one_answer(arguments.scan.resolve(), int(words[3]), work / "token")
            done[name] = command(words, work, meanwhile)
            kept.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
    for one in done.values():
        one["command"] = one["command"].replace(f"{work}/", "").replace(str(arguments.scan.resolve()), "SCAN")
    record = {
        "base": base, "recipe": recipe, "weights": "random numbers under the published names", "people": f"{PEOPLE} SIMULATED",
        "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "torch": version("torch"), "steps": done,
    }  # fmt: skip
    (HERE / "results" / f"walk-{base}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
