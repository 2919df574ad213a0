"""Does the audit find every copy at every dose, and how often does it refuse the innocent? How long does it take?

SIMULATED people always, real brains (OASIS-1) where a folder of them is named. A cohort of n people; k of them, k = 1 ... n, stand
on the test side again under other IDs, each changed in one of ten ways (``changes.py``). Clean cohorts are random people on random
sides. A cohort of fewer than nine participants is not judged, so few people at low doses show what is certain alone.

    python benchmarks/audit/run.py [--brains FOLDER] [--scans 1000]
"""

import argparse
import itertools
import json
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from changes import CHANGES
from scipy.stats import beta

import voxtune
from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.audit.duplicates import compare
from voxtune.audit.images import CHANNELS, Images, look_at
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, resolve_image
from voxtune.data.splits import Split, make_split
from voxtune.imaging.read import read_scan
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

RESULTS = Path(__file__).parent / "results"
SAME_PERSON = {"1023": "1003", "1038": "1018"}
CLEAN = 100


def interval(count: int, of: int) -> list[float]:
    """Clopper-Pearson, 95%, per 100."""
    low = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return [round(100 * float(low), 2), round(100 * float(high), 2)]


def row(name: str, person: str) -> ManifestRow:
    return ManifestRow(participant_id=person, scan_id=name, image=name)


def looked(volumes: Mapping[str, Volume], people: Mapping[str, str]) -> Images:
    return look_at([row(name, people[name]) for name in volumes], lambda one: volumes[one.scan_id])


def chosen(parts: Sequence[tuple[Images, Sequence[int]]]) -> Images:
    """Scans of several collections as one."""

    def gather(get):  # type: ignore[no-untyped-def]
        return tuple(get(images)[i] for images, places in parts for i in places)

    def stack(get):  # type: ignore[no-untyped-def]
        return {
            name: np.concatenate([get(images)[name][list(places)] for images, places in parts])
            for name in CHANNELS
        }

    return Images(
        gather(lambda one: one.scan_ids), gather(lambda one: one.participants), gather(lambda one: one.hashes),
        stack(lambda one: one.vectors), stack(lambda one: one.mirrored), {},
    )  # fmt: skip


def doses(originals: Images, copies: Mapping[str, Images], n: int) -> dict[str, dict[str, object]]:
    """Copies found and strangers accused, by kind of change and dose."""
    found = {}
    for name, changed in copies.items():
        places = {scan: i for i, scan in enumerate(changed.scan_ids)}
        per_dose, accused, tested = [], 0, 0
        for k in range(1, n + 1):
            wanted = {(f"o{i}", f"c{i}") for i in range(k)}
            together = chosen([(originals, range(n)), (changed, [places[f"c{i}"] for i in range(k)])])
            pairs = {
                tuple(sorted((together.scan_ids[p.first], together.scan_ids[p.second]), reverse=True))
                for p in compare(together).pairs
            }
            per_dose.append(len(wanted & pairs) / k)
            accused += len(pairs - wanted)
            tested += (n + k) * (n + k - 1) // 2 - k
        found[name] = {
            "found_by_dose": [round(share, 3) for share in per_dose],
            "least": round(min(per_dose), 3),
            "mean": round(float(np.mean(per_dose)), 4),
            "strangers_accused": accused,
            "stranger_pairs": tested,
        }
    return found


def clean(pool: Images, sizes: tuple[int, int], seed: int) -> dict[str, object]:
    """Random cohorts of different people on random sides: how many are refused, and by what."""
    rng = np.random.default_rng(seed)
    first = list({person: i for i, person in reversed(list(enumerate(pool.participants)))}.values())
    refused: dict[str, int] = {}
    wrong = 0
    for draw in range(CLEAN):
        size = int(rng.integers(sizes[0], sizes[1] + 1))
        cohort = chosen([(pool, rng.choice(first, size, replace=False).tolist())])
        rows = [row(scan, person) for scan, person in zip(cohort.scan_ids, cohort.participants, strict=True)]
        cut = [str(scan) for scan in rng.permutation(cohort.scan_ids)]
        test = size // 3
        split = Split(tuple(cut[test:]), (), tuple(cut[:test]), {r.scan_id: r.participant_id for r in rows})
        report = find_leaks(rows, split, inputs=AuditInputs(images=cohort, seed=draw))
        checks = {one.check for one in report.refusals}
        wrong += bool(checks)
        for check in checks:
            refused[check] = refused.get(check, 0) + 1
    return {
        "cohorts": CLEAN,
        "scans": list(sizes),
        "refused": wrong,
        "per_100": interval(wrong, CLEAN),
        "by": refused,
    }


def measured(
    volumes: Mapping[str, Volume], people: Mapping[str, str], n: int, seed: int
) -> dict[str, object]:
    """Dose curves and clean cohorts of one source of scans; the first n people are copied."""
    single = list({people[name]: name for name in reversed(list(volumes))}.values())[::-1][:n]
    originals = looked(
        {f"o{i}": volumes[name] for i, name in enumerate(single)}, {f"o{i}": f"p{i}" for i in range(n)}
    )
    copies = {}
    for name, change in CHANGES.items():
        rng = np.random.default_rng(seed)
        changed = {f"c{i}": change(volumes[scan], rng) for i, scan in enumerate(single)}
        copies[name] = looked(changed, {f"c{i}": f"q{i}" for i in range(n)})
    pool = looked(volumes, people)
    curves = doses(originals, copies, n)
    shares = [share for one in curves.values() for share in one["found_by_dose"]]  # type: ignore[attr-defined]
    result: dict[str, object] = {
        "people": n, "kinds": curves, "mean_found": round(float(np.mean(shares)), 4),
        "clean": clean(pool, (10, len(set(people.values()))), seed),
    }  # fmt: skip
    owner = [SAME_PERSON.get(name, name) for name in pool.scan_ids]
    if set(SAME_PERSON) & set(pool.scan_ids):
        renamed = Images(
            pool.scan_ids, pool.scan_ids, pool.hashes, pool.vectors, pool.mirrored, {}
        )  # every scan as a person of its own
        pairs = [(p.first, p.second) for p in compare(renamed).pairs]
        result["real_rescans"] = {
            "pairs": sum(a == b for a, b in itertools.combinations(owner, 2)),
            "found": sum(owner[a] == owner[b] for a, b in pairs),
            "strangers_accused": sum(owner[a] != owner[b] for a, b in pairs),
        }
    return result


def halved(volume: Volume) -> Volume:
    """2 mm from 1 mm, by means of blocks."""
    small = [n // 2 * 2 for n in volume.shape]
    cut = volume.voxels[: small[0], : small[1], : small[2]]
    means = cut.reshape(small[0] // 2, 2, small[1] // 2, 2, small[2] // 2, 2).mean(axis=(1, 3, 5))
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.full(3, 0.5)
    affine[:3, :3] *= 2
    return Volume(means.astype(np.float32), affine)


def timed(folder: Path, scans: int) -> dict[str, object]:
    """Seconds of the whole audit of a SIMULATED cohort on this machine."""
    manifest = simulate(folder / "large", participants=scans, visits=1, seed=3)
    rows = read_manifest(manifest)
    split = make_split(rows, seed=0)
    start, processor = time.perf_counter(), time.process_time()
    report = find_leaks(
        rows, split, inputs=AuditInputs(read=lambda one: read_scan(resolve_image(manifest, one)))
    )
    return {
        "scans": len(rows), "seconds": round(time.perf_counter() - start, 1), "processor_seconds": round(time.process_time() - processor, 1),
        "refused": [one.check for one in report.refusals], "bytes_a_scan": 4 * 4096 * 2,
    }  # fmt: skip


def main() -> None:
    """Measure and write ``results/images.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--brains", type=Path, help="folder of <id>_T1w_brain.nii.gz (OASIS-1), at 1 mm")
    parser.add_argument("--people", type=int, default=40, help="SIMULATED people")
    parser.add_argument("--copied", type=int, default=16, help="of them, copied")
    parser.add_argument(
        "--scans", type=int, default=0, help="also time an audit of this many SIMULATED scans"
    )
    asked = parser.parse_args()
    result: dict[str, object] = {"voxtune": voxtune.__version__, "python": platform.python_version()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        manifest = simulate(folder / "cohort", participants=asked.people, seed=1)
        rows = read_manifest(manifest)
        volumes = {one.scan_id: read_scan(resolve_image(manifest, one)) for one in rows}
        people = {one.scan_id: one.participant_id for one in rows}
        result["SIMULATED"] = measured(volumes, people, asked.copied, 0)
        if asked.brains:
            real = {p.name[:4]: halved(read_scan(p)) for p in sorted(asked.brains.glob("*_T1w_brain.nii.gz"))}
            result["OASIS-1, 2 mm"] = measured(
                real, {n: SAME_PERSON.get(n, n) for n in real}, len(real) - len(SAME_PERSON), 0
            )
        if asked.scans:
            result["time"] = timed(folder, asked.scans)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "images.json"
    stored = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(stored | result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
