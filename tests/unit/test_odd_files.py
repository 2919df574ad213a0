"""Pipes, devices and files full of holes in the place of what is read as a whole: one sentence, and nobody waits."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voxtune.choices import LONGEST_SAID
from voxtune.cohorts.folder import Folder
from voxtune.cohorts.outputs import is_output
from voxtune.cohorts.personal import personal_columns, personal_dicom, personal_sidecar
from voxtune.cohorts.sequence import read_sidecar
from voxtune.config import RunConfig
from voxtune.data.manifest import read_manifest, read_table, write_manifest
from voxtune.errors import UsageError, VoxTuneError
from voxtune.explanation.scan_reports import read_report
from voxtune.model.adapter import read_facts
from voxtune.run_dir import RunDir, read_json
from voxtune.serving.bundled import adapter_folder
from voxtune.storage.seal import SUMS, file_sha256, fits_sums
from voxtune.types.records import ManifestRow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes and devices in folders")
READERS: dict[str, Callable[[Path], object]] = {
    "table": read_table,
    "manifest": read_manifest,
    "JSON": lambda path: read_json(path, "facts"),
    "report": read_report,
    "hash": file_sha256,
    "run": lambda path: RunDir(path.parent).read_config(),
}


@pytest.fixture(autouse=True)
def _nobody_waits() -> Iterator[None]:
    def late(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "holes"])
def test_what_is_no_such_file_is_said_at_once(tmp_path: Path, reader: str, kind: str) -> None:
    path = tmp_path / "config.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif reader == "hash":
        pytest.skip("a hash takes a file piece by piece")
    else:
        with path.open("wb") as file:
            file.truncate(2**40)
    with pytest.raises(VoxTuneError, match=r"no file \(a device|more than|not a run|UTF-8"):
        READERS[reader](path)


def test_sums_of_a_pipe_fit_nothing(tmp_path: Path) -> None:
    adapter = Path(shutil.copytree(adapter_folder(Path("demo")), tmp_path / "adapter"))
    (adapter / SUMS).unlink()
    os.mkfifo(adapter / SUMS)
    assert not fits_sums(adapter, ("adapter.json",))
    with pytest.raises(VoxTuneError, match=SUMS):
        read_facts(adapter)


def test_a_manifest_beside_a_pipe_is_read(tmp_path: Path) -> None:
    rows = [ManifestRow(participant_id="p", scan_id="s", image="s.nii.gz")]
    path = write_manifest(rows, tmp_path / "manifest.tsv")
    (tmp_path / "manifest.tsv.sha256").unlink()
    os.mkfifo(tmp_path / "manifest.tsv.sha256")
    assert [row.scan_id for row in read_manifest(path)] == ["s"]


@pytest.mark.parametrize(
    "beside", ["participants.json", "participants.csv", "notes.xlsx", "s1.json", "dataset_description.json"]
)
def test_a_pipe_in_a_folder_of_scans_stops_nobody(tmp_path: Path, beside: str) -> None:
    for name in ("s1", "s2"):
        (tmp_path / f"{name}.nii.gz").write_bytes(b"x")
    (tmp_path / "subjects.csv").write_text("participant_id,diagnosis\ns1,AD\ns2,NC\n", encoding="utf-8")
    os.mkfifo(tmp_path / beside)
    assert [row.scan_id for row in Folder(root=tmp_path).read().rows] == ["s1", "s2"]
    assert not is_output(tmp_path / beside)
    assert personal_columns(tmp_path / beside) == []
    assert personal_sidecar(tmp_path / beside) == []
    assert personal_dicom(tmp_path / beside) == []
    assert read_sidecar((tmp_path / beside).with_suffix(".nii")) == {}


def test_a_message_repeats_no_file() -> None:
    with pytest.raises(UsageError) as caught:
        RunConfig.from_json("[" * 200_000)
    assert len(str(caught.value)) < 2 * LONGEST_SAID + 200
    wrong = ", ".join(f'"nothing{number}": 1' for number in range(5000))
    with pytest.raises(UsageError, match=r"And \d+ more") as caught:
        RunConfig.from_json("{" + wrong + "}")
    assert len(str(caught.value)) < 10_000
