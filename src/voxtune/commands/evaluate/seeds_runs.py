"""The runs of ``voxtune evaluate RUN RUN ...``: one recipe, one data set, one base, and nothing but the seed between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxtune.commands.evaluate.subject import Subject, manifest_to_score
from voxtune.commands.reproduce.paper import shared_config
from voxtune.config import HOW, RunConfig
from voxtune.errors import DataError
from voxtune.run_dir import RunDir, read_json

NAMED = 8
"""Settings an error message names before it counts the rest."""


@dataclass(frozen=True)
class SeedRun:
    """One finished training."""

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
        return {
            **dict(_flat(known)),
            "the data it was trained on (sha256 of the manifest)": str(self.split.get("manifest_sha256"))[
                :12
            ],
            "the base (sha256 of its tensors)": str(self.adapter.get("base_sha256"))[:12],
        }


def read_seed_runs(runs: Sequence[Path], data: Path | None) -> list[SeedRun]:
    """The runs in the order of their seeds; nothing is loaded or scored yet, so a slip costs no time.

    Args:
        runs: run directories.
        data: the manifest that will be scored; ``None``: each run's own, which must still be there.

    Raises:
        DataError: not a finished run, two with one seed, or runs that differ in more than the seed; the settings are named.
        UsageError: no manifest was given and a run's own is not where it was.
    """
    found = sorted((_read(one) for one in runs), key=lambda one: one.seed)
    by_seed: dict[int, SeedRun] = {}
    for one in found:
        if one.seed in by_seed:
            raise DataError(
                f"'{by_seed[one.seed].name}' and '{one.name}' have the same seed {one.seed}, so they say nothing of the spread over seeds. "
                "'voxtune train ... --set seed=N' makes a run with another."
            )
        by_seed[one.seed] = one
    first = found[0]
    differing = {
        path: (before, now, other.name)
        for other in reversed(found[1:])
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
            f"The runs differ in more than the seed: {'; '.join(listed)}{more}. Mean and sd over seeds need runs of one recipe; "
            "'voxtune compare' tests two recipes against each other."
        )
    for one in found:
        manifest_to_score(Subject(one.config, None, one.run, one.split), data)
    return found


def _read(folder: Path) -> SeedRun:
    run = RunDir(folder)
    if not folder.is_dir():
        raise DataError(
            f"'{folder.name}' is no run. Several can be evaluated together only as runs; a recipe's base has no seed."
        )
    config = run.read_config()
    if not (run.adapter / "adapter.safetensors").is_file():
        raise DataError(
            f"'{folder.name}' has no adapter yet; 'voxtune train ... -o {folder.name} --resume' finishes it."
        )
    return SeedRun(
        run,
        config,
        read_json(run.split, "the split of the run"),
        read_json(run.adapter / "adapter.json", "the facts of the adapter"),
    )


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
            yield path, a.get(path, "not there"), b.get(path, "not there")
