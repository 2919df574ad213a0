"""The process in which a report template from a file is rendered: bounded in memory, processor time and output, and killed when it hangs.

Started as ``python -m voxtune.reports.template_process``: the first JSON line in is the template, every further one a scan; each has
one JSON line as its answer.
"""

import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from voxtune.errors import DataError, UsageError
from voxtune.reports.listed import Listed, Missing

LONGEST = 20_000
"""Characters of one report."""
MEMORY_BYTES = 2**29
SECONDS = 2
"""Of processor time, for one report."""
WAIT_SECONDS = 60.0
"""For an answer on a machine that is busy with something else."""
FATAL = "it takes more time or memory than a report may"


class Renderer:
    """A template in a process of its own; the process ends with this object."""

    def __init__(self, name: str, text: str) -> None:
        """Start the process.

        Raises:
            UsageError: the template does not compile within its bounds.
        """
        self.name, self._text = name, text
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._begin()

    def render(self, values: Mapping[str, object], scan_id: str, missing: Missing) -> str:
        """The text of one scan.

        Raises:
            UsageError: the template fails, or goes beyond its bounds.
            DataError: a value is not what the template needs.
        """
        with self._turn:
            if self._process is None:
                self._begin()
            said = self._ask({"values": dict(values), "scan_id": scan_id, "missing": missing})
        if "data" in said:
            raise DataError(said["data"])
        if "error" in said:
            raise UsageError(f"Report template '{self.name}', scan '{scan_id}': {said['error']}.")
        return str(said["text"])

    def _begin(self) -> None:
        process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, encoding="utf-8", env=_environment(),
        )  # fmt: skip
        self._process, self._lines = process, queue.SimpleQueue()
        weakref.finalize(self, _end, process)
        threading.Thread(target=_read, args=(process.stdout, self._lines), daemon=True).start()
        said = self._ask({"name": self.name, "text": self._text})
        if "error" in said:
            raise UsageError(f"Report template '{self.name}': {said['error']}.")

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            found: dict[str, Any] = json.loads(self._lines.get(timeout=WAIT_SECONDS))
        except (OSError, queue.Empty, ValueError):
            _end(self._process)
            self._process = None
            return {"error": FATAL}
        return found


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PATH", "PYTHON", "LD_", "SYSTEMROOT"))
    }


def _read(stream: IO[str], lines: "queue.SimpleQueue[str]") -> None:
    with suppress(ValueError, OSError):
        for line in stream:
            lines.put(line)
    lines.put("")


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


# ------------------------------------------------------------------------------ inside the process
def main() -> None:
    """Answer the lines of standard input until it ends."""
    _limit_memory()
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    sandbox = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined)
    sandbox.globals.clear()
    failures = (TemplateError, TypeError, ValueError, ArithmeticError, MemoryError, RecursionError)
    first = json.loads(sys.stdin.readline())
    _limit_time()
    try:
        template = sandbox.from_string(first["text"])
    except failures as error:
        _tell({"error": _words(error)})
        return
    _tell({})
    for line in sys.stdin:
        job = json.loads(line)
        _limit_time()
        try:
            _tell(
                {
                    "text": _bounded(
                        template.generate(job["values"] | {"listed": Listed(job["scan_id"], job["missing"])})
                    )
                }
            )
        except DataError as error:
            _tell({"data": str(error)})
        except failures as error:
            _tell({"error": _words(error)})


def _bounded(parts: Any) -> str:
    found, size = [], 0
    for part in parts:
        size += len(part)
        if size > LONGEST:
            raise ValueError(f"it writes more than {LONGEST} characters")
        found.append(part)
    return "".join(found)


def _words(error: BaseException) -> str:
    return (
        FATAL
        if isinstance(error, MemoryError | RecursionError)
        else (str(error) or type(error).__name__)[:500]
    )


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource  # absent on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + SECONDS, most))


if __name__ == "__main__":
    main()
