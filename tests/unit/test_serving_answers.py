"""A folder of answers over several calls: a scan is its content and its path, and nothing is lost unseen."""

import hashlib
from pathlib import Path

import pytest

from voxtune.commands.predict.inputs import Input, identified, named, shareable
from voxtune.data.manifest import read_table, write_table
from voxtune.model.adapter import AdapterFacts, read_facts
from voxtune.serving.answer import Answer, columns
from voxtune.serving.answers import ADDED, AnswerFolder, Failure
from voxtune.serving.bundled import adapter_folder
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats
from voxtune.types.verdict import Verdict


@pytest.fixture(scope="module")
def facts() -> AdapterFacts:
    return read_facts(adapter_folder(Path("demo")))


def content(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def call(
    folder: Path, facts: AdapterFacts, *files: str, p: float = 0.5, failed: tuple[str, ...] = (), of: str = ""
) -> str:
    """One call of ``predict`` on scans of these paths, the content of each its path and ``of``; returns its note."""
    place = AnswerFolder(folder, facts)
    scans = [Input(Path(file).name, Path(file), file=file, sha256=content(file + of)) for file in files]
    answers = []
    for scan in named(scans, place.names(), facts.adapter_sha256):
        page = folder / scan.page(facts.adapter_sha256)
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"{scan.file} {p}", encoding="utf-8")
        chances = {facts.classes[0]: p} | dict.fromkeys(facts.classes[1:], (1 - p) / (len(facts.classes) - 1))
        said = Prediction(scan_id=scan.name, predicted=facts.classes[0], probabilities=chances)
        caveats = Caveats(verdict=Verdict(), confidence=p)
        answers.append(Answer(said, caveats, page, file=scan.file, sha256=scan.sha256))
    lost = [Failure(Path(file).name, f"{file}: it cannot be read.", file) for file in failed]
    return place.write(answers, lost, {file: content(file + of) for file in failed}).note


def rows(folder: Path, facts: AdapterFacts) -> dict[str, str]:
    """Name and first probability; every row's page is of that very answer, and no name stands twice."""
    found = read_table(folder / "predictions.tsv")
    assert all(tuple(row) == columns(facts.classes) for row in found)
    first = f"p_{facts.classes[0]}"
    for row in found:
        page = (folder / row["page"]).read_text(encoding="utf-8")
        assert page == f"{row['file'].lstrip(chr(39))} {row[first]}"
    assert len({row["scan_id"] for row in found}) == len(found)
    return {row["scan_id"]: row[first] for row in found}


def test_answers_for_other_scans_stay(tmp_path: Path, facts: AdapterFacts) -> None:
    assert call(tmp_path, facts, "a.nii", "b.nii") == ""
    note = call(tmp_path, facts, "c.nii", "a.nii", p=0.75)
    assert rows(tmp_path, facts) == {"b.nii": "0.5", "c.nii": "0.75", "a.nii": "0.75"}
    assert note == "Earlier answers there: 1 kept, 1 replaced."
    assert {row["adapter"] for row in read_table(tmp_path / "predictions.tsv")} == {facts.adapter_sha256[:12]}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_thousand_files_of_one_name_are_a_thousand_rows(
    tmp_path: Path, facts: AdapterFacts, *, at_once: bool
) -> None:
    files = [f"s{number}/scan/ct.nii.gz" for number in range(40)]
    for some in [files] if at_once else [[one] for one in files]:
        call(tmp_path, facts, *some)
    found = rows(tmp_path, facts)
    assert len(found) == len(files)
    assert {row["file"] for row in read_table(tmp_path / "predictions.tsv")} == set(files)
    assert len(list(tmp_path.glob("*.html"))) == len(files)
    assert "s7/scan/ct.nii.gz" in found
    before = (tmp_path / "predictions.tsv").read_bytes()
    call(tmp_path, facts, *files)
    assert (tmp_path / "predictions.tsv").read_bytes() == before, "asked again they keep names and places"


def test_other_content_at_the_same_path_is_another_scan(tmp_path: Path, facts: AdapterFacts) -> None:
    call(tmp_path, facts, "in/scan.nii.gz")
    for number in range(3):
        call(tmp_path, facts, "in/scan.nii.gz", p=0.75, of=str(number))
    assert sorted(rows(tmp_path, facts).values()) == ["0.5", "0.75", "0.75", "0.75"]


def test_names_that_clash_anywhere_are_told_apart(facts: AdapterFacts) -> None:
    scans = [Input("ct.nii", Path(file), file=file, sha256="0") for file in ("a/x/ct.nii", "b/x/ct.nii", "b/y/ct.nii", "ct.nii")]  # fmt: skip
    names = [one.name for one in named(scans, {"a/x/ct.nii": "another"}, facts.adapter_sha256)]
    assert len(set(names)) == 4
    assert names[1:] == ["b/x/ct.nii", "y/ct.nii", "ct.nii"]
    assert names[0].startswith("a/x/ct.nii (")
    volumes = [Input("s1", Path(f"{one}/s1/volume.nii.gz"), file=f"{one}/s1/volume.nii.gz") for one in "ab"]
    assert [one.name for one in named(volumes, {}, facts.adapter_sha256)] == ["a/s1", "b/s1"]


def test_two_calls_that_chose_one_name_are_told_apart_when_they_write(
    tmp_path: Path, facts: AdapterFacts
) -> None:
    place = AnswerFolder(tmp_path, facts)
    for file in ("a/ct.nii", "b/ct.nii"):
        said = Prediction(scan_id="ct.nii", predicted=facts.classes[0], probabilities=dict.fromkeys(facts.classes, 1 / 3))  # fmt: skip
        caveats = Caveats(verdict=Verdict(), confidence=0.5)
        place.write(
            [Answer(said, caveats, tmp_path / f"ct-{content(file)}.html", file=file, sha256=file)], []
        )
    assert len({row["scan_id"] for row in read_table(tmp_path / "predictions.tsv")}) == 2


def test_the_same_scan_given_twice_counts_once_and_paths_say_nothing_of_the_machine(tmp_path: Path) -> None:
    scan = tmp_path / "study" / "a" / "ct.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(b"x")
    copy = scan.parent.parent / "b" / "ct.nii.gz"
    copy.parent.mkdir()
    copy.write_bytes(b"x")
    home = tmp_path / "study" / "predictions"
    found = identified([Input("ct.nii.gz", one) for one in (scan, copy, scan)], home)
    assert [one.file for one in found] == ["a/ct.nii.gz", "b/ct.nii.gz"]
    assert found[0].sha256 == found[1].sha256 == hashlib.sha256(b"x").hexdigest()
    assert shareable(Path("/data/trial/p1/ct.nii.gz"), Path("/home/somebody/out")) == "p1/ct.nii.gz"
    assert shareable(Path("/ct.nii.gz"), Path("/home/somebody/out")) == "ct.nii.gz"
    (gone,) = identified([Input("x.nii", tmp_path / "x.nii")], home)
    assert gone.sha256 is None


def test_failures_stay_until_the_scan_is_asked_again(tmp_path: Path, facts: AdapterFacts) -> None:
    call(tmp_path, facts, "a.nii", failed=("bad.nii", "=1.nii"))
    call(tmp_path, facts, "b.nii", failed=("a.nii",))
    assert set(rows(tmp_path, facts)) == {"b.nii"}, "the newest word on a.nii is that it failed"
    assert not list(tmp_path.glob("a-*.html"))
    assert [row["scan"] for row in read_table(tmp_path / "failed.tsv")] == ["bad.nii", "'=1.nii", "a.nii"]
    call(tmp_path, facts, "bad.nii", "=1.nii", "a.nii")
    assert not (tmp_path / "failed.tsv").exists()
    assert set(rows(tmp_path, facts)) == {"b.nii", "bad.nii", "'=1.nii", "a.nii"}


@pytest.mark.parametrize("edit", [{"adapter_sha256": "f" * 64}, {"classes": ("A", "B")}])
def test_answers_of_another_adapter_are_set_aside(
    tmp_path: Path, facts: AdapterFacts, edit: dict[str, object]
) -> None:
    call(tmp_path, facts, "a.nii", failed=("bad.nii",))
    before = (tmp_path / "predictions.tsv").read_bytes()
    pages = {path: path.read_bytes() for path in tmp_path.glob("*.html")}
    other = facts.model_copy(update={"adapter_sha256": "e" * 64} | edit)
    note = call(tmp_path, other, "a.nii", p=0.75)
    assert str(tmp_path / "predictions-1.tsv") in note
    assert (tmp_path / "predictions-1.tsv").read_bytes() == before
    assert all(path.read_bytes() == page for path, page in pages.items()), "the page of the row set aside"
    assert len(read_table(tmp_path / "predictions.tsv")) == 1
    assert not (tmp_path / "failed.tsv").exists()
    call(tmp_path, facts, "a.nii")
    assert (tmp_path / "predictions-2.tsv").is_file()


def test_a_table_from_before_there_were_verdicts_is_gone_on_with(tmp_path: Path, facts: AdapterFacts) -> None:
    call(tmp_path, facts, "a.nii")
    (row,) = read_table(tmp_path / "predictions.tsv")
    older = tuple(name for name in row if name not in ADDED)
    write_table(tmp_path / "predictions.tsv", older, [{name: row[name] for name in older}])
    (tmp_path / "failed.tsv").write_text("scan\terror\nbad.nii\tbad.nii: unreadable.\n", encoding="utf-8")
    call(tmp_path, facts, "b.nii")
    found = read_table(tmp_path / "predictions.tsv")
    assert [(one["scan_id"], one["verdict"]) for one in found] == [("a.nii", "n/a"), ("b.nii", "answer")]
    assert [one["scan"] for one in read_table(tmp_path / "failed.tsv")] == ["bad.nii"]


def test_what_is_no_table_of_ours_is_set_aside_too(tmp_path: Path, facts: AdapterFacts) -> None:
    (tmp_path / "predictions.tsv").write_text("scan_id\tpage\na\t../x.html\n", encoding="utf-8")
    (tmp_path / "failed.tsv").write_text("notes\n", encoding="utf-8")
    call(tmp_path, facts, "a.nii")
    assert (tmp_path / "predictions-1.tsv").is_file()
    (tmp_path / "predictions.tsv").write_bytes(b"\xff\xfe")
    call(tmp_path, facts, "a.nii")
    assert (tmp_path / "predictions-2.tsv").read_bytes() == b"\xff\xfe"


def test_an_edited_table_removes_nothing_outside(tmp_path: Path, facts: AdapterFacts) -> None:
    precious = tmp_path / "precious.html"
    precious.write_text("mine", encoding="utf-8")
    folder = tmp_path / "out"
    call(folder, facts, "a.nii")
    table = folder / "predictions.tsv"
    (row,) = read_table(table)
    table.write_text(
        table.read_text(encoding="utf-8").replace(row["page"], "../precious.html"), encoding="utf-8"
    )
    call(folder, facts, "a.nii")
    assert precious.is_file()
