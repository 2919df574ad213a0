"""The server with workers that misbehave on request: who may ask, what may be sent, what dies and what goes on."""

import asyncio
import contextlib
import errno
import gzip
import http.client
import io
import json
import os
import re
import sys
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra [serve] is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")

from starlette.responses import PlainTextResponse  # noqa: E402

from voxtune.serving.app import make_app  # noqa: E402
from voxtune.serving.connections import TimedProtocol  # noqa: E402
from voxtune.serving.limits import Limits  # noqa: E402
from voxtune.serving.openapi import document  # noqa: E402
from voxtune.serving.service import Service  # noqa: E402
from voxtune.serving.upload import Refused, _pieces, kind_of  # noqa: E402
from voxtune.storage.failures import REFUSED  # noqa: E402

TOKEN = "right-token"
HEADER = b"\x5c\x01\x00\x00" + bytes(348)  # of NIfTI-1; what follows tells the worker below what to do
WORKER = """
import json, os, pathlib, sys, time
first = json.loads(sys.stdin.readline())
facts = {"classes": ["NC", "AD"], "targets": ["NC", "AD", "mmse"], "biomarkers": {"hippocampus": "Hippocampal volume"},
         "base": "tiny", "task": "diagnosis", "simulated": True, "training": {}, "trust": {}, "visits": 3, "process": os.getpid(),
         "sets": {"coverage": 0.9, "guarantee": "With 30 participants"}, "reference": {"distance": {"count": 40, "mean": 1.0, "variance": 0.1}}}
def tell(message):
    print(json.dumps(message), flush=True)
tell({"ready": facts})
for line in sys.stdin:
    task = json.loads(line)
    folder = pathlib.Path(task["folder"])
    if task["do"] == "map" and (folder / "page.html").read_bytes() == b"<p>no map":
        tell({"failed": "There is no heat."})
        continue
    if task["do"] == "map" and (folder / "page.html").read_bytes() == b"<p>no room for a map":
        tell({"failed": "The server cannot store its result: the disk is full.", "unstored": True})
        continue
    if task["do"] == "map":
        (folder / (task["file"] + ".u8")).write_bytes(bytes(8))
        (folder / (task["file"] + ".json")).write_text(json.dumps({"title": "t", "meaning": "m", "target": task["target"]}))
        tell({"done": {}})
        continue
    tell({"step": "read"})
    what = pathlib.Path(task["scan"]).read_bytes()[352:].decode()
    if what == "die" or (what == "die once" and not (folder / "died").exists()):
        (folder / "died").touch()
        os._exit(9)
    if what == "hang":
        time.sleep(60)
    if what == "nonsense":
        print("not json", flush=True)
        continue
    if what == "beside":
        what = json.dumps([[one["name"], one["years"], pathlib.Path(one["folder"], "page.html").is_file()] for one in task["earlier"]])
    if what == "no room":
        tell({"failed": "The server cannot store its result: the disk is full.", "unstored": True})
        continue
    if what == "bad":
        tell({"failed": "Nothing of it is a brain."})
        continue
    if what.startswith("slow"):
        time.sleep(0.4)
    for name in ("page.html", "volume.u8"):
        (folder / name).write_bytes(b"<p>" + what.encode())
    tell({"done": {"scan": task["name"], "verdict": "answer", "predicted": "AD", "set": ["AD"], "said": what, "figures": {"distance": 9.0}}})
"""


class Server:
    """A real server on a free port, in a thread of this process."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        script = folder / "worker.py"
        script.write_text(WORKER, encoding="utf-8")
        self.limits, self.ready, self.loop = limits, threading.Event(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.run(script),))
        self.thread.start()
        assert self.ready.wait(30)

    async def run(self, script: Path) -> None:
        import socket

        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            self.port = listener.getsockname()[1]
            self.service = Service(Path("adapter"), None, self.limits, (sys.executable, str(script)))
            await self.service.start()
            app = make_app(self.service, TOKEN, self.port)
            self.server = uvicorn.Server(
                uvicorn.Config(app, access_log=False, log_level="error", http=TimedProtocol)
            )
            self.ready.set()
            await self.server.serve(sockets=[listener])
            await self.service.stop()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        self.loop.close()

    def ask(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str | None
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        given = {
            "Authorization": f"Bearer {TOKEN}",
            **{name.replace("_", "-"): one for name, one in headers.items()},
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {name: one for name, one in given.items() if one is not None})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(said), answer.headers
        return answer.status, said, answer.headers

    def send(self, what: str, wait: int = 15) -> tuple[int, Any]:
        return self.ask("POST", f"/api/v1/scans?name=a.nii&wait={wait}", HEADER + what.encode())[:2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # The limit of one scan holds for the start of a new worker too, which takes its time on a busy machine.
    limits = Limits(upload_bytes=100_000, seconds=5.0, waiting=6, pause_seconds=2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(
            "COVERAGE_PROCESS_CONFIG", raising=False
        )  # its workers run the few lines above, nothing of ours
        found = Server(tmp_path_factory.mktemp("server"), limits)
        yield found
    root = found.service.root
    found.stop()
    assert not root.exists()


# ------------------------------------------------------------------------------------- who may ask
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/static/viewer.js"), ("POST", "/api/v1/scans")],
)  # fmt: skip
def test_nothing_is_told_without_the_token(server: Server, method: str, path: str) -> None:
    for token in (None, "Bearer wrong", "Basic cmlnaHQtdG9rZW4=", "Bearer "):
        status, said, headers = server.ask(method, path, Authorization=token)
        assert status == 401
        assert set(said) == {"error"}
        assert headers["Connection"] == "close"
    assert server.ask(method, f"{path}?token={TOKEN}", Authorization=None)[0] != 401


def test_a_probe_on_this_machine_needs_no_token(server: Server) -> None:
    status, said, _ = server.ask("GET", "/health", Authorization=None)
    assert (status, said["status"]) == (200, "ok")
    for through in ({"X_Forwarded_For": "10.0.0.9"}, {"Via": "1.1 proxy"}, {"Sec_Fetch_Site": "same-origin"}):
        assert server.ask("GET", "/health", Authorization=None, **through)[0] == 401, "somebody else asks"


def test_what_is_promised_and_whether_scans_drift_is_said(server: Server) -> None:
    before = server.ask("GET", "/api/v1/scans")[1]["drift"]["scans"]
    done = server.send("fine")[1]
    assert done["set"] == ["AD"]
    assert "figures" not in done, "they go into sums and are no part of the answer"
    listed = server.ask("GET", "/api/v1/scans")[1]
    assert listed["drift"]["scans"] == before + 1
    assert listed["drift"]["verdicts"]["answer"] >= 1
    assert next(one for one in listed["scans"] if one["id"] == done["id"])["set"] == ["AD"]
    health = server.ask("GET", "/health", Authorization=None)[1]
    assert health["sets"]["guarantee"] == "With 30 participants"
    assert health["drift"]["scans"] == before + 1
    assert "verdicts" not in health["drift"], "a probe needs no token"
    assert vars(server.service.monitor.sums["distance"]).keys() == {"count", "total", "squares"}
    page = server.ask("GET", "/")[1].decode()
    assert "Promised of every answer: With 30 participants" in page
    assert "reference" not in server.ask("GET", "/api/v1/adapter")[1]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "127.0.0.1:1"}, {"Host": "127.0.0.1.evil.example:80"}, {"Origin": "http://evil.example"},
        {"Origin": "null"}, {"Origin": "https://127.0.0.1"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
    ],
)  # fmt: skip
def test_a_foreign_host_or_page_is_refused(server: Server, headers: dict[str, str]) -> None:
    assert server.ask("GET", "/", **headers)[0] == 403
    assert server.ask("POST", "/api/v1/scans?name=a.nii", HEADER, **headers)[0] == 403


def test_own_names_are_let_in(server: Server) -> None:
    for host in (f"127.0.0.1:{server.port}", f"localhost:{server.port}"):
        assert (
            server.ask("GET", "/", Host=host, Origin=f"http://{host}", Sec_Fetch_Site="same-origin")[0] == 200
        )


def test_two_hosts_are_refused(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("GET", f"/?token={TOKEN}", skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{server.port}")
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status in {400, 403}
    connection.close()


def test_every_answer_forbids_what_is_foreign(server: Server) -> None:
    for path in ("/", "/health", "/nothing", "/static/viewer.js"):
        policy = server.ask("GET", path)[2]["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
    assert server.ask("GET", "/")[2]["Referrer-Policy"] == "no-referrer"


def test_only_this_machine_can_connect(server: Server) -> None:
    sockets = [one.getsockname()[0] for one in server.server.servers[0].sockets]
    assert sockets == ["127.0.0.1"]


# ----------------------------------------------------------------------------------- what may be sent
def test_a_scan_is_answered_and_forgotten(server: Server) -> None:
    status, said = server.send("one scan")
    assert status == 200
    assert (said["predicted"], said["said"]) == ("AD", "one scan")
    scan = f"/api/v1/scans/{said['id']}"
    assert server.ask("GET", f"{scan}/result")[1] == said
    assert server.ask("GET", f"{scan}/volume")[1] == b"<p>one scan"
    status, _, headers = server.ask("GET", f"{scan}/page?download=1")
    assert headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in headers["Content-Security-Policy"]
    folder = server.service.scans.get(said["id"]).folder
    assert not [path for path in folder.iterdir() if path.name.startswith(("scan", "upload"))]
    assert server.ask("GET", f"{scan}/map/voxels?target=AD")[0] == 404
    assert server.ask("GET", f"{scan}/map?target=AD&biomarker=hippocampus")[1]["target"] == "AD"
    assert server.ask("GET", f"{scan}/map/voxels?target=AD&biomarker=hippocampus")[1] == bytes(8)
    assert server.ask("GET", f"{scan}/map?target=../../x")[0] == 404
    assert server.ask("GET", f"{scan}/map?target=AD&biomarker=x")[0] == 404
    assert server.ask("DELETE", scan)[0] == 204
    assert server.ask("GET", scan)[0] == 404
    assert not folder.exists()


def test_a_form_is_read_too(server: Server) -> None:
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="scan"; filename="b.nii"\r\n\r\n'
        + HEADER
        + b"formed\r\n--edge--\r\n"
    )
    status, said, _ = server.ask(
        "POST", "/api/v1/scans?wait=10", body, Content_Type="multipart/form-data; boundary=edge"
    )
    assert (status, said["said"], said["scan"]) == (200, "formed", "b.nii")
    for broken in (
        body.replace(b'name="scan"', b'name="x"'),
        body.replace(b"b.nii", b"../b.nii"),
        body[:60],
        b"",
    ):
        status, said, _ = server.ask(
            "POST", "/api/v1/scans", broken, Content_Type="multipart/form-data; boundary=edge"
        )
        assert status == 400, said


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..%5C..%5Cx.nii",
        "a%2Fb.nii",
        "%2Fetc%2Fpasswd",
        "a%00b.nii",
        "x%0Ay.nii",
        "..",
        "",
        "a" * 121,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(server: Server, name: str) -> None:
    assert server.ask("POST", f"/api/v1/scans?name={name}", HEADER)[0] == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 415), (b"<html>", 415), (b"", 422), (b"\x89PNG\r\n\x1a\n", 415),
        (b"\x1f\x8b" + bytes(50), 415), (b"\x80\x04\x95pickle", 415), (bytes(4000), 415), (HEADER + b"x" * 100_000, 413),
    ],
)  # fmt: skip
def test_what_is_no_scan_is_turned_away(server: Server, body: bytes, status: int) -> None:
    found, said, _ = server.ask("POST", "/api/v1/scans?name=a.svg", body)
    assert (found, list(said)) == (status, ["error"])
    assert len(list(server.service.root.iterdir())) == len(server.service.scans)


def test_ten_gigabytes_are_refused_before_they_are_sent(server: Server) -> None:
    for length in (str(10 * 2**30), "-1", "9" * 30, "1e3"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.putrequest("POST", f"/api/v1/scans?name=a.nii&token={TOKEN}")
        connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status in {400, 413}
        connection.close()


def test_a_stream_without_a_length_is_counted(server: Server) -> None:
    def endless() -> Iterator[bytes]:
        yield HEADER
        for _ in range(200):
            yield bytes(1000)

    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        assert (
            server.ask("POST", "/api/v1/scans?name=a.nii", endless(), Transfer_Encoding="chunked")[0] == 413
        )
    assert server.send("still here")[0] == 200


def test_a_silent_sender_is_not_waited_for(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("POST", f"/api/v1/scans?name=a.nii&token={TOKEN}")
    connection.putheader("Content-Length", "5000")
    connection.endheaders()
    connection.send(HEADER)
    assert connection.getresponse().status == 408
    connection.close()


FORM = b'--b\r\nContent-Disposition: form-data; name="scan"; filename="a.nii"\r\n\r\n'


@pytest.mark.parametrize(
    ("kind", "first"), [("application/octet-stream", HEADER), ("multipart/form-data; boundary=b", FORM)]
)
def test_bodies_that_trickle_hold_nobody_up(server: Server, kind: str, first: bytes) -> None:
    began = time.monotonic()
    senders = []
    for _ in range(4):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.putrequest("POST", f"/api/v1/scans?name=a.nii&token={TOKEN}")
        connection.putheader("Content-Length", "50000")
        connection.putheader("Content-Type", kind)
        connection.endheaders(first)
        senders.append(connection)

    def trickle() -> None:
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 15:
                for connection in senders:
                    connection.send(b"-")
                time.sleep(0.2)

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    assert server.send("others go on")[0] == 200
    for connection in senders:
        with contextlib.suppress(
            ConnectionError
        ):  # the end of the connection may come before its answer is read
            assert connection.getresponse().status == 408
    assert time.monotonic() - began < 12, "a byte every now and then kept a connection"
    wait_until(lambda: not server.service._reserved)
    thread.join(20)
    for connection in senders:
        connection.close()


def test_an_upload_ends_after_its_time_however_fast_it_is() -> None:
    class Slow:
        async def stream(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.01)
                yield bytes(20_000)

    async def taken() -> None:
        async for _ in _pieces(Slow(), Limits(upload_seconds=0.2)):  # type: ignore[arg-type]
            pass

    with pytest.raises(Refused, match="longer than 0 s") as refused:
        asyncio.run(taken())
    assert refused.value.status == 408


def test_a_wait_that_is_no_number_is_refused(server: Server) -> None:
    for wait in ("x", "nan", "-1", "1e9"):
        assert server.ask("POST", f"/api/v1/scans?name=a.nii&wait={wait}", HEADER)[0] == 400


def test_what_is_not_there_is_not_there(server: Server) -> None:
    for path in (
        "/static/..%2f..%2fetc%2fpasswd",
        "/static/../app.py",
        "/api/v1/scans/../../x",
        "/api/v1/scans/nobody/page",
        "/docs",
        "/favicon.ico",
    ):
        assert server.ask("GET", path)[0] == 404
    assert server.ask("PUT", "/api/v1/scans")[0] == 405


# --------------------------------------------------------------------------------- what dies and goes on
def worker_process(server: Server) -> int:
    return server.service.pool.workers[0].process.pid  # type: ignore[union-attr]


def test_a_scan_that_cannot_be_read_is_a_422_with_its_reason(server: Server) -> None:
    status, said = server.send("bad")
    assert (status, said["error"]) == (422, "Nothing of it is a brain.")
    assert server.ask("GET", f"/api/v1/scans/{said['id']}/result")[0] == 422
    assert server.ask("GET", f"/api/v1/scans/{said['id']}/page")[0] == 409


def test_a_worker_that_dies_once_costs_nothing(server: Server) -> None:
    before = worker_process(server)
    status, said = server.send("die once")
    assert (status, said["said"]) == (200, "die once")
    assert server.service.scans.get(said["id"]).attempts == 2
    assert worker_process(server) != before


@pytest.mark.parametrize(
    ("what", "words"), [("die", "died twice"), ("nonsense", "died twice"), ("hang", "limit of 5 s")]
)
def test_a_scan_that_kills_is_reported_and_the_next_goes_on(server: Server, what: str, words: str) -> None:
    status, said = server.send(what)
    assert status == 422
    assert words in said["error"]
    assert server.send("after it")[0] == 200


def test_scans_queue_and_too_many_are_turned_away(server: Server) -> None:
    sent = [
        server.ask("POST", "/api/v1/scans?name=q.nii", HEADER + f"slow {one}".encode()) for one in range(9)
    ]
    states = [status for status, _, _ in sent]
    assert states.count(202) >= 6
    assert 429 in states
    assert next(headers for status, _, headers in sent if status == 429)["Retry-After"]
    for number, (status, said, _) in enumerate(sent):
        if status == 202:
            wait_until(lambda said=said: server.ask("GET", f"/api/v1/scans/{said['id']}/result")[0] == 200)
            assert server.ask("GET", f"/api/v1/scans/{said['id']}/result")[1]["said"] == f"slow {number}"


def test_a_scan_that_is_being_worked_on_is_neither_deleted_nor_explained(server: Server) -> None:
    scan = server.ask("POST", "/api/v1/scans?name=q.nii", HEADER + b"slow")[1]["id"]
    wait_until(lambda: server.ask("GET", f"/api/v1/scans/{scan}")[1]["state"] == "working")
    status, said, _ = server.ask("DELETE", f"/api/v1/scans/{scan}")
    assert (status, said["error"]) == (409, "This scan is being worked on; delete it when it is done.")
    assert server.ask("GET", f"/api/v1/scans/{scan}/map?target=AD")[0] == 409
    assert scan in [one["id"] for one in server.ask("GET", "/api/v1/scans")[1]["scans"]]
    wait_until(lambda: server.ask("GET", f"/api/v1/scans/{scan}/result")[0] == 200)
    assert server.ask("DELETE", f"/api/v1/scans/{scan}")[0] == 204
    assert scan not in [one["id"] for one in server.ask("GET", "/api/v1/scans")[1]["scans"]]


def test_a_heat_map_that_fails_says_why(server: Server) -> None:
    scan = server.send("no map")[1]["id"]
    status, said, _ = server.ask("GET", f"/api/v1/scans/{scan}/map?target=AD")
    assert (status, said["error"]) == (422, "There is no heat.")


def test_the_adapter_is_told_to_who_may_ask(server: Server) -> None:
    status, said, _ = server.ask("GET", "/api/v1/adapter")
    assert (status, said["classes"], said["base"]) == (200, ["NC", "AD"], "tiny")


def test_an_error_of_our_own_is_a_sentence_and_the_server_goes_on(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("Jane Doe")

    with monkeypatch.context() as patch:
        patch.setattr(server.service, "check_room", broken)
        status, said, _ = server.ask("POST", "/api/v1/scans?name=a.nii", HEADER)
    assert (status, said["error"]) == (500, "The server made an error; it goes on.")
    assert server.send("after it")[0] == 200  # by now whatever the server has to log of the first is logged
    assert "an error of the server: RuntimeError" in caplog.text
    assert "Jane" not in caplog.text


def test_an_error_amid_an_answer_ends_the_connection_and_is_not_quoted(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def half(
        _: object, scope: object, receive: object, send: Callable[[object], Awaitable[None]]
    ) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        raise RuntimeError("Jane Doe")

    with monkeypatch.context() as patch:
        patch.setattr(PlainTextResponse, "__call__", half)
        with pytest.raises((http.client.HTTPException, OSError)):
            server.ask("GET", "/metrics")
    assert server.send("after half an answer")[0] == 200
    assert "an error of the server: RuntimeError" in caplog.text
    assert "Jane" not in caplog.text


@pytest.mark.parametrize(
    ("start", "kind"),
    [(bytes(128) + b"DICM", ".dcm"), (b"\x02\x00\x00\x00UL\x04\x00" + bytes(124), ".dcm"), (gzip.compress(HEADER), ".nii.gz"), (gzip.compress(b"<svg>"), None), (b"\x1f\x8bxx", None)],
    ids=["DICOM", "DICOM without preamble", "NIfTI", "other gzip", "broken gzip"],  # bytes of a gzip hold the time: each process would collect other tests
)  # fmt: skip
def test_a_kind_is_known_by_the_first_bytes(start: bytes, kind: str | None) -> None:
    assert kind_of(start) == kind


def test_a_named_series_reaches_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.serving.tasks import Bench

    bench = Bench.__new__(Bench)
    asked: list[tuple[Path, str | None]] = []
    known = SimpleNamespace(preset=None, predict=lambda scan, *, series, **_: asked.append((scan, series)))
    monkeypatch.setattr(bench, "predictor", known, raising=False)
    monkeypatch.setattr(bench, "sets", None, raising=False)
    task = {"do": "predict", "folder": "f", "scan": "s", "name": "n"}
    for more in ({}, {"series": "T1"}):
        with pytest.raises(AttributeError):  # nothing is answered here
            bench.do({**task, **more}, lambda _: None)
    assert asked == [(Path("s"), None), (Path("s"), "T1")]


def test_earlier_scans_of_a_person_are_those_that_are_here(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (server.send(one)[1]["id"] for one in ("fine", "also"))

    def beside(earlier: str) -> tuple[int, Any]:
        body = HEADER + b"beside"
        return server.ask("POST", f"/api/v1/scans?name=b.nii&wait=15&earlier={earlier}", body)[:2]

    status, said = beside(f"{first}:2,{second}:0.5")
    assert (status, json.loads(said["said"])) == (200, [["a.nii", 2.0, True], ["a.nii", 0.5, True]])
    for wrong in (
        first,
        f"{first}:",
        f"{first}:0",
        f"{first}:-1",
        f"{first}:nan",
        f"{first}:inf",
        f"{first}:36",
        f"{first}:1,{first}:2",
    ):
        assert beside(wrong)[0] == 400, wrong
    named = server.ask("POST", "/api/v1/scans?name=sub-01_T1w.nii&wait=15", HEADER + b"named")[1]["id"]
    status, said = server.ask("POST", f"/api/v1/scans?name=sub-02_T1w.nii&earlier={named}:1", HEADER + b"x")[
        :2
    ]
    assert (status, "named as of two" in said["error"]) == (400, True)
    assert server.ask("POST", f"/api/v1/scans?name=sub-01_ses-2_T1w.nii&wait=15&earlier={named}:1", HEADER + b"beside")[0] == 200  # fmt: skip
    assert "ID:YEARS" in beside(f"{first}:soon")[1]["error"]
    assert beside("nobody:1")[0] == 404
    assert beside("../x:1")[0] == 404
    lost = server.send("bad")[1]["id"]
    assert beside(f"{lost}:1")[0] == 409
    monkeypatch.setitem(server.service.pool.facts, "visits", 1)
    status, said = beside(f"{first}:1")
    assert (status, "each scan alone" in said["error"]) == (400, True)


def test_a_waiting_scan_can_be_taken_back(server: Server) -> None:
    first, second = (
        server.ask("POST", "/api/v1/scans?name=q.nii", HEADER + b"slow")[1]["id"] for _ in range(2)
    )
    assert server.ask("DELETE", f"/api/v1/scans/{second}")[0] == 204
    wait_until(lambda: server.ask("GET", f"/api/v1/scans/{first}/result")[0] == 200)
    assert server.send("next")[0] == 200


def test_health_holds_while_no_worker_runs(server: Server) -> None:
    import os
    import signal

    os.kill(worker_process(server), signal.SIGKILL)
    wait_until(lambda: server.ask("GET", "/health")[1]["workers"] == 0)
    assert server.ask("GET", "/health")[0] == 200
    assert server.send("wakes another")[0] == 200
    assert server.ask("GET", "/health")[1]["workers"] == 1


def test_health_and_metrics(server: Server) -> None:
    assert server.ask("GET", "/health")[1]["status"] == "ok"
    text = server.ask("GET", "/metrics")[1].decode()
    names = re.findall(r"^# TYPE (\S+) (?:counter|gauge)$", text, re.MULTILINE)
    assert {"voxtune_scans_total", "voxtune_worker_deaths_total", "voxtune_scans_unfinished"} <= set(names)
    assert re.search(r'^voxtune_scans_total\{end="done"\} [1-9]', text, re.MULTILINE)
    assert "a.nii" not in text


def test_the_openapi_document_is_that_of_the_routes(server: Server) -> None:
    said = server.ask("GET", "/openapi.json")[1]
    app = make_app(server.service, TOKEN, server.port)
    routes = {
        (route.path, method.lower()) for route in app.routes for method in route.methods if method != "HEAD"
    }  # type: ignore[attr-defined]
    assert {(path, method) for path, methods in said["paths"].items() for method in methods} == routes
    assert said == json.loads(json.dumps(document(server.limits)))


def test_names_of_scans_never_reach_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        server.ask("POST", "/api/v1/scans?name=Jane-Doe-1950.nii&wait=10", HEADER + b"Jane Doe")
        server.ask("POST", "/api/v1/scans?name=Jane-Doe-1950.nii&wait=10", HEADER + b"die")
    assert "scan " in caplog.text
    assert "Jane" not in caplog.text
    assert TOKEN not in caplog.text


def wait_until(true: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


# ---------------------------------------------------------------------------------------- time and room
def test_results_are_deleted_after_the_stated_time_and_room_is_bounded(tmp_path: Path) -> None:
    server = Server(tmp_path, Limits(keep_seconds=2.0, stored_bytes=2000))
    try:
        status, said = server.send("short lived")
        assert status == 200
        folder = server.service.root / said["id"]
        assert folder.exists()
        assert server.ask("POST", "/api/v1/scans?name=a.nii", HEADER + b"x" * 2000)[0] == 507
        wait_until(lambda: not folder.exists())
        assert server.ask("GET", f"/api/v1/scans/{said['id']}")[0] == 404
        assert b"minutes" in json.dumps(server.ask("GET", f"/api/v1/scans/{said['id']}")[1]).encode()
    finally:
        server.stop()


def test_a_zip_is_known_by_its_bytes(server: Server) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.nii", HEADER)
    status, _, _ = server.ask("POST", "/api/v1/scans?name=whatever", buffer.getvalue())
    assert status == 202


# ------------------------------------------------------------------------------------ room and time
def test_many_uploads_at_once_never_take_more_than_there_is(tmp_path: Path) -> None:
    server = Server(tmp_path, Limits(upload_bytes=100_000, stored_bytes=150_000, pause_seconds=5.0))
    try:
        slow = socket_to(server)
        slow.sendall(head_of_upload(server.port, 100_000))
        wait_until(lambda: server.ask("POST", "/api/v1/scans?name=a.nii", HEADER + b"x" * 80_000)[0] == 507)
        slow.close()
        wait_until(lambda: not server.service._reserved)
        assert server.ask("POST", "/api/v1/scans?name=a.nii", HEADER + b"x" * 80_000)[0] == 202
    finally:
        server.stop()


@pytest.mark.parametrize("what", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_refuses_is_507_and_health_says_so(
    server: Server, monkeypatch: pytest.MonkeyPatch, what: int
) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError(what, os.strerror(what))

    why = REFUSED[what]
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **k: full() if path.name == "upload" else real(path, *a, **k)
    )
    status, said, _ = server.ask("POST", "/api/v1/scans?name=a.nii", HEADER)
    assert (status, why in said["error"]) == (507, True)
    monkeypatch.undo()
    monkeypatch.setattr(Path, "write_bytes", full)
    status, said, _ = server.ask("GET", "/health")
    assert (status, said["status"], said["storage"]) == (507, "storage", why)
    assert server.ask("POST", "/api/v1/scans?name=a.nii", HEADER)[0] == 507
    monkeypatch.undo()
    assert server.ask("GET", "/health")[0] == 200
    assert server.send("after")[0] == 200


def test_a_result_that_cannot_be_stored_is_507_and_no_fault_of_the_scan(server: Server) -> None:
    status, said = server.send("no room")
    assert (status, "the disk is full" in said["error"]) == (507, True)
    assert server.ask("GET", f"/api/v1/scans/{said['id']}/result")[0] == 507
    _, said = server.send("no room for a map")
    status, said, _ = server.ask("GET", f"/api/v1/scans/{said['id']}/map?target=AD")
    assert (status, "the disk is full" in said["error"]) == (507, True)
    assert server.send("after")[0] == 200


def test_a_worker_that_cannot_be_started_is_told_and_the_next_scan_is_taken(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_process(*_: object, **__: object) -> object:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    assert server.send("die")[0] == 422
    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_process)
    status, said = server.send("no process")
    assert (status, "cannot start a process" in said["error"]) == (422, True)
    monkeypatch.undo()
    assert server.send("after")[0] == 200


def test_connections_that_say_nothing_hold_no_place(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.serving import connections

    monkeypatch.setattr(connections, "MOST_HALF_OPEN", 8)
    silent = [socket_to(server) for _ in range(40)]
    for one in silent:
        with contextlib.suppress(OSError):
            one.sendall(b"GET / HTTP/1.1\r\nHost: a")
    assert server.ask("GET", "/health")[0] == 200
    assert len(TimedProtocol.half_open) <= 8
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    late = socket_to(server)
    late.sendall(b"GET /")
    late.settimeout(10)
    with contextlib.suppress(ConnectionResetError):
        assert late.recv(10) == b""
    for one in (*silent, late):
        one.close()


def socket_to(server: Server) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def head_of_upload(port: int, size: int) -> bytes:
    lines = (
        "POST /api/v1/scans?name=slow.nii HTTP/1.1", f"Host: localhost:{port}", f"Authorization: Bearer {TOKEN}", f"Content-Length: {size}",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_a_disk_that_fills_while_a_scan_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    import subprocess
    import tempfile

    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be made here")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        server = Server(tmp_path, Limits(upload_bytes=300_000))
        try:

            def body() -> Iterator[bytes]:
                yield HEADER + bytes(50_000)
                wait_until(lambda: bool(list(small.rglob("upload"))))
                (small / "filler").write_bytes(bytes(shutil.disk_usage(small).free))
                for _ in range(4):
                    yield bytes(50_000)

            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                status, said, _ = server.ask("POST", "/api/v1/scans?name=a.nii", body())
                assert (status, "the disk is full" in said["error"]) == (507, True)
            wait_until(lambda: not list(small.rglob("upload")))
            (small / "more").write_bytes(bytes(shutil.disk_usage(small).free))
            assert server.ask("GET", "/health")[0] == 507
            (small / "filler").unlink()
            assert server.ask("GET", "/health")[0] == 200
            assert server.send("goes on")[0] == 200
        finally:
            server.stop()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
