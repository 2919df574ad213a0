"""A small SIMULATED study, and its commands run in forked children of a process that has imported everything once."""

import contextlib
import ctypes
import importlib
import multiprocessing
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "bytes"))

RECIPE = (
    "deft", "--set", "vision=visual_prompts(2)", "--set", "text=none", "--set", "training.epochs=2", "--set", "training.batch_size=4",
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command of the study: its words, what it needs of the study, what it writes, and words that make it go on."""

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    again: tuple[str, ...] = ()
    every: int = 1
    """Every so-manieth place is tried before the others: a command that calls others has the places of those too."""


COMMANDS = (
    Command("simulate", ("simulate", "few", "--participants", "1", "--visits", "1"), (), ("few",)),
    Command("ingest", ("ingest", "bids", "download", "-o", "ingested.tsv"), ("download",), ("ingested.tsv",)),
    Command("split", ("split", "cohort/manifest.tsv", "-o", "split", "--seed", "1"), ("cohort",), ("split",)),
    Command("describe", ("describe", "cohort/manifest.tsv", "-o", "reports.tsv"), ("cohort",), ("reports.tsv",)),
    Command("preprocess", ("preprocess", "raw.tsv", "pre", "--preset", "tiny"), ("cohort", "raw.tsv"), ("pre",)),
    Command("train", ("train", *RECIPE, "-o", "run", "--data", "cohort/manifest.tsv", "--split", "split"), ("cohort", "split"), ("run", "cohort/cache"), ("--resume",)),
    Command("audit", ("audit", "split", "--data", "cohort/manifest.tsv"), ("cohort", "split"), ("split",)),
    Command("evaluate", ("evaluate", "run", "--data", "cohort/manifest.tsv"), ("cohort", "split", "run"), ("run/evaluation",)),
    Command("export", ("export", "run", "-o", "adapter"), ("cohort", "split", "run"), ("adapter",)),
    Command("compare", ("compare", "run/evaluation/test", "run/evaluation/test/baselines/majority", "-o", "compared"), ("cohort", "run"), ("compared",)),
    Command("predict", ("predict", "adapter", "pre/{scan}/volume.nii.gz", "-o", "predictions"), ("adapter", "pre"), ("predictions",)),
    Command("embed", ("embed", "adapter", "pre/manifest.tsv", "-o", "embedded", "--tokens"), ("adapter", "pre"), ("embedded",)),
    Command("similar", ("similar", "adapter", "cohort/manifest.tsv", "-o", "measured"), ("adapter", "cohort"), ("measured",)),
    Command("curve", ("curve", *RECIPE, "-o", "curve", "--data", "cohort/manifest.tsv", "--split", "split", "--sizes", "all", "--seeds", "1"), ("cohort", "split"), ("curve", "cohort/cache"), every=10),
    Command("drift", ("drift", "adapter", "pre/manifest.tsv", "--reference", "cohort/manifest.tsv", "-o", "drifted"), ("adapter", "cohort", "pre"), ("drifted",)),
    Command("weights", ("weights", "convert", "m3d", "m3d.bin"), ("m3d.bin",), ("m3d.safetensors", "m3d.json")),
    Command("explain", ("explain", "adapter", "pre/{scan}/volume.nii.gz", "-o", "explained"), ("adapter", "pre"), ("explained",)),
    Command("reproduce", ("reproduce", "deft", "-o", "made", "--data", "cohort/manifest.tsv", "--base", "tiny", "--table", "4", "--seeds", "1", "--set", "training.epochs=1"), ("cohort",), ("made", "cohort/cache"), every=20),
    Command("demo", ("demo", "shown"), (), ("shown",)),
)  # fmt: skip
DEMO = {"PARTICIPANTS": 30, "VISITS": 1, "RAW_HEADS": 1}
DEMO_EPOCHS = 2
"""The demo of this study, where a person gets two hundred people with three visits each and a whole training: its steps are the same."""


def shim() -> Path:
    """The compiled shim."""
    path = Path(tempfile.gettempdir()) / f"voxtune-shim-{os.getuid()}.so"
    if not path.is_file() or path.stat().st_mtime < (HERE / "shim.c").stat().st_mtime:
        subprocess.run(
            ["gcc", "-O1", "-shared", "-fPIC", "-w", "-o", str(path), str(HERE / "shim.c"), "-ldl"],
            check=True,
        )
    return path


def preloaded() -> None:
    """Start this program again under the shim, if it is not."""
    if "voxtune-shim" not in os.environ.get("LD_PRELOAD", ""):
        fixed = {"LD_PRELOAD": str(shim()), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "PYTHONHASHSEED": "0"}
        # Commands run in other folders, and start Python there.
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        fixed["PYTHONPATH"] = os.pathsep.join(str(Path(one).absolute()) for one in given if one)
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | fixed)
    import matplotlib.figure  # noqa: F401
    import nibabel  # noqa: F401
    import peft  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch
    import transformers  # noqa: F401

    import voxtune

    torch.set_num_threads(1)
    # A process that is forked counts and breaks as the one that starts it, and remembers what that one does.
    real = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: real("fork" if method == "spawn" else method)  # type: ignore[assignment]
    for module in pkgutil.walk_packages(voxtune.__path__, "voxtune."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of an extra that is not installed
                importlib.import_module(module.name)
    for name, value in DEMO.items():
        setattr(importlib.import_module("voxtune.commands.demo"), name, value)
    stage = importlib.import_module("voxtune.commands.train.command")
    whole = stage.train

    def short(*words: Any, assignments: Sequence[str] = (), **names: Any) -> Any:
        stated = any(one.startswith("training.epochs=") for one in assignments)
        return whole(
            *words,
            assignments=(*assignments, *(() if stated else (f"training.epochs={DEMO_EPOCHS}",))),
            **names,
        )

    stage.train = short


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    said: str
    seen: int
    """Changes counted."""


@dataclass(frozen=True)
class Break:
    """What happens, and at which change: ``error`` 0 kills."""

    writes: bool = False
    error: int = 0
    at: int = 0
    journal: str = ""
    seconds: float = 0.0
    """Kill after so long, whatever is being done."""


def call(
    words: Sequence[str], folder: Path, broken: Break | None = None, beside: Path | None = None
) -> Ended:
    """Run a command in ``folder`` in a child of this process; what it says goes to files named as ``beside``, or as the folder."""
    return begin(words, folder, broken, beside)()


def begin(
    words: Sequence[str], folder: Path, broken: Break | None = None, beside: Path | None = None
) -> Callable[[], Ended]:
    """Begin a command as ``call`` does; what is returned waits for its end."""
    beside = beside or folder
    out, count = (beside.parent / f"{beside.name}.{ending}" for ending in ("out", "count"))
    child = begin_child(words, folder, broken or Break(), beside)
    if broken is not None and broken.seconds:
        _kill_after(child, broken.seconds)

    def ended() -> Ended:
        _, status = os.waitpid(child, 0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        seen = int(count.read_text()) if count.is_file() else 0
        return Ended(code, out.read_text(encoding="utf-8", errors="replace"), seen)

    return ended


def begin_child(words: Sequence[str], folder: Path, broken: Break, beside: Path) -> int:
    """Begin a command in ``folder`` and return at once; its process."""
    for ending in ("out", "count"):
        (beside.parent / f"{beside.name}.{ending}").unlink(missing_ok=True)
    child = os.fork()
    if not child:
        _inside(words, folder, broken, beside)
    return child


def _kill_after(child: int, seconds: float) -> None:
    import signal
    import threading

    def strike() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)

    timer = threading.Timer(seconds, strike)
    timer.daemon = True
    timer.start()


def arm(library: ctypes.CDLL, state: Path, folder: Path, broken: Break) -> None:
    """Let the shim count and break what is changed under ``folder`` by this process and by those that it starts from now on."""
    words = (f"{folder}/".encode(), int(broken.writes), broken.error, broken.at, broken.journal.encode())
    library.shim_arm(str(state).encode(), *words)


def _inside(words: Sequence[str], folder: Path, broken: Break, beside: Path) -> None:
    out, count = (beside.parent / f"{beside.name}.{ending}" for ending in ("out", "count"))
    stream = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.chdir(folder)
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = str(temporary)  # what is written there is broken too
    code = 1
    state = beside.parent / f"{beside.name}.state"
    os.environ["VOXTUNE_SHIM_STATE"] = str(state)
    library = ctypes.CDLL(None)
    arm(library, state, folder, broken)
    try:
        from voxtune.cli import main

        main([str(one) for one in words], prog_name="voxtune")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001
        import traceback

        traceback.print_exc()
    finally:
        seen = library.shim_seen()
        count.write_text(str(seen))
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def warm(whole: Path, folder: Path, commands: Sequence[Command]) -> None:
    """Run each command once in this process: what it imports, compiles and reads of the package is there for every fork."""
    import voxtune.storage.write
    from voxtune.cli import main

    back = Path.cwd()
    for command in commands:
        inputs(command, whole, folder)
        os.chdir(folder)
        with (
            (folder / "said").open("w") as said,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            main([str(one) for one in words_of(command, whole)], prog_name="voxtune", standalone_mode=False)
        os.chdir(back)
    voxtune.storage.write._swept.clear()  # noqa: SLF001  (every command begins with folders that it has not swept)


def make(root: Path) -> dict[str, Path]:
    """The study with every command done once; made again only where it is not there."""
    done = root / "done"
    if not done.is_file():
        shutil.rmtree(root, ignore_errors=True)
        whole = root / "whole"
        whole.mkdir(parents=True)
        first = call(
            ("simulate", "cohort", "--participants", "9", "--visits", "1", "--raw-heads", "1"), whole
        )
        assert first.code == 0, first.said
        _raw(whole)
        _download(whole)
        _published(whole)
        for command in COMMANDS:
            ended = call(words_of(command, whole), whole)
            print(f"{command.name}: {ended.code}, {ended.seen} renames", flush=True)
            assert ended.code == 0, ended.said
        done.touch()
    return {"whole": root / "whole"}


def _raw(whole: Path) -> None:
    table = (whole / "cohort" / "raw" / "manifest.tsv").read_text(encoding="utf-8").splitlines()
    names = table[0].split("\t")
    place = names.index("image")
    lines = [line.split("\t") for line in table[1:]]
    for line in lines:
        line[place] = f"cohort/raw/{line[place]}"
    text = "\n".join("\t".join(line) for line in [names, *lines]) + "\n"
    (whole / "raw.tsv").write_text(text, encoding="utf-8")


def _download(whole: Path) -> None:
    """A BIDS folder of two people."""
    folder = whole / "download"
    for number, image in enumerate(sorted((whole / "cohort").rglob("scans/**/*.nii.gz"))[:2]):
        anat = folder / f"sub-{number}" / "anat"
        anat.mkdir(parents=True)
        shutil.copy(image, anat / f"sub-{number}_T1w.nii.gz")
    (folder / "participants.tsv").write_text(
        "participant_id\tdiagnosis\tage\tsex\nsub-0\tAD\t71\tF\nsub-1\tCN\t65\tM\n"
    )
    (folder / "dataset_description.json").write_text('{"Name": "two people", "BIDSVersion": "1.9.0"}')


def _published(whole: Path) -> None:
    """A file as M3D-CLIP is published, of a small model with random weights."""
    import torch

    import voxtune

    text = {"vocab": 60, "width": 24, "depth": 2, "heads": 2, "mlp": 32, "max_length": 20}
    torch.manual_seed(0)
    model = voxtune.load_backbone(
        "m3d", volume=(4, 8, 8), patch=(2, 4, 4), width=24, depth=2, heads=2, mlp=32, text=text
    )
    names = (
        ("vision_projection.", "mm_vision_proj."),
        ("text_projection.", "mm_language_proj."),
        ("vision.", "vision_encoder."),
        ("text.", "language_encoder."),
    )
    found = {}
    for key, value in model.state_dict().items():
        ours, theirs = next(((a, b) for a, b in names if key.startswith(a)), ("", ""))
        found[theirs + key[len(ours) :]] = value.clone()
    torch.save(found, whole / "m3d.bin")


def words_of(command: Command, folder: Path) -> list[str]:
    """The words of a command, with the name of the preprocessed scan."""
    scan = next((path.parent.name for path in sorted((folder / "pre").glob("*/chain.json"))), "")
    return [word.replace("{scan}", scan) for word in command.words]


def inputs(command: Command, whole: Path, folder: Path) -> None:
    """A fresh folder with what a command needs, and nothing of what it makes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in command.needs:
        source = whole / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    for name in command.makes:
        if name in command.needs:
            continue
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()


def tree(folder: Path, makes: Sequence[str]) -> dict[str, bytes]:
    """The bytes of what a command made, without clocks."""
    normalised = importlib.import_module("normalise").normalised  # of tests/bytes

    found = {}
    for name in makes:
        base = folder / name
        for path in [base] if base.is_file() else sorted(base.rglob("*")):
            local = path.relative_to(folder).as_posix()
            if path.is_file() and not _clock(local):
                found[local] = normalised(f"x/{local}", path.read_bytes())
    return found


def _clock(path: str) -> bool:
    """Logs of when something was done: a command that was done twice says so."""
    return path.endswith(("looks.jsonl", "attempts.jsonl"))


def differences(one: dict[str, bytes], two: dict[str, bytes]) -> list[str]:
    """Names of files that are not the same."""
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


Say = Callable[[str], None]
