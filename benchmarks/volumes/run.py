"""How well ``voxtune volumes`` measures: against hand-drawn labels, another tool, a second scan, simulated truth, and other forms of one scan.

    python benchmarks/volumes/run.py oasis|ixi|simulated|painted|forms|time DATA [--only SCAN ...]

DATA holds ``oasis1_brains`` (hand-drawn Neuromorphometrics labels, CC BY-NC: for testing alone, nothing was trained on them) and
``ixi_heads_2mm``; for ``painted`` it holds the heads that ``label_head.py`` labelled. Every scan goes through the whole chain. Results are kept scan by scan and made again where the network changed.
"""

import argparse
import csv
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.commands.volumes.work import weights_sha256
from voxtune.imaging.read import open_scan
from voxtune.segmentation.accuracy import accuracy
from voxtune.segmentation.labels import CORTEX, INNER, REGIONS
from voxtune.segmentation.measure import PRESET, SUMS, Measured, measure, native_labels

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DRAWN: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "hippocampus": (("hippocampus",), (47, 48)),
    "ventricles": (("lateral_ventricle",), (49, 50, 51, 52)),
    "entorhinal": (("entorhinal",), (116, 117)),
    "fusiform": (("fusiform",), (122, 123)),
    "middle_temporal": (("middle_temporal",), (154, 155)),
    "amygdala": (("amygdala",), (31, 32)),
    "thalamus": (("thalamus",), (59, 60)),
    "caudate": (("caudate",), (36, 37)),
    "putamen": (("putamen",), (57, 58)),
    "pallidum": (("pallidum",), (55, 56)),
    "accumbens": (("accumbens",), (23, 30)),
    "third_ventricle": (("third_ventricle",), (4,)),
    "fourth_ventricle": (("fourth_ventricle",), (11,)),
    "cerebellar_cortex": (("cerebellar_cortex",), (38, 39, 71, 72, 73)),
    "white_matter": (("white_matter",), (44, 45)),
    "brain_stem": (("brain_stem",), (35,)),
    "ventral_diencephalon": (("ventral_diencephalon",), (61, 62)),
    "cerebellar_white_matter": (("cerebellar_white_matter",), (40, 41)),
    "cuneus": (("cuneus",), (114, 115)),
    "inferior_temporal": (("inferior_temporal",), (132, 133)),
    "lingual": (("lingual",), (134, 135)),
    "parahippocampal": (("parahippocampal",), (170, 171)),
    "postcentral": (("postcentral",), (176, 177, 148, 149)),
    "precentral": (("precentral",), (182, 183, 150, 151)),
    "precuneus": (("precuneus",), (168, 169)),
    "superior_parietal": (("superior_parietal",), (198, 199)),
    "superior_temporal": (("superior_temporal",), (200, 201, 180, 181, 184, 185)),
    "supramarginal": (("supramarginal",), (194, 195)),
    "temporal_pole": (("temporal_pole",), (202, 203)),
    "insula": (("insula",), (102, 103, 172, 173)),
    "pars_opercularis": (("pars_opercularis",), (162, 163)),
    "pars_triangularis": (("pars_triangularis",), (204, 205)),
    "pars_orbitalis": (("pars_orbitalis",), (164, 165)),
    "transverse_temporal": (("transverse_temporal",), (206, 207)),
    "pericalcarine": (("pericalcarine",), (108, 109)),
}
"""Regions -> ours and the labels of Neuromorphometrics. Cortical parcels of the two are not cut alike."""


def whole(measured: Measured) -> dict[str, float]:
    """Volumes with the sums of both sides."""
    both = {
        name: measured.volumes[f"left_{name}"] + measured.volumes[f"right_{name}"]
        for name in REGIONS
        if f"left_{name}" in measured.volumes
    }
    return {**both, **measured.volumes}


def of_ours(labels: NDArray[np.int16], regions: tuple[str, ...]) -> NDArray[np.bool_]:
    """Voxels of our label map that are one of the regions."""
    wanted: list[int] = []
    for name in regions:
        wanted += INNER[name] if name in INNER else (1000 + CORTEX[name], 2000 + CORTEX[name])
    return np.isin(labels, wanted)


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Dice."""
    return float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1))


def timed(path: Path, **declared: Any) -> tuple[Measured, float]:
    """A scan measured, and the seconds of processor time it took."""
    begun = time.process_time()
    measured = measure(path, accuracy(), **declared)
    return measured, round(time.process_time() - begun, 2)


def oasis(data: Path, scan: str) -> dict[str, Any]:
    """One brain against its hand-drawn labels, on its own grid."""
    import nibabel

    folder = data / "oasis1_brains"
    path = folder / f"{scan}_T1w_brain.nii.gz"
    measured, seconds = timed(path)
    own = open_scan(path, None, None, PRESET.wanted).volume
    ours = native_labels(measured, own.shape, own.affine)
    image = nibabel.load(folder / f"{scan}_labels.nii.gz")
    drawn = np.asarray(image.dataobj).astype(int)
    voxel = float(abs(np.linalg.det(image.affine[:3, :3])))
    with (folder / "subjects.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["scan_id"] == scan)
    volumes = whole(measured)
    regions = {
        name: {
            "dice": overlap(of_ours(ours, ours_names), np.isin(drawn, labels)),
            "measured": sum(volumes[one] for one in ours_names),
            "true": float(np.isin(drawn, labels).sum() * voxel),
        }
        for name, (ours_names, labels) in DRAWN.items()
    }
    regions["whole_brain"] = {"measured": volumes["whole_brain"], "true": float(row["whole_brain_mm3"])}
    regions["icv"] = {"measured": volumes["icv"], "true": float(row["etiv"]) * 1000}
    return {
        "person": row["subject_id"], "age": float(row["age"]), "seconds": seconds, "verdict": measured.verdict,
        "reasons": list(measured.reasons), "regions": regions, "certainty": measured.certainty,
    }  # fmt: skip


PAIRS = 2
"""SIMULATED people whose brains are measured again with less in one region."""
DLMUSE = {"hippocampus": ("47", "48"), "ventricles": ("49", "50", "51", "52"), "icv": ("702",), "brain": ("701",), "entorhinal": ("116", "117"),
          "fusiform": ("122", "123"), "middle_temporal": ("154", "155")}  # fmt: skip


def ixi(data: Path, scan: str) -> dict[str, Any]:
    """One head against DLMUSE's volumes, which count ventricles into the brain (701)."""
    folder = data / "ixi_heads_2mm"
    measured, seconds = timed(folder / f"{scan}-T1_ds.nii.gz")
    with (folder / "roi_volumes.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["MRID"] == scan)
    volumes = whole(measured)
    volumes["brain"] = (
        volumes["whole_brain"]
        + volumes["ventricles"]
        + volumes["third_ventricle"]
        + volumes["fourth_ventricle"]
    )
    regions = {
        name: {"measured": volumes[name], "true": sum(float(row[one]) for one in columns)}
        for name, columns in DLMUSE.items()
        if all(one in row for one in columns)
    }
    return {
        "person": scan,
        "seconds": seconds,
        "verdict": measured.verdict,
        "reasons": list(measured.reasons),
        "regions": regions,
    }


def simulated(data: Path, scan: str) -> dict[str, Any]:
    """One SIMULATED person in template space, whose volumes are known; and the same head with 5% less in each region."""
    from voxtune.imaging.write import write_volume
    from voxtune.simulate.anatomy import build
    from voxtune.simulate.atlas import REGIONS as PARTS
    from voxtune.simulate.brains import render, shape_of
    from voxtune.simulate.scanner import Scanner
    from voxtune.simulate.seeds import Branch, generator
    from voxtune.simulate.subjects import CohortSettings, scans

    del data
    settings = CohortSettings(participants=int(scan) + 1, visits=1, seed=977)
    one = list(scans(settings))[-1]
    machine = Scanner.drawn(settings.seed, one.participant.scanner)
    volume, anatomy = render(settings, one, machine)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        write_volume(volume, path, "template", simulated=True)
        measured, seconds = timed(path)
        truth = anatomy.volumes()
        ours = dict(measured.volumes)
        ours["ventricles"] += (
            ours["third_ventricle"] + ours["fourth_ventricle"]
        )  # the simulator's are all of them
        regions = {
            name: {"measured": ours[name], "true": truth["brain" if name == "whole_brain" else name]}
            for name in SUMS
        }
        less: dict[str, dict[str, float]] = {}
        if int(scan) >= PAIRS:
            return {
                "person": scan,
                "seconds": seconds,
                "verdict": measured.verdict,
                "regions": regions,
                "less": less,
                "SIMULATED": True,
            }
        for name in ("hippocampus", "entorhinal", "fusiform", "middle_temporal"):
            rates = np.array([np.log(0.95) if part == name else 0.0 for part in PARTS])
            thinner = build(shape_of(settings, one).plus(rates))
            plain = build(shape_of(settings, one))
            rng = generator(Branch.SCAN, settings.seed, one.participant.index, 0, 1)
            other = generator(Branch.SCAN, settings.seed, one.participant.index, 0, 1)
            pair = []
            for anatomy_, draws in ((plain, rng), (thinner, other)):
                write_volume(machine.scan(anatomy_, draws, None), path, "template", simulated=True)
                pair.append(timed(path)[0].volumes)
            less[name] = {
                "measured": pair[1][name] / pair[0][name] - 1,
                "true": thinner.volumes()[name] / plain.volumes()[name] - 1,
            }
    return {
        "person": scan,
        "seconds": seconds,
        "verdict": measured.verdict,
        "regions": regions,
        "less": less,
        "SIMULATED": True,
    }


def turned(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Axes in another order and direction."""
    return np.ascontiguousarray(volume.transpose(2, 0, 1)[::-1])


def forms(data: Path, scan: str) -> dict[str, Any]:
    """One brain in other forms: other axis order, thick slices, noise, darker, unequal brightness, the inverse order of tissues."""
    import nibabel

    path = data / "oasis1_brains" / f"{scan}_T1w_brain.nii.gz"
    image = nibabel.load(path)
    voxels = np.asarray(image.dataobj, dtype=np.float32)
    inside, top = voxels > 0, float(np.percentile(voxels[voxels > 0], 99.5))
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in voxels.shape), indexing="ij"))
    made: dict[str, tuple[NDArray[np.float32], NDArray[np.float64]]] = {"as it is": (voxels, image.affine)}
    back = np.zeros((4, 4))
    back[0, 1] = back[1, 2] = back[3, 3] = 1
    back[2, 0], back[2, 3] = -1, voxels.shape[2] - 1
    made["other axis order"] = (turned(voxels), image.affine @ back)
    thick = voxels[:, :, : voxels.shape[2] // 3 * 3].reshape(*voxels.shape[:2], -1, 3).mean(-1)
    scale = np.diag([1.0, 1.0, 3.0, 1.0])
    scale[2, 3] = 1.0
    made["slices of 3 mm"] = (thick.astype(np.float32), image.affine @ scale)
    coarse = voxels[tuple(slice(0, n // 2 * 2) for n in voxels.shape)]
    a, b, c = (n // 2 for n in coarse.shape)
    coarse = coarse.reshape(a, 2, b, 2, c, 2).mean((1, 3, 5))
    double = np.diag([2.0, 2.0, 2.0, 1.0])
    double[:3, 3] = 0.5
    made["2 mm"] = (coarse.astype(np.float32), image.affine @ double)
    made["noise of 6%"] = (
        np.where(inside, np.maximum(voxels + rng.normal(0, 0.06 * top, voxels.shape), 1), 0).astype(
            np.float32
        ),
        image.affine,
    )
    made["bias field of 40%"] = ((voxels * (1 + 0.4 * grid[1])).astype(np.float32), image.affine)
    made["gamma 0.7"] = (
        (np.clip(voxels / top, 0, 1) ** 0.7 * 1000 * inside).astype(np.float32),
        image.affine,
    )
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (picture, affine) in made.items():
            file = Path(folder) / "scan.nii.gz"
            nibabel.save(nibabel.Nifti1Image(picture, affine), file)
            measured = timed(file, stripped=True)[0]
            found[name] = {
                "verdict": measured.verdict,
                "volumes": {one: measured.volumes[one] for one in (*SUMS, "icv")},
                "errors": {one: measured.errors[one] for one in (*SUMS, "icv")},
            }
    return {"person": scan, "forms": found}


def painted(data: Path, scan: str) -> dict[str, Any]:
    """One SIMULATED head: a picture painted over a bent label map, which the network has not seen but is of the kind it learned from."""
    from voxtune.imaging import template
    from voxtune.segmentation.prior import EDGE
    from voxtune.segmentation.segment import find_regions
    from voxtune.simulate.painted import MARGIN, crops
    from voxtune.types.volume import Volume
    from voxtune_recipes.train_regions import teachers

    heads = teachers(sorted(data.glob("*.npz")))
    one = heads[-1 if int(scan) % 3 else 0]
    rng = np.random.default_rng([929, int(scan)])
    size = EDGE - 2 * MARGIN
    (crop,) = crops(
        one.head,
        one.growth,
        rng,
        edge=size,
        number=1,
        regions=REGIONS,
        centres={k: np.full((1, 3), EDGE // 2) for k in one.about},
    )
    whole, truth = np.zeros((EDGE,) * 3, np.float32), np.zeros((EDGE,) * 3, np.uint8)
    where = tuple(slice(first, first + size) for first in crop.start)
    whole[where], truth[where] = crop.picture.astype(np.float32), crop.regions
    found = find_regions(Volume(whole, template.field_of_view(EDGE)))
    sides = (np.s_[: EDGE // 2], np.s_[EDGE // 2 :])
    amounts = {}
    for number, name in enumerate(REGIONS[1:], start=1):
        for side, words in enumerate(("left", "right")):
            true = float((truth[sides[side]] == number).sum())
            amounts[f"{words}_{name}"] = {
                "measured": float(found.amounts[number, side]),
                "true": true,
                "certainty": float(np.nan_to_num(found.certainty[number, side])),
            }
    return {"person": scan, "regions": amounts, "SIMULATED": True}


def cost(data: Path, scan: str) -> dict[str, Any]:
    """Seconds by the clock and peak memory of one head of 1 mm, alone in its process."""
    path = next(iter(sorted((data / "head_pddl").glob(f"*{scan}*.nii.gz"))))
    begun = time.monotonic()
    _, seconds = timed(path)
    return {
        "person": scan, "clock": round(time.monotonic() - begun, 1), "seconds": seconds,
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }  # fmt: skip


KINDS: dict[str, tuple[Callable[[Path, str], dict[str, Any]], Callable[[Path], list[str]]]] = {
    "oasis": (
        oasis,
        lambda data: sorted(p.name[:4] for p in (data / "oasis1_brains").glob("*_labels.nii.gz")),
    ),
    "ixi": (
        ixi,
        lambda data: sorted(
            p.name.removesuffix("-T1_ds.nii.gz") for p in (data / "ixi_heads_2mm").glob("*-T1_ds.nii.gz")
        ),
    ),
    "simulated": (simulated, lambda _: [str(n) for n in range(12)]),
    "forms": (forms, lambda _: ["1006", "1122"]),
    "painted": (painted, lambda _: [str(n) for n in range(12)]),
    "time": (cost, lambda _: ["1mm"]),
}


def main() -> None:
    """Measure every scan of a kind and keep what was found."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("kind", choices=KINDS)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--only", nargs="*")
    given = arguments.parse_args()
    work, of = KINDS[given.kind]
    file = RESULTS / f"{given.kind}.json"
    held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if held.get("network") != weights_sha256()[:32]:
        held = {"network": weights_sha256()[:32], "scans": {}}
    for scan in given.only or of(given.data):
        if scan in held["scans"]:
            continue
        held["scans"][scan] = work(given.data, scan)
        print(given.kind, scan, flush=True)
        file.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
