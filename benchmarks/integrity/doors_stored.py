"""A door of ``fuzz``: any stored file of a study with hostile values and a seal that fits, then a command that reads it."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import study
from mutations import changed, mutated
from remember import remember

WORDS: dict[str, tuple[str, ...]] = {
    "train again": ("train", *study.RECIPE, "-o", "run", "--data", "cohort/manifest.tsv", "--split", "split"),
    "resume": ("train", *study.RECIPE, "-o", "run", "--data", "cohort/manifest.tsv", "--split", "split", "--resume"),
    "evaluate": ("evaluate", "run", "--data", "cohort/manifest.tsv"),
    "evaluate an adapter": ("evaluate", "adapter", "--data", "cohort/manifest.tsv", "-o", "scored"),
    "compare": ("compare", "run/evaluation/test", "run/evaluation/test/baselines/majority", "-o", "compared"),
    "compare runs": ("compare", "run", "run", "-o", "compared"),
    "export": ("export", "run", "-o", "exported"),
    "audit": ("audit", "split", "--data", "cohort/manifest.tsv"),
    "curve": ("curve", *study.RECIPE, "-o", "curve", "--data", "cohort/manifest.tsv", "--split", "split", "--sizes", "all", "--seeds", "1"),
    "reproduce": ("reproduce", "deft", "-o", "made", "--data", "cohort/manifest.tsv", "--base", "tiny", "--table", "4", "--seeds", "1", "--set", "training.epochs=1"),
    "preprocess": ("preprocess", "raw.tsv", "pre", "--preset", "tiny"),
    "predict": ("predict", "adapter", "pre/{scan}/volume.nii.gz", "-o", "answered"),
    "explain": ("explain", "adapter", "pre/{scan}/volume.nii.gz", "-o", "told"),
    "drift": ("drift", "run", "pre/manifest.tsv", "-o", "shifted"),
    "drift with a reference": ("drift", "adapter", "pre/manifest.tsv", "--reference", "cohort/manifest.tsv", "-o", "shifted"),
    "similar": ("similar", "run", "cohort/manifest.tsv", "-o", "near"),
    "embed": ("embed", "run", "pre/manifest.tsv", "-o", "vectors"),
}  # fmt: skip
"""Commands that go on with or read what others stored."""
FOLDERS = ("run", "split", "adapter", "curve", "made", "pre", "cohort")


def stored_files(root: Path, folder: Path) -> Callable[[random.Random], object]:
    """The study with one file changed, and a command; only a traceback or an unknown exit code has escaped."""
    place = folder / "study"
    remember(root.parent.with_name(f"{root.parent.name}-remembered"))

    def run(draw: random.Random) -> object:
        name = draw.choice([*WORDS])
        words = [word.replace("{scan}", _scan(root)) for word in WORDS[name]]
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for one in (*FOLDERS, "raw.tsv"):
            source = root / one
            if source.exists():
                (shutil.copytree if source.is_dir() else shutil.copy)(source, place / one)
        read = [word.split("/")[0] for word in words]
        files = [
            path
            for one in FOLDERS
            if one in read or (one == "split" and "run" in read)
            for path in sorted((place / one).rglob("*"))
            if path.is_file()
            and path.suffix in {".json", ".tsv", ".jsonl"}
            and "evaluation" not in path.parts
        ] + [path for path in sorted((place / "run" / "evaluation").rglob("*.json")) if "run" in read]
        if not files:
            return None
        path = draw.choice(files)
        change(path, draw)
        ended = study.call(words, place, None, folder / "said")
        if "Traceback" in ended.said or ended.code not in {0, 2, 3, 4, 5}:
            raise RuntimeError(f"{name}, {path.relative_to(place)}: {ended.code} {ended.said.strip()[-160:]}")
        if ended.code:
            from voxtune.errors import DataError

            raise DataError(ended.said)
        return ended

    return run


def _scan(root: Path) -> str:
    return next(path.parent.name for path in sorted((root / "pre").glob("*/chain.json")))


def change(path: Path, draw: random.Random) -> None:
    """Hostile values, names left out or another kind of content, with the seal and the sums that belong to it."""
    from voxtune.storage.seal import read_sealed, write_sealed, write_sums

    if path.suffix != ".json":
        path.write_bytes(mutated(path.read_bytes(), draw))
    else:
        tree: Any = json.loads(path.read_bytes())
        sealed = "content_sha256" in tree
        if sealed:
            tree = read_sealed(path, "a file")
        what = draw.randrange(4)
        if what == 0 or not tree:
            tree = draw.choice(({}, {"x": 1}, [], None, 3, "x"))
        elif what == 1:
            tree = _without(tree, draw)
        else:
            tree = changed(tree, draw)
        if sealed and isinstance(tree, dict):
            write_sealed(path, tree)
        else:
            path.write_text(json.dumps(tree), encoding="utf-8")
    sums = path.parent / "SHA256SUMS"
    if sums.is_file():
        names = [line.split()[-1] for line in sums.read_text().splitlines()]
        write_sums(path.parent, names, shared=True)


def _without(tree: Any, draw: random.Random) -> Any:
    """The tree without one of its names, at any depth."""
    found = json.loads(json.dumps(tree))
    place = found
    while isinstance(place, dict) and place:
        name = draw.choice([*place])
        if isinstance(place[name], dict) and place[name] and draw.random() < 0.6:
            place = place[name]
        else:
            del place[name]
            break
    return found
