"""What the record of a preprocessed scan rests on: the hash of its bytes, and the size its voxels are brought to."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from voxtune.imaging.chain import preprocess_scan
from voxtune.imaging.presets import TINY
from voxtune.imaging.record import content_sha256
from voxtune.imaging.resample import resample
from voxtune.imaging.step_cache import StepCache
from voxtune.imaging.template import template
from voxtune.imaging.write import write_volume


def test_a_folder_is_known_by_the_names_and_contents_of_its_files(tmp_path: Path) -> None:
    for name, text in (("1.dcm", "one"), ("series/2.dcm", "two")):
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / name).write_text(text)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert content_sha256(tmp_path / "a") == content_sha256(tmp_path / "b"), "wherever it lies"
    (tmp_path / "b" / "1.dcm").rename(tmp_path / "b" / "3.dcm")
    assert content_sha256(tmp_path / "a") != content_sha256(tmp_path / "b")
    (tmp_path / "b" / "3.dcm").rename(tmp_path / "b" / "1.dcm")
    (tmp_path / "b" / "series" / "2.dcm").write_text("other")
    assert content_sha256(tmp_path / "a") != content_sha256(tmp_path / "b")


def test_both_halves_of_a_pair_count(tmp_path: Path) -> None:
    image = nibabel.Nifti1Pair(np.arange(27, dtype=np.int16).reshape(3, 3, 3), np.eye(4))
    nibabel.save(image, tmp_path / "a.img")
    before = content_sha256(tmp_path / "a.hdr")
    assert before == content_sha256(tmp_path / "a.img")
    data = bytearray((tmp_path / "a.img").read_bytes())
    data[-1] ^= 1
    (tmp_path / "a.img").write_bytes(data)
    assert content_sha256(tmp_path / "a.hdr") != before


def test_a_head_of_fine_voxels_is_averaged_to_a_millimetre_and_stays_where_it_is(tmp_path: Path) -> None:
    coarse = template(96)
    fine = coarse.affine.copy()
    fine[:3, 2] *= 0.4 / coarse.spacing[2]
    shape = (*coarse.shape[:2], round(coarse.shape[2] * coarse.spacing[2] / 0.4))
    whole = write_volume(coarse, tmp_path / "coarse.nii")
    part = write_volume(resample(coarse, shape, fine), tmp_path / "fine.nii")
    found = preprocess_scan(part, TINY, stripped=True, registered=True)
    (step,) = [one for one in found.record.steps if one.name == "conform"]
    assert step.result["spacing_mm"] == pytest.approx([2.0, 2.0, 1.0])
    plain = preprocess_scan(whole, TINY, stripped=True, registered=True)
    assert not [one for one in plain.record.steps if one.name == "conform"]
    assert np.corrcoef(found.volume.voxels.ravel(), plain.volume.voxels.ravel())[0, 1] > 0.99


def test_what_a_slow_step_gave_is_kept_bit_by_bit_and_not_made_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask, matrix = rng.random((5, 7, 3)) < 0.5, rng.normal(size=(4, 4))
    voxels = rng.normal(size=(3, 4, 5)).astype(np.float32)
    told: list[str] = []
    made: list[str] = []

    def making(name: str, what: object) -> Callable[[], Any]:
        def make() -> Any:
            made.append(name)
            return what

        return make

    def asked(key: str) -> tuple[Any, ...]:
        cache = StepCache(tmp_path / "steps", told.append)
        return (
            cache.mask("mask", key, making("mask", mask)),
            cache.matrix("transform", key, making("transform", matrix)),
            *cache.voxels("clean", key, making("clean", (voxels, {"noise": 0.1}))),
        )

    for _ in range(2):
        found_mask, found_matrix, found_voxels, figures = asked("a")
        np.testing.assert_array_equal(found_mask, mask)
        np.testing.assert_array_equal(found_matrix, matrix)
        np.testing.assert_array_equal(found_voxels, voxels)
        assert figures == {"noise": 0.1}
    assert made == ["mask", "transform", "clean"], "once"
    assert told == made * 2, "whoever waits hears of each step"
    asked("b")
    assert made == ["mask", "transform", "clean"] * 2, "another input is another result"
