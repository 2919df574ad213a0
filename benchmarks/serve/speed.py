"""How long does an answer take? ``python benchmarks/serve/speed.py [--repeats 3]``.

Warm, as a worker of ``serve`` answers (the model is loaded): a scan that ``preprocess`` made, and a head of 1 mm with its skull (the shipped
one, resampled). Cold: the command ``voxtune predict demo head``, from the start of the interpreter. Seconds of the wall are worth something
on a quiet machine alone, so those of the processor stand beside them, and the load at the start.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "speed.json"


def timed(do: Callable[[], object], who: int = resource.RUSAGE_SELF) -> dict[str, float]:
    """Seconds of the wall and of the processor."""
    before, began = resource.getrusage(who), time.perf_counter()
    do()
    after = resource.getrusage(who)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": round(time.perf_counter() - began, 3), "processor": round(used, 3)}


def head_of_one_millimetre(folder: Path) -> Path:
    """The shipped head on a grid of 1 mm."""
    import numpy as np

    from voxtune.imaging.read import read_scan
    from voxtune.imaging.resample import resample
    from voxtune.imaging.write import write_volume
    from voxtune.serving.bundled import HEAD, scan_file

    head = read_scan(scan_file(Path(HEAD)))
    steps = np.asarray(head.spacing)
    affine = head.affine.copy()
    affine[:3, :3] = head.affine[:3, :3] / steps
    i, j, k = (int(n * s) for n, s in zip(head.shape, steps, strict=True))
    return write_volume(resample(head, (i, j, k), affine), folder / "head.nii.gz")


def main() -> None:
    """Measure, keep the quickest of the repeats, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    from voxtune.commands.preprocess import preprocess
    from voxtune.commands.simulate.command import simulate
    from voxtune.serving.bundled import adapter_folder
    from voxtune.serving.predictor import Predictor

    report: dict[str, Any] = {
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load_at_start": round(os.getloadavg()[0], 1),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        manifest = simulate(folder / "people", participants=1, visits=1, seed=5)
        preprocess(manifest, folder / "ready", preset="tiny")
        scans = {
            "preprocessed": next((folder / "ready").glob("*/volume.nii.gz")),
            "head of 1 mm": head_of_one_millimetre(folder),
        }
        predictor = Predictor(adapter_folder(Path("demo")))
        predictor.predict(scans["preprocessed"])
        for name, scan in scans.items():
            tries = [timed(lambda scan=scan: predictor.predict(scan)) for _ in range(given.repeats)]  # type: ignore[misc]
            report[f"warm, {name}"] = min(tries, key=lambda one: one["processor"])
        words = [
            sys.executable,
            "-c",
            "from voxtune.cli import main; main()",
            "predict",
            "demo",
            "head",
            "-o",
        ]
        tries = [
            timed(
                lambda place=place: subprocess.run(  # type: ignore[misc]
                    [*words, str(folder / f"answers-{place}")], check=True, capture_output=True
                ),
                resource.RUSAGE_CHILDREN,
            )
            for place in range(given.repeats)
        ]
        report["cold, predict demo head"] = min(tries, key=lambda one: one["processor"])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
