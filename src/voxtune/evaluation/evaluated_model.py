"""What is scored: the adapter of a run on its base, or the base of a recipe as published; and the scans it is scored on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voxtune.catalog import RECIPES
from voxtune.config import HOW, RunConfig, read_recipe
from voxtune.data.manifest import file_sha256, read_manifest
from voxtune.data.simulated import with_marks
from voxtune.errors import DataError, UsageError
from voxtune.evaluation.cohort_selection import Chosen
from voxtune.model.adapter import LoadedAdapter, load_adapter, shareable_config
from voxtune.model.base_files import FILES, check_weights
from voxtune.profiles.recognise import chosen_profile
from voxtune.run_dir import RunDir, read_json
from voxtune.types.records import ManifestRow
from voxtune.types.settings import Settings
from voxtune.types.stored import RunSplit

OWN = "test"
"""Name of the evaluation on the run's own test side."""
OWN_NAME = "the run's own test side"
"""The same as a person says it."""
UNLABELLED = "unlabelled"
"""Beside the sides of a run's split: scans that training saw without a label."""


@dataclass(frozen=True)
class EvaluatedModel:
    """A model to score: an adapter on its base, or without ``adapter`` the base alone."""

    config: RunConfig
    adapter: LoadedAdapter | None = None
    run: RunDir | None = None
    split: Mapping[str, Any] = field(default_factory=dict)
    """``split.json`` of the run."""

    @property
    def base(self) -> str:
        """The name of the base."""
        return self.adapter.facts.base if self.adapter else str(self.config.model_dump()["backbone"]["kind"])

    @property
    def name(self) -> str:
        """As a person would say it."""
        return f"{self.config.name} on {self.base}" if self.adapter else f"{self.base} as published"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes it was trained on, or the recipe names; empty where neither says."""
        return self.adapter.facts.classes if self.adapter else self.config.classes.names

    @property
    def identity(self) -> str:
        """What tells it from other models in a log of looks."""
        return self.adapter.facts.adapter_sha256[:12] if self.adapter else self.base

    def manifest(self) -> Path | None:
        """The manifest a run was trained on, where it still lies there unchanged."""
        if self.run is None or "manifest" not in self.split:
            return None
        path = self.run.root / str(self.split["manifest"])
        return path if path.is_file() and file_sha256(path) == self.split["manifest_sha256"] else None


def read_model(source: Path) -> EvaluatedModel:
    """The run in a folder with its adapter, or a recipe by name or ``config.json``, of which the base is scored.

    Raises:
        DataError: neither a run nor a recipe, a run without an adapter, or one whose settings are not those of its adapter.
        WeightsError: the base does not fit.
    """
    if not source.is_dir() and (str(source) in RECIPES or source.suffix == ".json"):
        found = EvaluatedModel(read_recipe(str(source)))
        check_weights(found.config.backbone, found.base)
        return found
    run, config, split = read_run(source)
    loaded = load_adapter(run.adapter, base=own_base(config.backbone))
    if _stated(config) != _stated(loaded.config):
        raise DataError(
            f"'{source.name}/config.json' is not what its adapter was trained with: edited since, or damaged. The settings of the training "
            f"stand in '{source.name}/adapter/adapter.json' under config."
        )
    return EvaluatedModel(config, loaded, run, split)


def _stated(config: RunConfig) -> dict[str, Any]:
    """The settings that say what was trained, without places on one machine and how it was computed."""
    tree = shareable_config(config)
    return tree | {
        "citation": None,
        "training": {name: one for name, one in tree["training"].items() if name not in HOW},
    }


def own_base(settings: Settings) -> Settings | None:
    """The base as a run states it, where its files are; ``None``: they have moved and are looked for."""
    named = [getattr(settings, name, None) for name in FILES]
    return settings if all(one is None or Path(one).is_file() for one in named) else None


def read_run(source: Path) -> tuple[RunDir, RunConfig, dict[str, Any]]:
    """A finished training: its directory, its configuration and its split; nothing is loaded.

    Raises:
        DataError: not a run, or one without an adapter.
    """
    if not source.is_dir():
        raise DataError(
            f"'{source.name}' is no run and no recipe. 'voxtune train RECIPE -o RUN' makes a run; a recipe's name scores its base "
            f"zero-shot: {', '.join(sorted(RECIPES))}."
        )
    run = RunDir(source)
    config = run.read_config()
    if not (run.adapter / "adapter.safetensors").is_file():
        raise DataError(
            f"'{source.name}' has no adapter yet; 'voxtune train ... -o {source.name} --resume' finishes it."
        )
    return run, config, read_json(run.split, "the split of the run", RunSplit)


def with_profile(model: EvaluatedModel, manifest: Path) -> EvaluatedModel:
    """The model with the profile of its run; a recipe's base has that of the cohort it is scored on."""
    config = model.config
    if config.profile is not None or model.run is not None:
        return replace(model, config=config.settled())
    found = chosen_profile(None, read_manifest(manifest), config.report.template)
    return replace(model, config=config.settled(found.profile))


def manifest_to_score(model: EvaluatedModel, data: Path | None) -> Path:
    """The manifest given, or the one the run was trained on.

    Raises:
        UsageError: none was given and the run's own is not where it was.
    """
    manifest = data or model.manifest()
    if manifest is None:
        where = (
            "the recipe's base has no data of its own"
            if model.run is None
            else "the manifest it was trained on is not where it was"
        )
        raise UsageError(
            f"Say what to score: --data MANIFEST ({where}; the unchanged training manifest gives the run's own test scans)."
        )
    return manifest


@dataclass(frozen=True)
class ScoredCohort:
    """What is scored, and what the run has seen of its own manifest (empty where that is not at hand)."""

    manifest: Path
    own: bool
    chosen: Chosen
    training: Path | None
    train_rows: list[ManifestRow]
    val_rows: list[ManifestRow]
    unlabelled_rows: Sequence[ManifestRow] = ()
    """Of scans that training saw with their report alone."""

    @property
    def rows(self) -> list[ManifestRow]:
        """The scans that are scored."""
        return self.chosen.rows

    @property
    def name(self) -> str:
        """As a person would say it."""
        return OWN_NAME if self.own else self.manifest.resolve().parent.name or "this cohort"

    @property
    def folder(self) -> str:
        """Name of its folder in a run: another cohort's is never that of the run's own test side."""
        if self.own:
            return OWN
        return f"external-{OWN}" if self.name == OWN else self.name


@dataclass(frozen=True)
class CohortRows:
    """A manifest to score beside what a run knows of it."""

    manifest: Path
    rows: Sequence[ManifestRow]
    own: bool
    """Whether it is the very manifest that the run was trained on."""
    sides: Mapping[str, frozenset[str]]
    """Scan IDs of ``train``, ``val`` and ``test`` of the run's split."""

    @property
    def own_sides(self) -> Mapping[str, frozenset[str]] | None:
        """The sides, where they are of these rows."""
        return self.sides if self.own else None


def cohort_rows(model: EvaluatedModel, manifest: Path) -> CohortRows:
    """The rows of a manifest, checked against what the run has seen.

    Raises:
        DataError: another cohort has scan IDs that the run has seen.
    """
    rows = with_marks(manifest, read_manifest(manifest))
    own = model.split.get("manifest_sha256") == file_sha256(manifest)
    sides = {side: frozenset(model.split.get(side, ())) for side in ("train", "val", "test", UNLABELLED)}
    seen = sides["train"] | sides["val"] | sides[UNLABELLED]
    if not own and (shared := [row.scan_id for row in rows if row.scan_id in seen]):
        raise DataError(
            f"{len(shared)} scans of this manifest have IDs of training or validation scans, first '{shared[0]}'; an external "
            "cohort needs other scans. For the run's own test scans give the manifest it was trained on, unchanged."
        )
    return CohortRows(manifest, rows, own, sides)


def scored_cohort(model: EvaluatedModel, cohort: CohortRows, chosen: Chosen) -> ScoredCohort:
    """The scans to score beside those that the run has seen, where its own manifest is at hand."""
    training = cohort.manifest if cohort.own else model.manifest()
    known = [] if training is None else cohort.rows if cohort.own else read_manifest(training)
    return ScoredCohort(
        cohort.manifest,
        cohort.own,
        chosen,
        training,
        [row for row in known if row.scan_id in cohort.sides["train"]],
        [row for row in known if row.scan_id in cohort.sides["val"]],
        [row for row in known if row.scan_id in cohort.sides[UNLABELLED]],
    )
