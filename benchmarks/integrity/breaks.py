"""Break every command at its renames, at its writes, at random times and by a power cut; then give the same command again.

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
import sys
import time
from pathlib import Path
from typing import Any

import study
from remember import remember
from study import COMMANDS, Break, Command, call, differences, inputs, tree, words_of

RESULTS = Path(__file__).parent / "results" / "breaks.json"
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
        for kind in ("renames", "writes", "random", "power"):
            key = f"{command.name}/{kind}"
            before = stored.get(key, {"places": 1, "tried": 0, "faults": []})
            if before["tried"] >= before["places"]:
                continue
            found = trial(command, kind, whole, given, before["tried"])
            stored[key] = found | {
                "tried": before["tried"] + found["tried"],
                "faults": before["faults"] + found["faults"],
            }
            print(key, json.dumps(stored[key])[:600], flush=True)
            RESULTS.write_text(json.dumps(stored, indent=1) + "\n")


def trial(
    command: Command, kind: str, whole: Path, given: argparse.Namespace, tried: int = 0
) -> dict[str, Any]:
    """One kind of break of one command at as many of its places after the first ``tried`` as there is time for."""
    folder = given.folder.absolute() / "try"
    inputs(command, whole, folder)
    before = tree(folder, [name for name in command.makes if name in command.needs])
    words = words_of(command, whole)
    began = time.monotonic()
    plain = call(words, folder, Break(writes=kind == "writes"))
    took = time.monotonic() - began
    assert plain.code == 0, plain.said
    golden = tree(folder, command.makes)
    places: list[float] = [*range(1, plain.seen + 1, command.every)]
    if kind == "random":
        places = [random.Random(1).uniform(0.02, 1) * took for _ in range(given.random)]
    # In a drawn order that is always the same: where the time ends early, what was tried lies all over the command.
    random.Random(f"{command.name}/{kind}").shuffle(places)
    faults: list[str] = []
    done, began = 0, time.monotonic()
    for number, place in enumerate(places[tried:], start=tried):
        if time.monotonic() - began > given.seconds:
            break
        inputs(command, whole, folder)
        done += 1
        faults += [
            f"{place}: {one}" for one in _one(command, words, kind, place, number, folder, golden, before)
        ]
    return {
        "places": len(places),
        "of": plain.seen if kind != "random" else len(places),
        "tried": done,
        "faults": faults[:20],
        "seconds": round(took, 2),
    }


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
    again = call([*words, *(command.again if _begun(folder, command) else ())], folder)
    if again.code != 0:
        faults.append(f"the same command fails afterwards ({again.code}): {again.said[-300:]}")
    elif different := [
        one for one in differences(golden, tree(folder, command.makes)) if not _idle(one, kind)
    ]:
        faults.append(f"other bytes afterwards: {', '.join(different[:5])}")
    left = [path.name for path in folder.rglob(".part-*")]
    if left:
        faults.append(f"left behind: {left[:3]}")
    return faults


def _looks(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("looks.jsonl")}


def _forget_looks(folder: Path, before: dict[Path, bytes]) -> None:
    """Put back the records of looks at a test side: the broken command is one, and the page of the next says so."""
    for path in _looks(folder).keys() | before.keys():
        if path in before:
            path.write_bytes(before[path])
        else:
            path.unlink()


def _idle(path: str, kind: str) -> bool:
    """Whether a cache may stay cut after a power cut: nobody reads the steps of a finished scan; whoever does finds it (``flips``)."""
    return kind == "power" and "/.steps/" in path


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
