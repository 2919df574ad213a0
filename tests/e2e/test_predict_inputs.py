"""``voxtune predict demo``: whatever a scan comes in, one row and one page each; what stands beside a prediction; what is refused."""

import io
import json
import shutil
import stat
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from voxtune.cli import main
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_table
from voxtune.evaluation.tables import read_predictions
from voxtune.serving.bundled import adapter_folder

HEAD = Path(str(files("voxtune.simulate"))) / "assets" / "head_pddl" / "T1w_2mm.nii.gz"


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("cohort"), participants=3, visits=1, seed=7)


@pytest.fixture(scope="module")
def scans(cohort: Path) -> list[Path]:
    return sorted((cohort.parent / "scans").glob("*.nii.gz"))


def zipped(path: Path, members: dict[str, bytes], *, link: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, data)
    return path


@pytest.mark.slow
def test_the_shipped_names_answer_in_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = json.loads(call("predict", "demo", "head", "--json").stdout)
    assert {"scan", "predicted", "probabilities", "mmse", "adapter", "base"} <= answer.keys()
    assert answer["simulated"] is True
    assert answer["unlike_training"] is True, (
        "a real head is unlike simulated ones, and the adapter must say so"
    )
    assert answer["verdict"].startswith("no answer: ")
    assert "unlike the scans" in answer["verdict"]
    assert answer["predicted"] is answer["mmse"] is answer["mmse_interval"] is None, "nothing to be misled by"
    assert answer["abstained"] is True
    assert answer["confidence"] == max(answer["probabilities"].values())
    page = Path(answer["page"]).read_text(encoding="utf-8")
    for words in ("SIMULATED", answer["verdict"], "What the verdict rests on", "data:image/png"):
        assert words in page
    assert "Nearest text" not in page
    (row,) = read_table(tmp_path / "predictions" / "predictions.tsv")
    assert row["verdict"] == answer["verdict"]
    assert (row["predicted"], row["mmse_predicted"], row["mmse_low"]) == ("n/a", "n/a", "n/a")
    assert "http" not in page.replace("https://", "http://").split("</style>")[1]


def test_the_first_page_is_of_a_scan_that_the_adapter_was_made_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = json.loads(call("predict", "demo", "--json").stdout)
    assert (answer["verdict"], answer["predicted"], answer["file"]) == ("answer", "AD", "person")
    low, high = answer["mmse_interval"]
    assert low < answer["mmse"] < high
    page = Path(answer["page"]).read_text(encoding="utf-8")
    for words in ("SIMULATED", "Nearest text", "interval", "Radiological view", "data:image/png"):
        assert words in page
    assert call("predict", "demo", "--tsv").stdout.splitlines()[1].split("\t")[0] == "SIMULATED_person.nii.gz"
    for command in ("predict", "explain"):
        assert "Say which scan" in call(command, "elsewhere", code=2).output


def test_an_adapter_called_demo_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert adapter_folder(Path("demo")) != Path("demo"), "any other folder of that name is not meant"
    (tmp_path / "demo" / "adapter.json").write_text("{}", encoding="utf-8")
    assert adapter_folder(Path("demo")) == Path("demo")
    assert "adapter.json" in call("predict", "demo", HEAD, code=3).output


def test_a_manifest_is_predicted_row_by_row(cohort: Path, tmp_path: Path) -> None:
    result = call("predict", "demo", cohort, "-o", tmp_path, "--tsv")
    table = tmp_path / "predictions.tsv"
    assert result.stdout == table.read_text(encoding="utf-8")
    found = read_predictions(table)
    assert found.names == ("NC", "MCI", "AD")
    assert list(found.scan_ids) == [
        line.split("\t")[2] for line in cohort.read_text(encoding="utf-8").splitlines()[1:]
    ]
    assert all(found.participants)
    assert found.anything_known.all()
    header = table.read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert {"mmse_low", "mmse_high", "abstained", "unlike_training", "quality", "page"} <= set(header)
    assert len(list(tmp_path.glob("*.html"))) == 3 + 1, "a page for each and the index"
    assert not (tmp_path / "failed.tsv").exists()
    for scan in (cohort.parent / "scans").glob("*.nii.gz"):
        assert scan.is_file()


def test_a_bids_folder_and_a_zip_are_taken_as_they_are(scans: list[Path], tmp_path: Path) -> None:
    root = tmp_path / "bids"
    for number, scan in enumerate(scans[:2], start=1):
        anat = root / f"sub-{number:02d}" / "anat"
        anat.mkdir(parents=True)
        shutil.copy(scan, anat / f"sub-{number:02d}_T1w.nii.gz")
    (root / "participants.tsv").write_text("participant_id\tage\nsub-01\t70\nsub-02\t71\n", encoding="utf-8")
    archive = zipped(tmp_path / "scan.zip", {"any/where/x.nii.gz": scans[2].read_bytes()})
    answer = json.loads(call("predict", "demo", root, archive, "-o", tmp_path / "out", "--json").stdout)
    assert answer["failed"] == []
    assert len(answer["scans"]) == 3
    assert answer["scans"][2]["scan"] == "scan.zip"
    alone = json.loads(call("predict", "demo", scans[2], "-o", tmp_path / "out", "--json").stdout)
    assert answer["scans"][2]["probabilities"] == alone["probabilities"]


def test_what_fails_is_in_a_table_and_the_rest_is_done(scans: list[Path], tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.nii", b"")
    hostile = {
        "leads out": zipped(tmp_path / "leaves.zip", {"../../evil.nii": b"x"}),
        "link": zipped(tmp_path / "link.zip", {"a.nii": b"/etc/passwd"}, link=True),
        "bomb": zipped(tmp_path / "bomb.zip", {f"{n}.dcm": bytes(60 * 2**20) for n in range(6)}),
        "NIfTI": zipped(tmp_path / "two.zip", {"a.nii": b"x", "b.nii": b"x"}),
        "no DICOM series": zipped(tmp_path / "inner.zip", {"inner.zip": inner.getvalue()}),
        "no such file": tmp_path / "missing.nii.gz",
    }
    odd = Path(shutil.copy(scans[0], tmp_path / "=1+1.nii.gz"))
    result = call("predict", "demo", *hostile.values(), odd, scans[1], "-o", tmp_path / "out", code=5)
    failed = (tmp_path / "out" / "failed.tsv").read_text(encoding="utf-8").splitlines()
    assert failed[0] == "scan\terror\tfile"
    for (words, path), line in zip(hostile.items(), failed[1:], strict=True):
        assert line.startswith(path.name)
        assert words.lower() in line.lower() or words in result.output
    rows = (tmp_path / "out" / "predictions.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == ["'=1+1.nii.gz", scans[1].name]
    assert "failed.tsv" in result.output
    assert not (tmp_path.parent / "evil.nii").exists()
    assert f"{tmp_path / 'out' / 'failed.tsv'} says which" in " ".join(result.output.split())
    again = call("predict", "demo", scans[1], "-o", tmp_path / "out")
    assert "Earlier answers there: 1 kept, 1 replaced." in again.output
    assert (tmp_path / "out" / "failed.tsv").read_text(encoding="utf-8").splitlines() == failed
    one = call("predict", "demo", scans[1], "-o", tmp_path / "out", "--tsv").stdout.splitlines()
    assert [line.split("\t")[0] for line in one] == ["scan_id", scans[1].name]


def test_an_empty_table_is_one_sentence(cohort: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.tsv"
    empty.write_text(cohort.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    assert "no rows" in call("predict", "demo", empty, code=3).output


def test_the_shipped_adapter_says_what_it_is() -> None:
    folder = adapter_folder(Path("demo"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {folder.name, "control"}
    assert sum(path.stat().st_size for path in files) < 750_000
    card = (folder / "README.md").read_text(encoding="utf-8")
    for words in (
        "SIMULATED",
        "Intended use",
        "not for diagnosis",
        "95% interval",
        "Leakage audit",
        "licence",
        "How far to trust",
    ):
        assert words in card
    facts = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    assert facts["simulated"] is True
    assert all(facts["trust"][name] for name in ("mmse", "abstention", "familiar"))
    for path in files:
        content = path.read_bytes()
        assert b"/home/" not in content
        assert b"/tmp/" not in content
        assert b"SIM0P" not in content
