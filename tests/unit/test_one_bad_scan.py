"""One bad scan never stops the others, whatever it does: in ``preprocess``, ``predict``, ``audit`` and ``ingest``; and places that cannot be written."""

import importlib.util
import json
import struct
import sys
import zlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import numpy as np
import pytest
from click.testing import CliRunner, Result

from voxtune.audit.images import look_at
from voxtune.cli import main
from voxtune.cohorts.reading import Pending, Reading
from voxtune.commands.ingest.images import write_pending
from voxtune.commands.preprocess import Job, preprocess, preprocess_one
from voxtune.data.manifest import read_manifest, read_table
from voxtune.errors import ScanError, SomeScansFailedError, StorageError
from voxtune.imaging.presets import CT_CLIP_SMALL
from voxtune.imaging.read import read_scan
from voxtune.imaging.write import write_volume
from voxtune.serving.predictor import Predictor
from voxtune.serving.worker import done
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

ROOT = Path(__file__).resolve().parents[2]


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dicom_cases", ROOT / "benchmarks" / "dicom" / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dicom_cases"] = module
    spec.loader.exec_module(module)
    return module


cases = _module()


def chest() -> Volume:
    """A CT of 32 cm: soft tissue, two lungs, a spine, some noise."""
    x, y, z = np.meshgrid(*(np.arange(-32, 32) * 5.0,) * 2, np.arange(-24, 24) * 6.0, indexing="ij")
    voxels = np.full(x.shape, -1000.0)
    voxels[(x / 150) ** 2 + (y / 110) ** 2 < 1] = 40
    for side in (-70, 70):
        voxels[((x - side) / 55) ** 2 + (y / 75) ** 2 + (z / 110) ** 2 < 1] = -820
    voxels[(x / 18) ** 2 + ((y + 80) / 18) ** 2 < 1] = 350
    voxels += np.random.default_rng(0).normal(0, 12, x.shape)
    return Volume(np.round(voxels).astype(np.float32), np.diag([5.0, 5.0, 6.0, 1.0]))


def manifest(folder: Path, images: dict[str, str]) -> Path:
    path = folder / "manifest.tsv"
    rows = "".join(f"{name}\t{name}\t{image}\n" for name, image in images.items())
    path.write_text("participant_id\tscan_id\timage\n" + rows, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, SomeScansFailedError]:
    """A good chest among bad scans, preprocessed: manifest, output, and how it ended."""
    folder = tmp_path_factory.mktemp("cohort")
    good = chest()
    write_volume(good, folder / "good.nii.gz", "scanner")
    write_volume(good.with_voxels(good.voxels - 30_000), folder / "air.nii.gz", "scanner")
    cases.palette(folder / "palette")
    cases.monochrome1_mr(folder / "mr")
    (folder / "text.nii.gz").write_bytes(b"not a scan")
    images = {
        "air": "air.nii.gz", "palette": "palette/d", "mr": "mr/d", "text": "text.nii.gz", "absent": "absent.nii.gz", "good": "good.nii.gz",
    }  # fmt: skip
    with pytest.raises(SomeScansFailedError) as caught:
        preprocess(manifest(folder, images), folder / "out", preset="ct_clip_small", hu_policy="trust")
    return folder / "manifest.tsv", folder / "out", caught.value


def test_the_good_scan_is_done_and_every_bad_one_named(
    cohort: tuple[Path, Path, SomeScansFailedError],
) -> None:
    _, out, error = cohort
    assert error.exit_code == 5
    assert [row.scan_id for row in read_manifest(out / "manifest.tsv")] == ["good"]
    failed = {row["scan_id"]: row["reason"] for row in read_table(out / "failed.tsv", ("scan_id", "reason"))}
    assert set(failed) == {"air", "palette", "mr", "text", "absent"}
    for name, words in {
        "air": "nothing of it is left",
        "palette": "PALETTE",
        "mr": "MR scan; this preset takes a CT",
    }.items():
        assert words in failed[name]
    assert (out / "cache").is_dir()


def test_a_stored_volume_that_was_damaged_is_made_again(
    cohort: tuple[Path, Path, SomeScansFailedError], tmp_path: Path
) -> None:
    source, _, _ = cohort
    good = source.with_name("good.nii.gz")
    for name in ("a", "b"):
        (tmp_path / f"{name}.nii.gz").write_bytes(good.read_bytes())
    rows = manifest(tmp_path, {"a": "a.nii.gz", "b": "b.nii.gz"})
    preprocess(rows, tmp_path / "out", preset="ct_clip_small")
    (tmp_path / "out" / "b" / "volume.nii.gz").write_bytes(b"rotten")
    preprocess(rows, tmp_path / "out", preset="ct_clip_small")
    assert [row.scan_id for row in read_manifest(tmp_path / "out" / "manifest.tsv")] == ["a", "b"]
    assert read_scan(tmp_path / "out" / "b" / "volume.nii.gz").shape == CT_CLIP_SMALL.size


def test_which_series_was_read_is_said_in_terminal_page_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = chest()
    values = volume.voxels
    cases.classic(
        tmp_path / "study" / "a", values, number=3, description="LUNG 1.0", signed=True, intercept=0
    )
    cases.classic(
        tmp_path / "study" / "b", values[:, :, :30], number=4, description="COR MPR", signed=True, intercept=0
    )
    cases.classic(
        tmp_path / "study" / "c", values[:, :, :20], number=5, description="SAG MPR", signed=True, intercept=0
    )
    preprocess(tmp_path / "study", tmp_path / "out", preset="ct_clip_small", hu_policy="trust")
    record = json.loads((tmp_path / "out" / "study" / "chain.json").read_text(encoding="utf-8"))
    assert record["steps"][0]["result"]["series"].startswith("LUNG 1.0 (series 3, CT, 48 images)")
    pages = [
        (tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("page.html", "study/page.html")
    ]
    for said in (capsys.readouterr().err, *pages):
        assert "LUNG 1.0" in said
        assert "COR MPR" in said
        assert "images) x " not in said, "names are no sizes"
    preprocess(
        tmp_path / "study", tmp_path / "other", preset="ct_clip_small", hu_policy="trust", series="cor mpr"
    )
    other = json.loads((tmp_path / "other" / "study" / "chain.json").read_text(encoding="utf-8"))
    assert other["steps"][0]["result"]["series"].startswith("COR MPR")
    assert other["key"] != record["key"]


def test_uneven_slices_never_pass(tmp_path: Path) -> None:
    values = chest().voxels
    z = np.cumsum([0, *([3.0] * 23), *([4.0] * 24)])
    cases.classic(tmp_path / "study", values, z=z, signed=True, intercept=0)
    preprocess(tmp_path / "study", tmp_path / "out", preset="ct_clip_small", hu_policy="trust")
    [row] = read_table(tmp_path / "out" / "qc.tsv", ("scan_id", "verdict"))
    assert row["verdict"] == "warn"
    assert "uneven spacing: slices are 3.00 to 4.00 mm apart" in row["reasons"]


def test_a_scan_without_a_place_for_its_result_is_a_failed_one(tmp_path: Path) -> None:
    write_volume(chest(), tmp_path / "a.nii.gz", "scanner")
    rows = manifest(tmp_path, {"a": "a.nii.gz", "b": "a.nii.gz"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b").write_text("in the way")
    with pytest.raises(SomeScansFailedError):
        preprocess(rows, tmp_path / "out", preset="ct_clip_small")
    assert [row.scan_id for row in read_manifest(tmp_path / "out" / "manifest.tsv")] == ["a"]
    [failed] = read_table(tmp_path / "out" / "failed.tsv", ("scan_id", "reason"))
    assert failed["scan_id"] == "b"
    assert failed["reason"].startswith("b: it cannot be preprocessed (")


@pytest.mark.parametrize("text", ["{", "[]", '{"key": "1"}', '{"key": 1, "preset": null}', "\0"])
def test_a_damaged_record_is_made_again(
    text: str, cohort: tuple[Path, Path, SomeScansFailedError], tmp_path: Path
) -> None:
    (tmp_path / "a.nii.gz").write_bytes(cohort[0].with_name("good.nii.gz").read_bytes())
    record = tmp_path / "out" / "a" / "chain.json"
    record.parent.mkdir(parents=True)
    record.write_text(text, encoding="utf-8")
    (record.parent / "volume.nii.gz").write_bytes(b"rotten")
    rows = manifest(tmp_path, {"a": "a.nii.gz"})
    preprocess(rows, tmp_path / "out", preset="ct_clip_small", resume=True)
    assert json.loads(record.read_text(encoding="utf-8"))["preset"] == "ct_clip_small"


RAISED = (
    zlib.error("secret"), struct.error("secret"), KeyError("secret"), IndexError("secret"), ValueError("secret"),
    TypeError("secret"), AttributeError("secret"), AssertionError("secret"), RuntimeError("secret"), RecursionError("secret"),
    NotImplementedError("secret"), ZeroDivisionError("secret"), OverflowError("secret"), EOFError("secret"), SystemError("secret"),
    MemoryError(), np.linalg.LinAlgError("secret"), UnicodeDecodeError("ascii", b"secret", 0, 1, "secret"), PermissionError(13, "Permission denied", "/secret"),
    OSError("secret"),
)  # fmt: skip


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_library_raises_is_one_sentence_at_every_door(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doors: read, preprocess, predict, serve, audit and ingest; explain reads through the same two as preprocess."""

    def broken(*_: object, **__: object) -> None:
        raise error

    said = []
    monkeypatch.setattr("voxtune.imaging.read._opened", broken)
    monkeypatch.setattr("voxtune.imaging.pair.read_any", broken)
    monkeypatch.setattr("voxtune.serving.predictor.prepare_scan", broken)
    with pytest.raises(ScanError) as caught:
        read_scan(tmp_path / "bad.nii")
    said.append(str(caught.value))
    job = Job("bad", tmp_path / "bad.nii", tmp_path / "bad", CT_CLIP_SMALL, None, False, False)
    said.append(str(preprocess_one(job)))
    assert (tmp_path / "bad" / "failed.txt").is_file()
    with pytest.raises(ScanError) as caught:
        Predictor.predict(cast("Predictor", SimpleNamespace(preset=None)), tmp_path / "bad.nii")
    said.append(str(caught.value))
    said.append(f"bad: {done(broken, {}, lambda _: None)['failed']}")
    said.append(f"bad: {look_at([row('bad')], lambda _: read_scan(tmp_path / 'bad.nii')).failed['bad']}")
    reading = Reading(rows=[row("bad")])
    reading.pending["bad"] = Pending((tmp_path / "bad.img",))
    write_pending(reading, tmp_path)
    said.append(f"bad: {reading.dropped[0].reason}")
    for sentence in said:
        assert sentence.startswith("bad"), sentence
        assert "secret" not in sentence
        assert "Traceback" not in sentence
        assert "\n" not in sentence


# ---------------------------------------------------------------------------------- other commands
def row(name: str) -> ManifestRow:
    return ManifestRow(participant_id=name, scan_id=name, image=f"{name}.nii.gz")


@pytest.mark.parametrize(
    "error", [KeyError("secret"), RuntimeError("secret"), MemoryError(), OSError("secret")]
)
def test_the_audit_lists_whatever_breaks(error: Exception) -> None:
    def read(one: ManifestRow) -> Volume:
        if one.scan_id == "bad":
            raise error
        return chest()

    images = look_at([row("bad"), row("good")], read)
    assert images.scan_ids == ("good",)
    assert set(images.failed) == {"bad"}
    assert "secret" not in images.failed["bad"]


def test_ingest_drops_whatever_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("secret")

    monkeypatch.setattr("voxtune.imaging.pair.read_any", broken)
    reading = Reading(rows=[row("bad"), row("good")])
    reading.pending["bad"] = Pending((tmp_path / "bad.img",))
    write_pending(reading, tmp_path)
    assert [one.scan_id for one in reading.rows] == ["good"]
    assert "IndexError" in reading.dropped[0].reason


# ----------------------------------------------------------------------------- unwritable places
def test_an_output_folder_that_cannot_be_made_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    write_volume(chest(), tmp_path / "a.nii.gz", "scanner")
    with pytest.raises(StorageError, match="cannot be made or written to"):
        preprocess(tmp_path / "a.nii.gz", tmp_path / "file" / "out", preset="ct_clip_small")
    for arguments in (
        [
            "preprocess",
            str(tmp_path / "a.nii.gz"),
            str(tmp_path / "file" / "out"),
            "--preset",
            "ct_clip_small",
        ],
        ["predict", "demo", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "file" / "out")],
    ):
        result: Result = CliRunner().invoke(main, arguments)
        assert result.exit_code == StorageError.exit_code
        assert "cannot be made or written to" in result.output


def test_a_write_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/home/someone/out/page.html")

    monkeypatch.setattr("voxtune.commands.preprocess.preprocess", full)
    result = CliRunner().invoke(main, ["preprocess", str(tmp_path / "a.nii"), str(tmp_path / "out")])
    assert result.exit_code == 3
    assert "'page.html' cannot be read or written (No space left on device)" in result.output
    assert "someone" not in result.output
