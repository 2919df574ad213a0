"""Which pictures that were put together wrongly are told from good ones: ``python benchmarks/qc/pictures.py DATA``.

DATA holds ``chest_ct``, ``dicom``, ``ixi_heads_2mm``, ``head_pddl`` and ``oasis1_brains``. Every fault and every good form is made of
each of twelve real scans; a fault is told where the scan is refused or something is noted. Writes ``results/pictures.json``.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from voxtune.errors import ScanError
from voxtune.imaging.orient import orient
from voxtune.imaging.picture import check_picture
from voxtune.imaging.read import read_scan
from voxtune.types.volume import Volume

HERE = Path(__file__).parent
Array = np.ndarray[Any, Any]


def sources(data: Path) -> Iterator[Volume]:
    """Two CTs, a thick MR series, five heads and four brains."""
    heads = [one for one in sorted((data / "ixi_heads_2mm").glob("*.nii.gz")) if "DLMUSE" not in one.name]
    brains = sorted((data / "oasis1_brains").glob("*_brain.nii.gz"))[::5]
    yield read_scan(data / "chest_ct" / "chest_crop.nii.gz")
    yield read_scan(data / "dicom" / "ct_series")
    yield read_scan(data / "dicom" / "mr_brain_series")
    yield read_scan(next((data / "head_pddl").glob("*_2mm_u8.nii.gz")))
    for path in (*heads[:4], *brains):
        yield read_scan(path)


def faults(scan: Volume) -> Iterator[tuple[str, Volume]]:
    """The scan as it must not pass."""
    voxels, rng = scan.voxels, np.random.default_rng(0)
    flat, shape = voxels.ravel(order="F"), voxels.shape
    for order in ((1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1)):
        other = (shape[order[0]], shape[order[1]], shape[order[2]])
        if other != shape:
            yield "sizes exchanged in the header", scan.with_voxels(flat.reshape(other, order="F"))
    n = shape[2]
    places = np.arange(n)
    swapped, neighbours, turned = places.copy(), places.copy(), places.copy()
    first, second = n // 3, 2 * n // 3
    swapped[[first, second]] = [second, first]
    neighbours[[first, first + 1]] = [first + 1, first]
    turned[first:second] = turned[first:second][::-1]
    for name, order in (
        ("slices shuffled", rng.permutation(n)),
        ("slices pass after pass", np.r_[0:n:2, 1:n:2]),
        ("slices in the order of names without leading zeros", np.sort(places.astype(str)).astype(int)),
        ("two slices exchanged, a third apart", swapped),
        ("two neighbouring slices exchanged", neighbours),
        ("the middle third from behind", turned),
        ("the halves exchanged", np.r_[n // 2 : n, 0 : n // 2]),
        ("an eighth of the slices missing in the middle", np.r_[0 : n // 2, n // 2 + max(3, n // 8) : n]),
        ("every slice twice, every other missing", places // 2 * 2),
    ):
        yield name, scan.with_voxels(np.ascontiguousarray(voxels[:, :, order]))
    share = (voxels - voxels.min()) / np.percentile(voxels - voxels.min(), 99.9)
    for name, factor in (("by half", 1.5), ("by a fifth", 1.2), ("by a twentieth", 1.05)):
        ran = np.floor(share * 256 * factor) % 256
        yield f"numbers ran over 8 bits {name}", scan.with_voxels(ran.astype(np.float32))


def forms(scan: Volume) -> Iterator[tuple[str, Volume]]:
    """The scan as it may come."""
    voxels, rng = scan.voxels, np.random.default_rng(1)
    bright = float(np.percentile(voxels - voxels.min(), 99))
    yield "as it is", scan
    for axes in ("LPS", "PIR", "ASL", "LIA"):
        yield "axes in another order", orient(scan, axes)
    for axis in range(3):
        if voxels.shape[axis] >= 32:
            thick = ndimage.uniform_filter1d(voxels, 3, axis=axis)
            kept = np.ascontiguousarray(np.take(thick, np.arange(1, voxels.shape[axis], 3), axis=axis))
            yield "slices three times as thick", scan.with_voxels(kept)
    for share in (0.05, 0.15):
        noisy = voxels + share * bright * rng.standard_normal(voxels.shape, dtype=np.float32)
        yield "noise", scan.with_voxels(noisy)
    yield "blurred", scan.with_voxels(ndimage.gaussian_filter(voxels, 2))
    yield "cut off at the brightest 2%", scan.with_voxels(np.minimum(voxels, np.percentile(voxels, 98)))
    yield "padded", scan.with_voxels(np.pad(voxels, 15, constant_values=float(voxels.min())))
    for _ in range(5):
        size = [int(n * rng.uniform(0.5, 1)) for n in voxels.shape]
        start = [int(rng.integers(0, n - k + 1)) for n, k in zip(voxels.shape, size, strict=True)]
        box = tuple(slice(a, a + k) for a, k in zip(start, size, strict=True))
        yield "cropped", scan.with_voxels(np.ascontiguousarray(voxels[box]))


def told(volume: Volume) -> bool:
    """Whether anything is said of a picture, on straight axes."""
    try:
        return bool(check_picture("scan", Volume(volume.voxels, np.eye(4))))
    except ScanError:
        return True


def main() -> None:
    """Run and write."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path)
    given = arguments.parse_args()
    found: dict[str, dict[str, list[int]]] = {"faults": {}, "forms": {}}
    for scan in sources(given.data):
        for group, made in (("faults", faults(scan)), ("forms", forms(scan))):
            for name, volume in made:
                counts = found[group].setdefault(name, [0, 0])
                counts[0] += told(volume)
                counts[1] += 1
        print(scan.shape, found, flush=True)
    (HERE / "results" / "pictures.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
