"""What ``voxtune evaluate`` scores: the adapter of a run, or the base of a recipe as published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune.catalog import RECIPES
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import DataError, UsageError
from voxtune.run_dir import RunDir, read_json

if TYPE_CHECKING:
    from voxtune.evaluation.run_predictions import Answers
    from voxtune.model.adapter import LoadedAdapter
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.types.records import ManifestRow


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
        rows: "Sequence[ManifestRow]",
        manifest: Path,
        classes: Sequence[str],
        base: "VisionLanguageModel",
    ) -> "tuple[Answers, Answers]":
        """Its predictions, in other words too, and those of its frozen base; of a base alone they are the same."""
        from voxtune.evaluation.run_predictions import predict_rows
        from voxtune.evaluation.wordings import other_templates
        from voxtune.evaluation.zero_shot import zero_shot

        templates = other_templates(self.config.classes.templates)
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
