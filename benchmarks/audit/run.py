"""How long does the leakage audit take, does it find what was planted, and does it accuse anybody wrongly?

A SIMULATED cohort is written to disk; some test scans are copied into train under another participant ID, each with noise of
another draw. The whole audit of ``voxtune audit`` is timed: tables, texts, reading every scan, every pair of scans.

    python benchmarks/audit/run.py                # 1000 scans
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

import voxtune
from voxtune.audit.images import likely_pairs, look_at
from voxtune.commands.audit import audit
from voxtune.commands.describe import describe
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import file_sha256, read_manifest, resolve_image, write_manifest
from voxtune.data.split_files import write_split
from voxtune.data.splits import make_split
from voxtune.errors import LeakageError
from voxtune.imaging.read import read_scan
from voxtune.imaging.write import write_volume

HERE = Path(__file__).parent


def planted(
    folder: Path, scans: int, copies: int, noise: float, seed: int
) -> tuple[Path, list[tuple[str, str]]]:
    """A split folder of a simulated cohort in which test scans stand in train under other names."""
    rows = read_manifest(simulate(folder, participants=scans * 3 // 5, seed=seed))[: scans - copies]
    path = folder / "planted.tsv"
    split = make_split(rows, seed=seed)
    generator = np.random.default_rng(seed)
    by_scan = {row.scan_id: row for row in rows}
    pairs = []
    for name in generator.choice(split.test, copies, replace=False):
        row = by_scan[str(name)]
        volume = read_scan(resolve_image(folder / "manifest.tsv", row))
        voxels = volume.voxels + generator.normal(0, noise, volume.shape) * (volume.voxels > 0)
        write_volume(volume.with_voxels(voxels.astype(np.float32)), folder / "scans" / f"copy_{name}.nii.gz")
        rows.append(
            row.model_copy(
                update={
                    "scan_id": f"copy_{name}",
                    "participant_id": f"copy_{row.participant_id}",
                    "image": f"scans/copy_{name}.nii.gz",
                    # Other volumes, so that the text does not give the copy away.
                    "hippocampus_mm3": (row.hippocampus_mm3 or 0) + 1,
                }
            )
        )
        pairs.append((str(name), f"copy_{name}"))
    write_manifest(rows, path)
    train = (*split.train, *(copy for _, copy in pairs))
    whole = type(split)(
        train, split.val, split.test, {row.scan_id: row.participant_id for row in rows}, seed=seed
    )
    return write_split(whole, folder / "split", file_sha256(path), path), pairs


def measured(scans: int, copies: int, noise: float, seed: int) -> dict[str, object]:
    """One cohort: seconds, planted pairs found, pairs accused wrongly."""
    folder = Path(tempfile.mkdtemp())
    try:
        split, pairs = planted(folder, scans, copies, noise, seed)
        describe(folder / "planted.tsv", folder / "reports.tsv")
        start = time.perf_counter()
        try:
            audit(split)
            refused = False
        except LeakageError:
            refused = True
        seconds = time.perf_counter() - start
        manifest = folder / "planted.tsv"
        images = look_at(read_manifest(manifest), lambda row: read_scan(resolve_image(manifest, row)))
        found = {frozenset((images.scan_ids[a], images.scan_ids[b])) for a, b, _ in likely_pairs(images)}
        wanted = {frozenset(pair) for pair in pairs}
        # Other visits of a copied person under the person's own ID are the same person too.
        people = {
            frozenset(("copy_" + images.participants[i], images.participants[i]))
            for i in range(len(images.scan_ids))
        }
        owner = dict(zip(images.scan_ids, images.participants, strict=True))
        wrong = [pair for pair in found - wanted if frozenset(owner[scan] for scan in pair) not in people]
        return {
            "scans": len(images.scan_ids),
            "seconds": round(seconds, 1),
            "refused": refused,
            "planted": len(wanted),
            "found": len(wanted & found),
            "wrongly_accused": len(wrong),
            "noise": noise,
        }
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure and write ``results/audit.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--noise", type=float, default=0.05, help="standard deviation; scans are in [0, 1]")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    result = {
        "cohort": "SIMULATED, 64^3 voxels of 3 mm",
        **measured(asked.scans, asked.copies, asked.noise, asked.seed),
        "voxtune": voxtune.__version__,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "audit.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
