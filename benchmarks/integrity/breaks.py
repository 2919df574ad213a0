"""Break every command at its renames, at its writes, at random times, by a power cut, on a small disk and by its like; then give it again.

    python benchmarks/integrity/breaks.py FOLDER [--only train] [--seconds 240]

Results go to ``results/breaks.json``, command by command; the next call goes on where the time of the last one ended.

A trial is cheap, so that all places can be tried in less than half an hour of one processor: this process imports everything and
runs every command once, each trial is a fork of it (a cold start of Python takes longer than most commands), what is long and
writes nothing is remembered (``remember``), and the folder may lie in memory (``/dev/shm``).
"""

import argparse
import errno
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import study
from remember import remember
from study import COMMANDS, Break, Command, begin, call, differences, inputs, tree, words_of

from voxtune.storage.lock import is_lock

RESULTS = Path(__file__).parent / "results" / "breaks.json"
KINDS = ("renames", "writes", "random", "power", "full", "together")
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.97)
"""Of what a command writes, the room that there is on a file system of its own (``full``), or the part of its time after which it is begun a second time (``together``)."""
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument(
        "--only", nargs="*", choices=[one.name for one in COMMANDS], help="these, in this order"
    )
    options.add_argument("--random", type=int, default=5, help="kills at random times for one command")
    options.add_argument(
        "--seconds", type=float, default=3600.0, help="to spend on one kind of break of one command"
    )
    given = options.parse_args()
    study.preloaded()
    root = given.folder.absolute()
    remember(root.with_name(f"{root.name}-remembered"))
    whole = study.make(root)["whole"]
    known = {command.name: command for command in COMMANDS}
    commands = [known[name] for name in given.only] if given.only else list(COMMANDS)
    study.warm(whole, root / "warm", commands)
    stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for command in commands:
        for kind in KINDS:
            key = f"{command.name}/{kind}"
            before = stored.get(key, {})
            if not finished(before):
                stored[key] = together(before, trial(command, kind, whole, given, before))
                print(key, json.dumps(stored[key])[:600], flush=True)
                RESULTS.write_text(json.dumps(stored, indent=1) + "\n")


def finished(before: dict[str, Any]) -> bool:
    """Whether every place was tried."""
    return bool(before) and before["tried"] >= before["places"]


def together(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What was tried before and now; of a command that has other places by now, what was found now."""
    if found["places"] != before.get("places"):
        return found
    both = {name: before[name] + found[name] for name in ("tried", "faults")}
    return found | both


def trial(
    command: Command, kind: str, whole: Path, given: argparse.Namespace, before: dict[str, Any]
) -> dict[str, Any]:
    """One kind of break of one command at as many places that were not tried before as there is time for."""
    folder = given.folder.absolute() / "try"
    inputs(command, whole, folder)
    old = tree(folder, [name for name in command.makes if name in command.needs])
    words = words_of(command, whole)
    began = time.monotonic()
    plain = call(words, folder, Break(writes=kind == "writes"))
    took = time.monotonic() - began
    assert plain.code == 0, plain.said
    golden = tree(folder, command.makes)
    if kind == "full" and not _mounts(given.folder.absolute()):
        return {"places": 0, "tried": 0, "faults": [], "seconds": 0.0}
    places = in_order(command, kind, plain.seen, took, given.random)
    tried = before["tried"] if before.get("places") == len(places) else 0
    faults: list[str] = []
    done, began = 0, time.monotonic()
    for number, place in enumerate(places[tried:], start=tried):
        if time.monotonic() - began > given.seconds:
            break
        if kind == "full":
            found = _small(command, whole, words, given.folder.absolute() / "small", place, golden)
            done, faults = done + 1, faults + [f"{place}: {one}" for one in found]
            continue
        inputs(command, whole, folder)
        done += 1
        if kind == "together":
            found = _together(command, words, place * took, folder, golden)
            faults += [f"{place}: {one}" for one in found]
            continue
        faults += [
            f"{place}: {one}" for one in _one(command, words, kind, place, number, folder, golden, old)
        ]
    return {
        "places": len(places),
        "tried": done,
        "faults": faults[:20],
        "seconds": round(took, 2),
    }


def in_order(command: Command, kind: str, seen: int, took: float, times: int) -> list[float]:
    """The places of a kind of break, in a drawn order that is always the same: where the time ends early, what was tried lies all over the command."""
    draw = random.Random(f"{command.name}/{kind}")
    if kind == "random":
        moments = random.Random(command.name)
        places = [moments.uniform(0.02, 1) * took for _ in range(times)]
    elif kind in {"full", "together"}:
        places = [*SHARES]
    else:
        places = [*range(1, seen + 1, command.every)]
    draw.shuffle(places)
    if kind in {"renames", "writes", "power"}:
        rest: list[float] = [place for place in range(1, seen + 1) if place not in places]
        draw.shuffle(rest)
        places += rest
    return places


def _one(  # noqa: PLR0913, PLR0917  (what a trial is)
    command: Command,
    words: list[str],
    kind: str,
    place: float,
    number: int,
    folder: Path,
    golden: dict[str, bytes],
    before: dict[str, bytes],
) -> list[str]:
    faults = []
    looks = _looks(folder)
    journal = folder.parent / "journal"
    journal.unlink(missing_ok=True)
    error = ERRORS[number % len(ERRORS)] if kind == "writes" else 0
    how = {
        "renames": Break(at=int(place)), "writes": Break(writes=True, error=error, at=int(place)), "random": Break(seconds=place),
        "power": Break(at=int(place), journal=str(journal)),
    }[kind]  # fmt: skip
    ended = call(words, folder, how)
    if kind == "writes":
        errors = [line for line in ended.said.splitlines() if line.startswith(f"voxtune {command.name}:")]
        if "Traceback" in ended.said:
            faults.append(f"traceback after {errno.errorcode[error]}: {ended.said[-300:]}")
        elif ended.code == 0 and differences(golden, tree(folder, command.makes)):
            faults.append(f"{errno.errorcode[error]} passed in silence")
        elif ended.code not in {0, 3} or (ended.code and len(errors) != 1):
            faults.append(f"code {ended.code} after {errno.errorcode[error]}: {ended.said[-300:]}")
    if kind == "power":
        drop_unsynced(journal, folder, before)
    _forget_looks(folder, looks)
    return faults + _afterwards(command, words, folder, golden, kind)


def _afterwards(
    command: Command, words: list[str], folder: Path, golden: dict[str, bytes], kind: str
) -> list[str]:
    """What is wrong once the same command was given again."""
    faults = []
    again = call(
        [*words, *(command.again if _begun(folder, command) else ())], folder, None, folder.with_name("again")
    )
    if again.code != 0:
        faults.append(f"the same command fails afterwards ({again.code}): {again.said[-300:]}")
    elif different := [
        one for one in differences(golden, tree(folder, command.makes)) if not _idle(one, kind)
    ]:
        faults.append(f"other bytes afterwards: {', '.join(different[:5])}")
    left = [path.name for path in folder.rglob("*") if path.name.startswith(".part-") or is_lock(path)]
    if left:
        faults.append(f"left behind: {left[:3]}")
    return faults


def _together(
    command: Command, words: list[str], wait: float, folder: Path, golden: dict[str, bytes]
) -> list[str]:
    """The same command twice at once in one folder: each is done or turned away in a sentence, and nothing is mixed."""
    looks = _looks(folder)
    first = begin(words, folder, None, folder.with_name("first"))
    time.sleep(wait)
    second = begin(words, folder, None, folder.with_name("second"))
    ends = [first(), second()]
    faults = []
    for ended in ends:
        said = [line for line in ended.said.splitlines() if line.startswith(f"voxtune {command.name}:")]
        if "Traceback" in ended.said or ended.code not in {0, 2} or (ended.code and len(said) != 1):
            faults.append(f"two at once: code {ended.code}: {ended.said[-300:]}")
    if all(ended.code for ended in ends):
        faults.append("two at once: neither is done")
    _forget_looks(folder, looks)
    return faults + _afterwards(command, words, folder, golden, "together")


def _small(
    command: Command, whole: Path, words: list[str], place: Path, share: float, golden: dict[str, bytes]
) -> list[str]:
    """The command on a file system that is full before it ends, and again once there is room."""
    place.mkdir(exist_ok=True)
    _mount(place, "size=1g")
    try:
        folder = place / "try"
        inputs(command, whole, folder)
        (folder / "tmp").mkdir(exist_ok=True)
        looks, filled = _looks(folder), shutil.disk_usage(place).used
        ended = call(words, folder, None, place.with_name("plain"))
        assert ended.code == 0, ended.said
        most = shutil.disk_usage(place).used - filled
        inputs(command, whole, folder)
        filled = shutil.disk_usage(place).used
        # A size of 0 means no limit, which cannot be taken back.
        room = max(filled + int(most * share) // 4096 * 4096, 4096)
        _mount(place, f"remount,size={room}")
        ended = call(words, folder, None, place.with_name("broken"))
        said = [line for line in ended.said.splitlines() if line.startswith(f"voxtune {command.name}:")]
        faults = []
        if "Traceback" in ended.said or ended.code not in {0, 3} or (ended.code and len(said) != 1):
            faults.append(f"on a full disk: code {ended.code}: {ended.said[-300:]}")
        _mount(place, "remount,size=1g")
        _forget_looks(folder, looks)
        return faults + _afterwards(command, words, folder, golden, "full")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _mount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)


def _mounts(folder: Path) -> bool:
    """Whether a file system may be made here."""
    (place := folder / "small").mkdir(exist_ok=True)
    try:
        _mount(place, "size=64k")
        subprocess.run(["umount", str(place)], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _looks(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("looks.jsonl")}


def _forget_looks(folder: Path, before: dict[Path, bytes]) -> None:
    """Put back the records of looks at a test side (the broken command is one, and the page of the next says so), with half a line that a break left."""
    for path, data in _looks(folder).items():
        half = data[data.rfind(b"\n") + 1 :]
        if path in before or half:
            path.write_bytes(before.get(path, b"") + half)
        else:
            path.unlink()
    for path in before.keys() - _looks(folder).keys():
        path.write_bytes(before[path])


def _idle(path: str, kind: str) -> bool:
    """Whether a cache may stay cut after a power cut: of what is finished nobody reads it; whoever does finds it (``flips``)."""
    return kind == "power" and ("/.steps/" in path or "/cache/embedded/" in path)


def _begun(folder: Path, command: Command) -> bool:
    return any((folder / name).exists() for name in command.makes)


def drop_unsynced(journal: Path, folder: Path, before: dict[str, bytes]) -> None:
    """What a power cut leaves: bytes that were not synchronised are gone, and so are renames whose folder was not."""
    safe: dict[str, bool] = {}
    renamed: list[tuple[str, str]] = []
    for line in journal.read_text().splitlines() if journal.is_file() else ():
        what, one, two = line.split("\t")
        one, two = (str(folder / path) if path else "" for path in (one, two))
        if what == "write":
            safe[one] = False
        elif what == "fsync":
            safe[one] = True
            renamed = [(a, b) for a, b in renamed if str(Path(b).parent) != one]
        else:
            safe[two] = safe.pop(one, True)
            renamed.append((one, two))
    for path, synchronised in safe.items():
        if not synchronised and Path(path).is_file():
            size = Path(path).stat().st_size
            os.truncate(path, size // 2 // 4096 * 4096)
    for _, target in renamed:
        local = Path(target).relative_to(folder).as_posix()
        if local in before:
            Path(target).write_bytes(before[local])
        else:
            Path(target).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.setrecursionlimit(3000)
    main()
    for name in ("try", "warm"):
        shutil.rmtree(Path(sys.argv[1]) / name, ignore_errors=True)
