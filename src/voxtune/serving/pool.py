"""The worker processes and the queue before them: time limits, deaths, retries. A worker's death never reaches the server."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxtune.errors import WeightsError
from voxtune.pages.slices import current_view
from voxtune.serving.limits import Limits
from voxtune.serving.scans import ServedScan
from voxtune.serving.walls import private_places
from voxtune.types.conformal import WantedSets

LOG = logging.getLogger("voxtune.serve")
START_SECONDS = 300.0
"""For a worker to load the model."""
LINE_BYTES = 2**22
"""Longest line a worker may say."""
COMMAND = (sys.executable, "-P", "-m", "voxtune.serving.worker")
"""The current folder is none of the places that a worker imports from."""


class WorkerDied(Exception):  # noqa: N818  (an event between pool and worker, no error of the user)
    """The process ended, or said something that is not ours."""


@dataclass
class Job:
    """Something a worker is to do; ``answer`` is set to its result, or to a sentence that says why there is none."""

    message: dict[str, Any]
    scan: ServedScan
    answer: "asyncio.Future[dict[str, Any]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Pool:
    """Workers that take jobs in the order they came."""

    def __init__(
        self,
        adapter: Path,
        base: Path | None,
        limits: Limits,
        root: Path,
        command: Sequence[str] = COMMAND,
        *,
        device: str = "cpu",
        sets: WantedSets | None = None,
    ) -> None:
        self.device, self.sets = device, sets
        self.adapter, self.base, self.limits, self.root, self.command = adapter, base, limits, root, command
        self.queue: asyncio.Queue[Job] = asyncio.Queue()
        self.facts: dict[str, Any] = {}
        self.counts: Counter[str] = Counter()
        self.seconds = 0.0
        self.workers = [Worker(self) for _ in range(limits.workers)]
        self._loops: list[asyncio.Task[None]] = []
        self._jobs: list[Job] = []

    async def start(self) -> None:
        """Start the first worker, learn from it what the adapter is, and let all of them take jobs.

        Raises:
            WeightsError: the adapter does not load; the message is the worker's.
        """
        self.facts = await self.workers[0].start()
        self._loops = [asyncio.create_task(self._serve(worker)) for worker in self.workers]

    async def stop(self) -> None:
        """End every worker."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await asyncio.gather(*(worker.kill() for worker in self.workers))

    def submit(self, message: dict[str, Any], scan: ServedScan) -> Job:
        """Put a job at the end of the queue."""
        job = Job(message, scan)
        self._jobs = [*(one for one in self._jobs if not one.answer.done()), job]
        self.queue.put_nowait(job)
        return job

    def waiting(self, scan: ServedScan) -> list[Job]:
        """The unfinished jobs of a scan."""
        return [one for one in self._jobs if one.scan is scan and not one.answer.done()]

    async def _serve(self, worker: "Worker") -> None:
        while True:
            job = await self.queue.get()
            if not job.answer.done():
                await self._run(worker, job)

    async def _run(self, worker: "Worker", job: Job) -> None:
        began = time.monotonic()
        first = job.message["do"] == "predict"
        end: dict[str, Any] = {}
        for attempt in range(1, self.limits.attempts + 1):
            if first:
                job.scan.attempts = attempt
            try:
                end = await asyncio.wait_for(worker.do(job), self.limits.seconds)
                break
            except TimeoutError:
                await worker.kill()
                end = {
                    "failed": f"It took longer than the limit of {self.limits.seconds:.0f} s for one scan."
                }
                self._count("timeouts")
                break
            except WorkerDied:
                await worker.kill()
                self._count("deaths")
                LOG.warning(
                    "scan %s: its worker died, attempt %d of %d", job.scan.id, attempt, self.limits.attempts
                )
                end = {
                    "failed": f"The process that worked on it died {_times(attempt)}, as it does when memory runs out."
                }
            except Exception as error:  # noqa: BLE001  (whatever it is, who asked hears of it and the next scan is taken)
                await worker.kill()
                self._count("deaths")
                LOG.warning(
                    "scan %s: no process can be started for it (%s)", job.scan.id, type(error).__name__
                )
                end = {"failed": "The server cannot start a process for it now; try again later."}
        self.seconds += time.monotonic() - began
        if not job.answer.done():
            job.answer.set_result(end)

    def _count(self, name: str) -> None:
        self.counts[name] += 1


class Worker:
    """One process, started when it is needed."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.returncode is None

    async def start(self) -> dict[str, Any]:
        """Start the process and wait until the model is loaded; what it says of the adapter.

        Raises:
            WeightsError: the adapter does not load.
            WorkerDied: the process ended before it said anything.
        """
        limits = self.pool.limits
        # Whatever libraries print may hold parts of a scan's header, so it goes nowhere.
        self.process = await asyncio.create_subprocess_exec(
            *self.pool.command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=LINE_BYTES, env=_environment(limits.threads, self.pool.root), start_new_session=True,
        )  # fmt: skip
        await self._write(
            {
                "adapter": str(self.pool.adapter.resolve()),
                "base": None if self.pool.base is None else str(self.pool.base.resolve()),
                "device": self.pool.device,
                "view": current_view(),
                "sets": None if self.pool.sets is None else dataclasses.asdict(self.pool.sets),
                "threads": limits.threads,
                "memory_bytes": limits.memory_bytes,
                "scratch": str(self.pool.root),
            }
        )
        message = await asyncio.wait_for(self._read(), START_SECONDS)
        if "fatal" in message:
            await self.kill()
            raise WeightsError(str(message["fatal"]))
        ready: dict[str, Any] = message["ready"]
        return ready

    async def do(self, job: Job) -> dict[str, Any]:
        """Do one job; its end as the worker says it.

        Raises:
            WorkerDied: the process ended.
        """
        if not self.alive:
            try:
                await self.start()
            except (WeightsError, TimeoutError) as error:
                raise WorkerDied(str(error)) from error
        if job.message["do"] == "predict":
            job.scan.state, job.scan.started = "working", time.monotonic()
        await self._write(job.message)
        while True:
            message = await self._read()
            if "step" in message:
                job.scan.step = str(message["step"])
            else:
                return message

    async def kill(self) -> None:
        """End the process now."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        self.process = None

    async def _write(self, message: dict[str, Any]) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            await self.process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise WorkerDied from error

    async def _read(self) -> dict[str, Any]:
        assert self.process is not None
        assert self.process.stdout is not None
        try:
            line = await self.process.stdout.readline()
            message = json.loads(line)
        except (ValueError, ConnectionResetError) as error:
            raise WorkerDied from error
        if not isinstance(message, dict):
            raise WorkerDied
        return message


def _environment(threads: int, root: Path) -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONUTF8": "1"}
    home = {"VOXTUNE_HOME": os.environ.get("VOXTUNE_HOME") or str(Path.home() / ".voxtune")}
    return (
        keep
        | offline
        | home
        | private_places(root)
        | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    )


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
