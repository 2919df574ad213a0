"""The scans a server holds: their state, their folders, and their end. Nothing outlives the server."""

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

RESULT, PAGE, GREY, TENSOR = "result.json", "page.html", "volume.u8", "tensor.f32"
"""What a worker leaves in the folder of a scan."""
CHANGE = "change.u8"
"""And of one that earlier scans were read beside: where the picture changed, as a heat map."""
FIGURES = "figures"
"""What a worker says beside an answer, for the sums of the monitor; it is no part of the answer and is not kept."""
ZERO = 128
"""Of a stored heat map, a byte a voxel: 255 stands for 1, 1 for -1."""
State = Literal["waiting", "working", "done", "failed"]


@dataclass
class ServedScan:
    """One uploaded scan. Its name is shown to whoever sent it and never logged."""

    id: str
    name: str
    folder: Path
    file: Path
    size: int
    state: State = "waiting"
    step: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    unstored: bool = False
    """There is no answer because the disk had no room for it: no fault of the scan."""
    attempts: int = 0
    created: float = field(default_factory=time.monotonic)
    started: float | None = None
    ended: float | None = None

    @property
    def over(self) -> bool:
        """Whether there is an answer or a reason why there is none."""
        return self.state in {"done", "failed"}

    def finish(
        self, *, result: dict[str, Any] | None = None, error: str | None = None, unstored: bool = False
    ) -> None:
        """Set the end; the uploaded file is not needed any more and goes at once."""
        self.state = "done" if error is None else "failed"
        self.result, self.error, self.step, self.unstored = result, error, None, unstored
        self.ended = time.monotonic()
        self.file.unlink(missing_ok=True)

    def seconds(self) -> float | None:
        """How long it has been worked on."""
        return None if self.started is None else (self.ended or time.monotonic()) - self.started


class Scans:
    """All scans of a server, oldest first, each in a folder with a random name under one private folder."""

    def __init__(self, root: Path, keep_seconds: float) -> None:
        self.root, self.keep_seconds = root, keep_seconds
        self._scans: dict[str, ServedScan] = {}

    def __iter__(self) -> Iterator[ServedScan]:
        return iter(list(self._scans.values()))

    def __len__(self) -> int:
        return len(self._scans)

    def get(self, scan_id: str) -> ServedScan | None:
        """The scan of that id, if it is here (still)."""
        return self._scans.get(scan_id)

    def new_folder(self) -> tuple[str, Path]:
        """An id nobody can guess, and its folder."""
        scan_id = secrets.token_hex(8)
        folder = self.root / scan_id
        folder.mkdir(mode=0o700)
        return scan_id, folder

    def add(self, scan: ServedScan) -> None:
        """Hold a scan."""
        self._scans[scan.id] = scan

    def unfinished(self) -> int:
        """Scans without an end yet."""
        return sum(not one.over for one in self)

    def ahead_of(self, scan: ServedScan) -> int:
        """How many waiting scans come before it."""
        before = 0
        for one in self:
            if one.id == scan.id:
                break
            before += one.state == "waiting"
        return before

    def stored_bytes(self) -> int:
        """What the folders of all scans take on disk."""
        sizes = 0
        for scan in self:
            for path in scan.folder.rglob("*"):
                with suppress(OSError):  # a worker's temporary file that is gone by now
                    sizes += path.stat().st_size if path.is_file() else 0
        return sizes

    def delete(self, scan: ServedScan) -> None:
        """Forget a scan and remove its files."""
        self._scans.pop(scan.id, None)
        shutil.rmtree(scan.folder, ignore_errors=True)

    def delete_expired(self) -> int:
        """Delete what ended longer ago than the stated time; how many."""
        now = time.monotonic()
        old = [one for one in self if one.ended is not None and now - one.ended > self.keep_seconds]
        for one in old:
            self.delete(one)
        return len(old)
