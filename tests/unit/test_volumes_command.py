"""``voxtune volumes``: what is promised of its table, page, folder and manifest, with a network that only knows the atlas."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import voxtune
from voxtune.commands.volumes import work
from voxtune.commands.volumes.command import COLUMNS, SOURCE, volumes
from voxtune.data.manifest import read_manifest, write_manifest
from voxtune.errors import DataError, UsageError
from voxtune.imaging import template
from voxtune.imaging.presets import Brain
from voxtune.imaging.write import write_volume
from voxtune.segmentation import measure, prior, segment
from voxtune.segmentation.labels import REGIONS, numbers
from voxtune.segmentation.measure import INTRACRANIAL_MM3
from voxtune.segmentation.prior import atlas_regions
from voxtune.types.records import ManifestRow
from voxtune.types.volume import Volume

SIZE = 64


@pytest.fixture(autouse=True)
def atlas_alone(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Instead of the network: the atlas, whatever the picture; the list grows with each scan that is measured."""
    measured: list[int] = []
    regions = atlas_regions()
    left = np.arange(EDGE)[:, None, None] < EDGE // 2

    def atlas(brain: Volume, net: Any = None, device: Any = None) -> segment.Regions:
        measured.append(1)
        amounts = np.stack(
            [
                np.bincount(regions[np.broadcast_to(side, regions.shape)], minlength=len(REGIONS))
                for side in (left, ~left)
            ],
            axis=1,
        )
        return segment.Regions(
            regions.astype(np.uint8), amounts.astype(float), np.full((len(REGIONS), 2), 0.99)
        )

    monkeypatch.setattr(segment, "find_regions", atlas)
    plain = measure.PRESET.model_copy(update={"steps": Brain(grid=EDGE, denoise=None, bias=None)})
    monkeypatch.setattr(measure, "PRESET", plain)  # noise and field of the template's own brain take seconds
    monkeypatch.setattr(work, "PRESET", plain)
    return measured


EDGE = prior.EDGE


def brain(size: int = SIZE) -> Volume:
    """The template's brain as a preprocessed scan."""
    whole = template.template(size)
    return whole.with_voxels((whole.voxels * template.brain_mask(size)).astype(np.float32))


def _scan(path: Path, *, offset: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    one = brain()
    write_volume(one.with_voxels(one.voxels * np.float32(1 - offset)), path, "template")
    return path


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_the_table_has_what_a_manifest_has_with_errors_and_a_verdict(tmp_path: Path) -> None:
    done = volumes(_scan(tmp_path / "a.nii.gz"), tmp_path / "out" / "volumes.tsv")
    (row,) = _rows(tmp_path / "out" / "volumes.tsv")
    assert row["scan_id"] == "a"
    assert list(row)[: 2 + 2 * len(COLUMNS)] == [
        "scan_id",
        *COLUMNS,
        *(f"{name}_error" for name in COLUMNS),
        "verdict",
    ]
    assert float(row["hippocampus_mm3"]) == pytest.approx(
        (atlas_regions() == REGIONS.index("hippocampus")).sum()
    )
    assert float(row["hippocampus_mm3_error"]) > 0
    assert float(row["left_hippocampus_mm3"]) + float(row["right_hippocampus_mm3"]) == pytest.approx(
        float(row["hippocampus_mm3"]), abs=0.2
    )
    assert row["volumes_source"] == SOURCE
    page = (tmp_path / "out" / "volumes.html").read_text(encoding="utf-8")
    assert "Outlines" in page
    assert str(tmp_path) not in page
    assert done.table is not None
    assert json.loads(json.dumps(done.as_json(), allow_nan=False))["volumes"][0]["scan_id"] == "a"


def test_a_scan_in_template_space_says_that_its_head_is_not_known(tmp_path: Path) -> None:
    volumes(_scan(tmp_path / "a.nii.gz"), tmp_path / "volumes.tsv")
    (row,) = _rows(tmp_path / "volumes.tsv")
    assert row["space"] == "template"
    assert row["icv_mm3"] == "n/a"
    assert row["verdict"].startswith("warn: ")
    assert "template" in row["verdict"]


def test_the_head_of_a_preprocessed_scan_is_in_its_record_or_in_the_manifest(tmp_path: Path) -> None:
    from voxtune.imaging.chain import preprocess_scan
    from voxtune.imaging.presets import TINY
    from voxtune.storage.seal import write_sealed

    scan = _scan(tmp_path / "pre" / "one" / "volume.nii.gz")
    record = preprocess_scan(scan, TINY).record
    transform = np.diag([0.9, 0.9, 0.9, 1.0])
    write_sealed(
        scan.with_name("chain.json"),
        json.loads(
            record.model_copy(
                update={"transform": tuple(tuple(float(v) for v in r) for r in transform)}
            ).model_dump_json()
        ),
    )
    other = _scan(tmp_path / "other.nii.gz", offset=0.1)
    rows = [
        ManifestRow(participant_id="one", scan_id="one", image="pre/one/volume.nii.gz"),
        ManifestRow(participant_id="two", scan_id="two", image=other.name, icv_mm3=INTRACRANIAL_MM3 / 2),
    ]
    done = volumes(write_manifest(rows, tmp_path / "manifest.tsv"), tmp_path / "volumes.tsv")
    plain = (atlas_regions() == REGIONS.index("hippocampus")).sum()
    first, second = done.rows
    assert first["space"] == second["space"] == "person"
    assert first["hippocampus_mm3"] == pytest.approx(plain * 0.9**3, rel=1e-3)
    assert second["hippocampus_mm3"] == pytest.approx(plain / 2, rel=1e-3)


def test_one_bad_scan_stops_no_other(tmp_path: Path) -> None:
    _scan(tmp_path / "good.nii.gz")
    (tmp_path / "bad.nii.gz").write_bytes(b"no image")
    done = volumes(
        [tmp_path / "bad.nii.gz", tmp_path / "good.nii.gz", tmp_path / "gone.nii.gz"],
        tmp_path / "volumes.tsv",
    )
    assert [row["scan_id"] for row in done.rows] == ["good"]
    assert set(done.failed) == {"bad", "gone"}
    assert done.error is not None
    assert [row["scan_id"] for row in _rows(tmp_path / "volumes" / "failed.tsv")] == ["bad", "gone"]
    assert "bad" in (tmp_path / "volumes.html").read_text(encoding="utf-8")


def test_where_no_scan_can_be_measured_that_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.nii.gz").write_bytes(b"no image")
    with pytest.raises(DataError, match="None of the 1 scans"):
        volumes(tmp_path / "bad.nii.gz", tmp_path / "volumes.tsv")
    assert not (tmp_path / "volumes.tsv").exists()


def test_what_is_done_is_found_again_until_scan_or_network_change(
    tmp_path: Path, atlas_alone: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = _scan(tmp_path / "a.nii.gz")
    table = tmp_path / "volumes.tsv"
    volumes(scan, table)
    first = table.read_bytes()
    volumes(scan, table)
    assert len(atlas_alone) == 1
    assert table.read_bytes() == first
    kept = tmp_path / "volumes" / "a" / work.RESULT
    kept.write_text(kept.read_text(encoding="utf-8").replace('"space"', '"spaxe"'), encoding="utf-8")
    volumes(scan, table)
    assert len(atlas_alone) == 2
    assert table.read_bytes() == first
    volumes(scan, table, force=True)
    assert len(atlas_alone) == 3
    monkeypatch.setattr(work, "weights_sha256", lambda: "another")
    volumes(scan, table)
    assert len(atlas_alone) == 4
    _scan(scan, offset=0.2)
    volumes(scan, table)
    assert len(atlas_alone) == 5


def test_regions_that_are_not_fit_are_given_on_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxtune.segmentation import accuracy as trust

    shipped = trust.accuracy()
    changed = {
        name: figures.model_copy(update={"fit": "fusiform" not in name})
        for name, figures in shipped.regions.items()
    }
    monkeypatch.setattr(trust, "accuracy", lambda: shipped.model_copy(update={"regions": changed}))
    scan = _scan(tmp_path / "a.nii.gz")
    done = volumes(scan, tmp_path / "volumes.tsv")
    assert done.left_out == ("fusiform_mm3",)
    assert done.rows[0]["fusiform_mm3"] is None
    assert "left_fusiform_mm3" not in done.rows[0]
    assert "fusiform" in done.summary
    assert "fusiform" in (tmp_path / "volumes.html").read_text(encoding="utf-8")
    assert volumes(scan, tmp_path / "volumes.tsv", everything=True).rows[0]["fusiform_mm3"] > 0


def test_a_scan_that_fails_its_check_has_no_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.segmentation.accuracy import Accuracy

    monkeypatch.setattr(Accuracy, "fails", staticmethod(lambda volumes: True))
    (row,) = volumes(_scan(tmp_path / "a.nii.gz"), tmp_path / "volumes.tsv").rows
    assert row["verdict"].startswith("fail")
    assert all(row[name] is None and row[f"{name}_error"] is None for name in COLUMNS)
    assert row["left_hippocampus_mm3"] is None


def test_a_manifest_gets_volumes_where_it_has_none_and_says_so(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _scan(tmp_path / f"{name}.nii.gz", offset=0.1 if name == "b" else 0.0)
    rows = [
        ManifestRow(participant_id="a", scan_id="a", image="a.nii.gz", hippocampus_mm3=6543.0, icv_mm3=1.5e6),
        ManifestRow(participant_id="b", scan_id="b", image="b.nii.gz", icv_mm3=1.4e6),
    ]
    said: list[str] = []
    done = volumes(
        write_manifest(rows, tmp_path / "manifest.tsv"), tmp_path / "out" / "volumes.tsv",
        manifest=tmp_path / "out" / "merged.tsv", say=said.append,
    )  # fmt: skip
    own, ours = read_manifest(tmp_path / "out" / "merged.tsv")
    assert own.hippocampus_mm3 == 6543.0
    assert own.ventricles_mm3 is None
    assert not (own.model_extra or {}).get("volumes_source")
    assert ours.hippocampus_mm3 == done.rows[1]["hippocampus_mm3"]
    assert ours.icv_mm3 == 1.4e6
    assert (ours.model_extra or {})["volumes_source"] == SOURCE
    assert (tmp_path / "out" / ours.image).resolve() == (tmp_path / "b.nii.gz").resolve()
    assert any("two methods" in line for line in said)


def test_texts_say_whose_volumes_they_state(tmp_path: Path) -> None:
    from voxtune.commands.describe import describe
    from voxtune.data.manifest import read_reports

    rows = [
        ManifestRow(participant_id="a", scan_id="a", image="a.nii", diagnosis="AD", hippocampus_mm3=6000.0),
        ManifestRow.model_validate(
            {
                "participant_id": "b",
                "scan_id": "b",
                "image": "b.nii",
                "diagnosis": "NC",
                "hippocampus_mm3": 7000.0,
                "volumes_source": SOURCE,
            }
        ),
    ]
    done = describe(write_manifest(rows, tmp_path / "manifest.tsv"), tmp_path / "reports.tsv")
    assert "Warning: the volumes in 1 texts are of voxtune volumes" in done.summary
    assert "volumes_source" not in done.summary
    texts = read_reports(tmp_path / "reports.tsv")
    assert texts["a"].volumes_source is None
    assert texts["b"].volumes_source == SOURCE
    assert SOURCE not in texts["b"].text


def test_labels_lie_on_the_scan_with_freesurfers_numbers_left_on_the_left(tmp_path: Path) -> None:
    scan = tmp_path / "a.nii.gz"
    turned = nibabel.Nifti1Image(brain().voxels, brain().affine)
    nibabel.save(turned.as_reoriented(np.array([[1, 1], [2, -1], [0, 1]])), scan)
    volumes(scan, tmp_path / "volumes.tsv", labels=tmp_path / "labels")
    image = nibabel.load(tmp_path / "labels" / "a_labels.nii.gz")
    own = nibabel.load(scan)
    assert image.shape == own.shape
    assert np.allclose(image.affine, own.affine, atol=1e-4)
    found = np.asarray(image.dataobj).round().astype(int)
    assert set(np.unique(found)) <= {0, *numbers(0)[1:], *numbers(1)[1:]}
    for label, sign in ((17, -1), (53, 1)):
        where = np.argwhere(found == label) @ image.affine[:3, :3].T + image.affine[:3, 3]
        assert len(where) > 50
        assert (np.sign(where[:, 0]) == sign).all()


def test_scans_of_one_name_are_told_apart(tmp_path: Path) -> None:
    scans = [_scan(tmp_path / place / "t1.nii.gz", offset=0.1 * n) for n, place in enumerate(("x", "y"))]
    done = volumes(scans, tmp_path / "volumes.tsv")
    assert len({row["scan_id"] for row in done.rows}) == 2
    shutil.rmtree(tmp_path / "y")


@pytest.mark.parametrize(
    ("output", "merged", "said"),
    [
        ("volumes.csv", None, "expected the name of a table"),
        ("volumes.tsv", "merged.tsv", "give one manifest"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    tmp_path: Path, output: str, merged: str | None, said: str
) -> None:
    scan = _scan(tmp_path / "in" / "a.nii.gz")
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=said):
        volumes(scan, out / output, manifest=None if merged is None else out / merged)
    assert not out.exists()


def test_without_a_table_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = _scan(tmp_path / "in" / "a.nii.gz")
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    found = voxtune.volumes(scan)
    assert found.table is None
    assert found.rows[0]["hippocampus_mm3"] > 0
    assert list(empty.iterdir()) == []
    assert [path.name for path in scan.parent.iterdir()] == ["a.nii.gz"]


def test_a_simulated_scan_is_marked(tmp_path: Path) -> None:
    write_volume(brain(), tmp_path / "a.nii.gz", "template", simulated=True)
    done = volumes(tmp_path / "a.nii.gz", tmp_path / "volumes.tsv")
    assert "SIMULATED" in done.summary
    assert "ranks hippocampus and cortex poorly" in done.rows[0]["verdict"]
    assert "SIMULATED" in (tmp_path / "volumes.html").read_text(encoding="utf-8")
    assert _rows(tmp_path / "volumes.tsv")[0]["simulated"] == "true"
