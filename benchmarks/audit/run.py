"""Does the audit find every copy at every dose, and how often does it refuse the innocent? How long does it take?

SIMULATED people always, real brains (OASIS-1) where a folder of them is named. A cohort of n people; k of them, k = 1 ... n, stand
on the test side again under other IDs, each changed in one of ten ways (``changes.py``; SIMULATED people also as they are four
years later on another scanner). Clean cohorts are random people on random sides, each scan changed in a random way or not at all.
Each scan is looked at once: its fingerprint is kept in CACHE, and cohorts are drawn from fingerprints.

    python benchmarks/audit/run.py CACHE [--brains FOLDER] [--chests 20] [--scans 1000] [--many 100 1000 10000]

A run that was stopped goes on: fingerprints are in CACHE, and a size of ``--many`` that is stored is not compared again (``--again``).
"""

import argparse
import itertools
import json
import multiprocessing
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from changes import CHANGES, RECONSTRUCTIONS, Change
from scipy.stats import beta

import voxtune
from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.audit.duplicates import compare
from voxtune.audit.images import CHANNELS, Images, look_at
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, resolve_image
from voxtune.data.splits import Split, make_split
from voxtune.imaging.read import read_scan
from voxtune.simulate.brains import render
from voxtune.simulate.chest import ChestSettings
from voxtune.simulate.chest import Scan as ChestScan
from voxtune.simulate.chest import Scanner as ChestScanner
from voxtune.simulate.chest import render as render_chest
from voxtune.simulate.chest import scans as chest_scans
from voxtune.simulate.scanner import Scanner
from voxtune.simulate.subjects import CohortSettings, participant, visit_of
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

RESULTS = Path(__file__).parent / "results"
RESULT = RESULTS / "images.json"
SAME_PERSON = {"1023": "1003", "1038": "1018"}
CLEAN = 200
DRAWS = 20
"""Of the people who are copied, at each dose: one person who is not found is all of a dose of one."""
SEED = 1
FOLLOW_UP = "four years later, another scanner"
AGAIN = "scanned again"
AS_IT_IS = "as it is"
CHESTS = "SIMULATED chests"


def interval(count: int, of: int) -> list[float]:
    """Clopper-Pearson, 95%, per 100."""
    low = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    high = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return [round(100 * float(low), 2), round(100 * float(high), 2)]


def row(name: str, person: str) -> ManifestRow:
    return ManifestRow(participant_id=person, scan_id=name, image=name)


def looked(cache: Path, name: str, make: Callable[[], Volume]) -> Images:
    """One scan as the audit keeps it, from the cache where it is there."""
    path = cache / f"{name}.npz"
    if not path.is_file():
        seen = look_at([row("scan", "person")], lambda _: make(), workers=1)
        if seen.failed:
            raise RuntimeError(f"{name}: {seen.failed}")
        np.savez(path, hash=np.array(seen.hashes), seen=seen.seen["brain"],
                 **{f"v_{c}": seen.vectors[c] for c in CHANNELS}, **{f"m_{c}": seen.mirrored[c] for c in CHANNELS})  # fmt: skip
    with np.load(path, allow_pickle=False) as stored:
        known = [c for c in CHANNELS if f"v_{c}" in stored]
        return Images(
            ("scan",), ("person",), (str(stored["hash"][0]),), {c: stored[f"v_{c}"] for c in known},
            {c: stored[f"m_{c}"] for c in known}, {}, {}, {"brain": stored["seen"]},
        )  # fmt: skip


def together(scans: Sequence[tuple[str, str, Images]]) -> Images:
    """Scans with their names and people as one collection."""
    parts = [one for _, _, one in scans]
    return Images(
        tuple(name for name, _, _ in scans), tuple(person for _, person, _ in scans), tuple(f"{name}" for name, _, _ in scans),
        {c: _rows([one.vectors.get(c) for one in parts]) for c in CHANNELS},
        {c: _rows([one.mirrored.get(c) for one in parts]) for c in CHANNELS},
        {}, {}, {"brain": np.concatenate([one.seen["brain"] for one in parts])},
    )  # fmt: skip


def _rows(parts: Sequence[np.ndarray | None]) -> np.ndarray:  # type: ignore[type-arg]
    """One row a scan, as ``look_at`` has them: zeros for what a scan does not show."""
    length = max((one.shape[1] for one in parts if one is not None), default=1)
    return np.concatenate(
        [
            one if one is not None and one.shape[1] == length else np.zeros((1, length), np.float16)
            for one in parts
        ]
    )


Kinds = Mapping[str, Mapping[str, Images]]
"""Kind of change, then person."""


def doses(kinds: Kinds, people: Sequence[str], seed: int) -> dict[str, dict[str, object]]:
    """Copies found and strangers accused, by kind of change and dose: means over draws of who is copied."""
    found = {}
    originals = [(f"o{p}", f"p{p}", kinds[AS_IT_IS][p]) for p in people]
    for name, changed in kinds.items():
        if name == AS_IT_IS:
            continue
        rng = np.random.default_rng([seed, *name.encode()])
        per_dose, accused, tested = [], 0, 0
        for k in range(1, len(people) + 1):
            shares = []
            for _ in range(DRAWS):
                copied = [str(p) for p in rng.permutation(people)[:k]]
                scans = together([*originals, *((f"c{p}", f"q{p}", changed[p]) for p in copied)])
                pairs = {
                    frozenset((scans.scan_ids[p.first], scans.scan_ids[p.second]))
                    for p in compare(scans).pairs
                }
                wanted = {frozenset((f"o{p}", f"c{p}")) for p in copied}
                shares.append(len(wanted & pairs) / k)
                accused += len(pairs - wanted)
                tested += len(scans.scan_ids) * (len(scans.scan_ids) - 1) // 2 - k
            per_dose.append(sum(shares) / DRAWS)
        copies = len(people) * (len(people) + 1) // 2
        found[name] = {
            "found_by_dose": [round(share, 3) for share in per_dose],
            "found": round(sum(k * share for k, share in enumerate(per_dose, 1)) / copies, 4),
            "strangers_accused": accused,
            "stranger_pairs": tested,
        }
    return found


def clean(kinds: Kinds, people: Sequence[str], sizes: tuple[int, int], seed: int) -> dict[str, object]:
    """Random cohorts of different people on random sides: how many are refused, and by what."""
    rng = np.random.default_rng(seed)
    names = list(kinds)
    refused: dict[str, int] = {}
    wrong = 0
    for draw in range(CLEAN):
        size = int(rng.integers(sizes[0], sizes[1] + 1))
        drawn = [str(p) for p in rng.choice(people, size, replace=False)]
        changed = draw % 2 == 1
        scans = together([(p, p, kinds[str(rng.choice(names)) if changed else AS_IT_IS][p]) for p in drawn])
        rows = [row(p, p) for p in drawn]
        test = size // 3
        split = Split(tuple(drawn[test:]), (), tuple(drawn[:test]), {p: p for p in drawn})
        report = find_leaks(rows, split, inputs=AuditInputs(images=scans, seed=draw))
        checks = {one.check for one in report.refusals}
        wrong += bool(checks)
        for check in sorted(checks):
            refused[check] = refused.get(check, 0) + 1
    return {
        "cohorts": CLEAN, "scans": list(sizes), "every_second_with_changed_scans": True, "refused": wrong,
        "per_100": [round(100 * wrong / CLEAN, 2), *interval(wrong, CLEAN)], "by": refused,
    }  # fmt: skip


def measured(name: str, kinds: Kinds, people: Sequence[str]) -> dict[str, object]:
    """Dose curves of one source of scans, beside those of other kinds that are stored, and clean cohorts where all kinds are there."""
    before = stored().get(name, {})
    assert isinstance(before, dict)
    curves = before.get("kinds", {}) | doses(kinds, people, 0)
    by_dose = np.array([one["found_by_dose"] for one in curves.values()])
    whole = set(kinds) - {FOLLOW_UP, AGAIN} in ({AS_IT_IS, *CHANGES}, {AS_IT_IS, *RECONSTRUCTIONS})
    if whole:
        before = {key: value for key, value in before.items() if not key.startswith("before_decision_")}
    return before | {
        "people": len(people), "kinds": curves, "found": round(float(np.mean([one["found"] for one in curves.values()])), 4),
        "found_by_dose": [round(float(share), 3) for share in by_dose.mean(axis=0)],
    } | ({"clean": clean(kinds, people, (9, len(people)), 0)} if whole else {})  # fmt: skip


def simulated(cache: Path, people: int, only: Sequence[str]) -> Kinds:
    """SIMULATED people, each as they are and changed."""
    settings = CohortSettings(participants=people, visits=3, seed=SEED)
    machines = [Scanner.drawn(SEED, index) for index in range(3)]
    kinds: dict[str, dict[str, Images]] = {}
    for index in range(people):
        person = participant(settings, index)

        def at(number: int, scanner: int) -> Volume:
            return render(settings, visit_of(settings, person, number), machines[scanner % 3])[0]  # noqa: B023

        makers = _changed(lambda: at(0, person.scanner), index)  # noqa: B023
        makers[FOLLOW_UP] = lambda: at(4, person.scanner + 1)  # noqa: B023
        for kind, make in makers.items():
            if only and kind not in {AS_IT_IS, *only}:
                continue
            name = f"simulated{index}_{kind.replace(' ', '_')}"
            kinds.setdefault(kind, {})[f"{index:02d}"] = looked(cache, name, make)
    return kinds


def chests(cache: Path, people: int, only: Sequence[str]) -> Kinds:
    """SIMULATED chests, each as it is, as other reconstructions of the same scan, and scanned again."""
    settings = ChestSettings(participants=people, scans=2, seed=SEED)
    machines = [ChestScanner.drawn(SEED, index) for index in range(3)]
    kinds: dict[str, dict[str, Images]] = {}
    of: dict[str, list[ChestScan]] = {}
    for scan in chest_scans(settings):
        of.setdefault(scan.participant_id, []).append(scan)
    for index, planned in enumerate(of.values()):

        def at(scan: ChestScan) -> Volume:
            drawn = render_chest(settings, scan, machines[scan.scanner])
            return Volume(drawn.voxels.astype(np.float32), drawn.grid.affine)

        makers = _changed(lambda: at(planned[0]), index, RECONSTRUCTIONS)  # noqa: B023
        if len(planned) > 1:
            makers[AGAIN] = lambda: at(planned[1])  # noqa: B023
        for kind, make in makers.items():
            if only and kind not in {AS_IT_IS, *only}:
                continue
            name = f"chest{index}_{kind.replace(' ', '_')}"
            kinds.setdefault(kind, {})[f"{index:02d}"] = looked(cache, name, make)
    return kinds


def _changed(
    make: Callable[[], Volume], seed: int, changes: Mapping[str, Change] = CHANGES
) -> dict[str, Callable[[], Volume]]:
    changed: dict[str, Callable[[], Volume]] = {AS_IT_IS: make}
    for kind, change in changes.items():
        changed[kind] = lambda change=change: change(make(), np.random.default_rng(seed))  # type: ignore[misc]
    return changed


def real(cache: Path, folder: Path, only: Sequence[str]) -> dict[str, object]:
    """Brains of people at 2 mm: dose curves and clean cohorts of the first scan of each, and the known rescans."""
    paths = {path.name[:4]: path for path in sorted(folder.glob("*_T1w_brain.nii.gz"))}
    kinds: dict[str, dict[str, Images]] = {}
    for name, path in paths.items():
        for kind, make in _changed(lambda: halved(read_scan(path)), int(name)).items():  # noqa: B023
            if kind == AS_IT_IS or (name not in SAME_PERSON and (not only or kind in only)):
                kinds.setdefault(kind, {})[name] = looked(cache, f"real{name}_{kind.replace(' ', '_')}", make)
    result = measured("OASIS-1, 2 mm", kinds, [name for name in paths if name not in SAME_PERSON])
    scans = together([(name, name, one) for name, one in kinds[AS_IT_IS].items()])
    owner = [SAME_PERSON.get(name, name) for name in scans.scan_ids]
    pairs = [(p.first, p.second) for p in compare(scans).pairs]
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
    """Seconds of the whole audit of a SIMULATED cohort (3 mm) on this machine."""
    manifest = folder / f"large{scans}" / "manifest.tsv"
    if not manifest.is_file():
        manifest = simulate(manifest.parent, participants=scans, visits=1, seed=3)
    rows = read_manifest(manifest)
    split = make_split(rows, seed=0)
    start, processor = time.perf_counter(), time.process_time()
    report = find_leaks(
        rows, split, inputs=AuditInputs(read=lambda one: read_scan(resolve_image(manifest, one)))
    )
    spent = time.process_time() - processor
    return {
        "scans": len(rows), "voxels": "64 x 64 x 64 of 3 mm", "seconds_of_the_clock": round(time.perf_counter() - start, 1),
        "processor_seconds": round(spent, 1), "processor_seconds_a_scan": round(spent / len(rows), 3),
        "refused": [one.check for one in report.refusals],
    }  # fmt: skip


def many(scans: int) -> dict[str, object]:
    """Memory and time of the comparison alone for fingerprints that are drawn at random."""
    rng = np.random.default_rng(0)
    names = tuple(map(str, range(scans)))
    brain, body = (np.empty((scans, length), np.float16) for length in (500, 4096))
    for start in range(0, scans, 500):
        for array in (brain, body):
            array[start : start + 500] = rng.standard_normal(
                (min(500, scans - start), array.shape[1]), np.float32
            )
    vectors = {"brain": brain, "body": body}
    before = peak_kilobytes()
    processor = time.process_time()
    found = compare(
        Images(names, names, names, vectors, vectors, {}, {}, {"brain": np.ones((scans, 2), np.float16)})
    )
    peak = peak_kilobytes()
    return {
        "scans": scans, "what": "comparison of random fingerprints", "processor_seconds": round(time.process_time() - processor, 1),
        "megabytes_of_fingerprints": round((brain.nbytes + body.nbytes) * 2 / 1e6),
        "megabytes_more_at_the_peak": round((peak - before) / 1e3), "megabytes_at_the_peak": round(peak / 1e3), "pairs": len(found.pairs),
        "megabytes_of_all_pairs_would_be": round(scans**2 * 4 / 1e6),
    }  # fmt: skip


def peak_kilobytes() -> int:
    """Most memory this process ever held (Linux; ``ru_maxrss`` would tell that of the process it was started by)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def in_its_own_process(scans: int) -> dict[str, object]:
    """``many``, so that the peak of memory is of this size alone."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(many, (scans,))


def store(result: Mapping[str, object]) -> None:
    """What was measured, beside what was stored before."""
    RESULTS.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(stored() | result, indent=2) + "\n")


def stored() -> dict[str, object]:
    return json.loads(RESULT.read_text()) if RESULT.is_file() else {}


def main() -> None:
    """Measure and write ``results/images.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cache", type=Path, help="folder for fingerprints")
    parser.add_argument("--brains", type=Path, help="folder of <id>_T1w_brain.nii.gz (OASIS-1), at 1 mm")
    parser.add_argument("--people", type=int, default=24, help="SIMULATED people")
    parser.add_argument("--no-simulated", action="store_true")
    parser.add_argument("--chests", type=int, default=0, help="SIMULATED chests of this many people")
    parser.add_argument(
        "--kinds", nargs="*", default=(), help="kinds of change alone; the others stay as stored"
    )
    parser.add_argument(
        "--scans", type=int, default=0, help="also time an audit of this many SIMULATED scans"
    )
    parser.add_argument(
        "--many", type=int, nargs="*", default=(), help="also compare these many fingerprints"
    )
    parser.add_argument("--again", action="store_true", help="also sizes of --many that are stored")
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    by = {"voxtune": voxtune.__version__, "python": platform.python_version()}
    if not asked.no_simulated:
        names = [f"{i:02d}" for i in range(asked.people)]
        kinds = simulated(asked.cache, asked.people, asked.kinds)
        store(by | {"SIMULATED": measured("SIMULATED", kinds, names)})
    if asked.chests:
        kinds = chests(asked.cache, asked.chests, asked.kinds)
        everybody = sorted(kinds[AS_IT_IS])
        kinds = {kind: one for kind, one in kinds.items() if set(one) == set(everybody)}
        store(by | {CHESTS: measured(CHESTS, kinds, everybody)})
    if asked.brains:
        store(by | {"OASIS-1, 2 mm": real(asked.cache, asked.brains, asked.kinds)})
    if asked.scans:
        store(by | {"time": timed(asked.cache, asked.scans)})
    for scans in asked.many:
        sizes = dict(stored().get("many", {}))  # type: ignore[call-overload]
        if asked.again or str(scans) not in sizes:
            store(by | {"many": sizes | {str(scans): in_its_own_process(scans)}})
    print(json.dumps(stored(), indent=2))


if __name__ == "__main__":
    main()
