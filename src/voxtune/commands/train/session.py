"""A training in progress, whatever it learns: who computes, how scans are read, who is told, what is written on the way."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.reports.norms import FittedNorms
from voxtune.run_dir import RunDir, read_json, write_json, write_text
from voxtune.types.records import ManifestRow, Report
from voxtune.types.steering import said

if TYPE_CHECKING:
    import torch

    from voxtune.commands.train.probe import Probe
    from voxtune.data.augment import Augment
    from voxtune.data.examples import Examples, ReadScan
    from voxtune.data.feature_cache import FrozenFeatures
    from voxtune.model.parameter_table import PartCount
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.ranks import Ranks
    from voxtune.training.records import Fitted, Form, TrainingInputs


@dataclass(frozen=True)
class TrainingCohort:
    """What a run is given: the scans of each side with their reports, and where the images are."""

    manifest: Path
    sides: Mapping[str, list[ManifestRow]]
    reports: Mapping[str, Report]
    simulated: bool
    control_of: str | None = None
    """The sha256 of the adapter whose control is trained here, on labels dealt out at random."""
    unlabelled: Sequence[ManifestRow] = ()
    """Scans of the contrastive term alone; their reports are among ``reports``."""
    norms: FittedNorms | None = None
    """What the percentiles of the texts are of; ``None`` where they state none."""

    @property
    def learned(self) -> "list[ManifestRow]":
        """Everything a step may hold: the train side, then the scans without a label."""
        return [*self.sides["train"], *self.unlabelled]

    @property
    def more(self) -> str:
        """The scans without a label, in words that follow on those of the train side."""
        return f" and {len(self.unlabelled)} without a label" if self.unlabelled else ""


@dataclass(frozen=True)
class Scans:
    """How the scans of a run are read: for the steps, for validation, and as evaluation takes them."""

    train: "ReadScan"
    train_form: "Form"
    score: "ReadScan"
    score_form: "Form"
    plain: "ReadScan"
    """Volumes, or embedded scans (``embedded``)."""
    embedded: bool


@dataclass(frozen=True)
class Session:
    """A run, its settings and its processes; the first process writes and speaks, the others compute."""

    run: RunDir
    config: RunConfig
    cohort: TrainingCohort
    say: Callable[[str], None]
    resume: bool
    ranks: "Ranks"

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks to people."""
        return self.ranks.leads

    # ---------------------------------------------------------------- scans
    def scans(self, model: "VisionLanguageModel") -> Scans:
        """Readers for a model; what a frozen part of its vision tower makes of each scan is made once, here."""
        from voxtune.data.feature_cache import embedded_scans, finished_features
        from voxtune.data.images import embedded_folder, load_preset, scan_reader

        config = self.config
        rows = [*self.cohort.learned, *self.cohort.sides["val"]]
        plain = scan_reader(self.cohort.manifest, rows, load_preset(config.preset))
        names = tuple(row.scan_id for row in rows)
        folder = embedded_folder(self.cohort.manifest)
        if not config.training.reuse:
            return Scans(plain, "volumes", plain, "volumes", plain, embedded=False)
        self._on_device(model)
        embedded = embedded_scans(
            plain,
            lambda volume: model.vision.embed(volume.to(place_of(model))),
            names,
            folder,
            model.base_identity,
        )
        finished = None
        if model.vision_frozen:
            methods = [one.model_dump(mode="json") for one in config.vision]
            finished = finished_features(
                plain,
                lambda volume: model.base_image(model.vision(volume.to(place_of(model)))),
                names,
                folder,
                f"{model.base_identity}|image|{model.needs_patches}|{methods}",
            )
        kept = finished or embedded
        if kept is None:
            return Scans(plain, "volumes", plain, "volumes", plain, embedded=False)
        augmented = config.augment.enabled
        wanted = names if not augmented else tuple(row.scan_id for row in self.cohort.sides["val"])
        self._prepare(kept, wanted, "Encoding scans once")
        form: Form = "finished" if finished else "embedded"
        scans = Scans(kept, form, kept, form, embedded or plain, embedded=embedded is not None)
        return dataclasses.replace(scans, train=plain, train_form="volumes") if augmented else scans

    def say_skipped(self, model: "VisionLanguageModel") -> None:
        """How much of the first scan enters the tower with ``vision.skip_empty``, and what counts as background."""
        from voxtune.data.images import load_preset, scan_reader
        from voxtune.model.skip_empty import SkipEmpty

        if isinstance(model.vision.tower, SkipEmpty):
            first = self.cohort.sides["train"][0]
            read = scan_reader(self.cohort.manifest, [first], load_preset(self.config.preset))
            self.say(model.vision.tower.said(read(first.scan_id)[None].to(place_of(model))))

    def augmentation(self) -> "Augment | None":
        """The random changes of training scans, where the settings ask for them."""
        from voxtune.data.augment import augmentation
        from voxtune.data.images import load_preset

        return augmentation(self.config.augment, load_preset(self.config.preset), self.config.seed)

    def reports(self, model: "VisionLanguageModel", examples: "Examples") -> "ReadScan | None":
        """A reader of what a wholly frozen text tower makes of each report, made once, here; ``None`` where it is trained."""
        from voxtune.data.feature_cache import finished_features
        from voxtune.data.images import embedded_folder

        if not self.config.training.reuse or not model.text_frozen:
            return None
        places = {name: place for place, name in enumerate(examples.scan_ids)}

        def tokens(name: str) -> "torch.Tensor":
            place = places[name]
            return examples.token_ids[place][examples.token_mask[place]]

        def finish(ids: "torch.Tensor") -> "torch.Tensor":
            here = ids.to(place_of(model))
            return model.base_text(here, here.new_ones(here.shape).bool())

        self._on_device(model)
        methods = [one.model_dump(mode="json") for one in self.config.text]
        kept = finished_features(
            tokens,
            finish,
            examples.scan_ids,
            embedded_folder(self.cohort.manifest),
            f"{model.base_identity}|text|{model.needs_patches}|{methods}",
        )
        if kept is not None:
            self._prepare(kept, examples.scan_ids, "Encoding reports once")
        return kept

    def _on_device(self, model: "VisionLanguageModel") -> None:
        """Towers run on the device before training as well, unless the model is to be shared out: it may not fit on one."""
        if self.config.training.strategy != "fsdp":
            model.to(self.ranks.device)

    def _prepare(self, kept: "FrozenFeatures", names: Sequence[str], what: str) -> None:
        """Every process makes its share; then all find all."""
        from voxtune.progress import progress

        missing = kept.missing(names)
        if missing:
            own = names[self.ranks.share(len(names))]
            if self.leads:
                with progress(what, len(own)) as advance:
                    kept.prepare(own, advance)
            else:
                kept.prepare(own)
        self.ranks.wait()

    # ------------------------------------------------------------- training
    def fit(self, model: "VisionLanguageModel", inputs: "TrainingInputs") -> "Fitted":
        """Train, with log, progress and trackers; the model holds afterwards what the plan keeps.

        Raises:
            StoppedError: SIGINT or SIGTERM came; the run is saved.
        """
        from voxtune.commands.train.told import Told
        from voxtune.model.adapter import shareable_config
        from voxtune.progress import progress
        from voxtune.training.checkpoint import position
        from voxtune.training.environment import environment, other_bits
        from voxtune.training.loop import fit
        from voxtune.training.plan import plan_of
        from voxtune.training.records import Watcher
        from voxtune.training.trackers import start_trackers

        training, config = self.config.training, self.config
        where = self.run.checkpoints
        if not self.leads:
            return fit(model, inputs, config, where, Watcher(), resume=self.resume, ranks=self.ranks)
        facts = {
            "processes": self.ranks.count,
            "device": self.ranks.device.type,
            "precision": training.precision,
        }
        here = environment() | facts
        if self.resume and self.run.environment.is_file():
            elsewhere = other_bits(read_json(self.run.environment, "what a run ran on"), here)
            if elsewhere:
                self.say(elsewhere)
        write_json(self.run.environment, here, shared=True)
        trackers = start_trackers(training.trackers, self.run.root, config.name, shareable_config(config))
        plan = plan_of(training, config.optimiser, len(inputs.train), inputs.validated)
        self.say(f"Plan: {plan.why}")
        epoch, step = position(where) if self.resume else (0, 0)
        left = max(0, plan.steps - epoch * plan.round - step)
        try:
            with progress("Training", left) as advance:
                told = Told(self.run.log, training.metric, self.ranks.device, left, advance, trackers)
                watcher = Watcher(told.epochs, told.step, self.say)
                return fit(model, inputs, config, where, watcher, resume=self.resume, ranks=self.ranks)
        finally:
            for tracker in trackers:
                tracker.close()

    def page(self, fitted: "Fitted", table: "Sequence[PartCount]", probe: "Probe | None") -> None:
        """Write the page of the run; a control has none."""
        from voxtune.evaluation.choice import read_choice
        from voxtune.pages.run_page import run_page

        if self.cohort.control_of is not None:
            return
        choice = read_choice(self.run.root)
        write_text(
            self.run.page,
            run_page(
                self.config.to_json(),
                [epoch.line() for epoch in fitted.history],
                [dataclasses.asdict(part) for part in table],
                self.config.training.metric,
                dataclasses.asdict(fitted.plan)
                | {"probe": None if probe is None else probe.beside(fitted.best_metric)}
                | {"choice": None if choice is None else choice.words},
                simulated=self.cohort.simulated,
                environment=read_json(self.run.environment, "what a run ran on"),
                norms=None if self.cohort.norms is None else self.cohort.norms.norms.model_dump(mode="json"),
                regions={
                    name: (one.name, one.unit) for name, one in self.config.known_profile.regions.items()
                },
            ),
        )

    def summary(self, fitted: "Fitted") -> str:
        """A line for a person."""
        metric = self.config.training.metric
        if self.cohort.control_of is not None:
            return f"Control: {said(metric, fitted.best_metric)} on the labels it was dealt. 'voxtune explain' uses it."
        steps = sum(epoch.steps for epoch in fitted.history[: fitted.best_epoch + 1])
        return (
            f"Kept after step {steps}: {said(metric, fitted.best_metric)} on validation. "
            f"Next: voxtune evaluate {self.run.root} --data MANIFEST. Page: {self.run.page}"
        )


def place_of(model: "VisionLanguageModel") -> "torch.device":
    """Where a model's parameters lie now."""
    return next(model.parameters()).device
