"""Several external cohorts: each is one of the paper's by its manifest, or by the name it was given; a guess is refused."""

import csv
import json
from pathlib import Path

import pytest

from voxtune.commands.reproduce import files
from voxtune.commands.reproduce.accuracy import Accuracy
from voxtune.commands.reproduce.data import Request, find_sources
from voxtune.commands.reproduce.externals import External, external_roles, told_name
from voxtune.commands.reproduce.method import method_paragraph
from voxtune.commands.reproduce.scores import Line
from voxtune.data.manifest import write_manifest
from voxtune.errors import DataError, UsageError
from voxtune.types.records import ManifestRow
from voxtune_recipes.paper_deft import paper
from voxtune_recipes.paper_medct import paper as medct

PAPER = paper()


def manifest(folder: Path, person: str = "p{}", source: str | None = None, people: int = 6) -> Path:
    """Rows as the readers of the cohorts write them."""
    rows = [
        ManifestRow(
            participant_id=person.format(number), scan_id=f"{person.format(number)}_M00", image="a.nii.gz",
            diagnosis=("NC", "AD")[number % 2], source=source,
        )
        for number in range(people)
    ]  # fmt: skip
    return write_manifest(rows, folder / "manifest.tsv")


@pytest.fixture
def oasis(tmp_path: Path) -> Path:
    return manifest(tmp_path / "one", "OAS2_000{}")


@pytest.fixture
def aibl(tmp_path: Path) -> Path:
    return manifest(tmp_path / "two", "AIBL{}", "aibl_pdxconv_01-Jun-2018.csv")


def test_a_column_each_in_the_papers_order(oasis: Path, aibl: Path) -> None:
    found = external_roles(PAPER, [External(aibl), External(oasis)])
    assert found == {"external": ("OASIS-2", oasis), "external-aibl": ("AIBL", aibl)}


def test_a_name_goes_over_what_a_manifest_says(oasis: Path, tmp_path: Path) -> None:
    other = manifest(tmp_path / "three", "x{}")
    found = external_roles(PAPER, [External(oasis, "aibl"), External(other, "My hospital")])
    assert found == {"external-aibl": ("AIBL", oasis), "external-my-hospital": ("My hospital", other)}


def test_one_that_says_nothing_stands_in_the_papers_first_place(tmp_path: Path) -> None:
    other = manifest(tmp_path / "three", "x{}")
    assert external_roles(PAPER, [External(other)]) == {"external": ("OASIS-2", other)}


def test_a_public_cohort_that_the_paper_has_not_keeps_its_own_name(tmp_path: Path) -> None:
    other = manifest(tmp_path / "three", "OAS3000{}")
    assert told_name(other, PAPER) == "OASIS-3"
    assert external_roles(PAPER, [External(other)]) == {"external-oasis-3": ("OASIS-3", other)}


def test_one_of_several_must_say_which_it_is(oasis: Path, tmp_path: Path) -> None:
    other = manifest(tmp_path / "three", "x{}")
    with pytest.raises(UsageError, match=r"do not say which cohort it is\. Name it: --external NAME="):
        external_roles(PAPER, [External(oasis), External(other)])


def test_two_of_one_name_are_refused(oasis: Path, aibl: Path) -> None:
    with pytest.raises(UsageError, match="are both 'OASIS-2'"):
        external_roles(PAPER, [External(oasis), External(aibl, "OASIS 2")])


def test_a_name_needs_letters(oasis: Path) -> None:
    with pytest.raises(UsageError, match="is no name"):
        external_roles(PAPER, [External(oasis, "--")])


def test_a_paper_without_external_cohorts_refuses_them(oasis: Path) -> None:
    with pytest.raises(UsageError, match="tests on no external cohort"):
        external_roles(medct(), [External(oasis)])


def test_name_and_path_are_told_apart(tmp_path: Path) -> None:
    odd = tmp_path / "a=b.tsv"
    odd.write_text("", encoding="utf-8")
    assert External.parsed(str(odd)) == External(odd)
    assert External.parsed("AIBL=x/manifest.tsv") == External(Path("x/manifest.tsv"), "AIBL")
    assert External.parsed("x/manifest.tsv") == External(Path("x/manifest.tsv"))


def test_each_must_hold_other_people_and_the_folder_knows_all(
    oasis: Path, aibl: Path, tmp_path: Path
) -> None:
    own = manifest(tmp_path / "own", "p{}", people=40)
    both, out = (External(oasis), External(aibl)), tmp_path / "out"
    sources = find_sources(out, PAPER, Request(own, both), (), lambda _: None)
    assert list(sources.manifests) == ["own", "external", "external-aibl"]
    said = json.loads((out / "reproduction.json").read_text(encoding="utf-8"))["external_sha256"]
    assert set(said) == {"external", "external-aibl"}
    with pytest.raises(UsageError, match="another external_sha256"):
        find_sources(out, PAPER, Request(own, both[:1]), (), lambda _: None)
    with pytest.raises(DataError, match="are in both cohorts"):
        find_sources(tmp_path / "o", PAPER, Request(own, (External(oasis), External(own, "me"))), (), lambda _: None)  # fmt: skip


def test_every_file_has_a_column_for_each(tmp_path: Path) -> None:
    table = PAPER.tables[3]
    one = Accuracy(70.0, 1.0, 60.0, 80.0, 5, 9, 6, (70.0,))
    roles = ("own", "external", "external-aibl", "external-mine")
    known = PAPER.__class__(**{**vars(PAPER), "cohorts": {**PAPER.cohorts, "external-mine": "Mine"}, "others": ("external-mine",)})  # fmt: skip
    lines = [Line(row, "done", accuracy=dict.fromkeys(roles, one)) for row in table.rows]
    text = files.markdown(known, table, lines, simulated=False)
    for name in (
        "in the place of ADNI",
        "in the place of OASIS-2",
        "in the place of AIBL",
        "your cohort Mine",
    ):
        assert f"{name}: 9 scans of 6 participants." in text
    cells = list(csv.DictReader(files.csv_text(known, table, lines, simulated=False).splitlines()))
    assert {cell["cohort"] for cell in cells} == {"ADNI", "OASIS-2", "AIBL", "Mine"}
    latex = files.latex(known, table, lines, simulated=False)
    assert all(f"{name}, ours" in latex for name in ("ADNI", "OASIS-2", "AIBL", "Mine"))
    sides = {name: {"scans": 9, "participants": 6} for name in ("train", "val", "test", *roles[1:])}
    said = method_paragraph(known, table, lines, sides, simulated=False)
    assert "9 scans of 6 participants of OASIS-2 and 9 scans of 6 participants of AIBL and" in said
