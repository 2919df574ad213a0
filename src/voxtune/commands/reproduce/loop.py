"""Each cell one run directory, done once, whoever works on it; ``result.json``, written last, is the mark."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from voxtune.commands.reproduce.sweep import FAILED, RESULT, CellT, Work
from voxtune.errors import SettingError, StorageError, VoxTuneError
from voxtune.run_dir import append_line, shared_config, write_json
from voxtune.storage.lock import claimed

POLL_SECONDS = 2.0

Say = Callable[[str], None]


def run_cells(
    work: Work[CellT], cells: Sequence[CellT], say: Say, *, since: float | None = None, wait: bool = False
) -> None:
    """Do every cell that nobody has done or is doing; with ``wait`` return when all of them are done.

    A cell that fails is written down and passed over, also by others that began at the same time; the next call tries it again.

    Args:
        work: where the cells are.
        cells: those to do.
        say: takes lines for a person.
        since: when the call began that this process works for, seconds of the clock.
        wait: for cells that others work on.
    """
    began = time.time() if since is None else since
    tried: set[str] = set()  # by us: the clock may be set back, and times of files then say nothing
    while True:
        waiting = False
        for cell in cells:
            if work.result(cell) is not None or cell.name in tried or _failed_since(work, cell, began):
                continue
            with claimed(work.root / "locks", cell.name) as mine:
                if not mine:
                    waiting = True
                elif work.result(cell) is None and not _failed_since(work, cell, began):
                    # Nobody finished it between our look and our claim.
                    finished = sum((work.folder(one) / RESULT).is_file() for one in cells)
                    say(f"[{finished + 1}/{len(cells)}] {cell.name}")
                    tried.add(cell.name)
                    _try(work, cell, say)
        if not (wait and waiting):
            return
        time.sleep(POLL_SECONDS)


def _failed_since(work: Work[CellT], cell: CellT, began: float) -> bool:
    path = work.folder(cell) / FAILED
    return path.is_file() and path.stat().st_mtime >= began


def failures(work: "Work[CellT]", cells: Sequence[CellT]) -> dict[str, str]:
    """Why the last try of unfinished cells failed, by name; nothing of those that were not tried."""
    return {cell.name: said for cell in cells if (said := work.failure(cell))}


def pending(work: Work[CellT]) -> list[CellT]:
    """The cells without a result."""
    return [cell for cell in work.all_cells if work.result(cell) is None]


def _try(work: Work[CellT], cell: CellT, say: Say) -> None:
    folder = work.folder(cell)
    append_line(
        folder / "attempts.jsonl", json.dumps({"began": datetime.now(UTC).isoformat(timespec="seconds")})
    )
    try:
        result = work.run(cell)
    except SettingError as error:
        # The method makes no sense on this model: a result, and always the same one.
        config = shared_config(cell.config)
        result = {"status": "refused", "reason": str(error), "cell": cell.name, "config": config}
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001  # one bad cell must never stop the others
        text = str(error) if isinstance(error, VoxTuneError) else f"{type(error).__name__}: {error}"
        write_json(folder / FAILED, {"error": " ".join(text.split())[:1000]})
        say(f"{cell.name} failed: {text}")
        return
    (folder / FAILED).unlink(missing_ok=True)
    write_json(folder / RESULT, result)
