"""What the server does, whoever asks: take a scan, tell its state, make a heat map, forget it."""

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxtune.run_dir import read_json
from voxtune.serving.limits import Limits
from voxtune.serving.pool import COMMAND, Pool
from voxtune.serving.scans import Scans, ServedScan
from voxtune.serving.upload import Received, Refused

LOG = logging.getLogger("voxtune.serve")
PREFIX = "voxtune-serve-"
SWEEP_SECONDS = 5.0


class Service:
    """A pool of workers and the scans it works on, in one private folder that goes when the server ends."""

    def __init__(
        self,
        adapter: Path,
        base: Path | None,
        limits: Limits,
        command: Sequence[str] = COMMAND,
        *,
        device: str = "cpu",
    ) -> None:
        self.limits = limits
        self.pool = Pool(adapter, base, limits, command, device=device)
        remove_orphans(Path(tempfile.gettempdir()))
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.scans = Scans(self.root, limits.keep_seconds)
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Load the model in a worker.

        Raises:
            WeightsError: the adapter does not load.
        """
        try:
            await self.pool.start()
        except BaseException:
            shutil.rmtree(self.root, ignore_errors=True)
            raise
        self._spawn(self._sweep())

    async def stop(self) -> None:
        """End the workers and delete everything."""
        for task in self._background:
            task.cancel()
        await self.pool.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def check_room(self, announced: int) -> None:
        """Refuse an upload for which there is no room.

        Raises:
            Refused: 429 when too many wait, 507 when too much is stored.
        """
        if self.scans.unfinished() >= self.limits.waiting:
            raise Refused(429, f"{self.limits.waiting} scans wait already; try again in a minute.")
        if self.scans.stored_bytes() + announced > self.limits.stored_bytes:
            raise Refused(507, "The server stores as much as it may; delete scans or try again later.")

    def take(
        self, scan_id: str, folder: Path, received: Received, series: str | None = None
    ) -> tuple[ServedScan, "asyncio.Task[None]"]:
        """Queue an uploaded scan; the task ends with it."""
        scan = ServedScan(scan_id, received.name, folder, received.file, received.size)
        self.scans.add(scan)
        LOG.info("scan %s: %d bytes", scan.id, scan.size)
        return scan, self._spawn(self._predict(scan, series))

    async def _predict(self, scan: ServedScan, series: str | None) -> None:
        message = {"do": "predict", "folder": str(scan.folder), "scan": str(scan.file), "name": scan.name}
        if series is not None:
            message["series"] = series
        job = self.pool.submit(message, scan)
        try:
            end = await job.answer
        except asyncio.CancelledError:
            if job.answer.cancelled():
                return
            raise
        if "done" in end:
            scan.finish(result=end["done"])
        else:
            scan.finish(error=str(end.get("failed", "It cannot be processed.")))
        self.pool.counts[scan.state] += 1
        LOG.info("scan %s: %s after %.1f s", scan.id, scan.state, scan.seconds() or 0.0)

    def forget(self, scan: ServedScan) -> None:
        """Delete a scan that is not being worked on; one that waits leaves the queue."""
        for job in self.pool.waiting(scan):
            job.answer.cancel()
        self.scans.delete(scan)

    def discard(self, folder: Path) -> None:
        """Remove the folder of an upload that came to nothing."""
        shutil.rmtree(folder, ignore_errors=True)

    async def heat(self, scan: ServedScan, target: str, biomarker: str | None) -> dict[str, Any]:
        """The heat map of a finished scan, made if it is not there yet; what it shows, with the name of its file.

        Raises:
            Refused: an unknown target or biomarker, a scan without a result, or a map that cannot be made.
        """
        if scan.state != "done":
            raise Refused(409, "This scan has no result to explain.")
        file = self.map_file(target, biomarker)
        kept = scan.folder / f"{file}.json"
        if not kept.is_file():
            message = {
                "do": "map",
                "folder": str(scan.folder),
                "file": file,
                "target": target,
                "biomarker": biomarker,
            }
            end = await self.pool.submit(message, scan).answer
            if "done" not in end:
                raise Refused(422, str(end.get("failed")))
            self.pool.counts["maps"] += 1
        return read_json(kept, "what a heat map shows") | {"file": file}

    def map_file(self, target: str, biomarker: str | None) -> str:
        """The file name of a heat map: numbers, so that no word from outside becomes part of a path.

        Raises:
            Refused: 404 for a target or biomarker that this adapter does not have.
        """
        targets, biomarkers = self.pool.facts["targets"], list(self.pool.facts["biomarkers"])
        if target not in targets:
            raise Refused(404, f"No such target; there are: {', '.join(targets)}.")
        if biomarker is not None and biomarker not in biomarkers:
            raise Refused(404, f"No such biomarker; there are: {', '.join(biomarkers) or 'none'}.")
        return f"map-{targets.index(target):03d}-{0 if biomarker is None else biomarkers.index(biomarker) + 1:03d}"

    def _spawn(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self.limits.keep_seconds))
            if count := self.scans.delete_expired():
                LOG.info("%d scans deleted after their time", count)


def remove_orphans(folder: Path) -> None:
    """Remove what servers left behind that were killed: folders of ours whose process is gone."""
    for left in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(ValueError, OSError):
            if left.stat().st_uid == os.getuid() and not _runs(
                int(left.name.removeprefix(PREFIX).split("-")[0])
            ):
                shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
