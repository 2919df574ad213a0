"""A door of ``fuzz``: bytes at the port of the server."""

import asyncio
import contextlib
import random
import socket
import sys
import threading
from pathlib import Path

from mutations import Target, mutated

HUNG_SECONDS = 20
"""Without an answer."""
WORKER = """
import json, sys
print(json.dumps({"ready": {"classes": ["NC"], "targets": ["NC"], "biomarkers": {}, "base": "tiny", "adapter": "a"}}), flush=True)
sys.stdin.readline()
for line in sys.stdin:
    print(json.dumps({"failed": "Nothing of it is a brain."}), flush=True)
"""


def http(_: Path, folder: Path) -> Target:
    """Bytes at the server's port."""
    import uvicorn

    from voxtune.serving.app import make_app
    from voxtune.serving.connections import TimedProtocol
    from voxtune.serving.limits import Limits
    from voxtune.serving.service import Service

    script = folder / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    ready = threading.Event()
    place: list[int] = []

    async def serve() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        place.append(listener.getsockname()[1])
        service = Service(Path("adapter"), None, Limits(upload_bytes=2**20), (sys.executable, str(script)))
        await service.start()
        config = uvicorn.Config(
            make_app(service, "token", place[0]), access_log=False, log_level="critical", http=TimedProtocol
        )
        ready.set()
        await uvicorn.Server(config).serve(sockets=[listener])

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    assert ready.wait(60)
    port = place[0]

    def request(line: str, body: bytes = b"", more: str = "") -> bytes:
        head = f"{line} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer token\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        return head.encode() + body

    form = (
        b'--b\r\nContent-Disposition: form-data; name="scan"; filename="a.nii"\r\n\r\n'
        + b"\x5c\x01\x00\x00"
        + b"x" * 400
        + b"\r\n--b--\r\n"
    )
    seeds = [
        request("GET /health"), request("POST /api/v1/scans?name=a.nii", b"\x5c\x01\x00\x00" + b"x" * 400), request("GET /api/v1/scans"),
        request("POST /api/v1/scans", form, "Content-Type: multipart/form-data; boundary=b\r\n"), request("DELETE /api/v1/scans/x"), request("GET /?token=token"),
    ]  # fmt: skip

    def asked(data: bytes, seconds: float) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
            connection.sendall(data)
            return connection.recv(4096)

    def run(draw: random.Random) -> object:
        with contextlib.suppress(OSError):
            asked(mutated(draw.choice(seeds), draw), 0.05)
        answer = asked(request("GET /health"), HUNG_SECONDS)
        if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")):
            raise ConnectionError(answer[:100])
        return answer

    return run
