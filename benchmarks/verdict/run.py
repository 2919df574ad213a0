"""Fifty scans that the shipped adapter was not made for and fifty that it was: how many get no answer, how many get one.

    python benchmarks/verdict/run.py DATA [--seconds S]

DATA holds ``oasis1_brains``, ``ixi_heads_2mm``, ``head_pddl``, ``chest_ct`` and ``dicom``. The adapter is ``demo``, trained on SIMULATED
people. Not its kind: real heads and brains, other organs and modalities, broken files, and the distortions of ``benchmarks/qc`` on
SIMULATED people, which carry the mark, so that looks alone decide. Its kind: fifty SIMULATED people that it has never seen.
Resumes: what stands in ``results/verdict.json`` is not done again.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "qc"))
from voxtune.commands.simulate.chest import simulate_chest
from voxtune.commands.simulate.command import simulate
from voxtune.errors import ScanError
from voxtune.imaging.read import read_scan
from voxtune.imaging.write import write_volume
from voxtune.serving.bundled import adapter_folder
from voxtune.serving.predictor import Predictor

CASES = import_module("cases")
"""Of ``benchmarks/qc``."""
RESULTS = Path(__file__).parent / "results" / "verdict.json"
PEOPLE, SEED, EACH = 50, 2027, 50
"""SIMULATED people of another seed than those that taught the adapter."""


def real(data: Path) -> Iterator[tuple[str, Path]]:
    """Heads and brains of people, other organs, another modality."""
    heads = [path for path in sorted((data / "ixi_heads_2mm").glob("*.nii.gz")) if "DLMUSE" not in path.name]
    brains = sorted((data / "oasis1_brains").glob("*_brain.nii.gz"))
    for name, paths in (("head of a person", heads[:4]), ("brain of a person", brains[:5])):
        yield from ((name, path) for path in paths)
    yield "chest CT", data / "chest_ct" / "chest_crop.nii.gz"
    yield "DICOM CT of a body", data / "dicom" / "ct_series"
    yield "DICOM MR", data / "dicom" / "mr_brain_series"
    yield from (
        ("labels, no picture", path) for path in sorted((data / "oasis1_brains").glob("*_labels.nii.gz"))[:2]
    )


def broken(folder: Path, scan: Path) -> Iterator[tuple[str, Path]]:
    """Files that are no scan, or no whole one."""
    whole = scan.read_bytes()
    volume = read_scan(scan)
    contents = {
        "cut short": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"no picture",
        "bytes flipped": bytes(255 - one for one in whole),
        "another format": gzip.compress(b"P5 64 64 255 " + bytes(4096)),
    }
    for name, data in contents.items():
        path = folder / f"{name.replace(' ', '_')}.nii.gz"
        path.write_bytes(data)
        yield f"broken: {name}", path
    flat = volume.with_voxels(np.full(volume.shape, 7.0, dtype=np.float32))
    yield "broken: one value", write_volume(flat, folder / "flat.nii.gz", simulated=True)


def cases(data: Path, scratch: Path) -> Iterator[tuple[str, str, Path]]:
    """Group, name, scan."""
    manifest = simulate(scratch / "people", participants=PEOPLE, visits=1, seed=SEED)
    people = sorted((manifest.parent / "scans").glob("*.nii.gz"))
    simulate_chest(scratch / "chests", participants=30, scans_each=1, seed=SEED)
    scans = sorted(path for path in scratch.joinpath("chests").rglob("*.nii.gz"))[:1]
    foreign = [*real(data), *broken(scratch, people[0]), *(("SIMULATED chest", scan) for scan in scans)]
    for number, (name, make) in enumerate(CASES.DISTORTIONS.items()):
        if len(foreign) < EACH:
            path = scratch / f"distorted-{number}.nii.gz"
            foreign.append((f"SIMULATED brain, {name}", write_volume(make(CASES.source(people[number])), path, simulated=True)))  # fmt: skip
    for number, (name, scan) in enumerate(foreign[:EACH]):
        yield "foreign", f"{number:02d} {name}", scan
    for number, scan in enumerate(people[:EACH]):
        yield "own", f"{number:02d} SIMULATED person", scan


def main() -> None:
    """Run what is not there yet and write the results."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--seconds", type=float, help="of processor time, after which to stop")
    given = arguments.parse_args()
    report: dict[str, Any] = {"adapter": "demo", "foreign": {}, "own": {}}
    if RESULTS.is_file():
        report |= json.loads(RESULTS.read_text(encoding="utf-8"))
    predictor = Predictor(adapter_folder(Path("demo")))
    with tempfile.TemporaryDirectory() as scratch:
        for group, name, scan in cases(given.data, Path(scratch)):
            if name in report[group]:
                continue
            report[group][name] = tried(predictor, scan)
            print(group, name, report[group][name]["verdict"], flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            if given.seconds and time.process_time() > given.seconds:
                return


def tried(predictor: Predictor, scan: Path) -> dict[str, Any]:
    """The verdict of one scan, and what it rests on."""
    try:
        found = predictor.predict(scan, name="scan")
    except ScanError as error:
        return {"verdict": f"refused: {error.cause}"}
    beside = found.caveats
    return {
        "verdict": str(beside.verdict), "quality": beside.quality, "unlike": beside.unlike_training,
        "distance": beside.distance, "confidence": beside.confidence,
    }  # fmt: skip


if __name__ == "__main__":
    main()
