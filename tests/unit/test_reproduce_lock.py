"""One worker a cell: a lock is held by one, released by its end, taken over from the dead and never from the living."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from voxtune.storage import lock
from voxtune.storage.lock import claimed, is_claimed, waited
from voxtune.storage.processes import here, where
from voxtune.storage.write import PREFIX


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def leave(folder: Path, number: int, pid: int, place: str | None = None) -> Path:
    path = folder / f"cell.lock.{number}"
    path.write_text(json.dumps({"pid": pid, "where": place or where()}), encoding="utf-8")
    return path


def test_only_one_holds_it_and_nothing_is_left(tmp_path: Path) -> None:
    with claimed(tmp_path, "cell") as first:
        assert first
        assert is_claimed(tmp_path, "cell")
        with claimed(tmp_path, "cell") as second, claimed(tmp_path, "other") as other:
            assert not second
            assert other
        assert is_claimed(tmp_path, "cell"), "who did not get it must not release it"
    assert not is_claimed(tmp_path, "cell")
    assert not list(tmp_path.iterdir())


def test_it_is_released_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), claimed(tmp_path, "cell"):
        raise ValueError("broken")
    with claimed(tmp_path, "cell") as mine:
        assert mine


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    leave(tmp_path, 1, dead_process())
    assert not is_claimed(tmp_path, "cell")
    with claimed(tmp_path, "cell") as mine:
        assert mine
        assert {path.name for path in tmp_path.iterdir()} == {"cell.lock.1", "cell.lock.2"}
    assert not list(tmp_path.iterdir())


def test_the_lock_of_another_machine_lives_by_its_beat(tmp_path: Path) -> None:
    path = leave(tmp_path, 1, 1, place="another machine")
    with claimed(tmp_path, "cell") as mine:
        assert not mine
    long_ago = time.time() - 2 * lock.STALE_SECONDS
    os.utime(path, (long_ago, long_ago))
    with claimed(tmp_path, "cell") as mine:
        assert mine


def test_a_holder_shows_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with claimed(tmp_path, "cell"):
        path = tmp_path / "cell.lock.1"
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def test_half_a_lock_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "cell.lock.1").write_text('{"pid": 1', encoding="utf-8")
    with claimed(tmp_path, "cell") as mine:
        assert not mine


def _contend(folder: str, go: str, out: "multiprocessing.Queue[bool]") -> None:
    while not Path(go).exists():
        pass
    with claimed(Path(folder), "cell") as mine:
        out.put(mine)
        while mine and not Path(go).with_name("told").exists():  # held until everyone has asked for it
            time.sleep(0.01)


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_at_once_one_gets_it(tmp_path: Path, *, stale: bool) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    if stale:
        leave(folder, 1, dead_process())
    context = multiprocessing.get_context("fork")
    out: multiprocessing.Queue[bool] = context.Queue()  # type: ignore[assignment]
    crew = [context.Process(target=_contend, args=(str(folder), str(tmp_path / "go"), out)) for _ in range(6)]
    for process in crew:
        process.start()
    (tmp_path / "go").touch()
    found = [out.get(timeout=60) for _ in crew]
    (tmp_path / "told").touch()
    for process in crew:
        process.join()
    assert found.count(True) == 1


def test_waiting_takes_it_after_the_other(tmp_path: Path) -> None:
    path = leave(tmp_path, 1, os.getpid())
    path.unlink()
    with waited(tmp_path, "cell", every=0.01):
        assert is_claimed(tmp_path, "cell")


def test_what_a_killed_claim_left_half_written_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    left = folder / f"{PREFIX}{here()}-{dead_process()}-0011aabb"
    left.touch()
    with claimed(folder, "cell") as mine:
        assert mine
        assert not left.exists()


@pytest.mark.parametrize(
    "text",
    ["", "3", "[]", "null", "{}", '{"pid": "x", "where": ""}', '{"pid": [], "where": ""}', '{"pid": 1e300, "where": ""}', "[" * 9000],
)  # fmt: skip
def test_a_lock_that_nobody_wrote_holds_for_a_while_and_not_for_ever(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cell.lock.1"
    path.write_text(text)
    assert is_claimed(tmp_path, "cell")
    os.utime(path, (0, 0))
    assert not is_claimed(tmp_path, "cell")
    with claimed(tmp_path, "cell") as mine:
        assert mine
