"""SIMULATED is one field of a row: by its column, by its source, by the image itself; leaving one out hides nothing."""

import gzip
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from voxtune.commands.ingest.command import ingest
from voxtune.commands.predict.command import predict
from voxtune.commands.preprocess import preprocess
from voxtune.commands.simulate.chest import simulate_chest
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, read_table, write_manifest, write_table
from voxtune.data.simulated import with_marks
from voxtune.imaging.read import read_scan
from voxtune.imaging.simulated import MARK, is_marked
from voxtune.imaging.write import write_volume
from voxtune.model.adapter import FILES
from voxtune.serving.bundled import adapter_folder
from voxtune.storage.seal import write_sums
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

LOST = ("simulated", "source", "source_sha256", "diagnosis_rule", "site", "scanner")


def row(**values: object) -> ManifestRow:
    return ManifestRow.model_validate({"participant_id": "p", "scan_id": "s", "image": "s.nii.gz"} | values)


def volume() -> Volume:
    """Smooth, so that it is no noise, with a grain, so that its ends differ."""
    bump = np.hanning(10)[1:-1]
    grain = np.random.default_rng(0).random((8, 8, 8))
    voxels = np.einsum("i,j,k", bump, bump, bump) + 0.05 * grain
    return Volume((voxels / voxels.max()).astype(np.float32), np.eye(4))


@pytest.fixture(scope="module")
def brains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("brains"), participants=3, visits=1, raw_heads=1)


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_chest(tmp_path_factory.mktemp("chests"), participants=1, scans_each=1)


def without_columns(manifest: Path, out: Path) -> Path:
    """The table as a person copies it: scan, participant, image and values, none of the columns that say SIMULATED."""
    lines = read_table(manifest)
    columns = [name for name in lines[0] if name not in LOST]
    absolute = [line | {"image": str((manifest.parent / line["image"]).resolve())} for line in lines]
    return write_table(out, columns, absolute)


# ---------------------------------------------------------------------------------------- the field
@pytest.mark.parametrize(
    ("values", "simulated"),
    [
        ({}, False),
        ({"simulated": "n/a"}, False),
        ({"simulated": "false"}, False),
        ({"simulated": "true"}, True),
        ({"simulated": " True "}, True),
        ({"simulated": "1"}, True),
        ({"simulated": True}, True),
        ({"source": "SIMULATED"}, True),
        ({"source": "dataset/SIMULATED_labels.csv", "simulated": "false"}, True),
        ({"source": "simulated"}, True),
        ({"source": "clinic.csv"}, False),
    ],
)
def test_a_row_says_it_in_one_field(values: dict[str, object], simulated: bool) -> None:
    assert row(**values).simulated is simulated


def test_the_column_survives_the_table(tmp_path: Path) -> None:
    rows = [row(scan_id="a", simulated=True), row(scan_id="b")]
    path = write_manifest(rows, tmp_path / "m.tsv")
    assert [line["simulated"] for line in read_table(path)] == ["true", "false"]
    assert [one.simulated for one in read_manifest(path)] == [True, False]


# ----------------------------------------------------------------------------------------- the mark
@pytest.mark.parametrize("name", ["s.nii", "s.nii.gz"])
def test_an_image_carries_the_mark_and_says_the_same_otherwise(tmp_path: Path, name: str) -> None:
    marked = write_volume(volume(), tmp_path / name, simulated=True)
    plain = write_volume(volume(), tmp_path / f"plain-{name}")
    assert (is_marked(marked), is_marked(plain)) == (True, False)
    assert np.array_equal(read_scan(marked).voxels, read_scan(plain).voxels)
    assert np.array_equal(read_scan(marked).affine, read_scan(plain).affine)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "name"), [("Nifti1Image", "s.nii.gz"), ("Nifti2Image", "s.nii"), ("Nifti1Pair", "s.img")]
)
def test_every_form_of_a_header_is_read(tmp_path: Path, kind: str, name: str, order: str) -> None:
    header = getattr(nibabel, kind).header_class(endianness=order)
    image = getattr(nibabel, kind)(volume().voxels, np.eye(4), header)
    image.header["descrip"] = b"SIMULATED by hand"
    nibabel.save(image, tmp_path / name)
    assert is_marked(tmp_path / name)
    if name.endswith(".img"):
        assert is_marked(tmp_path / "s.hdr")


def test_a_sidecar_carries_the_mark_too(tmp_path: Path) -> None:
    path = write_volume(volume(), tmp_path / "sub-1_T1w.nii.gz")
    sidecar = tmp_path / "sub-1_T1w.json"
    for text, marked in (
        ('{"Simulated": true}', True),
        ('{"Simulated": false}', False),
        ("{", False),
        ("[]", False),
    ):
        sidecar.write_text(text)
        assert is_marked(path) is marked
    sidecar.write_text(json.dumps({"Simulated": True, "long": "x" * 1_000_001}))
    assert not is_marked(path)


def test_a_file_that_is_no_image_has_no_mark_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(b"\x5c\x01\0\0" * 200)[:30])
    (tmp_path / "text.nii").write_text(MARK)
    (tmp_path / "empty.nii").touch()
    (tmp_path / "alone.img").write_bytes(b"\0" * 600)
    for name in ("cut.nii.gz", "text.nii", "empty.nii", "alone.img", "absent.nii", "."):
        assert not is_marked(tmp_path / name)
    assert not with_marks(tmp_path / "m.tsv", [row(image="http://x/a.nii")])[0].simulated


# --------------------------------------------------------------------------- kept through the commands
def test_the_simulators_mark_every_image(brains: Path, chests: Path) -> None:
    images = [*brains.parent.rglob("*.nii.gz"), *chests.parent.rglob("*.nii.gz")]
    assert len(images) >= 3 + 3 + 1 + 1
    assert [str(path) for path in images if not is_marked(path)] == []
    for manifest in (brains, brains.parent / "raw" / "manifest.tsv", chests):
        assert all(one.simulated for one in read_manifest(manifest))


def test_ingest_of_a_folder_reads_the_mark_that_the_table_lost(brains: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copied"
    folder.mkdir()
    without_columns(brains, folder / "subjects.tsv")
    done = ingest("folder", folder, tmp_path / "m.tsv", {"image": "image"})
    assert all(one.simulated for one in read_manifest(done.manifest))
    assert "SIMULATED: 3 scans" in done.summary


@pytest.mark.parametrize("column", ["simulated", "Simulated", "is_simulated"])
def test_ingest_of_a_folder_keeps_what_its_own_table_says(tmp_path: Path, column: str) -> None:
    write_volume(volume(), tmp_path / "a.nii.gz")
    write_volume(volume(), tmp_path / "b.nii.gz")
    (tmp_path / "subjects.csv").write_text(f"id,group,{column}\na,PD,true\nb,HC,\n")
    done = ingest("folder", tmp_path, tmp_path / "m.tsv", {"diagnosis": "group"})
    assert {one.scan_id: one.simulated for one in read_manifest(done.manifest)} == {"a": True, "b": False}


def test_ingest_of_a_bids_folder_and_of_ct_rate_reads_the_mark(
    brains: Path, chests: Path, tmp_path: Path
) -> None:
    rows = read_manifest(brains)
    folder = tmp_path / "bids"
    for number, one in enumerate(rows):
        place = folder / f"sub-{number}" / "anat" / f"sub-{number}_T1w.nii.gz"
        place.parent.mkdir(parents=True)
        place.write_bytes((brains.parent / one.image).read_bytes())
    write_table(
        folder / "participants.tsv",
        ("participant_id", "group"),
        ({"participant_id": f"sub-{number}", "group": one.diagnosis} for number, one in enumerate(rows)),
    )
    done = ingest("bids", folder, tmp_path / "b.tsv", {"diagnosis": "group"})
    assert [one.simulated for one in read_manifest(done.manifest)] == [True] * 3
    done = ingest("ct_rate", chests.parent, tmp_path / "c.tsv")
    assert all(one.simulated for one in read_manifest(done.manifest))


def test_preprocess_keeps_the_mark_in_volume_record_and_manifest(chests: Path, tmp_path: Path) -> None:
    manifest = without_columns(chests, tmp_path / "m.tsv")
    assert not any(one.simulated for one in read_manifest(manifest))
    out = preprocess(manifest, tmp_path / "out", preset="ct_clip_small")
    [one] = read_manifest(out)
    assert one.simulated
    assert is_marked(out.parent / one.image)
    assert json.loads((out.parent / one.scan_id / "chain.json").read_text())["simulated"] is True
    assert "SIMULATED" in (out.parent / "page.html").read_text(encoding="utf-8")
    again = without_columns(out, tmp_path / "again.tsv")
    assert with_marks(again, read_manifest(again))[0].simulated


def test_a_simulated_scan_is_named_by_the_page_of_an_adapter_for_real_people(
    brains: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped demo adapter was trained on simulated people; here it says that it was not."""
    home = tmp_path / "adapter"
    shutil.copytree(adapter_folder(Path("demo")), home)
    facts = json.loads((home / "adapter.json").read_text())
    (home / "adapter.json").write_text(json.dumps(facts | {"simulated": False}))
    write_sums(home, FILES)
    scan = next((brains.parent / "scans").glob("*.nii.gz"))
    monkeypatch.chdir(tmp_path)
    done = predict(home, [scan], stripped=True)
    assert done.as_json()["simulated"] is True
    assert "SIMULATED scans: 1 of 1." in done.summary
    assert "SIMULATED" in done.answers[0].page.read_text(encoding="utf-8")
    real = read_scan(scan)
    write_volume(real, tmp_path / "clinic.nii.gz")
    done = predict(home, [tmp_path / "clinic.nii.gz"], stripped=True)
    assert done.as_json()["simulated"] is False
    assert "SIMULATED" not in done.summary


def test_a_volume_made_before_the_row_said_so_is_made_again(tmp_path: Path) -> None:
    write_volume(Volume(1000 * volume().voxels - 500, np.diag([30.0, 30, 30, 1])), tmp_path / "s.nii.gz")
    manifest = write_manifest([row()], tmp_path / "m.tsv")
    out = preprocess(manifest, tmp_path / "out", preset="ct_clip_small", hu_policy="trust")
    assert not is_marked(out.parent / "s" / "volume.nii.gz")
    write_manifest([row(simulated=True)], manifest)
    preprocess(manifest, tmp_path / "out", preset="ct_clip_small", hu_policy="trust")
    assert is_marked(out.parent / "s" / "volume.nii.gz")
