"""``voxtune serve``: a page where scans are dropped and answers looked at; on this machine alone, or behind a proxy that is named."""

import asyncio
import importlib.util
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.errors import UsageError
from voxtune.extras import install_line
from voxtune.pages.slices import View, seen_from
from voxtune.serving.limits import Limits

if TYPE_CHECKING:
    from voxtune.serving.access import Access
    from voxtune.serving.service import Service

NEEDED = ("starlette", "uvicorn", "python_multipart")


def serve(  # noqa: PLR0913  (the options of the command)
    adapter: Path,
    *,
    access: "Access | None" = None,
    base: Path | None = None,
    limits: Limits | None = None,
    coverage: float | None = None,
    by_class: bool = False,
    false_discovery: float | None = None,
    device: str = "auto",
    view: View = "radiological",
    say: Callable[[str], None] = print,
) -> None:
    """Serve an adapter until the process is stopped.

    Args:
        adapter: the adapter's folder, a run directory, or ``demo`` for the shipped one.
        access: where it listens, by which names it is asked, and where its token is; ``None``: port 8765 of this machine.
        base: weights of the base, where they are not shipped.
        limits: what is allowed.
        coverage: give prediction sets too, that hold the truth for this share of people.
        by_class: let that share hold for the people of each class by themselves.
        false_discovery: say which findings are there, so that on average at most this share of those said is not.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        view: ``radiological`` (the person's right on the left of a picture) or ``neurological``.
        say: takes lines for a person; the address with its token is one of them.

    Raises:
        UsageError: the extra packages are not installed, the port is taken, or strangers could ask without a name that is trusted.
        WeightsError: the adapter does not load.
        DataError: too few validation participants for what is to be promised.
        SettingError: a share outside 0..1, or a promise that is not for what is predicted.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"'voxtune serve' needs {', '.join(missing)}, which this installation lacks: {install_line('serve')}."
        )
    from voxtune.serving.bundled import adapter_folder, base_file

    folder = adapter_folder(adapter)
    from voxtune.evaluation.conformal import wanted_sets
    from voxtune.serving.access import Access

    sets = wanted_sets(coverage, by_class=by_class, false_discovery=false_discovery)
    if sets is not None:  # what cannot be promised is refused before a model is loaded
        from voxtune.model.adapter import read_facts
        from voxtune.serving.predictor import promise_in_words

        for sentence in promise_in_words(read_facts(folder), sets):
            say(sentence)

    from voxtune.serving.service import Service

    chosen = access or Access()
    chosen.check()
    with _listen(chosen.host, chosen.port) as listener, seen_from(view):
        service = Service(folder, base_file(folder, base), limits or Limits(), device=device, sets=sets)
        asyncio.run(_serve(service, listener, chosen, say))


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # on Windows it would let a second program take the same port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"Port {port} of {host} cannot be used ({error.strerror}); give another with --port or --host."
        ) from None
    return listener


async def _serve(
    service: "Service", listener: socket.socket, access: "Access", say: Callable[[str], None]
) -> None:
    import uvicorn

    from voxtune.serving.app import make_app
    from voxtune.serving.connections import MOST_HALF_OPEN, TimedProtocol

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    token, port = access.token(), listener.getsockname()[1]
    say("Loading the model ...")
    limits = service.limits
    try:
        await service.start()
        if unheld := service.pool.facts.pop("unheld", []):
            say(
                "Note: this system has no kernel walls for the process that opens scans (Landlock and seccomp, on Linux: "
                f"{install_line('serve')}). A flaw in an image library could {', '.join(unheld)}."
            )
        config = uvicorn.Config(
            make_app(service, token, port, access),
            access_log=False,  # addresses hold the token, and names of scans
            log_level="warning",
            server_header=False,
            limit_concurrency=limits.waiting + 64 + MOST_HALF_OPEN,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=16 * 1024,
            http=TimedProtocol,
        )
        where = "" if access.trusted else " on this machine"
        say(f"Open this page{where}: {access.address(port, token)}")
        say(
            f"Results are deleted {limits.keep_seconds / 60:.0f} minutes after they are made. Stop with Ctrl+C."
        )
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        await service.stop()
