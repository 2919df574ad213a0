"""A folder of answers over several calls: nothing is lost unseen."""

from pathlib import Path

import pytest

from voxtune.data.manifest import read_table
from voxtune.model.adapter import AdapterFacts, read_facts
from voxtune.serving.answer import Answer, columns
from voxtune.serving.answers import AnswerFolder
from voxtune.serving.bundled import adapter_folder
from voxtune.types.records import Prediction
from voxtune.types.reliability import Caveats
from voxtune.types.verdict import Verdict


@pytest.fixture(scope="module")
def facts() -> AdapterFacts:
    return read_facts(adapter_folder(Path("demo")))


def call(folder: Path, facts: AdapterFacts, *scans: str, p: float = 0.5, failed: tuple[str, ...] = ()) -> str:
    """One call of ``predict``; returns its note."""
    place = AnswerFolder(folder, facts)
    pages = place.pages(scans, [scan.removesuffix(".gz").removesuffix(".nii") for scan in scans])
    answers = []
    for scan, page in zip(scans, pages, strict=True):
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"{scan} {p}", encoding="utf-8")
        chances = {facts.classes[0]: p} | dict.fromkeys(facts.classes[1:], (1 - p) / (len(facts.classes) - 1))
        said = Prediction(scan_id=scan, predicted=facts.classes[0], probabilities=chances)
        caveats = Caveats(
            verdict=Verdict(), confidence=p, distance=None, unlike_training=None,
            quality="pass", reasons=(),
        )  # fmt: skip
        answers.append(Answer(said, caveats, page))
    return place.write(answers, [(name, f"{name}: it cannot be read.") for name in failed]).note


def rows(folder: Path, facts: AdapterFacts) -> dict[str, str]:
    """Scan and first probability; every row's page is of that very answer."""
    found = read_table(folder / "predictions.tsv")
    assert all(tuple(row) == columns(facts.classes) for row in found)
    first = f"p_{facts.classes[0]}"
    for row in found:
        assert (folder / row["page"]).read_text(
            encoding="utf-8"
        ) == f"{row['scan_id'].lstrip(chr(39))} {row[first]}"
    return {row["scan_id"]: row[first] for row in found}


def test_answers_for_other_scans_stay(tmp_path: Path, facts: AdapterFacts) -> None:
    assert call(tmp_path, facts, "a.nii", "b.nii") == ""
    note = call(tmp_path, facts, "c.nii", "a.nii", p=0.75)
    assert rows(tmp_path, facts) == {"b.nii": "0.5", "c.nii": "0.75", "a.nii": "0.75"}
    assert note == "Earlier answers there: 1 kept, 1 replaced."
    assert {row["adapter"] for row in read_table(tmp_path / "predictions.tsv")} == {facts.adapter_sha256[:12]}


def test_a_page_belongs_to_one_answer(tmp_path: Path, facts: AdapterFacts) -> None:
    call(tmp_path, facts, "a.nii")
    call(tmp_path, facts, "a.nii.gz", p=0.75)
    assert rows(tmp_path, facts) == {"a.nii": "0.5", "a.nii.gz": "0.75"}
    call(tmp_path, facts, "x.nii", "x.nii")
    assert len(read_table(tmp_path / "predictions.tsv")) == 4
    call(tmp_path, facts, "x.nii", p=0.25)
    assert rows(tmp_path, facts) == {"a.nii": "0.5", "a.nii.gz": "0.75", "x.nii": "0.25"}
    assert {path.name for path in tmp_path.glob("*.html")} == {"a.html", "a-2.html", "x.html"}


def test_failures_stay_until_the_scan_is_asked_again(tmp_path: Path, facts: AdapterFacts) -> None:
    call(tmp_path, facts, "a.nii", failed=("bad.nii", "=1.nii"))
    call(tmp_path, facts, "b.nii", failed=("a.nii",))
    assert rows(tmp_path, facts) == {"b.nii": "0.5"}, "the newest word on a.nii is that it failed"
    assert not (tmp_path / "a.html").exists()
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
    note = call(tmp_path, facts.model_copy(update=edit), "a.nii", p=0.75)
    assert str(tmp_path / "predictions-1.tsv") in note
    assert (tmp_path / "predictions-1.tsv").read_bytes() == before
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == "a.nii 0.5", "the page of the row set aside"
    assert len(read_table(tmp_path / "predictions.tsv")) == 1
    assert not (tmp_path / "failed.tsv").exists()
    call(tmp_path, facts, "a.nii")
    assert (tmp_path / "predictions-2.tsv").is_file()


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
    table.write_text(
        table.read_text(encoding="utf-8").replace("a.html", "../precious.html"), encoding="utf-8"
    )
    call(folder, facts, "a.nii")
    assert precious.is_file()
