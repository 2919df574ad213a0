"""Break ``voxtune serve`` and its worker at their renames and at their writes, then let the same server answer the same scan.

    python benchmarks/integrity/served.py FOLDER [--seconds 240]

A scan is sent and a heat map asked for; every change that server and worker make under their folder is counted as one list. Results
go to ``results/breaks.json`` beside those of the other commands. What ends with the server (its scans are in memory) has no power cut.
"""

import argparse
import contextlib
import ctypes
import errno
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import study
from breaks import ERRORS, RESULTS, finished, together
from study import Break

WAIT = 240
CLOCKS = ("id", "seconds")
Answers = list[tuple[int, Any]]


@dataclass
class Server:
    """A running server."""

    pid: int
    port: int
    token: str
    folder: Path

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """One request: its status and JSON; status 0 where the server is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            data = answer.read()
            with contextlib.suppress(ValueError):
                return answer.status, json.loads(data)
            return answer.status, len(data)
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def answers(self, scan: bytes) -> Answers:
        """A scan is sent, its map asked for: what came."""
        sent = self.ask("POST", f"/api/v1/scans?name=a.nii.gz&wait={WAIT}", scan)
        if sent[0] != 200:
            return [sent]
        made = self.ask("GET", f"/api/v1/scans/{sent[1]['id']}/map?target=AD")
        if made[0] != 200:
            return [sent, made]
        parts = [self.ask("GET", f"/api/v1/scans/{sent[1]['id']}/{name}") for name in ("page", "volume", "map/voxels?target=AD")]  # fmt: skip
        return [sent, made, *parts]

    def forget(self) -> None:
        """Delete every scan."""
        for one in (self.ask("GET", "/api/v1/scans")[1] or {}).get("scans", ()):
            self.ask("DELETE", f"/api/v1/scans/{one['id']}")

    def stop(self) -> None:
        """End it and wait."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def started(whole: Path, folder: Path) -> Server:
    """A new server on the adapter of the study."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("serve", str(whole / "adapter"), "--port", str(port))
    said = folder.with_name("served.out")
    pid = study.begin_child(words, folder, Break(), folder.with_name("served"))
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if said.is_file() and (found := re.search(r"token=(\S+)", said.read_text(errors="replace"))):
            server = Server(pid, port, found[1], folder)
            if server.ask("GET", "/health")[0] == 200:
                return server
        time.sleep(0.1)
    raise TimeoutError(said.read_text())


def plain(answers: Answers) -> list[tuple[int, Any]]:
    """Answers without what is another each time."""
    return [
        (status, {name: one for name, one in said.items() if name not in CLOCKS} if isinstance(said, dict) else said)
        for status, said in answers
    ]  # fmt: skip


def trial(kind: str, whole: Path, root: Path, seconds: float, before: dict[str, Any]) -> dict[str, Any]:
    """One kind of break at as many places that were not tried before as there is time for."""
    folder = root / "try"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    library, state = ctypes.CDLL(None), root / "served.state"
    scan = next((whole / "cohort").rglob("scans/**/*.nii.gz")).read_bytes()
    server = started(whole, folder)
    golden = plain(server.answers(scan))
    assert [status for status, _ in golden] == [200] * 5, golden
    server.forget()
    study.arm(library, state, folder, Break(writes=kind == "writes"))
    began = time.monotonic()
    server.answers(scan)
    took = time.monotonic() - began
    seen = library.shim_seen()
    server.forget()
    places = [*range(1, seen + 1)]
    random.Random(f"serve/{kind}").shuffle(places)
    tried = before["tried"] if before.get("places") == len(places) else 0
    faults: list[str] = []
    done, began = 0, time.monotonic()
    for number, place in enumerate(places[tried:], start=tried):
        if time.monotonic() - began > seconds:
            break
        done += 1
        error = ERRORS[number % len(ERRORS)] if kind == "writes" else 0
        study.arm(library, state, folder, Break(writes=kind == "writes", error=error, at=place))
        found, healthy = server.answers(scan), server.ask("GET", "/health")[0]
        library.shim_seen()
        if found[-1][0] == 0 and not error:  # the server itself was killed
            server.stop()
            server = started(whole, folder)
            left = len([*(folder / "tmp").glob("voxtune-serve-*")])
            faults += [f"{place}: {left} folders after a killed server"] if left != 1 else []
        else:
            faults += [f"{place}: {one}" for one in _amid(found, healthy, error, golden)]
        if "Traceback" in (said := (root / "served.out").read_text(errors="replace")):
            faults.append(f"{place}: a traceback: {said[-300:]}")
        faults += [f"{place}: {one}" for one in _afterwards(server, scan, golden)]
    server.stop()
    if left := [path.name for path in (folder / "tmp").iterdir()]:
        faults.append(f"0: left by the server: {left[:3]}")
    return {"places": len(places), "tried": done, "faults": faults[:20], "seconds": round(took, 2)}


def _amid(found: Answers, healthy: int, error: int, golden: Answers) -> list[str]:
    """What is wrong with what came while something broke."""
    if not error:
        return [] if plain(found) == golden else [f"{found[-1]} after a killed worker"]
    faults, name = [], errno.errorcode[error]
    if found[-1][0] != 507 and plain(found) != golden:
        faults.append(f"{found[-1]} after {name}")
    if healthy != 507:
        faults.append(f"/health says {healthy} after {name}")
    return faults


def _afterwards(server: Server, scan: bytes, golden: Answers) -> list[str]:
    """What is wrong once nothing breaks any more."""
    faults = []
    if (now := server.ask("GET", "/health"))[0] != 200:
        faults.append(f"/health says {now} afterwards")
    for one in (server.ask("GET", "/api/v1/scans")[1] or {}).get("scans", ()):
        parts = [server.ask("GET", f"/api/v1/scans/{one['id']}/{name}") for name in ("page", "volume")]
        if one["state"] == "done" and (parts[0][0] != 200 or parts[1] != golden[3]):
            faults.append(f"half an answer is taken for whole: {parts}")
    if (again := plain(server.answers(scan))) != golden:
        faults.append(f"another answer afterwards: {str(again)[:200]}")
    server.forget()
    left = [path.name for path in (server.folder / "tmp").glob("voxtune-serve-*/*") if path.name != "home"]
    left = [name for name in left if re.fullmatch(r"[0-9a-f]{16}", name) or name.startswith(".part-")]
    if left:
        faults.append(f"left behind: {left[:3]}")
    return faults


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--seconds", type=float, default=3600.0, help="to spend on one kind of break")
    given = options.parse_args()
    study.preloaded()
    root = given.folder.absolute()
    whole = study.make(root)["whole"]
    stored: dict[str, Any] = json.loads(RESULTS.read_text())
    for kind in ("renames", "writes"):
        key = f"serve/{kind}"
        before = stored.get(key, {})
        if finished(before):
            continue
        stored[key] = together(before, trial(kind, whole, root / "serve", given.seconds, before))
        print(key, json.dumps(stored[key])[:2000], flush=True)
        RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
    shutil.rmtree(root / "serve", ignore_errors=True)


if __name__ == "__main__":
    main()
    sys.exit(0)
