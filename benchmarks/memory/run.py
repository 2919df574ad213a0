"""The whole path on a base of the published size: does every command work as documented, and how much memory does it take?

    python benchmarks/memory/run.py m3d --work DIR [--seconds S]
    python benchmarks/memory/run.py ct_clip --work DIR

Random weights under the authors' key names, as they publish them; SIMULATED scans, as few as a split allows, and as few steps. What is
measured is each command's own: the largest process of it (the kernel's figure), wall and processor seconds. A training is stopped by
SIGTERM after its first checkpoint and resumed; ``serve`` is asked for one scan. Resumes: a command that stands in ``results/`` is not done
again, so give the same ``--work``. ``--seconds`` of processor time end it early.
"""

import argparse
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CODE = "from voxtune.cli import main; main()"
SHIPPED = HERE.parents[1] / "src" / "voxtune" / "backbones" / "assets"
PORT = 8931
WAIT = 1800.0


@dataclass(frozen=True)
class Base:
    """What a walk over one base needs."""

    recipe: str
    preset: str
    file: str
    """What the authors call theirs."""
    names: tuple[tuple[str, str], ...]
    """Our beginnings of key names and the authors'."""
    tokenizer: Path
    """Of the shipped small model: words cost the same whatever they are."""
    cohort: tuple[str, ...]
    steps: tuple[str, ...]


BASES = {
    "m3d": Base(
        "deft_m3d",
        "deft",
        "pretrained_model.bin",
        (
            ("vision_projection.", "mm_vision_proj."),
            ("text_projection.", "mm_language_proj."),
            ("vision.", "vision_encoder."),
            ("text.", "language_encoder."),
        ),
        SHIPPED / "tiny",
        ("--participants", "9", "--visits", "1", "--seed", "1"),
        ("training.steps=2", "training.batch_size=2", "training.chunk=1"),
    ),
    "ct_clip": Base(
        "medct",
        "ct_clip",
        "CT-CLIP_v2.pt",
        (
            ("vision_projection.", "to_visual_latent."),
            ("text_projection.", "to_text_latent."),
            ("vision.", "visual_transformer."),
            ("text.", "text_transformer."),
        ),
        SHIPPED / "ct_clip_small",
        ("--kind", "chest", "--participants", "6", "--visits", "1", "--seed", "1"),
        ("training.epochs=none", "training.steps=2", "training.batch_size=2"),
    ),
}


class Walk:
    """The commands of one base, in order, each measured; ``work`` holds everything they write."""

    def __init__(self, name: str, work: Path) -> None:
        self.name, self.base = name, BASES[name]
        self.work = work.resolve() / name
        self.work.mkdir(parents=True, exist_ok=True)
        self.home = self.work / "home"

    def steps(self) -> Mapping[str, Callable[[], dict[str, Any]]]:
        """Every command by its name in the table."""
        base, said = self.base, ("--set", "training.save_steps=1")
        edits = tuple(word for one in base.steps for word in ("--set", one))
        train = ("train", base.recipe, "--data", "pre/manifest.tsv", "--split", "split", "-o", "run")
        return {
            "weights": self.write_weights,
            "weights convert": lambda: self.told("weights", "convert", self.name, base.file),
            "simulate": lambda: self.told("simulate", "cohort", *base.cohort),
            "preprocess": lambda: self.told("preprocess", "cohort/manifest.tsv", "pre", "--preset", base.preset),
            "split": lambda: self.told("split", "pre/manifest.tsv", "-o", "split", "--test", "0.3", "--val", "0.3"),
            "train, stopped": lambda: self.stopped(*train, *edits, *said),
            "train --resume": lambda: self.told(*train, *edits, *said, "--resume"),
            "evaluate": lambda: self.told("evaluate", "run"),
            "export": lambda: self.told("export", "run", "-o", "adapter"),
            "embed": lambda: self.told("embed", "adapter", "pre/manifest.tsv", "-o", "features"),
            "predict": lambda: self.told("predict", "adapter", self.scan(), "-o", "answers"),
            "explain": lambda: self.told("explain", "adapter", self.scan(), "-o", "explained"),
            "serve": self.served,
        }  # fmt: skip

    def scan(self) -> str:
        """One scan of the cohort as it came."""
        found = sorted(self.work.joinpath("cohort").rglob("*.nii.gz"))
        return str(next(one for one in found if "truth" not in one.parts).relative_to(self.work))

    def write_weights(self) -> dict[str, Any]:
        """Random weights under the authors' names, and a tokenizer where ``weights convert`` puts them."""
        command = [sys.executable, __file__, "write", self.name, str(self.work / self.base.file)]
        made = measured(command, self.work, self.environment())
        folder = self.home / "weights" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.base.tokenizer / "tokenizer.json", folder)
        return made | {"file_mib": round((self.work / self.base.file).stat().st_size / 2**20)}

    def environment(self) -> dict[str, str]:
        """With a home of its own."""
        return {**os.environ, "VOXTUNE_HOME": str(self.home)}

    def told(self, *words: str) -> dict[str, Any]:
        """One command to its end."""
        made = measured([sys.executable, "-c", CODE, *words], self.work, self.environment())
        return {"command": " ".join(("voxtune", *words))} | made

    def stopped(self, *words: str) -> dict[str, Any]:
        """A training that gets SIGTERM at its first checkpoint: exit code 143, and it can be resumed."""
        shutil.rmtree(self.work / "run", ignore_errors=True)

        def stop(process: "subprocess.Popen[bytes]") -> None:
            while process.poll() is None and not list(
                (self.work / "run" / "checkpoints").glob("*.safetensors")
            ):
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)

        made = measured([sys.executable, "-c", CODE, *words], self.work, self.environment(), stop)
        return {"command": " ".join(("voxtune", *words))} | made

    def served(self) -> dict[str, Any]:
        """One scan through ``serve``: how long it takes cold and warm."""
        said: dict[str, Any] = {}
        token = self.work / "token"

        def ask(process: "subprocess.Popen[bytes]") -> None:
            try:
                until(process, lambda: reached("/health"))
                for name in ("first", "second"):
                    began = time.monotonic()
                    answer = reached(
                        f"/api/v1/scans?wait=600&name={name}.nii.gz",
                        (self.work / self.scan()).read_bytes(),
                        token.read_text(encoding="utf-8").strip(),
                    )
                    said[f"{name}_seconds"] = round(time.monotonic() - began, 1)
                    said["verdict"] = str(answer.get("verdict", answer)) if answer else None
            finally:
                process.send_signal(signal.SIGINT)

        words = ("serve", "adapter", "--port", str(PORT), "--token-file", "token")
        made = measured([sys.executable, "-c", CODE, *words], self.work, self.environment(), ask)
        return {"command": " ".join(("voxtune", *words))} | made | said


def until(process: "subprocess.Popen[bytes]", done: Callable[[], Any]) -> None:
    """Wait until it answers."""
    began = time.monotonic()
    while process.poll() is None and not done():
        if time.monotonic() - began > WAIT:
            raise TimeoutError("the server never answered")
        time.sleep(0.5)


def reached(path: str, body: bytes | None = None, token: str = "") -> dict[str, Any] | None:
    """The server's answer, or ``None`` where there is none yet."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read()))
    except OSError:
        return None


def measured(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str],
    meanwhile: Callable[["subprocess.Popen[bytes]"], None] | None = None,
) -> dict[str, Any]:
    """A command with the peak of its largest process, its seconds and its exit code; what it said lies in ``said.log``."""
    began = time.monotonic()
    with (folder / "said.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=dict(environment), stdout=log, stderr=log)
        if meanwhile is not None:
            meanwhile(process)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit_code": process.returncode,
        "peak_mib": round(used.ru_maxrss / 1024),
        "seconds": round(time.monotonic() - began, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
    }


def write_file(name: str, file: Path) -> None:
    """Random weights of the published size in a pickle of tensors, as they come."""
    import torch

    import voxtune

    model = voxtune.load_backbone(name, fresh=True)
    named = {}
    for key, value in model.state_dict().items():  # type: ignore[attr-defined]  # a torch module
        ours, theirs = next(((a, b) for a, b in BASES[name].names if key.startswith(a)), ("", ""))
        named[theirs + key[len(ours) :]] = value
    torch.save(named, file)


def machine() -> dict[str, Any]:
    """What every result file says of itself."""
    total = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8")).group(1))  # type: ignore[union-attr]
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, encoding="utf-8", check=False
    )
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {total / 2**20:.0f} GiB",
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "torch": version("torch"),
        "commit": git.stdout.strip(),
    }


def main() -> None:
    """Do what is missing."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("base", choices=sorted(BASES))
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--seconds", type=float, help="of processor time, after which to stop")
    given = arguments.parse_args()
    path = RESULTS / f"{given.base}--cpu.json"
    report: dict[str, Any] = {"base": given.base, **machine(), "commands": {}}
    if path.is_file():
        report = json.loads(path.read_text(encoding="utf-8"))
    for name, do in Walk(given.base, given.work).steps().items():
        if name in report["commands"]:
            continue
        made = do()
        print(name, made, flush=True)
        if made["exit_code"] not in {0, 143} and not (name == "serve" and "verdict" in made):
            sys.exit(f"'{name}' ended with {made['exit_code']}; said.log in the work folder says why.")
        report["commands"][name] = made
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        if given.seconds and used.ru_utime + used.ru_stime > given.seconds:
            return


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write_file(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
