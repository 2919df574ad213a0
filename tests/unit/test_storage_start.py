"""A start that fails leaves nothing, and one run directory belongs to one process."""

import subprocess
import sys
from pathlib import Path

import pytest

from voxtune.commands.train.command import train
from voxtune.data.manifest import write_manifest
from voxtune.errors import UsageError, VoxTuneError
from voxtune.storage.lock import claimed
from voxtune.storage.start import nothing_left
from voxtune.types.records import ManifestRow


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A cohort whose images are not there: nothing that reads one gets on."""
    rows = [
        ManifestRow(
            participant_id=f"p{n}",
            scan_id=f"s{n}",
            image=f"s{n}.nii.gz",
            diagnosis=("NC", "AD")[n % 2],
            age=60 + n,
            mmse=20 + n % 9,
            source="SIMULATED",
        )
        for n in range(40)
    ]
    return write_manifest(rows, tmp_path / "manifest.tsv")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("backbone.weights=/nowhere/base.safetensors", r"base\.safetensors"),
        ("backbone.tokenizer=/nowhere/words", "words"),
        ("training.accelerator=cuda", "one that is here"),
        ("training.trackers=trackio", "trackio"),
        ("targets=weight_in_stone", "weight_in_stone"),
    ],
)
def test_what_can_be_known_is_said_before_an_image_is_read(
    manifest: Path, tmp_path: Path, edit: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the audit looked at images")

    monkeypatch.setattr("voxtune.audit.checks.find_leaks", never)
    with pytest.raises(VoxTuneError, match=said):
        train("deft", tmp_path / "a" / "run", data=manifest, assignments=[edit], say=lambda _: None)
    assert not (tmp_path / "a").exists()


def test_a_start_that_dies_in_the_audit_leaves_nothing_either(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("a note")
    with pytest.raises(VoxTuneError):
        train("deft", tmp_path / "run", data=manifest, say=lambda _: None)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_a_second_process_is_turned_away(manifest: Path, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, pathlib; from voxtune.storage.lock import claimed\n"
            f"with claimed(pathlib.Path({str(tmp_path / 'run')!r}), 'train'): print('held', flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(UsageError, match="Another process trains in 'run'"):
            train("deft", tmp_path / "run", data=manifest)
    finally:
        holder.kill()  # as the system kills for want of memory: its lock stays and counts for nothing
        holder.wait()
    with claimed(tmp_path / "run", "train") as mine:
        assert mine


def test_what_is_worth_keeping_stays(tmp_path: Path) -> None:
    def fail() -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "checkpoint").touch()
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"), nothing_left(tmp_path / "run", lambda: True):
        fail()
    assert (tmp_path / "run" / "checkpoint").exists()
