"""Several trainings that are one question: seeds of one recipe, or the folds of a cross-validation; nothing but that between them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voxtune.config import HOW, RunConfig
from voxtune.errors import DataError
from voxtune.evaluation.choice import read_choice
from voxtune.evaluation.evaluated_model import EvaluatedModel, manifest_to_score, read_run
from voxtune.run_dir import RunDir, read_json, shared_config
from voxtune.types.stored import FoldList

FOLDS = "folds.json"
"""In the folder of a cross-validation: the folders of its folds, all of which belong to it, trained or not."""
NAMED = 8
"""Settings an error message names before it counts the rest."""


@dataclass(frozen=True)
class Member:
    """One finished training."""

    key: str
    """Its seed or its fold."""
    run: RunDir
    config: RunConfig
    split: Mapping[str, Any]
    adapter: Mapping[str, Any]
    """``adapter.json``."""

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.run.root.resolve().name

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.config.seed

    def settings(self) -> dict[str, object]:
        """Everything that makes it this run, by dotted path, without the seed, places on a machine and how fast it is computed."""
        tree = shared_config(self.config)
        tree["training"] = {key: value for key, value in tree["training"].items() if key not in HOW}
        known = {key: value for key, value in tree.items() if key not in {"name", "seed"}}
        choice = read_choice(self.run.root)
        free = () if choice is None else choice.paths
        among = (
            {} if choice is None else {"what --choose chose among": [one.name for one in choice.candidates]}
        )
        return {
            **{
                path: value
                for path, value in _flat(known)
                if not any(path == one or path.startswith(f"{one}.") for one in free)
            },
            **among,
            "the data it was trained on (sha256 of the manifest)": str(self.split.get("manifest_sha256"))[
                :12
            ],
            "the base (sha256 of its tensors)": str(self.adapter.get("base_sha256"))[:12],
            "what it learned to tell apart": ", ".join(self.adapter.get("classes") or ()),
        }


@dataclass(frozen=True)
class RunList:
    """The runs in the order of their keys."""

    of: Literal["seed", "fold"]
    members: Sequence[Member]


def run_folders(source: Path) -> list[Path]:
    """A run, or the runs in a folder of several (as folds of a cross-validation), in natural order; no run is read.

    Raises:
        DataError: folds of the cross-validation are not trained yet; they are named.
    """
    if (source / "config.json").is_file() or not source.is_dir():
        return [source]
    if (source / FOLDS).is_file():
        folds = [
            source / str(name)
            for name in read_json(source / FOLDS, "the folds of a cross-validation", FoldList)["folds"]
        ]
        left = [fold.name for fold in folds if not (RunDir(fold).adapter / "adapter.safetensors").is_file()]
        if left:
            raise DataError(
                f"'{source.name}' is not whole: {', '.join(left)} of {len(folds)} folds not trained yet. "
                f"'voxtune train ... -o {source.name} --resume' finishes them."
            )
        return folds
    found = [path.parent for path in source.glob("*/config.json")]
    return sorted(found, key=lambda path: _natural(path.name)) or [source]


def read_run_list(runs: Sequence[Path], data: Path | None) -> RunList:
    """The runs; nothing is loaded or scored yet, so a slip costs no time.

    Folds are runs whose test sides share no participant, of one seed or together of the whole cohort; other runs must differ in their seed.

    Args:
        runs: run directories.
        data: the manifest that will be scored; ``None``: each run's own, which must still be there.

    Raises:
        DataError: not a finished run, two with one seed, or runs that differ in more than seed or fold; the settings are named.
        UsageError: no manifest was given and a run's own is not where it was.
    """
    found = [_read(one) for one in runs]
    folds = _are_folds(found)
    if folds:
        found = _numbered(found)
    else:
        found = sorted(found, key=lambda one: one.seed)
        _refuse_one_seed_twice(found)
    _refuse_other_settings(found, "fold" if folds else "seed")
    for one in found:
        manifest_to_score(EvaluatedModel(one.config, None, one.run, one.split), data)
    return RunList("fold" if folds else "seed", found)


def _read(folder: Path) -> Member:
    if not folder.is_dir():
        raise DataError(
            f"'{folder.name}' is no run. Several can be evaluated together only as runs; a recipe's base has no seed."
        )
    run, config, split = read_run(folder)
    return Member(
        str(config.seed),
        run,
        config,
        split,
        read_json(run.adapter / "adapter.json", "the facts of the adapter"),
    )


def _are_folds(members: Sequence[Member]) -> bool:
    sides = [set(one.split.get("test", ())) for one in members]
    together = set().union(*sides)
    if sum(len(side) for side in sides) != len(together) or not all(sides):
        return False
    whole = {scan for one in members for side in ("train", "val", "test") for scan in one.split.get(side, ())}
    return len({one.seed for one in members}) < len(members) or together == whole


def _numbered(members: Sequence[Member]) -> list[Member]:
    """Folds by the number at the end of their folders' names, or by their order where these are no different numbers."""
    numbers = [re.search(r"(\d+)$", one.name) for one in members]
    keys = [match[1].lstrip("0") or "0" if match else "" for match in numbers]
    if "" in keys or len(set(keys)) < len(keys):
        keys = [str(place) for place in range(len(members))]
    named = [
        Member(key, one.run, one.config, one.split, one.adapter)
        for key, one in zip(keys, members, strict=True)
    ]
    return sorted(named, key=lambda one: int(one.key))


def _refuse_one_seed_twice(members: Sequence[Member]) -> None:
    by_seed: dict[int, Member] = {}
    for one in members:
        if one.seed in by_seed:
            raise DataError(
                f"'{by_seed[one.seed].name}' and '{one.name}' have the same seed {one.seed}, so they say nothing of the spread over seeds, "
                "and share test scans, so they are no folds. 'voxtune train ... --set seed=N' makes a run with another seed, "
                "'voxtune split --folds K' makes folds."
            )
        by_seed[one.seed] = one


def _refuse_other_settings(members: Sequence[Member], of: str) -> None:
    first = members[0]
    differing = {
        path: (before, now, other.name)
        for other in reversed(members[1:])
        for path, before, now in _differences(first.settings(), other.settings())
    }
    for kind in [path for path in differing if path.endswith(".kind")]:
        # Another method has other settings: its name says it all.
        whole = kind.removesuffix("kind")
        differing = {
            path: one for path, one in differing.items() if path == kind or not path.startswith(whole)
        }
    if differing:
        listed = [
            f"{path} is {before} in '{first.name}' and {now} in '{name}'"
            for path, (before, now, name) in list(differing.items())[:NAMED]
        ]
        more = f"; and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
        raise DataError(
            f"The runs differ in more than the {of}: {'; '.join(listed)}{more}. Mean and sd over {of}s need runs of one recipe; "
            "'voxtune compare' tests two recipes against each other."
        )


def test_side_in_words(run_list: RunList, scans: Mapping[str, Mapping[str, str]]) -> str:
    """What the runs share of the scored scans, and what they do not, in a sentence or two.

    Args:
        run_list: the runs.
        scans: of each run the scored scans with their participants.
    """
    of, members = run_list.of, run_list.members
    some = next(iter(scans.values()))
    people = [set(one.values()) for one in scans.values()]
    everyone = set().union(*people)
    if one_test_side(scans):
        sides = {(tuple(sorted(one.split["train"])), tuple(sorted(one.split["val"]))) for one in members}
        trained = (
            "and trained on the same scans, so the sd is of training alone"
            if len(sides) == 1
            else "but each trained on its own split, so the sd holds that chance too"
        )
        count = "both" if len(scans) == 2 else f"all {len(scans)}"
        return f"One test side: {count} {of}s are scored on the same {len(some)} scans of {len(set(some.values()))} participants, {trained}."
    if of == "fold":
        number = sum(len(one) for one in scans.values())
        return (
            f"Cross-validation: {number} scans of {len(everyone)} participants, each scored by the one of {len(members)} models whose training "
            "and validation never saw that participant."
        )
    twice = sum(1 for person in everyone if sum(person in one for one in people) > 1)
    return (
        f"Each seed has its own test side: {len(everyone)} participants in all, {twice} of them in more than one. The sd holds the chance of "
        "the split as well as that of training."
    )


def one_test_side(scans: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether all runs were scored on the same scans."""
    return len({frozenset(some) for some in scans.values()}) == 1


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Leaves by dotted path; an empty list or object is a leaf."""
    items: list[tuple[object, object]] = []
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    if not items:
        yield path, value
    for key, one in items:
        yield from _flat(one, f"{path}.{key}" if path else str(key))


def _differences(a: Mapping[str, object], b: Mapping[str, object]) -> Iterator[tuple[str, object, object]]:
    for path in dict.fromkeys([*a, *b]):
        if (path in a) != (path in b) or a.get(path) != b.get(path):
            one, two = (side.get(path, "not there") for side in (a, b))
            yield path, "none" if one is None else one, "none" if two is None else two
