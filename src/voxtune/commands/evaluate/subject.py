"""What ``voxtune evaluate`` scores: the adapter of a run, or the base of a recipe as published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.catalog import RECIPES
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import DataError, UsageError
from voxtune.profiles.recognise import chosen_profile
from voxtune.run_dir import RunDir, read_json
from voxtune.types.records import ManifestRow

if TYPE_CHECKING:
    from voxtune.evaluation.cohort_selection import Chosen
    from voxtune.evaluation.run_predictions import Answers
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.model.vlm import VisionLanguageModel


OWN = "test"
"""Name of the evaluation on the run's own test side."""
OWN_NAME = "the run's own test side"
"""The same as a person says it."""


@dataclass(frozen=True)
class Subject:
    """A model to score: an adapter on its base, or without ``adapter`` the base alone."""

    config: RunConfig
    adapter: "LoadedAdapter | None" = None
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
        from voxtune.data.manifest import file_sha256

        if self.run is None or "manifest" not in self.split:
            return None
        path = self.run.root / str(self.split["manifest"])
        return path if path.is_file() and file_sha256(path) == self.split["manifest_sha256"] else None

    def answers(
        self,
        rows: Sequence[ManifestRow],
        manifest: Path,
        classes: Sequence[str],
        base: "VisionLanguageModel",
    ) -> "tuple[Answers, Answers]":
        """Its predictions, in other words too, and those of its frozen base; of a base alone they are the same."""
        from voxtune.evaluation.class_texts import other_templates
        from voxtune.evaluation.run_predictions import predict_rows
        from voxtune.evaluation.zero_shot import zero_shot

        templates = other_templates(self.config.classes.templates, self.config.known_profile.class_texts)
        if self.adapter is None:
            found = zero_shot(self.config, rows, manifest, classes, templates=templates, base=base)
            return found, found
        return (
            predict_rows(self.adapter, rows, manifest, classes, templates),
            zero_shot(self.config, rows, manifest, classes, base=base),
        )


def read_subject(source: Path) -> Subject:
    """The run in a folder with its adapter, or a recipe by name or ``config.json``, of which the base is scored.

    Raises:
        DataError: neither a run nor a recipe, or a run without an adapter.
        WeightsError: the base does not fit.
    """
    from voxtune.model.adapter import load_adapter

    if not source.is_dir() and (str(source) in RECIPES or source.suffix == ".json"):
        return Subject(read_recipe(str(source)))
    run = RunDir(source)
    if not source.is_dir():
        raise DataError(
            f"'{source.name}' is no run and no recipe. 'voxtune train RECIPE -o RUN' makes a run; a recipe's name scores its base "
            f"zero-shot: {', '.join(sorted(RECIPES))}."
        )
    config = run.read_config()
    if not (run.adapter / "adapter.safetensors").is_file():
        raise DataError(
            f"'{source.name}' has no adapter yet; 'voxtune train ... -o {source.name} --resume' finishes it."
        )
    adapter = load_adapter(run.adapter, base=config.backbone)
    return Subject(config, adapter, run, read_json(run.split, "the split of the run"))


def with_profile(subject: Subject, manifest: Path) -> Subject:
    """The subject with the profile of its run; a recipe's base has that of the cohort it is scored on."""
    from voxtune.data.manifest import read_manifest

    config = subject.config
    if config.profile is not None or subject.run is not None:
        return replace(subject, config=config.settled())
    found = chosen_profile(None, read_manifest(manifest), config.report.template)
    return replace(subject, config=config.settled(found.profile))


def manifest_to_score(subject: Subject, data: Path | None) -> Path:
    """The manifest given, or the one the run was trained on.

    Raises:
        UsageError: none was given and the run's own is not where it was.
    """
    manifest = data or subject.manifest()
    if manifest is None:
        where = (
            "the recipe's base has no data of its own"
            if subject.run is None
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
    chosen: "Chosen"
    training: Path | None
    train_rows: list[ManifestRow]
    val_rows: list[ManifestRow]

    @property
    def name(self) -> str:
        """As a person would say it."""
        return OWN_NAME if self.own else self.manifest.resolve().parent.name or "this cohort"

    @property
    def folder(self) -> str:
        """Name of its folder in a run."""
        if self.own:
            return OWN
        return f"external-{OWN}" if self.name == OWN else self.name


def cohort_to_score(
    subject: Subject, manifest: Path, classes: Sequence[str] | None, label_map: Mapping[str, str] | None
) -> ScoredCohort:
    """The scans to score: of the run's own manifest those its training never saw, of any other all that have a label.

    Raises:
        DataError: another cohort has scan IDs that the run has seen, or nothing is left to score.
        SettingError: impossible classes or labels.
    """
    from voxtune.data.manifest import file_sha256, read_manifest
    from voxtune.data.simulated import with_marks
    from voxtune.evaluation.cohort_selection import choose

    rows = with_marks(manifest, read_manifest(manifest))
    own = subject.split.get("manifest_sha256") == file_sha256(manifest)
    sides = {side: set(subject.split.get(side, ())) for side in ("train", "val", "test")}
    seen = sides["train"] | sides["val"]
    if not own and (shared := [row.scan_id for row in rows if row.scan_id in seen]):
        raise DataError(
            f"{len(shared)} scans of this manifest have IDs of training or validation scans, first '{shared[0]}'; an external "
            "cohort needs other scans. For the run's own test scans give the manifest it was trained on, unchanged."
        )
    chosen = choose(rows, subject.classes, classes, label_map, sides if own else None, subject.config.profile)
    training = manifest if own else subject.manifest()
    known = [] if training is None else rows if own else read_manifest(training)
    return ScoredCohort(
        manifest,
        own,
        chosen,
        training,
        [row for row in known if row.scan_id in sides["train"]],
        [row for row in known if row.scan_id in sides["val"]],
    )


def thresholds_of(subject: Subject, chosen: "Chosen") -> dict[str, float]:
    """Those of the adapter, where it chooses among the very classes they were fixed with."""
    if subject.adapter is None or chosen.classes != subject.adapter.facts.classes:
        return {}
    return dict(subject.adapter.facts.thresholds)
