"""The process that opens strangers' files: one JSON line in is one job, JSON lines out are its progress and its end.

It has a limit on its memory, stands behind the walls of ``walls.py`` before it reads a byte of an adapter or a scan, and may die at any
moment without harm to the server, which starts another. Started as ``python -m voxtune.serving.worker``.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from voxtune.errors import ScanError, StorageError, VoxTuneError
from voxtune.serving.walls import Walls, places_of_base, raise_walls
from voxtune.storage.failures import cause_of, reason_of

Tell = Callable[[dict[str, Any]], None]


def main() -> None:
    """Serve jobs from standard input until it ends."""
    # Libraries print; only this stream speaks to the server.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    first = json.loads(sys.stdin.readline())
    tell = _teller(out)
    try:
        serve(first, sys.stdin, tell)
    except VoxTuneError as error:
        tell({"fatal": str(error), "exit_code": error.exit_code})


def serve(settings: dict[str, Any], jobs: TextIO, tell: Tell) -> None:
    """Load the adapter, say what it is, then do one job after the other.

    Raises:
        WeightsError: the adapter does not load.
    """
    adapter, base, write = Path(settings["adapter"]), settings["base"], settings.get("scratch")
    walls = Walls()
    if write is not None:
        walls = raise_walls(
            places_of_base(adapter, None if base is None else Path(base)),
            Path(write),
            accelerator=settings.get("device", "cpu") != "cpu",
        )
    import torch

    torch.set_num_threads(int(settings["threads"]))
    from voxtune.model.device import on_device
    from voxtune.pages.slices import seen_from
    from voxtune.serving.predictor import Predictor
    from voxtune.serving.tasks import Bench
    from voxtune.types.conformal import WantedSets

    sets = settings.get("sets")
    with on_device(settings.get("device", "cpu")):
        bench = Bench(Predictor(adapter, base), None if sets is None else WantedSets(**sets))
    bench.warm_up()
    limit_memory(int(settings["memory_bytes"]))
    tell({"ready": bench.describe() | {"unheld": walls.missing}})
    with seen_from(settings.get("view", "radiological")):
        for line in jobs:
            job = json.loads(line)
            tell(done(bench.do, job, tell))


def done(
    do: Callable[[dict[str, Any], Tell], dict[str, Any]], job: dict[str, Any], tell: Tell
) -> dict[str, Any]:
    """The end of one job: its result, or the sentence that says why there is none."""
    try:
        return {"done": do(job, tell)}
    except ScanError as error:
        return {"failed": f"{error.cause[:1].upper()}{error.cause[1:].rstrip('.')}."}
    except StorageError as error:
        return unstored(reason_of(error))
    except VoxTuneError as error:
        return {"failed": str(error)}
    except MemoryError:
        return {"failed": "It needs more memory than one scan may have."}
    except Exception as error:  # noqa: BLE001  (whatever a hostile file sets off must end as an answer)
        # The message of a foreign exception may quote the file; its type does not.
        foreign = {"failed": f"It cannot be processed ({type(error).__name__})."}
        return foreign if cause_of(error) is None else unstored(reason_of(error))


def unstored(why: str | None) -> dict[str, Any]:
    """The end of a job for whose result there is no room."""
    said = f"The server cannot store its result: {why}. Try again when there is room."
    return {"failed": said, "unstored": True}


def limit_memory(limit: int) -> None:
    """Refuse allocations beyond ``limit`` bytes on top of what the loaded model takes, where the system can (Linux)."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # absent on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the scan
        status = Path("/proc/self/status").read_text(encoding="ascii")
        taken = next(
            int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:")
        )
        resource.setrlimit(resource.RLIMIT_DATA, (taken + limit, taken + limit))


def _teller(out: TextIO) -> Tell:
    def tell(message: dict[str, Any]) -> None:
        out.write(json.dumps(message, allow_nan=False) + "\n")
        out.flush()

    return tell


if __name__ == "__main__":
    main()
