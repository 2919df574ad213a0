"""``voxtune serve`` before it serves, and its worker's own limits."""

import errno
import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.errors import ScanError, UsageError
from voxtune.serving.worker import done
from voxtune.storage.failures import REFUSED, on_disk


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
    assert ends(OSError(28, "No space left on device", str(tmp_path))) == (
        "The server cannot store its result: the disk is full. Try again when there is room."
    )
    assert ends(UsageError("No such target.")) == "No such target."


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_result_that_the_disk_refuses_is_no_fault_of_the_scan(tmp_path: Path, number: int) -> None:
    def do(task: dict[str, object], tell: object) -> dict[str, object]:
        with on_disk(tmp_path / "page.html"):
            raise OSError(number, os.strerror(number))

    said = f"The server cannot store its result: {REFUSED[number]}. Try again when there is room."
    assert done(do, {}, print) == {"failed": said, "unstored": True}


WORKER = """
import ctypes, fcntl, json, os, pathlib, resource, signal, socket, subprocess, sys, threading
from voxtune.serving.walls import raise_walls
from voxtune.serving.worker import limit_memory
scratch, home, parent = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), os.getppid()
walls = raise_walls([], scratch)
limit_memory(64 * 2**20)
found = {}
def tried(name, do):
    try:
        do()
        found[name] = "done"
    except BaseException as error:
        found[name] = type(error).__name__
libc = ctypes.CDLL(None, use_errno=True)
def native(name, *words):
    if getattr(libc, name)(*words) == -1:
        raise OSError(ctypes.get_errno(), name)
tried("connect", lambda: socket.create_connection(("127.0.0.1", 9)))
tried("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)))
tried("look up", lambda: socket.getaddrinfo("example.org", 80))
tried("run", lambda: subprocess.run(["true"]))
tried("shell", lambda: os.system("true"))
tried("fork", os.fork)
tried("home", lambda: (home / "secret").read_bytes())
tried("list home", lambda: os.listdir(home))
tried("write elsewhere", lambda: (home / "new").write_bytes(b"x"))
tried("native socket", lambda: native("socket", 2, 1, 0))
tried("native udp", lambda: native("socket", 2, 2, 0))
tried("native run", lambda: native("execv", b"/bin/true", None))
tried("native fork", lambda: os._exit(0) if libc.fork() == 0 else native("fork"))
tried("native home", lambda: native("open", str(home / "secret").encode(), 0))
tried("native signal", lambda: native("kill", parent, 0))
def call(number, *words):
    if libc.syscall(number, *words) == -1:
        raise OSError(ctypes.get_errno(), "call")
secret = home / "secret"
tried("mode", lambda: secret.chmod(0o666))
tried("owner", lambda: os.chown(secret, os.getuid(), os.getgid()))
tried("times", lambda: os.utime(secret, (0, 0)))
tried("attributes", lambda: os.setxattr(secret, "user.a", b"x"))
tried("symbolic link", lambda: os.symlink(secret, scratch / "link"))
tried("hard link", lambda: os.link(secret, scratch / "hard"))
tried("limits of the server", lambda: resource.prlimit(parent, resource.RLIMIT_CORE))
tried("slower server", lambda: os.setpriority(os.PRIO_PROCESS, parent, 10))
tried("pipe", lambda: os.mkfifo(scratch / "pipe"))
tried("list shared memory", lambda: os.listdir("/dev/shm"))
tried("signal by the terminal", lambda: fcntl.fcntl(0, fcntl.F_SETOWN, parent))
tried("native mode", lambda: native("chmod", str(secret).encode(), 0o666))
tried("native times", lambda: native("utimensat", -100, str(secret).encode(), None, 0))
tried("native symbolic link", lambda: native("symlink", str(secret).encode(), str(scratch / "link").encode()))
if os.uname().machine == "x86_64":
    tried("native thread signal", lambda: call(234, parent, parent, 0))
    tried("native old thread signal", lambda: call(200, parent, 0))
    tried("native queued signal", lambda: call(129, parent, 0, None))
    tried("native limits", lambda: native("prlimit", parent, 4, None, None))
    tried("native shared segment", lambda: call(29, 0, 4096, 0o1600))
tried("much memory", lambda: bytearray(512 * 2**20))
tried("some memory", lambda: bytearray(8 * 2**20))
tried("own signal", lambda: (signal.signal(signal.SIGUSR1, signal.SIG_IGN), signal.raise_signal(signal.SIGUSR1)))
tried("own file", lambda: (scratch / "a").write_bytes(b"x"))
thread = threading.Thread(target=lambda: found.update(thread="done"))
thread.start()
thread.join()
print(json.dumps({"found": found, "unheld": walls.missing}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kernel walls and the memory limit are Linux's")
def test_a_worker_can_do_nothing_but_its_work(tmp_path: Path) -> None:
    """Sockets, names, programs, processes, signals, shared memory and the home folder, by Python and by native code.

    Links and pipes in its own folder too: the server reads what stands there.
    """
    scratch, home = tmp_path / "scratch", tmp_path / "home"
    for folder in (scratch, home):
        folder.mkdir()
    (home / "secret").write_bytes(b"x")
    ran = subprocess.run(
        [sys.executable, "-c", WORKER, str(scratch), str(home)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    said = json.loads(ran.stdout)
    if said["unheld"]:
        pytest.skip(f"this kernel has no walls against: {', '.join(said['unheld'])}")
    refused = dict.fromkeys(
        {
            *said["found"]
        } & {
            "mode", "owner", "times", "attributes", "symbolic link", "hard link", "limits of the server", "slower server", "pipe",
            "list shared memory", "signal by the terminal", "native mode", "native times", "native symbolic link", "native thread signal",
            "native old thread signal", "native queued signal", "native limits", "native shared segment",
        } | {
            "connect", "udp", "look up", "run", "shell", "fork", "home", "list home", "write elsewhere", "native socket", "native udp",
            "native run", "native fork", "native home", "native signal",
        },
        "PermissionError",
    )  # fmt: skip
    done = dict.fromkeys(("some memory", "own signal", "own file", "thread"), "done")
    assert said["found"] == refused | done | {"much memory": "MemoryError"}


def test_a_base_beside_other_files_opens_no_more_than_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxtune.serving.walls import places_of_base

    monkeypatch.setenv("VOXTUNE_HOME", str(tmp_path / "weights"))
    run, downloads = tmp_path / "run", tmp_path / "downloads"
    (run / "adapter").mkdir(parents=True)
    downloads.mkdir()
    base = downloads / "base.safetensors"
    found = places_of_base(run / "adapter", base)
    assert {run / "adapter", tmp_path / "weights", base, downloads / "vocab.txt"} <= set(found)
    assert downloads not in found
    named = {"weights": str(base), "tokenizer": str(downloads), "text_weights": None}
    (run / "config.json").write_text(json.dumps({"backbone": named}))
    found = places_of_base(run / "adapter", None)
    assert {base, downloads / "tokenizer.json", run / "config.json"} <= set(found)
    assert downloads not in found
    assert downloads in places_of_base(run / "adapter", downloads)
    (run / "config.json").write_text("[]")
    assert run / "config.json" not in places_of_base(run / "adapter", None)


AUDITED = """
import json, os, socket, subprocess
from voxtune.serving.walls import FORBIDDEN, Walls, forbid
forbid(FORBIDDEN)
found = []
for do in (
    lambda: socket.create_connection(("127.0.0.1", 9)), lambda: socket.getaddrinfo("example.org", 80), lambda: subprocess.run(["true"]),
    lambda: os.system("true"), os.fork,
):
    try:
        do()
    except PermissionError:
        found.append("refused")
print(json.dumps([found, Walls().missing]))
"""


def test_without_kernel_walls_python_is_held_and_the_rest_is_said() -> None:
    ran = subprocess.run([sys.executable, "-c", AUDITED], capture_output=True, encoding="utf-8", check=True)
    assert json.loads(ran.stdout) == [
        ["refused"] * 5,
        ["read the files of this account", "open a connection", "start a program"],
    ]


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
