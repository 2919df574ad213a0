"""``voxtune serve``: a page on this machine alone, where scans are dropped and answers looked at."""

import asyncio
import importlib.util
import logging
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from voxtune.errors import UsageError
from voxtune.serving.limits import Limits

HOST = "127.0.0.1"
"""The only address: there is no setting for another, because the page shows scans of people without asking who looks."""
NEEDED = ("starlette", "uvicorn", "python_multipart")


def serve(
    adapter: Path,
    *,
    port: int = 8765,
    base: Path | None = None,
    limits: Limits | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve an adapter until the process is stopped.

    Args:
        adapter: the adapter's folder, a run directory, or ``demo`` for the shipped one.
        port: on 127.0.0.1; 0 takes a free one.
        base: weights of the base, where they are not shipped.
        limits: what is allowed.
        say: takes lines for a person; the address with its token is one of them.

    Raises:
        UsageError: the extra packages are not installed, or the port is taken.
        WeightsError: the adapter does not load.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"'voxtune serve' needs {', '.join(missing)}, which this installation lacks: pip install 'voxtune[serve]'."
        )
    from voxtune.serving.bundled import adapter_folder, base_file

    folder = adapter_folder(adapter)
    with _listen(port) as listener:
        asyncio.run(_serve(folder, listener, base_file(folder, base), limits or Limits(), say))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows it would let a second program take the same port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"Port {port} cannot be used ({error.strerror}); give another with --port."
        ) from None
    return listener


async def _serve(
    adapter: Path, listener: socket.socket, base: Path | None, limits: Limits, say: Callable[[str], None]
) -> None:
    import uvicorn

    from voxtune.serving.app import make_app
    from voxtune.serving.connections import MOST_HALF_OPEN, TimedProtocol
    from voxtune.serving.service import Service

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    token, port = secrets.token_urlsafe(24), listener.getsockname()[1]
    say("Loading the model ...")
    service = Service(adapter, base, limits)
    try:
        await service.start()
        if unheld := service.pool.facts.pop("unheld", []):
            say(
                "Note: this system has no kernel walls for the process that opens scans (Landlock and seccomp, pip install "
                f"'voxtune[serve]' on Linux). A flaw in an image library could {', '.join(unheld)}."
            )
        config = uvicorn.Config(
            make_app(service, token, port),
            access_log=False,  # addresses hold the token, and names of scans
            log_level="warning",
            server_header=False,
            limit_concurrency=limits.waiting + 64 + MOST_HALF_OPEN,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=16 * 1024,
            http=TimedProtocol,
        )
        say(f"Open this page on this machine: http://{HOST}:{port}/?token={token}")
        say(
            f"Results are deleted {limits.keep_seconds / 60:.0f} minutes after they are made. Stop with Ctrl+C."
        )
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await service.stop()
