"""``voxtune serve`` before it serves, and its worker's own limits."""

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.errors import ScanError, UsageError
from voxtune.serving.worker import done


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "starlette" else real(name))
    result = CliRunner().invoke(main, ["serve", "demo"])
    assert result.exit_code == 2
    assert "'starlette>=" in result.output
    assert "starlette" in result.output


def test_a_taken_port_is_one_sentence() -> None:
    pytest.importorskip("starlette")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = CliRunner().invoke(main, ["serve", "demo", "--port", str(other.getsockname()[1])])
    assert result.exit_code == 2
    assert "--port" in result.output


def test_what_is_no_adapter_is_refused_before_an_address_is_printed(tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    (tmp_path / "nothing").mkdir()
    script = "from voxtune.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "serve", str(tmp_path / "nothing"), "--port", str(free_port())],
        capture_output=True, encoding="utf-8", check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 3
    assert "is not an adapter" in done.stderr
    assert "token" not in done.stdout
    assert "Traceback" not in done.stderr


def test_every_end_of_a_task_is_a_sentence_without_the_file(tmp_path: Path) -> None:
    def ends(error: Exception) -> str:
        def do(task: dict[str, object], tell: object) -> dict[str, object]:
            raise error

        return str(done(do, {}, print)["failed"])

    assert ends(ScanError(tmp_path / "jane.nii", "the gzip is cut short")) == "The gzip is cut short."
    assert ends(MemoryError()) == "It needs more memory than one scan may have."
    assert ends(ValueError("Jane Doe, born 1950")) == "It cannot be processed (ValueError)."
    assert ends(UsageError("No such target.")) == "No such target."


WORKER = """
import json, sys
from voxtune.serving.worker import FORBIDDEN, forbid, limit_memory
limit_memory(64 * 2**20)
forbid(FORBIDDEN)
found = {}
def tried(name, do):
    try:
        do()
        found[name] = "done"
    except BaseException as error:
        found[name] = type(error).__name__
import os, socket, subprocess
tried("connect", lambda: socket.create_connection(("127.0.0.1", 9)))
tried("look up", lambda: socket.getaddrinfo("example.org", 80))
tried("run", lambda: subprocess.run(["true"]))
tried("shell", lambda: os.system("true"))
tried("much memory", lambda: bytearray(512 * 2**20))
tried("some memory", lambda: bytearray(8 * 2**20))
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit is Linux's")
def test_a_worker_cannot_call_out_or_take_all_memory() -> None:
    ran = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, encoding="utf-8", check=True)
    assert json.loads(ran.stdout) == {
        "connect": "PermissionError", "look up": "PermissionError", "run": "PermissionError", "shell": "PermissionError",
        "much memory": "MemoryError", "some memory": "done",
    }  # fmt: skip


def test_the_server_itself_never_loads_the_heavy_libraries() -> None:
    pytest.importorskip("starlette")
    script = (
        "import sys; import voxtune.serving.app, voxtune.commands.serve; "
        "print(sorted({'torch', 'SimpleITK', 'nibabel', 'transformers', 'ants'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert ran.stdout.strip() == "[]"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_help_names_every_bound() -> None:
    text = CliRunner().invoke(main, ["serve", "--help"]).output
    for option in ("--upload-limit", "--time-limit", "--memory-limit", "--keep", "--workers"):
        assert option in text
    assert "--trusted-host" in text, "another address is never listened at without a name"
