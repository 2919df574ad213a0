"""Analyze and two-file NIfTI become NIfTI with the right orientation; repeats of a visit become their mean."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from voxtune.commands.ingest.command import ingest
from voxtune.data.manifest import read_manifest, read_table, resolve_image
from voxtune.errors import ScanError
from voxtune.imaging.pair import mean_of, read_pair
from voxtune.imaging.read import read_scan
from voxtune.types.volume import Volume

TABLE = (
    "Subject ID,MRI ID,Group,Visit,MR Delay,M/F,Hand,Age,EDUC,SES,MMSE,CDR,eTIV,nWBV,ASF\n"
    "OAS2_0002,OAS2_0002_MR1,Demented,1,0,M,R,75,12,,23,1,1678,0.736,1.046\n"
    "OAS2_0003,OAS2_0003_MR1,Demented,1,0,M,R,75,12,,23,1,1678,0.736,1.046\n"
)


def brain(shift: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:  # type: ignore[type-arg]
    """Blobs in a (40, 44, 24) array, moved by some voxels."""
    grid = np.indices((40, 44, 24)).astype(float)
    blobs = [((20, 22, 12), 9, 100), ((26, 16, 9), 4, 80), ((13, 27, 15), 3, 60)]
    return sum(
        a * np.exp(-sum((grid[i] - c[i] - shift[i]) ** 2 for i in range(3)) / (2 * s * s))
        for c, s, a in blobs
    ).astype(np.float32)


def analyze(path: Path, voxels: np.ndarray, kind: type = nibabel.AnalyzeImage) -> Path:  # type: ignore[type-arg]
    path.parent.mkdir(parents=True, exist_ok=True)
    image = kind(voxels.astype(np.int16)[..., None], None)
    image.header.set_zooms((1, 1, 1.25, 1))
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("kind", [nibabel.AnalyzeImage, nibabel.Nifti1Pair])
def test_a_pair_without_orientation_takes_the_cohorts_axes(tmp_path: Path, kind: type) -> None:
    volume = read_pair(analyze(tmp_path / "a.img", brain(), kind), "ASL")
    assert volume.shape == (40, 44, 24)
    assert nibabel.aff2axcodes(volume.affine) == ("A", "S", "L")
    assert volume.spacing == (1, 1, 1.25)
    np.testing.assert_allclose(volume.affine @ [19.5, 21.5, 11.5, 1], [0, 0, 0, 1], atol=1e-6)


def test_a_coded_header_wins_and_an_uncoded_one_needs_axes(tmp_path: Path) -> None:
    affine = np.diag([-2.0, 2, 2, 1])
    nibabel.save(nibabel.Nifti1Pair(brain(), affine), tmp_path / "coded.img")
    np.testing.assert_allclose(read_pair(tmp_path / "coded.img", "ASL").affine, affine)
    with pytest.raises(ScanError, match="left"):
        read_pair(analyze(tmp_path / "plain.img", brain()))


def test_broken_pairs_are_scan_errors(tmp_path: Path) -> None:
    path = analyze(tmp_path / "a.img", brain())
    (tmp_path / "b.img").touch()
    with pytest.raises(ScanError, match=r"b\.hdr"):
        read_pair(tmp_path / "b.img", "ASL")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ScanError, match="too short"):
        read_pair(path, "ASL")
    (tmp_path / "a.hdr").write_bytes(b"x" * 348)
    with pytest.raises(ScanError):
        read_pair(path, "ASL")


def test_the_mean_of_repeats_is_aligned_first() -> None:
    affine = np.diag([-1.0, 1, 1.25, 1])
    rng = np.random.default_rng(0)
    still = Volume(brain(), affine)
    moved = Volume((brain((2.0, -1.5, 1.0)) + rng.normal(0, 1, (40, 44, 24))).astype(np.float32), affine)
    mean = mean_of([still, moved])
    inside = ndimage.binary_erosion(still.voxels > 20, iterations=3)
    apart = np.abs((still.voxels + moved.voxels) / 2 - still.voxels)[inside].mean()
    assert np.abs(mean.voxels - still.voxels)[inside].mean() < 0.2 * apart
    np.testing.assert_array_equal(mean.voxels, mean_of([still, moved]).voxels)
    np.testing.assert_array_equal(mean_of([still]).voxels, still.voxels)


def test_ingest_writes_what_it_had_to_convert_and_drops_what_is_broken(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "oasis_longitudinal.csv").write_text(TABLE)
    for number in (1, 2):
        analyze(source / "OAS2_0002_MR1" / "RAW" / f"mpr-{number}.nifti.img", brain(), nibabel.Nifti1Pair)
    broken = analyze(source / "OAS2_0003_MR1" / "RAW" / "mpr-1.nifti.img", brain(), nibabel.Nifti1Pair)
    broken.write_bytes(bytes(100))
    done = ingest("oasis2", source, tmp_path / "out" / "manifest.tsv", {"repeats": "average"})
    (row,) = read_manifest(done.manifest)
    assert row.image == "manifest_images/OAS2_0002_MR1.nii.gz"
    volume = read_scan(resolve_image(done.manifest, row))
    assert nibabel.aff2axcodes(volume.affine) == ("A", "S", "L")
    assert float(np.corrcoef(volume.voxels.ravel(), brain().ravel())[0, 1]) > 0.99
    (dropped,) = read_table(done.dropped)
    assert dropped["what"] == "OAS2_0003_MR1"
    assert "too short" in dropped["reason"]
    assert done.summary.startswith("in 2, out 1 scans")
