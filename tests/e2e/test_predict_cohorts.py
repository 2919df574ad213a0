"""``voxtune predict`` of folders and cohorts: a row for each file, several processes, a kill in the middle, the same table."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from voxtune.cli import main
from voxtune.commands.predict.inputs import inputs_of
from voxtune.commands.predict.work import RECORDS
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_table
from voxtune.types.verdict import SAID, Verdict


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people in folders of their own, each scan called ``ct.nii.gz``; two have the very same content."""
    root = tmp_path_factory.mktemp("people")
    manifest = simulate(root / "made", participants=3, visits=1, seed=7)
    scans = sorted((manifest.parent / "scans").glob("*.nii.gz"))
    for number, scan in enumerate([*scans, scans[0]]):
        target = root / "study" / f"p{number}" / "ct.nii.gz"
        target.parent.mkdir(parents=True)
        shutil.copy(scan, target)
    return root / "study"


def test_a_folder_is_a_row_for_each_file_and_a_loop_the_same(study: Path, tmp_path: Path) -> None:
    done = json.loads(call("predict", "demo", study, "-o", tmp_path / "whole", "--json").stdout)
    assert [one["scan"] for one in done["predictions"]] == [f"p{number}/ct.nii.gz" for number in range(4)]
    for one in done["predictions"]:
        assert one["file"].endswith(one["scan"])
        assert str(study) not in json.dumps({name: value for name, value in one.items() if name != "page"})
        assert Verdict.read(one["verdict"]).said in SAID
    whole = read_table(tmp_path / "whole" / "predictions.tsv")
    assert len({row["sha256"] for row in whole}) == 3
    assert str(study) not in (tmp_path / "whole" / "predictions.tsv").read_text(encoding="utf-8")
    index = (tmp_path / "whole" / "index.html").read_text(encoding="utf-8")
    assert all(row["page"] in index for row in whole)
    assert "SIMULATED" in index
    places = [index.index(f'class="{kind}">{said}') for kind, said in (("fail", SAID[2]), ("warn", SAID[1]), ("pass", SAID[0])) if f'class="{kind}">{said}' in index]  # fmt: skip
    assert places == sorted(places), "what needs a look stands first"
    for folder in sorted(study.iterdir()):
        call("predict", "demo", folder / "ct.nii.gz", "-o", tmp_path / "loop")
    loop = read_table(tmp_path / "loop" / "predictions.tsv")
    same = ("file", "sha256", "verdict", "predicted", "p_AD", "mmse_predicted")
    assert [[row[name] for name in same] for row in loop] == [[row[name] for name in same] for row in whole]
    again = call("predict", "demo", study, "-o", tmp_path / "whole")
    assert "4 answered before" in again.output
    assert (
        "answered before"
        not in call("predict", "demo", study / "p0", "-o", tmp_path / "whole", "--force").output
    )


def test_two_processes_write_the_same_table(study: Path, tmp_path: Path) -> None:
    call("predict", "demo", study, "-o", tmp_path / "one")
    call("predict", "demo", study, "-o", tmp_path / "two", "--workers", 2)
    tables = [(tmp_path / name / "predictions.tsv").read_bytes() for name in ("one", "two")]
    assert tables[0] == tables[1]
    records = tmp_path / "two" / RECORDS
    kept = sorted(records.iterdir())
    kept[0].write_text("{", encoding="utf-8")  # cut short
    kept[1].unlink()
    assert "2 answered before" in call("predict", "demo", study, "-o", tmp_path / "two").output
    assert (tmp_path / "two" / "predictions.tsv").read_bytes() == tables[0]


@pytest.mark.slow
@pytest.mark.no_cover_children
def test_a_kill_in_the_middle_loses_only_what_was_in_flight(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-c",
        "from voxtune.cli import main; main()",
        "predict",
        "demo",
        str(study),
        "-o",
        str(out),
        "--workers",
        "2",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not list(
        (out / RECORDS).glob("[!.]*.json")
    ):  # a part is not a record yet
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list((out / RECORDS).glob("[!.]*.json")))
    assert done >= 1
    resumed = call("predict", "demo", study, "-o", out, "--workers", 2)
    assert f"{done} answered before" in resumed.output
    call("predict", "demo", study, "-o", tmp_path / "whole")
    assert (out / "predictions.tsv").read_bytes() == (tmp_path / "whole" / "predictions.tsv").read_bytes()


def test_an_adapter_that_does_not_load_ends_the_work_at_once(study: Path, tmp_path: Path) -> None:
    from voxtune.serving.bundled import adapter_folder

    adapter = Path(shutil.copytree(adapter_folder(Path("demo")), tmp_path / "adapter"))
    (adapter / "adapter.safetensors").write_bytes(b"x")
    said = call("predict", adapter, study, "-o", tmp_path / "out", "--workers", 2, code=3).output
    assert said.count("changed or truncated") == 1


def test_what_a_folder_is(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "IM0001").write_bytes(bytes(128) + b"DICM")
    assert [one.path for one in inputs_of(tmp_path / "one", alone=True)] == [tmp_path / "one"], (
        "DICOM without endings"
    )
    for name in ("b/x.nii", "a/pair.hdr", "a/pair.img", "a/y.mgz", "a/z.zip", "notes.txt"):
        path = tmp_path / "two" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = [one.name for one in inputs_of(tmp_path / "two", alone=True)]
    assert found == ["pair.hdr", "y.mgz", "z.zip", "x.nii"]
    stored = tmp_path / "three" / "p1"
    stored.mkdir(parents=True)
    for name in ("volume.nii.gz", "chain.json"):
        (stored / name).write_bytes(b"x")
    assert [one.name for one in inputs_of(tmp_path / "three", alone=True)] == ["p1"]


@pytest.mark.parametrize("held", [(), ("notes.txt", "below/picture.png")], ids=["empty", "other files"])
def test_a_folder_without_a_scan_is_one_sentence(tmp_path: Path, held: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    for name in held:
        (folder / name).write_bytes(b"x")
    said = call("predict", "demo", folder, code=3).output
    assert "folder: no file of this folder is a scan" in said
    assert [one.path for one in inputs_of(folder, alone=False)] == [folder], "it never stops the others"


def test_studies_of_several_people_are_several_scans(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    for person, study in (("p1", "1.2.1"), ("p2", "1.2.2"), ("p3", "1.2.3")):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.PatientID, data.StudyInstanceUID, data.SOPInstanceUID, data.SOPClassUID = person, study, f"{study}.1", "1.2.840.10008.5.1.4.1.1.2"  # fmt: skip
        path = tmp_path / "people" / person / "IM0001"
        path.parent.mkdir(parents=True)
        data.save_as(path, enforce_file_format=True)
        (path.parent / "README").write_text("x", encoding="utf-8")
    found = inputs_of(tmp_path / "people", alone=True)
    assert [one.name for one in found] == ["p1", "p2", "p3"]
    assert [one.path for one in inputs_of(tmp_path / "people" / "p1", alone=True)] == [
        tmp_path / "people" / "p1"
    ]
