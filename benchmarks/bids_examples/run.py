"""Does ``voxtune ingest bids`` read every tree of the public BIDS examples that holds a T1w, or refuse it with a right sentence?

The trees are made from their lists of paths (``paths.txt``): images of one byte, tables with invented people where a tree has such
a table. Nothing is fetched.

    python benchmarks/bids_examples/run.py        # some seconds; writes results/trees.json
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from voxtune.commands.ingest.command import read_cohort
from voxtune.errors import VoxTuneError

HERE = Path(__file__).parent
GROUPS = ("control", "patient")


def trees() -> dict[str, list[str]]:
    """The paths of each tree, without its name."""
    found: dict[str, list[str]] = {}
    for line in (HERE / "paths.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            tree, _, path = line.partition("/")
            found.setdefault(tree, []).append(path)
    return found


def build(root: Path, paths: Iterable[str]) -> None:
    """Files of these paths below a folder; tables name the people and sessions whose folders are there."""
    paths = list(paths)
    people = sorted({path.split("/")[0] for path in paths if path.startswith("sub-") and "/" in path})
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if path == "participants.tsv":
            rows = [
                f"{person}\t{20 + number}\t{'FM'[number % 2]}\t{GROUPS[number % 2]}"
                for number, person in enumerate(people)
            ]
            file.write_text("\n".join(["participant_id\tage\tsex\tgroup", *rows]) + "\n", encoding="utf-8")
        elif path.endswith("_sessions.tsv"):
            person = path.split("/")[0]
            parts = {
                part
                for one in paths
                if one.startswith(f"{person}/")
                for part in one.split("/")
                if part.startswith("ses-")
            }
            file.write_text(
                "\n".join(["session_id\tacq_time", *(f"{name}\tn/a" for name in sorted(parts))]) + "\n",
                encoding="utf-8",
            )
        else:
            file.write_text("{}" if path.endswith(".json") else "x", encoding="utf-8")


def outcome(root: Path, paths: Iterable[str]) -> dict[str, Any]:
    """What became of a tree: images in, kept and dropped, and why; or the sentence it was refused with.

    A tree that is refused for its labels is read once more without them.
    """
    images = [path for path in paths if path.endswith(("_T1w.nii", "_T1w.nii.gz"))]
    own = [path for path in images if path.startswith("sub-")]
    found: dict[str, Any] = {"images": len(own), "elsewhere": len(images) - len(own)}
    for settings in ({}, {"unlabelled": "keep"}):
        try:
            reading = read_cohort("bids", root, settings)
        except VoxTuneError as error:
            found["refused"] = str(error)
            continue
        dropped = [one for one in reading.dropped if one.kind == "image"]
        rows = len(reading.dropped) - len(dropped)
        return found | {
            "kept": len(reading.rows),
            "dropped": len(dropped),
            "rows_without_image": rows,
            "reasons": reading.reasons(),
        }
    return found


def measure() -> dict[str, dict[str, Any]]:
    """The outcome of every tree."""
    found = {}
    for name, paths in sorted(trees().items()):
        with tempfile.TemporaryDirectory() as place:
            root = Path(place) / name
            root.mkdir()
            build(root, paths)
            found[name] = outcome(root, paths)
    return found


def main() -> None:
    """Write the outcomes."""
    path = HERE / "results" / "trees.json"
    path.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
