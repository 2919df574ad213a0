"""A cluster that goes away is a sentence; nothing hangs, and what was finished stays."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from voxtune.commands.spread import spread
from voxtune.errors import DataError

CLUSTER = """
import sys, time
from distributed import LocalCluster
with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp") as cluster:
    print(cluster.scheduler_address, flush=True)
    time.sleep(120)
"""


@pytest.fixture
def cluster(unmeasured: dict[str, str]) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a scheduler with a worker, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdout=subprocess.PIPE, text=True, env=unmeasured
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip(), process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_lost_scheduler_is_said_and_what_was_finished_is_kept(
    cluster: tuple[str, "subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    address, process = cluster
    done: list[float] = []

    def all_of_them() -> None:
        for job, _ in spread(time.sleep, [0.0, 100.0], lambda _: None, scheduler=address):
            done.append(job)
            process.kill()

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s", "distributed.client.heartbeat": "1s"}),
        pytest.raises(DataError, match=r"scheduler at .* was lost .* again"),
    ):
        all_of_them()
    assert len(done) == 1


def test_nobody_at_that_address(tmp_path: Path) -> None:
    from voxtune.errors import UsageError

    del tmp_path
    with pytest.raises(UsageError, match="No Dask scheduler answers"):
        list(spread(time.sleep, [0.0], lambda _: None, scheduler="nonsense://x"))
