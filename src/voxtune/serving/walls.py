"""What a worker may not do, held by the kernel where it offers that, and by Python's audit hook everywhere.

Linux: Landlock leaves the worker its libraries and the adapter to read and its own scratch folder to write, and no program to start;
seccomp refuses sockets of any kind, new processes, and looking into other processes. Both hold native code too, such as the image
libraries that open strangers' files. The audit hook holds Python code alone: ``missing`` says what nobody holds then.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from voxtune.storage.strict_json import loads

FORBIDDEN = (
    "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "socket.sendmsg", "socket.__new__",
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.kill", "pty.spawn", "os.chmod", "os.chown", "os.utime",
    "os.setxattr", "os.removexattr", "os.symlink", "os.link", "resource.prlimit",
)  # fmt: skip
"""Audit events of Python that a worker refuses: nothing leaves the machine, no file starts a program, nothing elsewhere changes."""
REFUSED = (
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg", "execve", "execveat",
    "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "kill", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
    "io_uring_setup", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "mount", "umount2", "move_mount",
    "open_tree", "fsopen", "unshare", "setns", "chroot", "pivot_root", "open_by_handle_at", "init_module", "finit_module", "kexec_load",
    "reboot", "swapon", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "process_madvise", "process_mrelease", "kcmp", "move_pages",
    "migrate_pages", "setpriority", "ioprio_set", "shmget", "semget", "msgget", "mq_open",
    # Landlock holds what is opened, not what is only changed about a file.
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat",
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
)  # fmt: skip
"""System calls that no scan needs."""
F_SETOWN, F_SETOWN_EX = 8, 15
"""Of ``fcntl``: whom the kernel signals when something can be read."""
SYSTEM = (
    "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm",
    "/sys/devices/system", "/dev/urandom", "/dev/random",
)  # fmt: skip
DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    *(f"/dev/nvidia{n}" for n in range(16)),
)
ACCELERATORS = ("/dev/shm",)  # noqa: S108
"""What the driver of an accelerator shares memory in; every program of this account can, so that a worker without one may not."""
WORDS = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json")
"""Files that make a tokenizer."""
CLONE_THREAD = 0x00010000


@dataclass(frozen=True)
class Walls:
    """Which walls stand."""

    files: bool = False
    """Landlock: no file but those that are named."""
    calls: bool = False
    """seccomp: no socket, no program, no other process."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What is held by Python's audit hook alone, or not at all: native code could do it."""
        files = () if self.files else ("read the files of this account",)
        return (*files, *(() if self.calls else ("open a connection", "start a program")))


def raise_walls(read: Sequence[Path], write: Path, *, accelerator: bool = False) -> Walls:
    """Build every wall that this system has around this process and what it starts; there is no way back.

    Args:
        read: files and folders that are needed besides Python and its libraries.
        write: the one folder that may be written to.
        accelerator: the model runs on one.
    """
    with suppress(ImportError, OSError, RuntimeError):
        import pyseccomp  # noqa: F401  (it looks for its library with a program, which is refused from here on)
    devices = (*DEVICES, *(ACCELERATORS if accelerator else ()))
    walls = Walls(files=_close_files(read, write, devices), calls=_close_calls())
    forbid(FORBIDDEN)
    return walls


def _close_files(read: Sequence[Path], write: Path, devices: Sequence[str]) -> bool:
    if sys.platform != "linux":
        return False
    try:
        from landlock import FSAccess, Ruleset

        look = FSAccess.READ_FILE | FSAccess.READ_DIR
        device = (look | FSAccess.WRITE_FILE) & FSAccess.all()
        # No link and no pipe: the server reads what stands in that folder, and it stands outside of these walls.
        odd = (
            FSAccess.MAKE_CHAR
            | FSAccess.MAKE_BLOCK
            | FSAccess.MAKE_SOCK
            | FSAccess.MAKE_FIFO
            | FSAccess.MAKE_SYM
        )
        own = FSAccess.all() & ~(FSAccess.EXECUTE | odd)
        rules = Ruleset()
        places = [*SYSTEM, *_python(), *(str(path) for path in read)]
        for path, access in [*((one, look) for one in places), *((one, device) for one in devices)]:
            with suppress(FileNotFoundError, NotADirectoryError):
                rules.allow(path, rules=access if Path(path).is_dir() else access & FSAccess.all_file())
        for path in {str(Path(one).parent) for one in read if Path(one).suffix == ".safetensors"}:
            rules.allow(path, rules=FSAccess.READ_DIR)  # names alone
        rules.allow(str(write), rules=own)
        rules.apply()
    except (ImportError, OSError, ValueError):
        return False
    return True


def _python() -> Sequence[str]:
    """Where this Python and the packages that it imports lie."""
    return [sys.prefix, sys.base_prefix, *(one for one in sys.path if one)]


def _close_calls() -> bool:
    if sys.platform != "linux":
        return False
    try:
        import errno

        import pyseccomp

        rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        refuse = pyseccomp.ERRNO(errno.EACCES)
        for name in REFUSED:
            with suppress(OSError, ValueError, RuntimeError):  # a call that this machine does not have
                rules.add_rule(refuse, name)
        # A thread is a clone too. The newer call hides its flags: it is said not to be there, and the older one is used.
        rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
        rules.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
        # Of these the harmless half is needed: of this process itself.
        rules.add_rule(refuse, "tgkill", pyseccomp.Arg(0, pyseccomp.NE, os.getpid()))
        rules.add_rule(refuse, "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
        for command in (F_SETOWN, F_SETOWN_EX):
            rules.add_rule(refuse, "fcntl", pyseccomp.Arg(1, pyseccomp.EQ, command))
        rules.load()
    except (ImportError, OSError, ValueError, RuntimeError, AttributeError):
        return False
    return True


def forbid(events: tuple[str, ...]) -> None:
    """From here on this process raises where its Python code would open a connection or start a program."""

    def refuse(event: str, _: tuple[object, ...]) -> None:
        if event.startswith(events):
            raise PermissionError(f"a worker may not do '{event}'")

    sys.addaudithook(refuse)


def private_places(folder: Path) -> dict[str, str]:
    """An environment in which whatever writes for itself writes into ``folder``, which goes with the server."""
    return dict.fromkeys(
        ("TMPDIR", "TEMP", "TMP", "HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(folder)
    )


def places_of_base(adapter: Path, base: Path | None) -> list[Path]:
    """What reading an adapter and its base may need, as ``model.base_files`` looks for it: no folder of somebody's other files.

    Args:
        adapter: its folder.
        base: a file or folder that was named.
    """
    found = [adapter, Path(os.environ.get("VOXTUNE_HOME") or Path.home() / ".voxtune")]
    named = [] if base is None else [base]
    run = adapter.parent / "config.json"
    with suppress(OSError, ValueError, KeyError, AttributeError, TypeError):
        said = loads(run.read_text(encoding="utf-8"))["backbone"]
        named += [
            Path(said[name])
            for name in ("weights", "text_weights", "tokenizer")
            if isinstance(said.get(name), str)
        ]
        found.append(run)
    for place in named:
        folder = place if place.is_dir() else place.parent
        if place == base and place.is_dir():
            found.append(place)
        elif place.suffix == ".safetensors":
            found += [place, place.with_suffix(".json"), folder / "config.json"]
        found += [inside / name for inside in (folder, folder / "tokenizer") for name in WORDS]
    return found
