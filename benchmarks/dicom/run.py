"""What of DICOM is read, and how dcm2niix reads the same: ``python benchmarks/dicom/run.py``.

Every case of ``cases.py`` is built, read by VoxTune and converted by dcm2niix, and both are held against the truth. Then a
chest, a head and a multi-frame chest of full size are read by both for the time it takes. Writes ``results/cases.json``.
"""

import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import cases

HERE = Path(__file__).parent
NEAR = 0.99
"""Correlation with the truth of a volume that was resampled."""


def judged(case: cases.Case, voxels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any]) -> str:
    """``equal`` to the truth, ``near`` it, or ``wrong``."""
    truth = cases.expected(case, voxels.shape, affine)
    inside = voxels != voxels.min()  # what was filled in beside a leaning stack has no truth
    if min(voxels.shape) < 2 or inside.mean() < 0.3:
        return "wrong"
    if np.abs(voxels - truth)[inside].max() < 1e-3:
        return "equal"
    return "near" if np.corrcoef(voxels[inside], truth[inside])[0, 1] > NEAR else "wrong"


def ours(case: cases.Case, path: Path) -> dict[str, Any]:
    """What VoxTune makes of a case."""
    from voxtune.errors import ScanError
    from voxtune.imaging.read import open_scan

    try:
        scan = open_scan(path, series=case.series)
    except ScanError as error:
        return {"outcome": "refused", "says": error.cause}
    said = [*scan.notes, *scan.remarks, *(f"left aside: {one}" for one in scan.others)]
    outcome = "warned" if scan.notes else "said" if said else "read"
    return {
        "outcome": outcome,
        "says": "; ".join(said),
        "volume": judged(case, scan.volume.voxels, scan.volume.affine),
    }


def theirs(case: cases.Case, path: Path, scratch: Path) -> dict[str, Any]:
    """What dcm2niix makes of it: the volumes that it wrote, without a word of warning about the image or with one."""
    from dcm2niix import bin as program

    scratch.mkdir()
    done = subprocess.run(
        [program, "-o", str(scratch), "-f", "%s", "-z", "n", "-b", "n", *(["-s", "y"] if path.is_file() else []), str(path)],
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    volumes = []
    for file in sorted(scratch.glob("*.nii")):
        image = nibabel.load(file)
        shape = image.shape
        kind = "4D" if len(shape) > 3 else judged(case, np.asarray(image.get_fdata()), image.affine)
        volumes.append(kind)
    return {"exit": done.returncode, "volumes": volumes}


def timed(call: Callable[[], object], times: int = 3) -> float:
    """Median seconds of processor time of a call and the programs that it starts."""
    seconds = []
    for _ in range(times):
        began = _spent()
        call()
        seconds.append(_spent() - began)
    return round(statistics.median(seconds), 2)


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def speed(scratch: Path) -> list[dict[str, Any]]:
    """Seconds for whole scans: random numbers, which no reader can take a short cut through."""
    from dcm2niix import bin as program

    from voxtune.imaging.read import read_scan

    draw = np.random.default_rng(0)
    chest = draw.integers(-1000, 1000, (512, 512, 300)).astype(np.float32)
    head = draw.integers(0, 900, (256, 256, 192)).astype(np.float32)
    sources = {
        "CT of 300 slices, 512 x 512": cases.classic(scratch / "chest", chest),
        "MR of 192 slices, 256 x 256": cases.classic(scratch / "head", head, modality="MR", slope=None),
        "enhanced CT of 300 frames, 512 x 512": cases.enhanced(scratch / "enhanced.dcm", [chest]),
    }
    rows = []
    for name, path in sources.items():
        into = scratch / "out"
        into.mkdir(exist_ok=True)
        command = [
            program,
            "-o",
            str(into),
            "-f",
            "x",
            "-z",
            "n",
            "-b",
            "n",
            "-w",
            "1",
            *(["-s", "y"] if path.is_file() else []),
            str(path),
        ]

        def convert(command: list[str] = command, into: Path = into) -> None:
            subprocess.run(command, capture_output=True, check=False)
            np.asarray(nibabel.load(next(into.glob("x*.nii"))).dataobj, dtype=np.float32)

        convert()
        other = nibabel.as_closest_canonical(nibabel.load(next(into.glob("x*.nii"))))
        volume = read_scan(path)
        mine = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume.voxels, volume.affine))
        equal = mine.shape == other.shape and bool(np.array_equal(mine.get_fdata(), other.get_fdata()))
        rows.append(
            {
                "scan": name,
                "voxtune_s": timed(lambda path=path: read_scan(path)),
                "dcm2niix_s": timed(convert),
                "equal": equal,
            }
        )
        for file in into.iterdir():
            file.unlink()
    return rows


def main() -> None:
    import importlib.metadata

    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, case in enumerate(cases.CASES):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            path = case.build(folder)
            row = {"name": case.name, "group": case.group, "what": case.what, "wanted": case.outcome}
            row["voxtune"] = ours(case, path)
            if path.suffix != ".zip":
                row["dcm2niix"] = theirs(case, path, folder / "converted")
            rows.append(row)
            good = row["voxtune"]["outcome"] == case.outcome and re.search(case.says, row["voxtune"]["says"])
            print("ok  " if good else "BAD ", case.name, row["voxtune"], row.get("dcm2niix"))
        found = {
            "cases": rows,
            "speed": speed(Path(scratch)),
            "dcm2niix": importlib.metadata.version("dcm2niix"),
        }
    HERE.joinpath("results").mkdir(exist_ok=True)
    (HERE / "results" / "cases.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
