"""One writer: whole or not at all, private, swept after the dead; and what a disk refuses is one sentence."""

import errno
import json
import multiprocessing
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.data.manifest import edited_since, read_manifest, write_manifest, write_table
from voxtune.errors import DataError, ScanError, StorageError
from voxtune.imaging.boundary import one_sentence
from voxtune.storage import scratch as scratch_place
from voxtune.storage import write
from voxtune.storage.failures import cause_of
from voxtune.storage.processes import here
from voxtune.storage.scratch import new_scratch, scratch
from voxtune.storage.seal import (
    DamagedError,
    fits_sums,
    read_sealed,
    sealed_text,
    with_hash,
    without_hash,
    write_sealed,
    write_sums,
)  # fmt: skip
from voxtune.storage.strict_json import finite, loads
from voxtune.storage.write import (
    append_line,
    atomic_path,
    sweep,
    whole_lines,
    write_bytes,
    write_json,
    write_text,
)
from voxtune.types.records import ManifestRow
from voxtune.types.words import cleaned, shows


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def row(name: str = "s") -> ManifestRow:
    return ManifestRow(participant_id=f"p{name}", scan_id=name, image=f"{name}.nii.gz")


# -------------------------------------------------------------------------------------- the writer
@pytest.mark.parametrize(("umask", "shared"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes_follow_the_umask_and_people_stay_private(tmp_path: Path, umask: int, shared: int) -> None:
    before = os.umask(umask)
    try:
        write_manifest([row()], tmp_path / "manifest.tsv")
        write_json(tmp_path / "metrics.json", {}, shared=True)
        append_line(tmp_path / "looks.jsonl", "{}")
        write_sealed(tmp_path / "split.json", {})
    finally:
        os.umask(before)
    private = ("manifest.tsv", "manifest.tsv.sha256", "looks.jsonl", "split.json")
    assert {mode(tmp_path / name) for name in private} == {0o600}
    assert mode(tmp_path / "metrics.json") == shared


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    write_text(path, "old")

    def fail() -> None:
        with atomic_path(path) as part:
            part.write_text("ne")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        fail()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.tsv", "old")]


def test_file_and_folder_are_synchronised_before_it_is_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(*names: object) -> None:
        done.append("rename")
        real_replace(*names)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    write_text(tmp_path / "a", "x")
    assert done == ["file", "rename", "folder"]
    done.clear()
    write_bytes(tmp_path / "b", b"x", durable=False)
    assert done == ["rename"]


def _leave_room(folder: str) -> None:
    with atomic_path(Path(folder) / "b.safetensors", room=True) as part:
        part.with_name(".tmpXyZ").write_bytes(b"half")
        os._exit(9)


def test_the_folder_of_a_killed_library_is_swept(tmp_path: Path) -> None:
    killed = multiprocessing.get_context("fork").Process(target=_leave_room, args=(str(tmp_path),))
    killed.start()
    killed.join()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert sweep(tmp_path) == 1
    assert not list(tmp_path.iterdir())


def _leave(folder: str) -> None:
    with atomic_path(Path(folder) / "a.nii.gz") as part:
        part.write_bytes(b"half")
        os._exit(9)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    killed = multiprocessing.get_context("fork").Process(target=_leave, args=(str(tmp_path),))
    killed.start()
    killed.join()
    (left,) = tmp_path.glob(".part-*.nii.gz")
    living = tmp_path / f".part-{here()}-{os.getpid()}-aa"
    elsewhere = tmp_path / ".part-00000000-1-bb"
    for path in (living, elsewhere):
        path.touch()
    old = tmp_path / ".part-old"
    old.touch()
    os.utime(old, (0, 0))
    assert sweep(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir()} == {living.name, elsewhere.name}
    assert not left.exists()
    assert sweep(tmp_path / "nowhere") == 0


def test_scratch_of_the_dead_goes_and_that_of_the_living_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch_place.tempfile, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = tmp_path / f"voxtune-zip-{here()}-{gone.pid}-x"
    other = tmp_path / "voxtune-notes"
    for folder in (dead, other):
        folder.mkdir()
    (dead / "patient.nii").touch()
    mine = new_scratch("serve")
    with scratch("zip") as folder:
        assert mode(folder) == 0o700
        assert {path.name for path in tmp_path.iterdir()} == {mine.name, other.name, folder.name}
    assert not folder.exists()


# ---------------------------------------------------------------------------------------- the disk
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_what_the_disk_refuses_is_one_sentence_with_code_3(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_manifest([row(f"s{n}") for n in range(20)], tmp_path / "manifest.tsv")

    def refuse(path: object, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "replace", refuse)
    ended = CliRunner().invoke(main, ["split", str(manifest), "-o", str(tmp_path / "split")])
    assert ended.exit_code == 3
    assert "cannot be written: " in ended.output
    assert "the same command again" in ended.output
    assert len(ended.output.strip().splitlines()) <= 2  # the note that no scan has a label
    assert not list((tmp_path / "split").glob("*"))
    monkeypatch.undo()
    assert CliRunner().invoke(main, ["split", str(manifest), "-o", str(tmp_path / "split")]).exit_code == 0


def test_a_full_disk_is_no_fault_of_a_scan() -> None:
    with pytest.raises(StorageError, match="the disk is full"), one_sentence("scan.nii"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ScanError, match=r"scan\.nii"), one_sentence("scan.nii"):
        raise OSError(errno.EACCES, "Permission denied")


def test_the_cause_is_found_behind_what_libraries_make_of_it() -> None:
    rust = RuntimeError('I/O error: Os { code: 28, kind: StorageFull, message: "No space left on device" }')
    assert cause_of(rust) == "the disk is full"
    behind = ValueError("x")
    behind.__cause__ = OSError(errno.EDQUOT, "x")
    assert cause_of(behind) == "the disk quota is used up"
    assert cause_of(ValueError("code: none")) is None
    newer = "Error while serializing: I/O error: Disk quota exceeded (os error 122) at path"
    assert cause_of(RuntimeError(newer)) == "the disk quota is used up"


def test_what_a_library_says_in_words_while_it_writes_is_of_that_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no permission"), atomic_path(tmp_path / "a"):
        raise RuntimeError("I/O error: Permission denied (os error 13) at path x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.parametrize("shared", [True, False])
def test_a_library_that_writes_beside_its_file_leaves_nothing_and_changes_no_mode(
    tmp_path: Path, umask: int, *, shared: bool
) -> None:
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "a.safetensors", shared=shared, room=True) as part:
            own = part.with_name(".tmpAbC")
            own.write_bytes(b"x")
            own.chmod(0o600 if shared else 0o644)
            own.replace(part)
            part.with_name("left").touch()
    finally:
        os.umask(before)
    (there,) = tmp_path.iterdir()
    assert (there.name, there.read_bytes()) == ("a.safetensors", b"x")
    assert mode(there) == ((0o666 & ~umask) if shared else 0o600)


def test_a_missing_permission_elsewhere_is_not_said_of_the_file_that_is_written(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/scan.nii")
    with pytest.raises(StorageError, match="no permission"), atomic_path(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".part-x"))


def half_then(error: bool) -> Callable[[int, bytes], int]:
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        written = real(descriptor, data[: len(data) // 2])
        if error:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return written

    return half


@pytest.mark.parametrize("error", [True, False])
def test_half_a_line_of_a_log_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: bool) -> None:
    log = tmp_path / "a.jsonl"
    append_line(log, "first")
    monkeypatch.setattr(os, "write", half_then(error))
    with pytest.raises(StorageError, match="quota" if error else "full"):
        append_line(log, "second")
    monkeypatch.undo()
    assert log.read_text() == "first\n"
    append_line(log, "third")
    assert whole_lines(log.read_text()) == ["first", "third"]


@pytest.mark.parametrize("left", ["", "{", "x" * 10_000])
def test_what_a_power_cut_left_of_a_line_is_dropped(tmp_path: Path, left: str) -> None:
    for lines in ("", "first\n", "first\n" + "y" * 9000 + "\n"):
        log = tmp_path / "a.jsonl"
        log.write_text(lines + left)
        assert whole_lines(log.read_text()) == lines.splitlines()
        append_line(log, "next")
        assert log.read_text() == f"{lines}next\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_standard_output_on_a_full_disk_is_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from voxtune.cli import main; main()", "info"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )  # fmt: skip
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# --------------------------------------------------------------------------------------- the seals
def test_any_changed_bit_of_sealed_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_sealed(path, {"a": 0.1, "b": ["x", None], "c": {}})
    whole = path.read_bytes()
    assert read_sealed(path, "facts") == {"a": 0.1, "b": ["x", None], "c": {}}
    assert sealed_text(json.loads(whole)).encode() == whole, "sealed twice is sealed once"
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            read_sealed(path, "facts")


def test_what_never_had_a_seal_is_read_and_half_a_seal_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_sealed(path, "facts") == {"a": 1}
    for text in ('{"sealed": true}', '{"content_sha256": "x"}'):
        path.write_text(text)
        with pytest.raises(DamagedError):
            read_sealed(path, "facts")
    path.write_text("[1]")
    with pytest.raises(DataError, match="as a JSON object, got list"):
        read_sealed(path, "facts")
    with pytest.raises(DataError, match="no such file"):
        read_sealed(tmp_path / "b.json", "facts")
    with pytest.raises(DataError, match="IsADirectoryError"):
        read_sealed(tmp_path, "facts")


def test_entries_end_with_their_hash() -> None:
    stored = with_hash(b"abc")
    assert without_hash(stored, "it") == b"abc"
    for broken in (b"", b"abc", stored[:-1], stored + b"x"):
        with pytest.raises(DamagedError, match="it is damaged"):
            without_hash(broken, "it")


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    write_sums(tmp_path, ("a",))
    assert fits_sums(tmp_path, ("a",))
    (tmp_path / "a").write_bytes(b"abd")
    assert not fits_sums(tmp_path, ("a",))
    assert not fits_sums(tmp_path / "none", ("a",))


def test_a_manifest_that_was_edited_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_manifest([row()], tmp_path / "manifest.tsv")
    assert not edited_since(path)
    read_manifest(path)
    assert capsys.readouterr().err == ""
    path.write_text(path.read_text().replace("s.nii.gz", "t.nii.gz"))
    assert edited_since(path)
    for _ in range(2):
        read_manifest(path)
    assert capsys.readouterr().err.count("manifest.tsv is not as it was written") == 1
    write_table(tmp_path / "own.tsv", ("a",), [])
    assert not edited_since(tmp_path / "own.tsv"), "a table of somebody's own has no sum"


# ------------------------------------------------------------------------------ numbers and words
@pytest.mark.parametrize(
    "text", ['{"a": NaN}', "[Infinity]", "[-Infinity]", "[1e999]", '{"a": 1, "a": 2}', "[" * 100_000]
)
def test_json_is_strict(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads(text)


def test_logs_hold_null_for_what_is_no_number() -> None:
    told = finite({"loss": float("nan"), "all": [1.0, float("inf")], "word": "x"})
    assert told == {"loss": None, "all": [1.0, None], "word": "x"}


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\rb", "\x9b1m", "x\u202ey", "\u2066z", "\ud800", "\x00", "\x7f"]
)
def test_words_from_files_move_no_cursor(text: str) -> None:
    assert not shows(text)
    assert shows(cleaned(text))


def test_plain_words_stay() -> None:
    for text in ("Jörg, 北京\n\tx", "a b", ""):
        assert cleaned(text) == text
    ended = CliRunner().invoke(main, ["split", "\x1b[31mred.tsv", "-o", "x"])
    assert "\x1b" not in ended.output
    assert "\\x1b[31mred.tsv" in ended.output
    assert write.PREFIX == ".part-"
