"""What the server does, whoever asks: take a scan, tell its state, make a heat map, forget it."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voxtune.errors import StorageError
from voxtune.run_dir import read_json
from voxtune.serving.limits import Limits
from voxtune.serving.monitor import Monitor
from voxtune.serving.pool import COMMAND, Pool
from voxtune.serving.scans import FIGURES, Scans, ServedScan
from voxtune.serving.upload import Received, Refused
from voxtune.storage.failures import REFUSED, reason_of
from voxtune.storage.scratch import new_scratch, sweep_scratch
from voxtune.types.conformal import WantedSets

LOG = logging.getLogger("voxtune.serve")
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
        sets: WantedSets | None = None,
    ) -> None:
        self.limits = limits
        self.root = new_scratch("serve")  # what a killed server left goes first
        self.pool = Pool(adapter, base, limits, self.root, command, device=device, sets=sets)
        self.monitor = Monitor()
        self._reserved: list[int] = []
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
        self.monitor = Monitor(self.pool.facts.pop("reference", {}))
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
        if self.scans.unfinished() + len(self._reserved) >= self.limits.waiting:
            raise Refused(429, f"{self.limits.waiting} scans wait already; try again in a minute.")
        if self.scans.stored_bytes() + sum(self._reserved) + announced > self.limits.stored_bytes:
            raise Refused(507, "The server stores as much as it may; delete scans or try again later.")
        if why := self.storage_trouble(announced):
            raise Refused(507, f"The server cannot store the scan: {why}. Try again when there is room.")

    @contextlib.contextmanager
    def room(self, announced: int | None) -> Iterator[None]:
        """Hold the room of an upload while it comes in, so that many at once cannot take more than there is.

        Args:
            announced: its bytes; ``None``: unknown, so that as much is held as one may have.

        Raises:
            Refused: 429 or 507.
        """
        size = self.limits.upload_bytes if announced is None else announced
        self.check_room(size if announced is not None else min(size, self.limits.stored_bytes))
        self._reserved.append(size)
        try:
            yield
        except (OSError, StorageError) as error:
            if (why := reason_of(error)) is None:
                raise
            raise Refused(
                507, f"The server cannot store the scan: {why}. Try again when there is room."
            ) from error
        finally:
            self._reserved.remove(size)

    def storage_trouble(self, more: int = 0) -> str | None:
        """Why nothing (or not so much more) can be stored now; ``None`` where it can."""
        probe = self.root / ".probe"
        try:
            probe.write_bytes(b"0" * 4096)
            if shutil.disk_usage(self.root).free < more:
                return "the disk is full"
        except OSError as error:
            return REFUSED.get(error.errno or 0, "the disk reports an error")
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
        return None

    def take(
        self,
        scan_id: str,
        folder: Path,
        received: Received,
        series: str | None = None,
        earlier: Sequence[tuple[ServedScan, float]] = (),
    ) -> tuple[ServedScan, "asyncio.Task[None]"]:
        """Queue an uploaded scan, with the earlier scans of its person and the years between; the task ends with it."""
        scan = ServedScan(scan_id, received.name, folder, received.file, received.size)
        self.scans.add(scan)
        LOG.info("scan %s: %d bytes", scan.id, scan.size)
        return scan, self._spawn(self._predict(scan, series, earlier))

    async def _predict(
        self, scan: ServedScan, series: str | None, earlier: Sequence[tuple[ServedScan, float]] = ()
    ) -> None:
        message: dict[str, Any] = {
            "do": "predict",
            "folder": str(scan.folder),
            "scan": str(scan.file),
            "name": scan.name,
        }
        if series is not None:
            message["series"] = series
        if earlier:
            message["earlier"] = [
                {"folder": str(one.folder), "name": one.name, "years": years} for one, years in earlier
            ]
        job = self.pool.submit(message, scan)
        try:
            end = await job.answer
        except asyncio.CancelledError:
            if job.answer.cancelled():
                return
            raise
        if "done" in end:
            figures = end["done"].pop(FIGURES, {})
            scan.finish(result=end["done"])
            self.monitor.add(figures, str(end["done"].get("verdict", "")))
        else:
            scan.finish(
                error=str(end.get("failed", "It cannot be processed.")), unstored=bool(end.get("unstored"))
            )
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
            Refused: an unknown target or biomarker, a scan without a result, or a map that cannot be made or stored.
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
                raise Refused(507 if end.get("unstored") else 422, str(end.get("failed")))
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
            sweep_scratch(self.root)  # what workers that died had unpacked
            if count := self.scans.delete_expired():
                LOG.info("%d scans deleted after their time", count)
