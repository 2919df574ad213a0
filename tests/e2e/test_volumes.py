"""The shipped network on the shipped head: volumes of an adult, in any axis order, by the command line."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.segmentation.measure import SUMS
from voxtune.serving.bundled import scan_file

pytestmark = pytest.mark.slow


def test_the_shipped_head_has_an_adults_volumes_however_it_is_stored(tmp_path: Path) -> None:
    head = scan_file(Path("head"))
    image = nibabel.load(head)
    turned = tmp_path / "turned.nii.gz"
    nibabel.save(image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), turned)
    done = CliRunner().invoke(
        main, ["volumes", str(head), str(turned), "-o", str(tmp_path / "volumes.tsv"), "--json", "--all"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    one, other = found["volumes"]
    for name in (*SUMS, "icv"):
        value, error = one[f"{name}_mm3"], one[f"{name}_mm3_error"]
        assert error > 0
        assert abs(other[f"{name}_mm3"] - value) <= max(error, 0.02 * value), name
    assert 5_000 < one["hippocampus_mm3"] < 12_000
    assert 900_000 < one["whole_brain_mm3"] < 1_600_000
    assert one["whole_brain_mm3"] < one["icv_mm3"] < 2_000_000
    assert one["left_hippocampus_mm3"] == pytest.approx(one["right_hippocampus_mm3"], rel=0.25)
    with (tmp_path / "volumes.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["scan_id"] for row in rows] == [row["scan_id"] for row in found["volumes"]]
    assert float(rows[0]["hippocampus_mm3"]) == one["hippocampus_mm3"]


def test_noise_is_no_brain(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    file = tmp_path / "noise.nii.gz"
    nibabel.save(
        nibabel.Nifti1Image(
            rng.normal(100, 30, (80, 80, 80)).astype(np.float32), np.diag([2.0, 2.0, 2.0, 1.0])
        ),
        file,
    )
    done = CliRunner().invoke(main, ["volumes", str(file), "-o", str(tmp_path / "volumes.tsv")])
    assert done.exit_code == 3
    assert "noise" in done.output
    assert not (tmp_path / "volumes.tsv").exists()
