"""How fast is the chain from a raw head to template space, at what fit, against ANTs at its defaults and tuned?

Needs ANTs, which nothing else here does: pip install -e '.[benchmarks]'.

Three chains in one process on the same heads, one after another:

    ours      preprocess_scan, preset m3d (the 1 mm cube): read, skull (deepbet), denoise, N4, affine, resample, intensity
    sensible  deepbet, SimpleITK N4 at shrink factor 4, ANTs Affine to 1 mm
    defaults  ANTs denoise, ANTs N4, deepbet, ANTs Affine to 1 mm, all at library defaults

Fit is measured by one function for all: correlation with the ICBM 2009a template inside its brain mask, and the Dice of the
brain masks, on the 1 mm cube. Peak memory is of a fresh process that runs ``ours`` on the first head.

    python benchmarks/preprocess/run.py HEAD... [--chains ours,sensible,defaults] [--repeats 1]
    python benchmarks/preprocess/run.py HEAD... --where

``--where`` needs no ANTs: where the processor's time of ``ours`` goes, step by step, on the second pass over the heads, as in a
cohort, where what is loaded once is there.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import voxtune
from voxtune.imaging import chain as our_chain
from voxtune.imaging import template
from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.orient import orient
from voxtune.imaging.presets import M3D
from voxtune.imaging.qc import dice
from voxtune.imaging.read import read_scan
from voxtune.imaging.skull import find_brain
from voxtune.types.volume import Volume

HERE = Path(__file__).parent
SIZE = 192
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def fit(voxels: NDArray[np.float32], mask: NDArray[np.bool_]) -> dict[str, float]:
    """Correlation inside the template's brain and Dice, on the 1 mm cube."""
    inside = template.brain_mask(SIZE)
    still = template.template(SIZE).voxels[inside]
    return {
        "correlation": round(float(np.corrcoef(voxels[inside], still)[0, 1]), 4),
        "dice": round(dice(mask, inside), 4),
    }


def ours(head: Path) -> dict[str, float]:
    result = preprocess_scan(head, M3D)
    return fit(result.volume.voxels, result.mask)


def sensible(head: Path) -> dict[str, float]:
    import SimpleITK

    volume = orient(read_scan(head))
    mask = find_brain(volume)
    image = SimpleITK.GetImageFromArray(volume.voxels.transpose(2, 1, 0))
    where = SimpleITK.GetImageFromArray(mask.astype(np.uint8).transpose(2, 1, 0))
    for one in (image, where):
        one.SetSpacing(volume.spacing)
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.Execute(SimpleITK.Shrink(image, [4] * 3), SimpleITK.Shrink(where, [4] * 3))
    field = SimpleITK.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).transpose(2, 1, 0)
    return ants_affine(volume.with_voxels((volume.voxels / np.exp(field)).astype(np.float32)), mask)


def defaults(head: Path) -> dict[str, float]:
    import ants

    volume = orient(read_scan(head))
    image = ants.n4_bias_field_correction(ants.denoise_image(to_ants(volume)))
    cleaned = volume.with_voxels(np.ascontiguousarray(image.numpy(), dtype=np.float32))
    return ants_affine(cleaned, find_brain(cleaned))


def ants_affine(volume: Volume, mask: NDArray[np.bool_]) -> dict[str, float]:
    """ANTs Affine of the stripped brain to the template at 1 mm, seeded."""
    import ants

    still = to_ants(template.template(SIZE))
    brain = to_ants(volume.with_voxels((volume.voxels * mask).astype(np.float32)))
    found = ants.registration(still, brain, "Affine", random_seed=1)
    inside = ants.apply_transforms(
        still,
        to_ants(volume.with_voxels(mask.astype(np.float32))),
        found["fwdtransforms"],
        interpolator="linear",
    )
    return fit(found["warpedmovout"].numpy(), inside.numpy() > 0.5)


def to_ants(volume: Volume):
    import ants

    affine = LPS @ volume.affine
    direction = affine[:3, :3] / volume.spacing
    return ants.from_numpy(
        volume.voxels, origin=affine[:3, 3].tolist(), spacing=list(volume.spacing), direction=direction
    )


CHAINS = {"ours": ours, "sensible": sensible, "defaults": defaults}


def peak_memory(head: Path) -> float:
    """Gigabytes of a fresh process that runs our chain once."""
    code = "import sys; sys.argv = ['run.py']; from pathlib import Path; sys.path.insert(0, {here!r}); import run, resource; run.ours(Path({head!r})); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    command = [sys.executable, "-c", code.format(here=str(HERE), head=str(head))]
    kilobytes = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    return round(kilobytes / 2**20, 2)


def measure(head: Path, chain: str, repeats: int) -> dict[str, float]:
    """Wall and processor seconds of the fastest run, and the fit."""
    runs = []
    for _ in range(repeats):
        wall, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        found = CHAINS[chain](head)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        runs.append((round(time.perf_counter() - wall, 1), round(cpu, 1), found))
    wall_s, cpu_s, found = min(runs, key=lambda run: run[0])
    return {"wall_s": wall_s, "cpu_s": cpu_s, **found}


STEPS = {"mask": "find the brain (deepbet)", "clean": "denoise, N4", "transform": "affine registration"}
"""Slow steps that the chain says when they begin."""
FIRST, LAST = "read and check the file", "resample, intensity, quality"


def where(head: Path) -> dict[str, float]:
    """Processor seconds of each part of ``ours`` on a head."""
    from unittest.mock import patch

    marks = [(FIRST, time.process_time())]

    def mark(name: str) -> None:
        marks.append((name, time.process_time()))

    laid = our_chain._to_template  # noqa: SLF001  (nothing tells where the registration ends)

    def told(*given):
        mark(LAST)
        return laid(*given)

    with patch.object(our_chain, "_to_template", told):
        preprocess_scan(head, M3D, tell=lambda step: mark(STEPS.get(step, step)))
    mark("")
    return {name: round(now - began, 2) for (name, began), (_, now) in itertools.pairwise(marks)}


def write_where(heads: list[Path]) -> None:
    """Each head twice; the second pass is stored."""
    for head in heads:
        where(head)
    rows = [{"head": head.name.removesuffix(".nii.gz"), "cpu_s": where(head)} for head in heads]
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    name = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    record = {"question": "where the processor's time of a head goes", "processor": name, "heads": rows}
    (HERE / "results" / "steps.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("heads", type=Path, nargs="+")
    parser.add_argument("--chains", default="ours,sensible,defaults")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "chains.json")
    parser.add_argument("--where", action="store_true", help="where the time of our chain goes")
    arguments = parser.parse_args()
    if arguments.where:
        write_where(arguments.heads)
        return
    chains = arguments.chains.split(",")
    import ants  # noqa: F401  # outside the clock: its import takes seconds

    template.brain_mask(SIZE), template.template(SIZE)
    rows = []
    for head in arguments.heads:
        volume = read_scan(head)
        row = {
            "head": head.name.removesuffix(".nii.gz"),
            "spacing_mm": [round(s, 2) for s in volume.spacing],
            "shape": volume.shape,
        }
        for chain in chains:
            row[chain] = measure(head, chain, arguments.repeats)
            print(row["head"], chain, row[chain], flush=True)
        for other in set(chains) - {"ours"}:
            row[f"{other}_over_ours"] = {
                key: round(row[other][key] / row["ours"][key], 1) for key in ("wall_s", "cpu_s")
            }
        rows.append(row)
    result = {
        "question": "seconds and fit from a raw head to template space",
        "voxtune": voxtune.__version__,
        "cores": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
        "load_at_end": round(os.getloadavg()[1], 1),
        "peak_memory_gb": peak_memory(arguments.heads[0]),
        "heads": rows,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
