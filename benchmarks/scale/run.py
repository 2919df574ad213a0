"""What grows with the number of scans, and how fast? Parts of the package on 10^2 to 10^4 small SIMULATED scans, with slopes.

    python benchmarks/scale/run.py parts [--most 10000] [--only encode train ...]     # hours are minutes: see below
    python benchmarks/scale/run.py workers --scans 48                                 # preprocess on 1, 2 and 4 local Dask workers

Volumes are 16^3, so that a part costs what its bookkeeping, tables, pairs and pages cost and not what a network costs: that is in
``benchmarks/train`` and ``benchmarks/preprocess``, per scan. Each point is a process of its own with one thread: seconds of the processor and
the peak of memory above what the imports left. The slope is that of the logarithms over the three largest points; 1 is growth in
proportion. Points that stand in ``results/parts.json`` are not measured again, so a stopped series goes on. With ``--most 1000`` the whole
takes about five minutes of one core, with 10000 about forty.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

RESULTS = Path(__file__).parent / "results"
SIZES = (100, 316, 1000, 3162, 10000)
EDGE = 16
CLASSES = ("NC", "MCI", "AD")


def rows_of(count: int) -> list[Any]:
    """One scan each of as many people."""
    import numpy as np

    from voxtune.types.records import ManifestRow

    rng = np.random.default_rng(0)
    return [
        ManifestRow(
            participant_id=f"P{i:06d}", session_id="M000", scan_id=f"P{i:06d}_M000", image=f"{i}.nii.gz",
            diagnosis=CLASSES[int(rng.integers(3))], age=float(rng.normal(72, 7)), sex="FM"[int(rng.integers(2))],
            mmse=float(rng.integers(15, 31)), site=f"site-{int(rng.integers(8))}", simulated=True,
        )
        for i in range(count)
    ]  # fmt: skip


def volume_of(name: str) -> Any:
    """Random values inside, nothing around (1, 16, 16, 16), the same for a name."""
    import torch

    seed = int(name[1:7])
    values = torch.rand(1, EDGE, EDGE, EDGE, generator=torch.Generator().manual_seed(seed))
    values[:, :2] = 0
    return values


def small() -> Any:
    """Recipe ``deft`` on a base for such volumes, untaught."""
    from voxtune.backbones.tiny import Tiny
    from voxtune.config import read_recipe

    base = Tiny(fresh=True, volume=(EDGE,) * 3, stem=(8, 8), width=24, depth=2, heads=2, mlp=32, embed_dim=16)
    return read_recipe("deft").model_copy(update={"backbone": base})


# -------------------------------------------------------------------------------------------------- the parts
def tables(count: int, work: Path) -> Callable[[], None]:
    """Write a manifest, read it, split it."""
    from voxtune.data.manifest import file_sha256, read_manifest, write_manifest
    from voxtune.data.split_files import write_split
    from voxtune.data.splits import make_split

    rows = rows_of(count)

    def run() -> None:
        path = work / "manifest.tsv"
        write_manifest(rows, path)
        write_split(make_split(read_manifest(path)), work / "split", file_sha256(path))

    return run


def pages(count: int, work: Path) -> Callable[[], None]:
    """The page of a preprocessed cohort, every scan with a thumbnail, and its table."""
    from voxtune.imaging.qc import Qc
    from voxtune.pages.preprocess_page import CohortEntry, cohort_page

    picture = os.urandom(6000)

    def run() -> None:
        entries = [
            CohortEntry(row.scan_id, Qc(verdict="warn" if i % 7 == 0 else "pass", correlation=0.6), picture)
            for i, row in enumerate(rows_of(count))
        ]
        page = cohort_page(entries, {}, "tiny", pending=0, simulated=True)
        (work / "page.html").write_text(page, encoding="utf-8")

    return run


def encode(count: int, work: Path) -> Callable[[], None]:
    """Every scan through the frozen front of a base, kept on disk and read back."""
    from voxtune.data.feature_cache import embedded_scans
    from voxtune.model.build import build_model

    model = build_model(small())
    names = tuple(row.scan_id for row in rows_of(count))

    def run() -> None:
        kept = embedded_scans(volume_of, model.vision.embed, names, work / "features", model.base_identity)
        assert kept is not None
        kept.prepare(names)
        for name in names:
            kept(name)

    return run


def train(count: int, work: Path) -> Callable[[], None]:  # noqa: ARG001  (all parts alike)
    """One epoch on scans in memory."""
    import torch

    from voxtune.commands.train.in_memory import train_in_memory
    from voxtune.model.build import frozen_base

    config = small().edit("training.epochs=1")
    rows = rows_of(count)
    base = frozen_base(config)
    with torch.no_grad():
        embedded = {row.scan_id: base.vision.embed(volume_of(row.scan_id)[None])[0] for row in rows}

    def run() -> None:
        # The preset of the recipe has another size than these volumes, and is asked only whether the front is trained.
        with patch("voxtune.commands.train.in_memory._refuse_trained_front"):
            train_in_memory(config, CLASSES, rows[count // 5 :], rows[: count // 5], embedded)

    return run


def evaluate(count: int, work: Path) -> Callable[[], None]:  # noqa: ARG001
    """All scores with intervals, and a paired comparison with two rivals, of answers that are there."""
    from voxtune.evaluation.compare import compare_with_each
    from voxtune.evaluation.intervals import Draw
    from voxtune.evaluation.metrics import evaluate as scores

    own, rivals = answers(count, 0), {"one": answers(count, 1), "two": answers(count, 2)}

    def run() -> None:
        scores(own, Draw())
        compare_with_each(own, rivals, Draw())

    return run


def answers(count: int, seed: int) -> Any:
    """Made-up answers for as many people."""
    import numpy as np

    from voxtune.evaluation.predictions import Predictions

    rng = np.random.default_rng(seed)
    rows = rows_of(count)
    truth = np.array([[float(row.diagnosis == name) for name in CLASSES] for row in rows])
    chances = rng.dirichlet(np.ones(3), count) * 0.6 + 0.4 * truth
    called = chances.argmax(axis=1)[:, None] == np.arange(3)
    mmse = np.array([row.mmse for row in rows], dtype=float)
    return Predictions(
        tuple(row.scan_id for row in rows), tuple(row.participant_id for row in rows), CLASSES, chances, truth, called,
        targets={"mmse": mmse + rng.normal(0, 2, count)}, measured={"mmse": mmse},
    )  # fmt: skip


def audit(count: int, work: Path) -> Callable[[], None]:  # noqa: ARG001
    """Every check of a split, on fingerprints and reports that are there."""
    import numpy as np

    from voxtune.audit.brains import learned
    from voxtune.audit.checks import AuditInputs, find_leaks
    from voxtune.audit.fingerprints import LENGTH
    from voxtune.audit.images import Images
    from voxtune.config import ReportSettings
    from voxtune.data.examples import reports_of
    from voxtune.data.splits import make_split
    from voxtune.profiles.read import read_profile

    rng, rows = np.random.default_rng(0), rows_of(count)
    depth = learned()[1].shape[1]

    def unit(*shape: int) -> Any:
        values = rng.standard_normal(shape, dtype=np.float32)
        return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float16)

    names = tuple(row.scan_id for row in rows)
    halves = unit(count, 2, depth)
    images = Images(
        names, tuple(row.participant_id for row in rows), names,
        {"brain": halves.reshape(count, -1), "body": unit(count, LENGTH)},
        {"brain": halves[:, ::-1].reshape(count, -1), "body": unit(count, LENGTH)},
        {}, dict.fromkeys(names, "16 x 16 x 16 voxels of 3 mm"), {"brain": np.ones((count, 2), np.float16)},
    )  # fmt: skip
    split, profile = make_split(rows), read_profile("dementia")
    reports = reports_of(rows, ReportSettings(template="deft"), profile)

    def run() -> None:
        find_leaks(rows, split, reports, AuditInputs(images=images, profile=profile))

    return run


PARTS = {
    "tables": tables,
    "pages": pages,
    "encode": encode,
    "train": train,
    "evaluate": evaluate,
    "audit": audit,
}


# ------------------------------------------------------------------------------------------------ measuring
def kernel_says(word: str) -> int:
    """A line of this process's status in Linux's /proc, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{word}:"))


def point(part: str, count: int) -> dict[str, Any]:
    """One part at one size, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        run = PARTS[part](count, Path(folder))
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        base, times = kernel_says("VmRSS"), os.times()
        run()
        now = os.times()
    seconds = now.user + now.system - times.user - times.system
    return {
        "scans": count,
        "seconds": round(seconds, 3),
        "peak_mib": round((kernel_says("VmHWM") - base) / 1024, 1),
    }


def apart(part: str, count: int) -> dict[str, Any]:
    """The same in a process of its own, on one thread."""
    words = [sys.executable, __file__, "point", "--only", part, "--most", str(count)]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environ, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def machine() -> dict[str, Any]:
    """What it ran on."""
    from importlib.metadata import version

    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "voxtune": version("voxtune"),
        "torch": version("torch"),
    }


def stored(name: str) -> dict[str, Any]:
    """What was measured before."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(name: str, record: dict[str, Any]) -> None:
    """A result file, whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    part = RESULTS / f"{name}.part"
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    part.replace(RESULTS / f"{name}.json")


def measure_parts(most: int, only: list[str]) -> None:
    """Every point that is not there yet."""
    record = stored("parts") or {"data": "SIMULATED", "machine": machine(), "parts": {}}
    for part in only:
        points = record["parts"].setdefault(part, [])
        for count in SIZES:
            if count > most or any(one["scans"] == count for one in points):
                continue
            points.append(apart(part, count))
            points.sort(key=lambda one: one["scans"])
            print(part, points[-1], flush=True)
            write("parts", record)


def measure_workers(scans: int) -> None:
    """``preprocess`` of SIMULATED raw heads on 1, 2 and 4 local Dask workers: scans an hour by the clock."""
    from distributed import Client, LocalCluster

    from voxtune.commands.preprocess import preprocess
    from voxtune.commands.simulate.command import simulate

    record: dict[str, Any] = {"data": "SIMULATED", "machine": machine(), "scans": scans, "workers": {}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        simulate(work / "cohort", participants=max(scans, 15), visits=1, seed=1, raw_heads=scans)
        for workers in (1, 2, 4):
            with LocalCluster(n_workers=workers, threads_per_worker=1) as cluster, Client(cluster):
                began, load = time.monotonic(), os.getloadavg()[0]
                preprocess(
                    work / "cohort" / "raw" / "manifest.tsv", work / f"out-{workers}", preset="tiny",
                    scheduler=cluster.scheduler_address,
                )  # fmt: skip
                seconds = time.monotonic() - began
            record["workers"][str(workers)] = {"seconds": round(seconds, 1), "load_at_start": round(load, 1)}
            print(workers, record["workers"][str(workers)], flush=True)
    write("workers", record)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", choices=["parts", "workers", "point"])
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument("--scans", type=int, default=48)
    given = parser.parse_args()
    if given.question == "point":
        print(json.dumps(point(given.only[0], given.most)))
    elif given.question == "parts":
        measure_parts(given.most, given.only)
    else:
        measure_workers(given.scans)


if __name__ == "__main__":
    main()
