"""Does the server hold under strangers' files? ``python benchmarks/serve/run.py [--uploads 100] [--clients 8]``.

``voxtune serve demo`` as its own process; clients send at once, a third of the uploads hostile; one worker is killed in mid-scan. Written
down: how every upload ended, whether each good one was answered once and as ``voxtune predict`` answers it, the largest memory of server and
workers, and whether the server still answers at the end.
"""

import argparse
import gzip
import http.client
import io
import json
import os
import platform
import random
import re
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
DISTINCT = 24
"""Different good scans; each is sent several times under other names."""
TOLERANCE = 1e-5
"""Between the probabilities of the server and of ``voxtune predict`` for the same file."""


@dataclass(frozen=True)
class Upload:
    """Something to send: a good scan (``kind`` good) or a hostile one."""

    name: str
    kind: str
    body: bytes


@dataclass(frozen=True)
class Ended:
    """How an upload ended."""

    name: str
    kind: str
    status: int
    seconds: float
    said: dict[str, Any]


def nifti(
    shape: tuple[int, ...] = (4, 4, 4), code: int = 16, data: bytes | None = None, offset: float = 352.0
) -> bytes:
    """A NIfTI-1 file by hand, so that its header can lie."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, len(shape), *(min(n, 32767) for n in shape), *[1] * (7 - len(shape)))
    struct.pack_into("<h", head, 70, code)
    struct.pack_into("<h", head, 72, 32)
    struct.pack_into("<8f", head, 76, 1, *[1.0] * 7)
    struct.pack_into("<f", head, 108, offset)
    head[344:348] = b"n+1\0"
    return bytes(head) + (data if data is not None else bytes(4 * int(np.prod(shape))))


def zipped(members: dict[str, bytes], *, link: bool = False, packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with these members; with ``link`` each is a symbolic link to what its bytes say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = packed
            if link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def hostile(good: bytes) -> list[Upload]:
    """One upload of each kind of malice or accident."""
    inside = gzip.decompress(good)
    noise = random.Random(0).randbytes(5000)
    nan = np.full((8, 8, 8), np.nan, dtype="<f4").tobytes()
    kinds = {
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "html": b"<!doctype html><script>alert(1)</script>",
        "empty": b"",
        "noise": noise,
        "pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
        "cut gzip": good[: len(good) // 3],
        "broken gzip": good[:200] + noise[:200] + good[400:],
        "gzip bomb": gzip.compress(nifti((512, 512, 512), data=b"") + bytes(300 * 2**20), 9),
        "header promises more": gzip.compress(nifti((2000, 2000, 2000), data=bytes(1000))),
        "four dimensions": nifti((8, 8, 8, 5)),
        "complex numbers": nifti((8, 8, 8), code=32),
        "no numbers": nifti((8, 8, 8), code=128),
        "only NaN": nifti((8, 8, 8), data=nan),
        "only zeros": nifti((32, 32, 32)),
        "too small": nifti((2, 2, 2)),
        "offset beyond the end": nifti((8, 8, 8), offset=1e9),
        "zero axis": nifti((8, 0, 8), data=bytes(100)),
        "half a volume": inside[: len(inside) // 2],
        "zip that leaves": zipped({"../../../../tmp/evil.nii": nifti()}),
        "zip with a link": zipped({"scan.nii": b"/etc/passwd"}, link=True),
        "zip bomb": zipped({f"{n}.dcm": bytes(60 * 2**20) for n in range(6)}),
        "zip of nothing": zipped({}),
        "zip of text": zipped({"readme.txt": b"hello"}),
        "zip of two scans": zipped({"a.nii": nifti(), "b.nii": nifti()}),
        "zip in a zip": zipped({"inner.zip": zipped({"a.nii": nifti()})}),
        "cut zip": zipped({"a.nii": inside})[:2000],
        "dicom of noise": bytes(128) + b"DICM" + noise,
    }
    return [Upload(f"hostile {name}", name, body) for name, body in kinds.items()]


class Server:
    """``voxtune serve demo`` and its token."""

    def __init__(self, port: int, *options: str) -> None:
        self.port = port
        script = "from voxtune.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, "serve", "demo", "--port", str(port), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        found = next(m for line in self.process.stdout if (m := re.search(r"token=(\S+)", line)))
        self.token = found.group(1)
        self.peak = {"server": 0, "workers": 0}
        self.over = threading.Event()
        self.watch = threading.Thread(target=self._watch)
        self.watch.start()

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON (or bytes) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=900)
        connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(said)
        except ValueError:
            return answer.status, said

    def workers(self) -> list[int]:
        """Process numbers of the workers."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]

    def _watch(self) -> None:
        while not self.over.wait(0.2):
            self.peak["server"] = max(self.peak["server"], resident(self.process.pid))
            self.peak["workers"] = max([self.peak["workers"], *(resident(one) for one in self.workers())])

    def stop(self) -> str:
        """End it; its log."""
        self.over.set()
        self.watch.join()
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[1]


def resident(process: int) -> int:
    """Bytes of memory a process holds."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def kill_one(server: Server, killed: list[int]) -> None:
    """Kill a worker once, while it works on a scan."""
    while not server.over.is_set():
        time.sleep(0.05)
        working = [
            one for one in server.ask("GET", "/api/v1/scans")[1]["scans"] if one["step"] in {"score", "draw"}
        ]
        if len(killed) == 0 and working and (found := server.workers()):
            os.kill(found[0], signal.SIGKILL)
            killed.append(found[0])
            return


def send(server: Server, upload: Upload) -> Ended:
    """Send one and wait for its end."""
    began = time.monotonic()
    path = f"/api/v1/scans?wait=600&name={upload.name.replace(' ', '%20')}"
    status, said = server.ask("POST", path, upload.body)
    return Ended(upload.name, upload.kind, status, round(time.monotonic() - began, 2), said)


def main(uploads: int, clients: int, port: int) -> dict[str, Any]:
    """Run it; the facts."""
    from voxtune.commands.simulate.command import simulate

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        count = uploads - uploads // 3
        manifest = simulate(folder / "cohort", participants=min(count, DISTINCT), visits=1, seed=11)
        files = sorted((manifest.parent / "scans").glob("*.nii.gz"))
        chosen = [(number, files[number % len(files)]) for number in range(count)]
        good = [Upload(f"{number}-{path.name}", "good", path.read_bytes()) for number, path in chosen]
        bad = hostile(good[0].body)
        queue = good + [bad[number % len(bad)] for number in range(uploads // 3)]
        random.Random(1).shuffle(queue)
        known = {path: own_answer(path) for path in files}
        expected = {one.name: known[path] for one, (_, path) in zip(good, chosen, strict=True)}
        server = Server(port, "--memory-limit", "4", "--time-limit", "300")
        killed: list[int] = []
        killer = threading.Thread(target=kill_one, args=(server, killed))
        killer.start()
        began = time.monotonic()
        try:
            with ThreadPoolExecutor(clients) as pool:
                ended = list(pool.map(lambda one: send(server, one), queue))
            seconds = time.monotonic() - began
            health = server.ask("GET", "/health")
            held = server.ask("GET", "/api/v1/scans")[1]["scans"]
            metrics = server.ask("GET", "/metrics")[1].decode()
        finally:
            server.over.set()
            killer.join()
            log = server.stop()
    answered = [one for one in ended if one.kind == "good"]
    wrong = [one.name for one in answered if one.status != 200 or not same(one.said, expected[one.name])]
    refused = [one for one in ended if one.kind != "good"]
    times = Counter(one["scan"] for one in held if one["state"] == "done")
    return {
        "status": "done",
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "uploads": uploads,
        "clients": clients,
        "seconds": round(seconds, 1),
        "good": len(answered),
        "good_right": len(answered) - len(wrong),
        "good_wrong": wrong,
        "good_answered_once": all(times[one.name] == 1 for one in answered),
        "hostile": len(refused),
        "hostile_4xx": sum(400 <= one.status < 500 for one in refused),
        "hostile_answers": {
            one.kind: {"status": one.status, "error": one.said.get("error")} for one in refused
        },
        "workers_killed": len(killed),
        "worker_deaths": int(re.search(r"worker_deaths_total (\d+)", metrics).group(1)),  # type: ignore[union-attr]
        "peak_mb": {name: round(value / 2**20) for name, value in server.peak.items()},
        "alive_at_the_end": health == (200, {"status": "ok", "workers": 1, "waiting": 0}),
        "log_has_names": any(one.name in log for one in ended) or "Traceback" in log,
        "slowest_seconds": max(asdict(one)["seconds"] for one in ended),
    }


@cache
def predictor() -> Any:
    """The adapter in this process, to compare with."""
    from voxtune.serving.bundled import adapter_folder
    from voxtune.serving.predictor import Predictor

    return Predictor(adapter_folder(Path("demo")))


def own_answer(path: Path) -> dict[str, Any]:
    """What ``voxtune predict`` says of a scan."""
    found = predictor().predict(path).prediction
    return {"predicted": found.predicted, "probabilities": found.probabilities}


def same(said: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether the server says of a scan what ``predict`` says."""
    return said["predicted"] == expected["predicted"] and all(
        abs(value - expected["probabilities"][name]) < TOLERANCE
        for name, value in said["probabilities"].items()
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--uploads", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--port", type=int, default=8917)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "load.json")
    options = parser.parse_args()
    facts = main(options.uploads, options.clients, options.port)
    options.out.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=2))
