"""``voxtune similar``, percentiles in a run, a bank beside an adapter: one small run of SIMULATED people, every door."""

import html
import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner

import voxtune
from voxtune.cases.pictures import one_person
from voxtune.cases.vectors import Sources
from voxtune.cli import main
from voxtune.commands.similar.bank import Bank, same_id
from voxtune.commands.similar.command import similar
from voxtune.commands.similar.measure import learned_sentence, notes
from voxtune.commands.train.command import train
from voxtune.data.manifest import read_manifest, read_table, write_manifest
from voxtune.errors import DataError, ScanError, UsageError
from voxtune.model.adapter import load_adapter, read_facts
from voxtune.profiles.read import read_profile
from voxtune.reports.norms import fit_norms
from voxtune.reports.wording import write_report
from voxtune.run_dir import RunDir, read_json
from voxtune.serving.predictor import Predictor
from voxtune.serving.tasks import Bench
from voxtune.storage.seal import write_sealed
from voxtune.types.case_bank import CaseBank

NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def run(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose texts are made by the graph, on the shared people."""
    settings = [
        "report.template=graph",
        "report.controls=NC,MCI",
        "training.steps=4",
        "training.batch_size=8",
    ]
    folder = tmp_path_factory.mktemp("similar") / "run"
    train("deft", folder, data=people, assignments=settings, say=lambda _: None)
    return folder


@pytest.fixture(scope="module")
def adapter(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's adapter with a bank."""
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    done = CliRunner().invoke(main, ["export", str(run), "-o", str(folder), "--case-bank", "5"])
    assert done.exit_code == 0, done.output
    return folder


def image_of(people: Path, scan_id: str) -> Path:
    (row,) = [row for row in read_manifest(people) if row.scan_id == scan_id]
    return (people.parent / row.image).resolve()


def words_of(page: str) -> tuple[str, str]:
    """The paragraph of a page, and the rest of it without style and pictures."""
    paragraph = re.search(r'<p class="paragraph">(.*?)</p>', page, re.DOTALL)
    assert paragraph is not None
    rest = page.replace(paragraph.group(0), "")
    rest = re.sub(
        r"<style.*?</style>|<script.*?</script>|data:image[^\"']*|<svg.*?</svg>", "", rest, flags=re.DOTALL
    )
    return re.sub(r"<[^>]+>", "", paragraph.group(1)), re.sub(r"<[^>]+>", " ", rest)


def assert_traces(page: str) -> None:
    """Every number of every sentence stands elsewhere on the page, in the same digits."""
    said, rest = map(html.unescape, words_of(page))
    elsewhere = set(NUMBER.findall(rest))
    assert [one for one in NUMBER.findall(said) if one not in elsewhere] == [], said


def test_the_adapter_keeps_the_model_of_its_training_controls(run: Path, people: Path) -> None:
    kept = read_facts(run / "adapter").norms
    train_side = set(read_json(RunDir(run).split, "split")["train"])
    rows = [row for row in read_manifest(people) if row.scan_id in train_side]
    assert kept == fit_norms(rows, read_profile("dementia"), ("NC", "MCI")).norms
    page = RunDir(run).page.read_text("utf-8")
    assert "What percentiles in the texts are of" in page
    assert "fit without them" in page
    text = (run / "adapter" / "adapter.json").read_text("utf-8")
    assert not any(row.participant_id in text for row in rows)


def test_explanations_write_the_texts_of_the_training(run: Path, people: Path) -> None:
    from voxtune.explanation.scan_reports import reports_of_row

    loaded = load_adapter(run / "adapter")
    for row in read_manifest(people)[:4]:
        found = reports_of_row(loaded, row)
        assert list(found) == list(loaded.facts.classes)
        assert all(text.startswith(f"A photo of {name}.") for name, text in found.items())
        assert len({text.split(". ", 1)[1] for text in found.values()}) == 1


def test_the_nearest_come_from_the_training_side_and_never_from_the_person(
    run: Path, people: Path, tmp_path: Path
) -> None:
    split = read_json(RunDir(run).split, "split")
    owner = {row.scan_id: row.participant_id for row in read_manifest(people)}
    for number, scan in enumerate((split["train"][0], split["test"][0])):
        done = similar(run, image_of(people, scan), data=people, output=tmp_path / str(number), count=4)
        names = [one["name"] for one in done.facts["neighbours"]]
        assert set(names) <= set(split["train"])
        assert len(names) == 4
        assert owner[scan] not in {owner[name] for name in names}
        assert done.facts["by"] == "both"
        assert done.facts["own"] == (scan in split["train"])
        page = (tmp_path / str(number) / "page.html").read_text("utf-8")
        assert "SIMULATED" in page
        assert_traces(page)
        assert done.facts["percentiles"] is not None
    assert voxtune.similar is similar


def test_a_scan_is_known_by_its_content_under_any_name(people: Path, tmp_path: Path) -> None:
    rows = read_manifest(people)
    copy = tmp_path / "upload.nii.gz"
    copy.write_bytes(image_of(people, rows[3].scan_id).read_bytes())
    bank = Bank(Sources(people, rows), tmp_path, rows)
    assert bank.row_of(copy, "") == rows[3]
    lost = rows[0].model_copy(update={"scan_id": "lost", "image": "nowhere.nii.gz"})
    copy.write_bytes(b"another scan")
    assert Bank(Sources(people, rows), tmp_path, [lost, *rows]).row_of(copy, "") is None


def test_a_scan_that_nobody_said_whose_it_is(run: Path, people: Path, tmp_path: Path) -> None:
    split = read_json(RunDir(run).split, "split")
    rows = read_manifest(people)
    without = [row for row in rows if row.scan_id != split["test"][0]]
    manifest = write_manifest(without, people.parent / "without.tsv")
    scan = image_of(people, split["test"][0])
    done = CliRunner().invoke(
        main, ["similar", str(run), str(scan), "--data", str(manifest), "--json", "--count", "2"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["person_known"], found["own"], found["by"]) == (False, 0, "image")
    with pytest.raises(DataError, match="no facts"):
        similar(run, scan, data=manifest, by="text", say=lambda _: None)
    owner = {row.scan_id: row.participant_id for row in rows}
    told = similar(
        run,
        scan,
        data=manifest,
        participant=owner[split["train"][0]],
        facts={"hippocampus_mm3": "5000", "age": "74"},
        by="image",
    )
    assert told.facts["person_known"]
    assert split["train"][0] not in {one["name"] for one in told.facts["neighbours"]}
    assert any(
        "Hippocampal" in text for one in told.facts["neighbours"] for text in (*one["agree"], *one["differ"])
    )


def test_a_bank_beside_the_adapter(adapter: Path, people: Path, tmp_path: Path) -> None:
    text = (adapter / "case_bank.json").read_text("utf-8")
    rows = read_manifest(people)
    assert not any(row.participant_id in text or row.scan_id in text for row in rows)
    scan = image_of(people, rows[0].scan_id)
    done = similar(adapter, scan, output=tmp_path / "s")
    assert done.facts["groups"]
    assert_traces((tmp_path / "s" / "page.html").read_text("utf-8"))
    said = voxtune.predict(adapter, scan, output=tmp_path / "p")
    page = next(one for one in (tmp_path / "p").glob("*.html") if one.name != "index.html").read_text("utf-8")
    assert "Similar groups of participants" in page
    assert_traces(page)
    assert said.as_json()["similar"]["bank"] == json.loads(text)["participants"]
    again = voxtune.predict(adapter, scan, output=tmp_path / "p")
    assert again.reused == 1
    assert again.as_json()["similar"] == said.as_json()["similar"]
    # A bank that was exported anew, or taken away, answers anew.
    other = tmp_path / "adapter"
    shutil.copytree(adapter, other)
    tree = json.loads(text)
    some = CaseBank.model_validate(
        {
            "adapter_sha256": tree["adapter_sha256"],
            "fewest": 5,
            "groups": tree["groups"][:1],
            "participants": tree["groups"][0]["participants"],
        }
    )
    write_sealed(other / "case_bank.json", some.model_dump(mode="json"))
    fewer = voxtune.predict(other, scan, output=tmp_path / "p")
    assert (fewer.reused, fewer.as_json()["similar"]["bank"]) == (0, some.participants)
    (other / "case_bank.json").unlink()
    none = voxtune.predict(other, scan, output=tmp_path / "p")
    assert (none.reused, "similar" in none.as_json()) == (0, False)
    folder = tmp_path / "served"
    folder.mkdir()
    bench = Bench(Predictor(adapter))
    answer = bench.do(
        {"do": "predict", "folder": str(folder), "scan": str(scan), "name": "scan"}, lambda _: None
    )
    assert answer["similar"]["neighbours"]
    assert "Similar groups of participants" in (folder / "page.html").read_text("utf-8")


def test_a_manifest_is_measured(run: Path, people: Path, tmp_path: Path) -> None:
    done = similar(run, people, output=tmp_path)
    assert {"precision@5", "precision@5/AD", "severity@5", "text_to_image@1"} <= set(
        done.facts["spaces"]["adapter"]
    )
    assert "precision@5" in done.facts["spaces"]["base"]
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "own scan found by its text" in page
    learned = len(read_json(RunDir(run).split, "split")["train"])
    assert done.facts["learned"] == learned
    assert f"trained on {learned} of them: its figures are too good for new people" in page
    assert learned_sentence({"learned": 0}) == "The adapter was trained on none of them."
    assert "not known here" in learned_sentence({"learned": None})
    assert "chance" in done.summary
    # The same pictures under other IDs are nobody else.
    twins = [
        row.model_copy(update={"participant_id": f"t{n}", "scan_id": f"t{n}", "diagnosis": "NC"})
        for n, row in enumerate(read_manifest(people)[:6])
    ]
    again = similar(run, write_manifest([*read_manifest(people), *twins], people.parent / "twins.tsv")).facts
    assert (again["n_participants"], again["same_person"]) == (done.facts["n_participants"], 6)
    assert "6 participants are another one by the picture" in "".join(notes(again))
    assert (done.facts["same_person"], "by the picture" in page) == (0, False)


def test_scans_that_cannot_be_read_stop_no_others_and_are_named(
    run: Path, people: Path, tmp_path: Path
) -> None:
    rows = read_manifest(people)[:6]
    lost = [*rows[:4], *(row.model_copy(update={"image": f"gone/{row.scan_id}.nii.gz"}) for row in rows[4:])]
    manifest = write_manifest(lost, people.parent / "lost.tsv")
    scan = image_of(people, rows[0].scan_id)
    adapter = str(run / "adapter")
    done = CliRunner().invoke(
        main,
        [
            "similar",
            adapter,
            str(scan),
            "--data",
            str(manifest),
            "--by",
            "image",
            "-o",
            str(tmp_path / "o"),
            "--json",
        ],
    )
    assert done.exit_code == 5, done.output
    assert (
        f"2 of 6 scans failed, the rest are done; {tmp_path / 'o' / 'failed.tsv'} says which and why"
        in done.stderr
    )
    assert [one["scan_id"] for one in read_table(tmp_path / "o" / "failed.tsv")] == [
        row.scan_id for row in rows[4:]
    ]
    measured = CliRunner().invoke(main, ["similar", adapter, str(manifest)])
    assert measured.exit_code == 5
    assert "what is printed above says which and why" in measured.stderr
    assert rows[4].scan_id in measured.stderr


def test_what_cannot_be_searched_is_refused(run: Path, people: Path, tmp_path: Path) -> None:
    scan = image_of(people, read_manifest(people)[0].scan_id)
    with pytest.raises(UsageError, match="--data MANIFEST"):
        similar(run, scan)
    with pytest.raises(ScanError, match="no such file"):
        similar(run, tmp_path / "none.nii.gz")
    with pytest.raises(UsageError, match="leave out"):
        similar(run, people, data=people)
    with pytest.raises(UsageError, match="at least 1"):
        similar(run, scan, data=people, count=0)


def test_texts_of_the_run_are_those_of_the_one_path(run: Path, people: Path) -> None:
    rows = read_manifest(people)
    train_side = set(read_json(RunDir(run).split, "split")["train"])
    profile = read_profile("dementia")
    norms = fit_norms([row for row in rows if row.scan_id in train_side], profile, ("NC", "MCI"))
    done = CliRunner().invoke(
        main,
        [
            "describe",
            str(people),
            "-o",
            str(run.parent / "r.tsv"),
            "--template",
            "graph",
            "--norms",
            str(run),
        ],
    )
    assert done.exit_code == 0, done.output
    from voxtune.data.manifest import read_reports

    written = read_reports(run.parent / "r.tsv")
    test_rows = [row for row in rows if row.scan_id not in train_side]
    for row in test_rows:
        assert written[row.scan_id].text == write_report(row, "graph", profile=profile, norms=norms).text


@pytest.mark.parametrize("change", ["packed otherwise", "brighter"])
def test_the_same_picture_under_another_name_is_no_neighbour(
    run: Path, people: Path, tmp_path: Path, change: str
) -> None:
    scan = read_json(RunDir(run).split, "split")["train"][2]
    image = nib.load(image_of(people, scan))
    voxels = np.asarray(image.dataobj, dtype=np.float32)
    if change == "brighter":
        voxels = voxels * np.float32(1.7)
    kind = np.float64 if change == "packed otherwise" else np.float32
    nib.save(nib.Nifti1Image(voxels.astype(kind), image.affine), tmp_path / "upload.nii")
    done = similar(
        run, tmp_path / "upload.nii", data=people, participant="a stranger" if change == "brighter" else None, count=50
    )  # fmt: skip
    assert scan not in {one["name"] for one in done.facts["neighbours"]}
    assert (done.facts["own"], done.facts["same_picture"]) == (1, 1)


def test_an_id_is_one_persons_however_it_is_spelled_and_never_another_scans(
    run: Path, people: Path, tmp_path: Path
) -> None:
    split = read_json(RunDir(run).split, "split")
    rows = {row.scan_id: row for row in read_manifest(people)}
    mine, other = rows[split["train"][0]], rows[split["train"][1]]
    stranger = image_of(people, split["test"][0])
    without = write_manifest([row for row in rows.values() if row.scan_id != split["test"][0]], people.parent / "spelled.tsv")  # fmt: skip
    spelled = f"sub-{mine.participant_id.lower()}"
    done = similar(run, stranger, data=without, participant=spelled, by="image", count=50)
    assert mine.scan_id not in {one["name"] for one in done.facts["neighbours"]}
    assert (done.facts["own"], done.facts["same_picture"]) == (1, 0)
    assert same_id(mine.participant_id, spelled)
    with pytest.raises(UsageError, match=f"as that of participant '{mine.participant_id}'"):
        similar(
            run, image_of(people, mine.scan_id), data=people, participant=other.participant_id, by="image"
        )
    assert not same_id("P1", "P11")


def test_a_fact_that_is_compared_nowhere_is_refused(run: Path, people: Path) -> None:
    scan = image_of(people, read_manifest(people)[0].scan_id)
    for wrong in ("hipocampus_mm3", "mmse", "diagnosis"):
        with pytest.raises(UsageError, match=f"'{wrong}' is in no report of this adapter"):
            similar(run, scan, data=people, facts={wrong: "20", "age": "70"})


def test_a_bank_counts_people_and_not_their_ids(
    run: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = read_manifest(people)
    again = rows[1].model_copy(
        update={"participant_id": f"SUB-{rows[0].participant_id.lower()}", "scan_id": "again"}
    )
    first = one_person(people, [*rows, again])
    # The same picture as the second, spelled as the first: all three are one.
    assert {first[one] for one in (rows[0].participant_id, rows[1].participant_id, again.participant_id)} == {
        rows[0].participant_id
    }
    assert len(set(first.values())) == len(rows) - 1
    pairs = {row.participant_id: rows[place // 2 * 2].participant_id for place, row in enumerate(rows)}
    monkeypatch.setattr("voxtune.cases.pictures.one_person", lambda *_: pairs)
    folder = tmp_path / "adapter"
    done = CliRunner().invoke(main, ["export", str(run), "-o", str(folder), "--case-bank", "5"])
    told = json.loads((folder / "case_bank.json").read_text("utf-8")) if done.exit_code == 0 else None
    train_side = set(read_json(RunDir(run).split, "split")["train"])
    count = len({pairs[row.participant_id] for row in rows if row.scan_id in train_side})
    assert "No class has 5" in done.output or (told and told["participants"] + told["left_out"] == count)
