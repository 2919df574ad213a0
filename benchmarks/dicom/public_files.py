"""Every series of public DICOM collections: equal to an independent reading by pydicom, frame by frame, or refused.

    python benchmarks/dicom/public_files.py DATA [--only COLLECTION ...]

DATA holds a folder of each collection of ``tables.WHERE`` that is not found in an installed package, named as there. A collection
that is absent keeps the results it had. The independent reading places each frame by its own tags and looks into our volume
at the places of its pixels: on voxels they must be equal; between voxels (a tilted or uneven stack, resampled) correlated.
A file that is a single slice is read five times over, each 2 mm above the last. Writes ``results/public.json``.
"""

import argparse
import gzip
import importlib.util
import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from scipy.ndimage import map_coordinates

sys.path.insert(0, str(Path(__file__).parent))
from tables import WHERE

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "public.json"
PACKAGES = {"pydicom": "pydicom/data", "pydicom-data": "data_store/data", "nibabel": "nibabel"}
NEAR = 0.95
"""Correlation with a frame that lies between our voxels, which neighbours were mixed into."""
ON_VOXELS = 0.01
"""How far from a voxel's middle a pixel is still on it."""
COPIES = 5


# ----------------------------------------------------------------------------- reading by pydicom alone
def tag(groups: Sequence[Any], sequence: str, name: str) -> Any:
    """A value of a frame: of its own functional group, of the shared one, of the file."""
    for group in groups:
        if group is not None and group.get(sequence):
            return group[sequence].value[0].get(name)
        if group is not None and name in group:
            return group.get(name)
    return None


def planes(file: Path) -> Iterator[dict[str, Any]]:
    """The frames of a file with the places (LPS, mm) of their pixels and their numbers."""
    ds = pydicom.dcmread(file, force=True)
    count = int(ds.get("NumberOfFrames", 1) or 1)
    stored = np.asarray(ds.pixel_array).reshape(count, ds.Rows, ds.Columns)
    own = ds.get("PerFrameFunctionalGroupsSequence") or [None] * count
    shared = (ds.get("SharedFunctionalGroupsSequence") or [None])[0]
    for index in range(count):
        groups = [own[index], shared, ds]
        slope = tag(groups, "PixelValueTransformationSequence", "RescaleSlope")
        shift = tag(groups, "PixelValueTransformationSequence", "RescaleIntercept")
        slope, shift = (1.0 if slope is None else float(slope)), (0.0 if shift is None else float(shift))
        values = stored[index].astype(np.float64) * slope + shift
        way = np.array(tag(groups, "PlaneOrientationSequence", "ImageOrientationPatient"), dtype=float)
        first = np.array(tag(groups, "PlanePositionSequence", "ImagePositionPatient"), dtype=float)
        down, right = (float(v) for v in tag(groups, "PixelMeasuresSequence", "PixelSpacing"))
        rows, columns = np.mgrid[: ds.Rows, : ds.Columns]
        place = first + columns[..., None] * right * way[:3] + rows[..., None] * down * way[3:]
        padding = ds.get("PixelPaddingValue")
        known = np.ones(values.shape, bool) if padding is None else stored[index] != padding
        white = ds.PhotometricInterpretation == "MONOCHROME1" and ds.Modality != "CT"
        yield {"values": values.astype(np.float32), "place": place, "known": known, "white": white}


def against(files: Sequence[Path], voxels: np.ndarray[Any, Any], affine: np.ndarray[Any, Any]) -> str:
    """``equal``, ``resampled``, ``left out N`` (those frames lie outside our volume), or ``wrong`` with what differs."""
    to_voxel = np.linalg.inv(affine) @ np.diag([-1.0, -1.0, 1.0, 1.0])
    far, near, off, outside, total = 0.0, 1.0, 0.0, 0, 0
    turned = voxels.max() + voxels.min()
    for one in (plane for file in files for plane in planes(file)):
        total += 1
        index = one["place"] @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        on = np.round(index).astype(int)
        inside = (on >= 0).all(-1) & (on < voxels.shape).all(-1) & one["known"]
        if not inside.any():
            outside += 1
            continue
        values = turned - one["values"] if one["white"] else one["values"]
        off = max(off, float(np.abs(index - on).max()))
        i, j, k = on[inside].T
        far = max(far, float(np.abs(voxels[i, j, k] - values[inside]).max()))
        ours = map_coordinates(voxels, index[inside].T, order=1, mode="nearest")
        if values[inside].std() > 0 and ours.std() > 0:
            near = min(near, float(np.corrcoef(ours, values[inside])[0, 1]))
    if (off < ON_VOXELS and far > 0) or near < NEAR:
        return f"wrong: differs by {far:g}, correlation {near:.4f}"
    if outside:
        return f"left out {outside} of {total}"
    return "equal" if off < ON_VOXELS else "resampled"


# ------------------------------------------------------------------------------------- what there is
def folder_of(name: str, data: Path) -> Path | None:
    """Where a collection lies, if it is here."""
    if name in PACKAGES:
        package, *below = PACKAGES[name].split("/")
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).parent.joinpath(*below)
    return data / name if (data / name).is_dir() else None


def series_of(root: Path, scratch: Path) -> dict[tuple[str, str], list[Path]]:
    """The image files of every series by UID; packed ones unpacked first."""
    found: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(
        path for path in root.rglob("*") if path.is_file() and path.suffix not in {".py", ".json"}
    ):
        opened = file
        if file.name.endswith(".dcm.gz"):
            opened = scratch / file.name.removesuffix(".gz")
            opened.write_bytes(gzip.decompress(file.read_bytes()))
        try:
            ds = pydicom.dcmread(
                opened, stop_before_pixels=True, specific_tags=["SeriesInstanceUID", "Rows", "PatientID"]
            )
        except Exception:  # noqa: BLE001  (not DICOM, or not meant to be read)
            continue
        if "Rows" in ds:
            uid = str(ds.get("SeriesInstanceUID", "") or "none")
            found.setdefault((uid, str(opened.parent)), []).append(opened)
    return found


def stacked(file: Path, folder: Path) -> list[Path]:
    """A single slice, five times over."""
    copies = []
    for k in range(COPIES):
        ds = pydicom.dcmread(file)
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2.0 * k], [1, 0, 0, 0, 1, 0]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"2.25.{k + 1}"
        copies.append(folder / f"{k}.dcm")
        ds.save_as(copies[-1])
    return copies


def tried(files: Sequence[Path]) -> dict[str, Any]:
    """What becomes of one series."""
    from voxtune.errors import ScanError
    from voxtune.imaging.read import open_scan

    many = (
        len(files) > 1
        or int(pydicom.dcmread(files[0], stop_before_pixels=True).get("NumberOfFrames", 1) or 1) > 1
    )
    with tempfile.TemporaryDirectory() as scratch:
        inside = Path(scratch)
        if many:
            for file in files:
                (inside / file.name).symlink_to(file.absolute())
            path = inside if len(files) > 1 else files[0]
        else:
            try:
                files, path = stacked(files[0], inside), inside
            except Exception:  # noqa: BLE001  (cannot be written back: read alone)
                path = files[0]
        row = {"files": len(files), "stacked": not many}
        try:
            scan = open_scan(path)
        except ScanError as error:
            return row | {"outcome": "refused", "says": error.cause}
        said = "; ".join([*scan.notes, *scan.remarks])
        try:
            outcome = against(files, scan.volume.voxels, scan.volume.affine)
        except Exception as error:  # noqa: BLE001  (pydicom has no decoder for it here)
            outcome = f"not read by pydicom ({type(error).__name__})"
        return row | {"outcome": outcome, "says": said, "warned": bool(scan.notes)}


def main() -> None:
    """Run the collections that are here and write what became of every series."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--only", nargs="*", default=list(WHERE))
    given = arguments.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in given.only:
        root = folder_of(name, given.data)
        if root is None:
            print(f"{name}: not here")
            continue
        rows = []
        with tempfile.TemporaryDirectory() as scratch:
            for number, files in enumerate(series_of(root, Path(scratch)).values()):
                rows.append({"name": files[0].name if len(files) == 1 else f"series {number}"} | tried(files))
                print(name, rows[-1], flush=True)
        found[name] = rows
        print(name, Counter(row["outcome"].split(":")[0] for row in rows))
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
