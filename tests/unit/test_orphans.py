"""A command that is killed takes its workers with it: nothing goes on computing, or holds a lock or an accelerator, for nobody."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORK = """
import os, sys, time
from pathlib import Path

def rest(name):
    (Path(os.environ["PLACE"]) / f"{os.getpid()}.pid").touch()
    time.sleep(120)
    return name

def crew(place, workers):
    rest(place)

if __name__ == "__main__":
    from voxtune.commands.crew import run_crew
    from voxtune.commands.spread import on_processes

    if sys.argv[1] == "crew":
        run_crew(crew, (), 2, print, "cells")
    else:
        list(on_processes(rest, [1, 2, 3], lambda job: job, 2))
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended and was not waited for is dead all the same.
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["crew", "pool"])
def test_workers_end_with_the_command_that_started_them(
    tmp_path: Path, kind: str, ending: signal.Signals
) -> None:
    (tmp_path / "resting.py").write_text(WORK, encoding="utf-8")
    command = subprocess.Popen(
        [sys.executable, str(tmp_path / "resting.py"), kind], env={**os.environ, "PLACE": str(tmp_path)}
    )
    try:
        until = time.monotonic() + 120
        while len(workers := [int(one.stem) for one in tmp_path.glob("*.pid")]) < 2:
            assert time.monotonic() < until, "no worker began"
            assert command.poll() is None
            time.sleep(0.1)
    finally:
        command.send_signal(ending)
        command.wait()
    until = time.monotonic() + 60
    while left := [pid for pid in workers if alive(pid)]:
        if time.monotonic() > until:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"{len(left)} of {len(workers)} workers went on")
        time.sleep(0.1)
