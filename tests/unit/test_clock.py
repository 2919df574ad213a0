"""A clock that is set back, as a machine does that asks the network for the time: nothing is lost, stolen or waited for."""

import itertools
import os
import re
import time
from pathlib import Path

import pytest

import voxtune
from voxtune.storage.lock import claimed, is_claimed
from voxtune.storage.processes import here
from voxtune.storage.write import PREFIX, sweep, write_text

WALL = re.compile(r"\btime\.time\(\)|\bdatetime\.now\(")
MAY_ASK = {
    "commands/evaluate/facts.py": "when somebody looked, as people count",
    "cli/base.py": "the date of a line in a log file",
    "commands/reproduce/loop.py": "a process that begins asks when the one before it began",
    "commands/reproduce/workers.py": "the same",
    "progress.py": "the date of a line in a log file",
    "storage/lock.py": "signs of life on a shared disk",
    "storage/write.py": "the age of what is left of another machine",
}
"""Who looks at the wall clock, and what for; every span is measured by a clock that only goes on."""


def test_spans_are_measured_by_a_clock_that_only_goes_on() -> None:
    root = Path(voxtune.__file__).parent
    asks = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if WALL.search(path.read_text(encoding="utf-8"))
    }
    assert asks == MAY_ASK.keys()


@pytest.mark.parametrize("back", [60.0, 1000.0, 86_400.0 / 2])
def test_a_living_holder_keeps_its_lock_and_its_half_written_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: float
) -> None:
    real, steps = time.time, itertools.count()
    half = tmp_path / f"{PREFIX}{here()}-{os.getpid()}-aa"
    half.touch()
    elsewhere = tmp_path / f"{PREFIX}00000000-1-bb"
    elsewhere.touch()
    with claimed(tmp_path, "train") as mine:
        assert mine
        monkeypatch.setattr(time, "time", lambda: real() - back - next(steps))
        assert is_claimed(tmp_path, "train")
        with claimed(tmp_path, "train") as second:
            assert not second
        monkeypatch.setattr(time, "time", lambda: real() - back)
        assert sweep(tmp_path) == 0
        write_text(tmp_path / "a", "x")
    assert not is_claimed(tmp_path, "train")
    assert half.exists()
    assert elsewhere.exists()
    with claimed(tmp_path, "train") as again:
        assert again


def test_another_process_of_the_same_number_holds_nothing(tmp_path: Path) -> None:
    with claimed(tmp_path, "train"):
        (lock,) = tmp_path.glob("train.lock.*")
        text = lock.read_text(encoding="utf-8")
        lock.write_text(re.sub(r'"started": "\d+"', '"started": "1"', text), encoding="utf-8")
        expected = '"started": "1"' not in lock.read_text(
            encoding="utf-8"
        )  # nobody says when a process began
        assert is_claimed(tmp_path, "train") is expected
