"""What the verdict of preprocessing catches, and what it takes offence at without reason, on real heads and brains.

    python benchmarks/qc/run.py DATA [--only NAME ...] [--resume] [--seconds S]

DATA holds ``oasis1_brains``, ``ixi_heads_2mm`` and ``head_pddl``. Every distortion of ``cases.py`` is tried on a stripped brain or
a head with skull, in turn, every good form on one of each, by the whole chain of preset ``tiny``. A distortion is caught where
the scan is refused, fails or is warned of; a good form is a false alarm where it does anything but pass.
"""

import argparse
import functools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cases import DISTORTIONS, FORMS, Source, source

from voxtune.errors import ScanError
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.presets import TINY
from voxtune.imaging.record import versions
from voxtune.imaging.write import write_volume

HERE = Path(__file__).parent
FIGURES = ("contents", "correlation", "dice", "brain_ml", "scale", "turned", "dark")


@functools.cache
def scan(data: Path, kind: str, number: int) -> Source:
    """One of six stripped brains with their labels, or of six heads, in turn."""
    if kind == "brain":
        brains = sorted((data / "oasis1_brains").glob("*_brain.nii.gz"))[::3][:6]
        path = brains[number % len(brains)]
        return source(path, path.with_name(path.name.replace("T1w_brain", "labels")))
    heads = [p for p in sorted((data / "ixi_heads_2mm").glob("*.nii.gz")) if "DLMUSE" not in p.name]
    heads += sorted((data / "head_pddl").glob("*_2mm_u8.nii.gz"))
    return source(heads[number % len(heads)])


def judged(path: Path) -> dict[str, Any]:
    """Verdict, reasons and figures of one file."""
    try:
        qc = preprocess_scan(path, TINY).record.qc
    except ScanError as error:
        return {"verdict": "refused", "reasons": [error.cause]}
    return {"verdict": qc.verdict, "reasons": list(qc.reasons)} | {
        name: getattr(qc, name) for name in FIGURES
    }


def main() -> None:
    """Run every case and write ``results/qc.json``."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--only", nargs="*", help="these cases, nothing is written")
    arguments.add_argument("--resume", action="store_true", help="keep the cases that are written already")
    arguments.add_argument(
        "--seconds", type=float, help="of processor time, after which to stop (then --resume)"
    )
    given = arguments.parse_args()
    file = HERE / "results" / "qc.json"
    report: dict[str, Any] = {"preset": TINY.name, "versions": versions(), "distortions": {}, "forms": {}}
    if given.resume and file.is_file():
        report |= json.loads(file.read_text(encoding="utf-8"))
    for group, name, kind, number in cases():
        if (given.only and name not in given.only) or kind in report[group].get(name, {}):
            continue
        made = tried((DISTORTIONS | FORMS)[name], scan(given.data, kind, number))
        print(f"{group} {name} ({kind}): {made['verdict']} {'; '.join(made['reasons'])}", flush=True)
        report[group].setdefault(name, {})[kind] = made
        if not given.only:
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        if given.seconds and time.process_time() > given.seconds:
            return


def cases() -> Iterator[tuple[str, str, str, int]]:
    """Group, name, kind of scan and which: the quicker ones first."""
    for number, name in enumerate(FORMS):
        yield "forms", name, "brain", number
    for number, name in enumerate(DISTORTIONS):
        yield "distortions", name, ("brain", "head")[number % 2], number
    for number, name in enumerate(FORMS):
        yield "forms", name, "head", number


def tried(make: Any, one: Source) -> dict[str, Any]:
    """What is said of a distortion (a volume) or a form (a file) of one scan."""
    with tempfile.TemporaryDirectory() as scratch:
        if make in DISTORTIONS.values():
            return judged(write_volume(make(one), Path(scratch) / "scan.nii"))
        return judged(make(one, Path(scratch)))


if __name__ == "__main__":
    main()
