"""The page of ``voxtune serve`` in a real browser, with the shipped demo adapter: send, watch, look, change, download; by hand and by keys."""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra [serve] is not installed")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
browser_needed = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


# --------------------------------------------------------------------------------------- the server
class Served:
    """``voxtune serve demo`` as its own process."""

    def __init__(self, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        script = "from voxtune.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, "serve", "demo", "--port", str(self.port), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/\?token=(\S+)", line):
                self.url, self.token = found.group(), found.group(1)
                return
        raise AssertionError("".join(lines) + (self.process.stderr.read() if self.process.stderr else ""))

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(said)
        return answer.status, said

    def workers(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task")
        return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        _, log = self.process.communicate(timeout=60)
        return log


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    found = Served()
    yield found
    log = found.stop()
    assert "Traceback" not in log
    assert found.token not in log
    assert "SIM" not in log, "a name of a scan is in the log"


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from voxtune.commands.simulate.command import simulate

    manifest = simulate(tmp_path_factory.mktemp("cohort"), participants=3, visits=1, seed=5)
    return sorted((manifest.parent / "scans").glob("*.nii.gz"))


# -------------------------------------------------------------------------------------- the browser
class Browser:
    """Chromium over its DevTools protocol: one tab, one websocket of our own."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        self.process = subprocess.Popen(
            [
                CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
                "--disable-component-update", "--no-first-run", "--disable-default-apps", "--disable-dev-shm-usage",
                "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={folder / 'profile'}", "about:blank",
            ],
            stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        assert self.process.stderr is not None
        port = next(
            found.group(1)
            for line in self.process.stderr
            if (found := re.search(r"ws://127\.0\.0\.1:(\d+)/", line))
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(one for one in json.load(answer) if one["type"] == "page")
        path = page["webSocketDebuggerUrl"].split(port, 1)[1]
        self.socket = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.stream = self.socket.makefile("rb")
        while self.stream.readline().strip():
            pass
        self.number, self.events = 0, list[dict[str, Any]]()
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.do(f"{domain}.enable")
        self.do("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.size(1200, 900)

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        text = json.dumps({"id": self.number, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        length = (
            struct.pack("!B", 0x80 | len(text)) if len(text) < 126 else struct.pack("!BH", 0xFE, len(text))
        )
        self.socket.sendall(
            b"\x81" + length + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
        )
        while True:
            message = json.loads(self.receive())
            if message.get("id") == self.number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def receive(self) -> bytes:
        whole = b""
        while True:
            first, second = self.stream.read(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self.stream.read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.stream.read(8))
            whole += self.stream.read(size)
            if first & 0x80:
                return whole

    def js(self, script: str) -> Any:
        answer = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not self.js(script):
            assert time.monotonic() < end, f"{script} never came true; status: {self.js(STATUS)}"
            time.sleep(0.2)

    def press(self, key: str, code: int = 0) -> None:
        for kind in ("keyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def click(self, selector: str, across: float = 0.5, down: float = 0.5) -> None:
        x, y = self.js(
            f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect();"
            f"return [b.left + {across} * b.width, b.top + {down} * b.height]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def upload(self, *files: Path) -> None:
        root = self.do("DOM.getDocument")["root"]["nodeId"]
        node = self.do("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        self.do("DOM.setFileInputFiles", nodeId=node, files=[str(one) for one in files])

    def size(self, width: int, height: int) -> None:
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def named(self, method: str) -> list[dict[str, Any]]:
        self.js("0")
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self) -> None:
        self.stream.close()
        self.socket.close()
        self.process.terminate()
        self.process.communicate()


STATUS = "document.getElementById('status').textContent"
SLICE = "document.getElementById('slice-{}').value"
SLOW_FIRST = """
const sendNow = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.send = function (body) {
  XMLHttpRequest.prototype.send = sendNow;
  setTimeout(() => sendNow.call(this, body), 3000);
};
"""
"""The first upload is on its way for longer than the second would be."""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    found = Browser(tmp_path)
    yield found
    found.close()


@browser_needed
def test_a_person_sends_looks_changes_and_downloads(
    served: Served, browser: Browser, scans: list[Path], tmp_path: Path
) -> None:
    browser.do("Page.navigate", url=served.url)
    browser.wait("document.readyState === 'complete'")
    assert "SIMULATED" in browser.js("document.body.textContent")
    browser.js(SLOW_FIRST)
    browser.upload(scans[0], scans[1])
    browser.wait("document.querySelectorAll('#queue li').length === 2")
    browser.wait("document.querySelectorAll('#queue progress').length > 0")
    browser.wait("document.querySelectorAll('#queue [data-id]:not(:disabled)').length === 2")
    browser.wait("!document.getElementById('result').hidden")
    shown = browser.js("document.getElementById('name').textContent")
    assert shown == scans[0].name
    chances = browser.js(
        "[...document.querySelectorAll('#chances td.n')].map((cell) => Number(cell.textContent))"
    )
    assert sum(chances) == pytest.approx(1, abs=0.01)
    assert "MMSE" in browser.js("document.getElementById('headline').textContent")
    assert browser.js("[...document.querySelectorAll('#caveats dt')].map((one) => one.textContent)") == [
        "Confidence", "MMSE interval", "Like the training scans", "Quality",
    ]  # fmt: skip
    picture = "document.querySelector('#planes canvas').toDataURL()"
    plain = browser.js(picture)

    # heat map and biomarker
    browser.js("target.value = 'AD'; target.dispatchEvent(new Event('change'))")
    browser.wait("meaning.textContent.includes('log-odds of AD')")
    hot = browser.js(picture)
    assert hot != plain
    browser.js("biomarker.value = 'hippocampus'; biomarker.dispatchEvent(new Event('change'))")
    browser.wait("meaning.textContent.includes('Hippocampal volume')")
    assert browser.js(picture) not in {plain, hot}
    browser.js("opacity.value = 0; opacity.dispatchEvent(new Event('input'))")
    assert browser.js(picture) == plain

    # hands and keys
    browser.click("#planes figure:nth-child(3) canvas", 0.25, 0.25)
    x, y = (int(browser.js(SLICE.format(view))) for view in ("sagittal", "coronal"))
    assert min(x, y) > 32, "a quarter from the left of the picture is on the person's right"
    browser.js("document.querySelector('#planes figure:nth-child(3) canvas').focus()")
    for key, code in (("ArrowRight", 39), ("ArrowDown", 40), ("PageUp", 33)):
        browser.press(key, code)
    assert int(browser.js(SLICE.format("sagittal"))) == x - 1, (
        "to the right of the picture is to the person's left"
    )
    assert int(browser.js(SLICE.format("coronal"))) == y - 1
    browser.js("document.querySelector('[data-id][aria-pressed=false]').focus()")
    browser.press("Enter", 13)
    browser.do("Input.dispatchKeyEvent", type="char", text="\r")
    browser.wait(f"document.getElementById('name').textContent === '{scans[1].name}'")
    assert browser.js("document.activeElement.id") == "name"

    # everything a keyboard must reach is in its path
    reached = set()
    for _ in range(24):
        browser.press("Tab", 9)
        reached.add(browser.js("document.activeElement.id || document.activeElement.tagName"))
    assert {"target", "opacity", "download", "delete", "slice-axial", "CANVAS"} <= reached

    # download
    browser.click("#download")
    end = time.monotonic() + 30
    while not (pages := list(tmp_path.glob("voxtune-*.html"))):
        assert time.monotonic() < end
        time.sleep(0.1)
    page = pages[0].read_text(encoding="utf-8")
    assert scans[1].name in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"?http", page)

    # a phone, in the dark
    browser.size(390, 844)
    browser.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.js("document.documentElement.scrollWidth") <= 390
    assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"

    assert not browser.named("Runtime.exceptionThrown")
    assert not browser.named("Log.entryAdded")
    assert not browser.named("Runtime.consoleAPICalled")
    asked = {params["request"]["url"] for params in browser.named("Network.requestWillBeSent")}
    assert {one.split("/")[2] for one in asked if not one.startswith("data:")} == {f"127.0.0.1:{served.port}"}


@browser_needed
def test_what_is_no_scan_is_said_beside_its_name(served: Served, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "<img src=x onerror=alert(1)>.svg").write_text("<svg/>")
    browser.do("Page.navigate", url=served.url)
    browser.wait("document.readyState === 'complete'")
    browser.upload(tmp_path / "<img src=x onerror=alert(1)>.svg")
    browser.wait("document.querySelector('#queue .why') !== null")
    assert "not a scan" in browser.js("document.querySelector('#queue .why').textContent")
    assert browser.js("document.querySelector('#queue .scan').textContent").startswith("<img")
    assert browser.js("document.querySelectorAll('#queue img').length") == 0
    assert not browser.named("Runtime.exceptionThrown")


def test_the_answer_is_that_of_predict(served: Served, scans: list[Path], tmp_path: Path) -> None:
    from voxtune.commands.predict.command import predict

    status, said = served.ask("POST", f"/api/v1/scans?name={scans[2].name}&wait=300", scans[2].read_bytes())
    assert status == 200
    answer = predict(Path("demo"), [scans[2]], output=tmp_path).as_json()
    for name in ("verdict", "predicted", "abstained", "unlike_training", "quality"):
        assert said[name] == answer[name]
    assert said["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)
    assert said["mmse"] == pytest.approx(answer["mmse"], abs=1e-3)
    status, heat = served.ask("GET", f"/api/v1/scans/{said['id']}/map?target=mmse")
    assert (status, heat["target"]) == (200, "mmse")
    voxels = served.ask("GET", f"/api/v1/scans/{said['id']}/map/voxels?target=mmse")[1]
    assert len(voxels) == 64**3
    assert max(voxels) == 255


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_a_worker_killed_in_mid_scan_costs_no_scan(served: Served) -> None:
    from importlib.resources import files

    head = Path(str(files("voxtune.simulate"))) / "assets" / "head_pddl" / "T1w_2mm.nii.gz"
    _, said = served.ask("POST", "/api/v1/scans?name=head.nii.gz", head.read_bytes())
    scan = f"/api/v1/scans/{said['id']}"
    end = time.monotonic() + 120
    while served.ask("GET", scan)[1]["step"] != "mask":
        assert time.monotonic() < end
        time.sleep(0.02)
    (worker,) = served.workers()
    os.kill(worker, signal.SIGKILL)
    while (state := served.ask("GET", scan)[1])["state"] not in {"done", "failed"}:
        assert time.monotonic() < end + 240
        time.sleep(0.2)
    assert (state["state"], state["attempts"]) == ("done", 2)
    assert served.workers() != [worker]
    assert "voxtune_worker_deaths_total 1" in served.ask("GET", "/metrics")[1].decode()
