"""From a table to a refusal on the command line: ingest, describe, split, audit; each planted leak ends with exit code 4."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import ndimage

from voxtune.cli import main

PEOPLE, VISITS = 14, 2


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def voxels(person: int, noise: int) -> np.ndarray:  # type: ignore[type-arg]
    """A ball with a texture of the person's own, and noise of the visit's own."""
    grid = np.indices((32, 32, 32)) - 15.5
    rough = ndimage.gaussian_filter(np.random.default_rng(person).normal(size=(32, 32, 32)), 0.8)
    values = 10 + rough / rough.std() + 0.2 * np.random.default_rng(1000 + noise).normal(size=rough.shape)
    return np.where((grid**2).sum(0) < 13**2, values, 0).astype(np.float32)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder of scans, its manifest, reports and split, all made by commands."""
    source = tmp_path / "scans"
    source.mkdir()
    with (source / "subjects.csv").open("w") as file:
        file.write("scan_id,subject_id,diagnosis,age,cdr,hippocampus_mm3\n")
        for person in range(PEOPLE):
            for visit in range(VISITS):
                number = person * VISITS + visit
                image = nibabel.Nifti1Image(voxels(person, number), np.diag([4.0, 4, 4, 1]))
                nibabel.save(image, source / f"s{number}_T1w.nii.gz")
                file.write(
                    f"s{number},p{person},{('NC', 'AD')[person % 2]},{60 + number},{(0, 1, 0, 0.5)[person % 4]},{7000 + number}\n"
                )
    assert run("ingest", "folder", source, "-o", tmp_path / "manifest.tsv").exit_code == 0
    assert run("describe", tmp_path / "manifest.tsv", "-o", tmp_path / "reports.tsv").exit_code == 0
    assert run("split", tmp_path / "manifest.tsv", "-o", tmp_path / "split").exit_code == 0
    return tmp_path


def sides(study: Path) -> dict[str, list[str]]:
    return {
        side: (study / "split" / f"{side}.tsv").read_text(encoding="utf-8").splitlines()[1:]
        for side in ("train", "val", "test")
    }


def by_file(study: Path) -> list[str]:
    rows = sides(study)
    rows["train"].append(rows["test"].pop())
    for side, lines in rows.items():
        (study / "split" / f"{side}.tsv").write_text("\n".join(["scan_id\tparticipant_id", *lines]) + "\n")
    return [rows["train"][-1].split("\t")[1], "participants"]


def cdr_in_text(study: Path) -> list[str]:
    path = study / "reports.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace("mm^3.", "mm^3, CDR: 0.5.")
    path.write_text("\n".join(lines) + "\n")
    return [lines[1].split("\t")[0], "CDR"]


def same_text(study: Path) -> list[str]:
    path = study / "reports.tsv"
    texts = {line.split("\t")[0]: line for line in path.read_text(encoding="utf-8").splitlines()}
    train, test = (sides(study)[side][0].split("\t")[0] for side in ("train", "test"))
    texts[test] = texts[train].replace(train, test, 1)
    path.write_text("\n".join(texts.values()) + "\n")
    return [train, test, "same_text"]


def copied_scan(study: Path) -> list[str]:
    test = sides(study)["test"][0].split("\t")[0]
    source, copy = study / "scans" / f"{test}_T1w.nii.gz", study / "scans" / "copy.nii.gz"
    image = nibabel.load(source)
    noise = np.random.default_rng(5).normal(0, 0.2, image.shape)
    nibabel.save(nibabel.Nifti1Image((image.get_fdata() + noise).astype(np.float32), image.affine), copy)
    with (study / "manifest.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    row = next(row for row in rows if row["scan_id"] == test) | {
        "scan_id": "copy",
        "participant_id": "new",
        "image": "scans/copy.nii.gz",
    }
    with (study / "manifest.tsv").open("a") as file:
        file.write("\t".join(row.values()) + "\n")
    with (study / "split" / "train.tsv").open("a") as file:
        file.write("copy\tnew\n")
    return [test, "copy", "near_duplicate"]


def renamed_person(study: Path) -> list[str]:
    text = (study / "manifest.tsv").read_text(encoding="utf-8")
    test = sides(study)["test"][0].split("\t")
    (study / "manifest.tsv").write_text(
        text.replace(f"{test[1]}\tn/a\t{test[0]}\t", f"new\tn/a\t{test[0]}\t")
    )
    rows = sides(study)
    rows["train"].append(rows["test"].pop(0))
    for side, lines in rows.items():
        (study / "split" / f"{side}.tsv").write_text("\n".join(["scan_id\tparticipant_id", *lines]) + "\n")
    return [test[0], "near_duplicate"]


def test_an_honest_study_passes(study: Path) -> None:
    result = run("audit", study / "split")
    assert result.exit_code == 0, result.output
    assert "Nothing refuses training." in result.output


@pytest.mark.parametrize("plant", [by_file, cdr_in_text, same_text, copied_scan, renamed_person])
def test_a_planted_leak_is_refused_by_name(study: Path, plant: Callable[[Path], list[str]]) -> None:
    words = plant(study)
    result = run("audit", study / "split")
    assert result.exit_code == 4, result.output
    for word in words:
        assert word in result.output
    accepted = [word for name in re.findall(r"--allow (\w+)", result.output) for word in ("--allow", name)]
    again = run("audit", study / "split", *accepted)
    assert again.exit_code == 0
    assert "accepted [" in again.output
