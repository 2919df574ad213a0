"""Doors of ``fuzz``: scans, tables, templates and settings as strangers send them."""

import gzip
import io
import json
import random
import re
import zipfile
from pathlib import Path

from mutations import PIECES, Target, changed, mutated


def nifti(root: Path, folder: Path) -> Target:
    """A volume, packed or not."""
    from voxtune.imaging.read import read_scan

    plain = gzip.decompress(next((root / "pre").glob("*/volume.nii.gz")).read_bytes())

    def run(draw: random.Random) -> object:
        content = mutated(plain, draw)
        packed = draw.random() < 0.5
        path = folder / ("a.nii.gz" if packed else "a.nii")
        if packed:
            content = gzip.compress(content, 1)
            content = mutated(content, draw) if draw.random() < 0.3 else content
        path.write_bytes(content)
        return read_scan(path)

    return run


def dicom_zip(_: Path, folder: Path) -> Target:
    """A DICOM series in a zip."""
    import numpy as np
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    from voxtune.imaging.read import open_scan

    series, slices = generate_uid(entropy_srcs=["s"]), []
    for number in range(6):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = (
            "1.2.840.10008.5.1.4.1.1.2",
            ExplicitVRLittleEndian,
        )
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["i", str(number)])
        one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID = (
            meta.MediaStorageSOPClassUID,
            meta.MediaStorageSOPInstanceUID,
            series,
        )
        one.Modality, one.Rows, one.Columns, one.InstanceNumber = "CT", 16, 16, number + 1
        one.ImagePositionPatient, one.ImageOrientationPatient, one.PixelSpacing = (
            [0, 0, 2.0 * number],
            [1, 0, 0, 0, 1, 0],
            [1, 1],
        )
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation, one.SamplesPerPixel, one.PhotometricInterpretation = (
            15,
            1,
            1,
            "MONOCHROME2",
        )
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        one.PixelData = np.arange(256, dtype="<i2").tobytes()
        buffer = io.BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        slices.append(buffer.getvalue())

    def run(draw: random.Random) -> object:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for number, one in enumerate(slices):
                archive.writestr(f"{number}.dcm", mutated(one, draw) if draw.random() < 0.3 else one)
        content = buffer.getvalue()
        (folder / "a.zip").write_bytes(mutated(content, draw) if draw.random() < 0.5 else content)
        return open_scan(folder / "a.zip")

    return run


def manifest(root: Path, folder: Path) -> Target:
    """A table with changed bytes and cells."""
    from voxtune.data.manifest import read_manifest

    whole = (root / "cohort" / "manifest.tsv").read_bytes()

    def run(draw: random.Random) -> object:
        (folder / "m.tsv").write_bytes(mutated(whole, draw))
        return read_manifest(folder / "m.tsv")

    return run


def template(_: Path, folder: Path) -> Target:
    """Pieces of templates, in any order."""
    from voxtune.reports.wording import load_template, write_report
    from voxtune.types.records import ManifestRow

    row = ManifestRow(participant_id="p", scan_id="s", image="s.nii", diagnosis="AD", age=70.0)

    def run(draw: random.Random) -> object:
        text = "".join(draw.choice(PIECES) for _ in range(draw.randrange(1, 12)))
        content = text.encode("utf-8", "surrogatepass")
        (folder / "t.txt").write_bytes(mutated(content, draw) if draw.random() < 0.3 else content)
        return write_report(row, load_template(folder / "t.txt"))

    return run


def profile(_: Path, folder: Path) -> Target:
    """A profile of one's own."""
    from voxtune.profiles.read import read_profile

    page = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-disease.md"
    found = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    whole = max(found, key=len).encode()

    def run(draw: random.Random) -> object:
        (folder / "p.toml").write_bytes(mutated(whole, draw))
        return read_profile(folder / "p.toml")

    return run


def recipe(root: Path, folder: Path) -> Target:
    """The settings of a run with hostile values."""
    from voxtune.run_dir import RunDir

    tree = json.loads((root / "run" / "config.json").read_text(encoding="utf-8"))

    def run(draw: random.Random) -> object:
        text = json.dumps(changed(tree, draw)).encode()
        (folder / "config.json").write_bytes(mutated(text, draw) if draw.random() < 0.3 else text)
        return RunDir(folder).read_config()

    return run


def split(root: Path, folder: Path) -> Target:
    """A split with hostile values and a seal that fits."""
    import shutil

    from voxtune.data.split_files import read_split
    from voxtune.storage.seal import read_sealed, write_sealed

    copy = Path(shutil.copytree(root / "split", folder / "split", dirs_exist_ok=True))
    tree = read_sealed(copy / "split.json", "a split")
    table = (copy / "train.tsv").read_bytes()

    def run(draw: random.Random) -> object:
        write_sealed(copy / "split.json", changed(tree, draw))
        (copy / "train.tsv").write_bytes(mutated(table, draw) if draw.random() < 0.3 else table)
        return read_split(copy)

    return run
