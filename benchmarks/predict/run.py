"""``voxtune predict`` over 300 small volumes: two workers, a kill in the middle, and a Dask cluster; one row each, the same table.

    python benchmarks/predict/run.py [--volumes N] [--dask]

The volumes are SIMULATED people that ``preprocess`` made, in folders of their own, each file called ``volume.nii.gz``; ten different ones, so
that many have the same content. Resumes: a part that stands in ``results/predict.json`` is not done again.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from voxtune.commands.preprocess import preprocess
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_table

RESULTS = Path(__file__).parent / "results" / "predict.json"
DIFFERENT = 10
CODE = "from voxtune.cli import main; main()"


def made(root: Path, count: int) -> Path:
    """The folder of all volumes."""
    manifest = simulate(root / "people", participants=DIFFERENT, visits=1, seed=2027)
    preprocess(manifest, root / "volumes", preset="tiny")
    volumes = sorted(path.parent for path in (root / "volumes").glob("*/volume.nii.gz"))
    for number in range(count):
        target = root / "study" / f"p{number:03d}"
        target.mkdir(parents=True)
        for name in ("volume.nii.gz", "chain.json"):
            shutil.copy(volumes[number % len(volumes)] / name, target)
    return root / "study"


def start(study: Path, out: Path, *options: str) -> "subprocess.Popen[bytes]":
    """A call of ``predict`` in a group of processes of its own."""
    command = [sys.executable, "-c", CODE, "predict", "demo", str(study), "-o", str(out), *options]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def table(out: Path) -> dict[str, Any]:
    """What is compared: rows, files, the hash of the whole table."""
    rows = read_table(out / "predictions.tsv")
    return {
        "rows": len(rows),
        "files": len({row["file"] for row in rows}),
        "contents": len({row["sha256"] for row in rows}),
        "pages": len(list(out.glob("p*.html"))),
        "sha256": hashlib.sha256((out / "predictions.tsv").read_bytes()).hexdigest(),
    }


def whole(study: Path, out: Path, *options: str) -> dict[str, Any]:
    """One call to its end."""
    began = time.monotonic()
    process = start(study, out, *options)
    code = process.wait()
    return {"exit_code": code, "seconds": round(time.monotonic() - began, 1)} | table(out)


def killed(study: Path, out: Path, count: int) -> dict[str, Any]:
    """Killed with all its workers when half is done, then called again."""
    process = start(study, out, "--workers", "2")
    while process.poll() is None and len(list((out / "answers").glob("*.json"))) < count // 2:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list((out / "answers").glob("*.json")))
    return {"done_before_the_kill": done} | whole(study, out, "--workers", "2")


def on_dask(study: Path, out: Path) -> dict[str, Any]:
    """On a cluster of two workers of this machine."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        return whole(study, out, "--scheduler", cluster.scheduler_address)


def main() -> None:
    """Run what is not there yet and write the results."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--volumes", type=int, default=300)
    arguments.add_argument("--dask", action="store_true")
    given = arguments.parse_args()
    report: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    report["volumes"] = given.volumes
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        study = made(root, given.volumes)
        parts = {
            "two workers": lambda: whole(study, root / "two", "--workers", "2"),
            "killed and called again": lambda: killed(study, root / "killed", given.volumes),
        }
        if given.dask:
            parts["dask"] = lambda: on_dask(study, root / "dask")
        for name, do in parts.items():
            if name not in report:
                report[name] = do()
                print(name, report[name], flush=True)
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
