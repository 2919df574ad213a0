"""A run as one frozen object: what is adapted, how, on what. JSON round trip, typed edits by dotted path.

A recipe (Python) returns a ``RunConfig``; backbones and methods in it are ``{"kind": NAME, ...}``, found through the catalogue.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from voxtune.catalog import PEFT_METHODS, RECIPES, load
from voxtune.choices import BackboneChoice, Methods, Names, ProfileChoice, key_of, readings
from voxtune.choices import explain as explain  # noqa: PLC0414  (others import it from here)
from voxtune.errors import UsageError
from voxtune.profiles.read import read_profile
from voxtune.types.event import Event, read_event
from voxtune.types.profile import Profile
from voxtune.types.seed import MAX_SEED
from voxtune.types.settings import Settings
from voxtune.types.target import MMSE, Target, for_file, from_file, read_targets

Targets = Annotated[tuple[Target, ...], BeforeValidator(read_targets)]


class ReportSettings(Settings):
    """How the training text of a scan is made (method.md A2)."""

    template: str | None = None
    """Name of a shipped template, or path of a Jinja2 text file; ``None``: the profile's own."""
    fields: Names = ()
    """Columns that the profile does not know and that may be text all the same, opened by name."""
    missing: Literal["omit", "unavailable"] = "omit"
    """A missing attribute is left out with its comma, or written as 'data unavailable'."""
    file: str | None = None
    """A ``reports.tsv`` to read instead of making the texts."""
    change: bool = False
    """Also say how the volumes of a person's regions changed since an earlier scan, in percent a year."""
    controls: Names = ()
    """Classes whose training participants percentiles are of (templates ``normative``, ``graph``); empty: those the profile knows."""


class ClassTexts(Settings):
    """The classes and the words for them at inference (method.md A7)."""

    names: tuple[str, ...] = ()
    """Empty: the diagnoses of the training scans in the order of the profile, the rest in alphabetical order."""
    templates: tuple[str, ...] = ("A photo of {name}",)
    """One or several; several are an ensemble (mean similarity). None at all: no diagnosis is asked (``--set classes=none``)."""
    findings: tuple[str, ...] = ()
    """Columns of the manifest that hold findings (0, 1 or n/a), each yes or no for itself; empty: the task is the diagnosis."""
    held_out: tuple[str, ...] = ()
    """Findings whose labels training never sees; they are scored by their texts alone (``held-out classes``)."""
    pair: tuple[str, str] = ("{finding} is present.", "{finding} is not present.")
    """The two texts of a finding (CT-CLIP); its probability is the softmax over their similarities."""
    signs: int = Field(0, ge=0, le=10)
    """Further texts of each class or finding, by its signs in the profile's knowledge graph; averaged with the others."""

    @property
    def asked(self) -> bool:
        """Whether scans are told apart by class texts at all."""
        return bool(self.findings or self.templates)

    @model_validator(mode="after")
    def _worded(self) -> Self:
        if self.names and not self.templates:
            raise ValueError("classes.names need words: classes.templates is empty")
        return self


def _parse_classes(value: object) -> object:
    """``none``: no words, so no class."""
    none = value is None or (isinstance(value, str) and value.strip().lower() == "none")
    return ClassTexts(templates=()) if none else value


class Aggregation(Settings):
    """Cross-attention between image and text (method.md A5, Eq. 8-9)."""

    form: Literal["batch", "tokens", "none"] = "batch"
    learned: bool = False
    """Learned multi-head attention in place of the parameter-free form as printed."""
    heads: int = Field(8, ge=1)
    inference: Literal["alone", "bank"] = "alone"
    """What class texts attend to when a scan is scored (Eq. 9), with form ``batch``: nothing, or a bank of class centroids of the training
    scans that the adapter carries; the class term of the loss then attends to the scans of its batch."""


class LossSettings(Settings):
    """The terms of Eq. 15 and the readings of Eq. 11-13 (method.md A6)."""

    temperature: float = Field(10.0, gt=0)
    temperature_form: Literal["multiplier", "divisor"] = "multiplier"
    temperature_learned: bool = True
    temperature_space: Literal["linear", "log"] = "linear"
    """What is learned: the temperature, or its logarithm, of which a step is a share (CLIP)."""
    temperature_low: float = Field(1.0, gt=0)
    temperature_high: float = Field(100.0, gt=0)
    targets: Literal["instance", "class"] = "instance"
    directions: Literal["sum", "mean"] = "sum"
    class_weight: float = Field(0.0, ge=0)
    """Weight of the cross-entropy over class texts; with findings, of the two-way one over each finding's pair of texts."""
    contrastive_weight: float = Field(1.0, ge=0)
    """Weight of the alignment with the reports; at 0 no report is read."""
    finding_balance: bool = True
    """Weigh present and absent scans of a finding by the inverse of their number in training."""
    class_balance: bool = False
    """Weigh the scans of a class, in the class term, by the inverse of their number in training; the mean weight is 1."""


class OptimiserSettings(Settings):
    """AdamW and how its rate falls."""

    rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient of all trained parameters."""
    temperature_rate: float | None = Field(None, gt=0)
    """Of the learned temperature alone, which then has no weight decay; ``None``: as everything else."""
    schedule: Literal["plateau", "cosine", "constant"] = "cosine"
    """Along a cosine over all steps, on a plateau of the validation metric (the paper's), or not at all."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the rate rises from 0, with ``cosine``."""
    plateau_factor: float = Field(0.1, gt=0, lt=1)
    plateau_patience: int | None = Field(None, ge=0)
    """Without a better validation metric, in the unit of the length: epochs or steps; ``None``: 5 epochs, or a fifth of the steps."""


class TrainingSettings(Settings):
    """How long, how many at once, on what."""

    epochs: int | None = Field(None, ge=1)
    """Length in passes over the training scans, as papers state it, with a validation after each; ``None``: in ``steps``."""
    batch_size: int = Field(16, ge=2)
    """Scans of one contrastive batch."""
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    """Each scan once in a pass, or each class as often as the others, in every batch: scans of rare classes come back, of common ones some wait."""
    unlabelled: bool = False
    """Scans without a label, of participants who are on no other side, as further pairs of the contrastive term; nothing else sees them."""
    steps: int | None = Field(None, ge=1)
    """Length in optimiser steps; ``None`` without ``epochs``: by the number of training scans (``training/plan.py``)."""
    validate_steps: int | None = Field(None, ge=1)
    """Steps between two validations of a run whose length is in steps; ``None``: a tenth of it."""
    keep: Literal["auto", "best", "last"] = "auto"
    """What is kept: the best validation (ties: the lower validation loss, then the later one) or the last step. ``auto``: the best with
    ``epochs`` or enough validation participants, else the last."""
    stop_after: int | None = Field(None, ge=1)
    """Without a better validation before the run stops, in the unit of the length: epochs or steps; ``None`` never stops early."""
    metric: Literal["balanced_accuracy", "accuracy", "loss", "auroc", "mae", "c_index"] = "balanced_accuracy"
    """What the best checkpoint and the plateau schedule look at, on the validation scans; ``auroc``: the mean over findings;
    ``mae``: minus the mean error of the targets, which stands in for the default where no class is asked; ``c_index``: of an event,
    of which ``loss`` stands in for the default."""
    chunk: int | None = Field(None, ge=1)
    """Scans of one forward on one device; fewer than the batch: features first, then gradients chunk by chunk. ``None``: all."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """``bf16-mixed`` also stores frozen weights in bf16 on a GPU."""
    accelerator: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; ``train --device`` sets it."""
    devices: int = Field(1, ge=1)
    """Processes on each node, one for each device; torchrun and srun decide it themselves."""
    nodes: int = Field(1, ge=1)
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """Every device holds the model, or the towers' blocks are shared out among them."""
    workers: int = Field(1, ge=0, le=64)
    """Threads that read scans ahead; the numbers are the same for any."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    compile: bool = False
    """Compile the towers' blocks with torch.compile: slow first steps, faster ones after."""
    reuse: bool = True
    """Encode a tower without trained parts once and keep what it made on disk."""
    save_minutes: float = Field(10.0, gt=0)
    """Between two checkpoints; each validation is followed by one as well."""
    save_steps: int | None = Field(None, ge=1)
    """Steps between two checkpoints, in place of minutes."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    """Where else the log goes; each is an extra of the package. ``log.jsonl`` is always written."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is not None and (self.steps is not None or self.validate_steps is not None):
            raise ValueError("give the length in epochs or in steps, not in both")
        return self


HOW = (
    "chunk", "accelerator", "devices", "nodes", "strategy", "workers", "checkpointing", "compile", "reuse",
    "save_minutes", "save_steps", "trackers",
)  # fmt: skip
"""Settings of training that say how a run is computed, not what: a run may be resumed with others."""


LATER = {
    ("loss", "class_balance"): False,
    ("report", "controls"): (),
    ("classes", "signs"): 0,
    ("training", "sampling"): "shuffled",
    ("training", "unlabelled"): False,
    ("report", "change"): False,
}
ADDED = (("event", None), ("standardise", "auto"))
"""Settings that came after runs had been stored, in parts and of a run, with their defaults: a file leaves them out there, and stays what it was."""


class AugmentSettings(Settings):
    """Random changes of training volumes, seeded by run, scan and epoch (extra ``augment``)."""

    enabled: bool = False
    probability: float = Field(0.8, gt=0, le=1)
    """Of each change, for each scan and epoch."""
    rotation: float = Field(5.0, ge=0, le=180)
    """Largest angle about each axis, degrees."""
    scaling: float = Field(0.05, ge=0, lt=1)
    """Largest relative change of size along each axis."""
    shift: float = Field(0.02, ge=0, lt=1)
    """Largest move along each axis, as a share of its length."""
    intensity_shift: float = Field(0.02, ge=0, lt=1)
    """Largest change added to all voxels (HU on CT), as a share of the preset's range."""
    intensity_scale: float = Field(0.1, ge=0, lt=1)
    """Largest relative change of all voxels."""
    noise: float = Field(0.01, ge=0, lt=1)
    """Standard deviation of added noise, as a share of the preset's range."""
    flip: bool = False
    """Mirror left and right in half of the scans. Off: organs and many findings have a side."""


METHOD_LISTS = (["vision"], ["text"])
"""Settings that are lists of methods: ``--set vision.NAME=true`` adds one, ``=false`` takes it out, ``vision.NAME.SETTING=VALUE`` changes it."""


class RunConfig(Settings):
    """Everything that decides a run except the data it is given."""

    name: str = Field(min_length=1)
    citation: str | None = None
    """The paper of the recipe; pages name it."""
    seed: int = Field(0, ge=0, le=MAX_SEED)
    profile: ProfileChoice = None
    """What the disease adds; ``None``: recognised from the cohort when the run starts, and said."""
    backbone: BackboneChoice
    preset: str
    vision: Methods = ()
    text: Methods = ()
    projections: Literal["trained", "frozen"] = "trained"
    """W_v and W_t of Eq. 4 and 7: a square layer after the backbone's own, identity at the start."""
    standardise: Literal["auto", "always", "never"] = "auto"
    """Image vectors before a trained W_v, by those of training; ``auto``: where a base gives all scans nearly one (``model/standardise.py``)."""
    targets: Targets = (Target(name=MMSE),)
    """Numbers to predict, columns of the manifest; ``none`` is no number. ``--set targets.cdr_sb.weight=1`` names one by its column."""
    event: Annotated[Event | None, BeforeValidator(read_event)] = None
    """By when an event will have come, in place of a class: ``conversion`` asks for the columns ``conversion_years`` and ``conversion_status``."""
    aggregation: Aggregation = Aggregation()
    report: ReportSettings = ReportSettings()
    classes: Annotated[ClassTexts, BeforeValidator(_parse_classes)] = ClassTexts()
    """``none``: no class is asked, the targets alone."""
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    training: TrainingSettings = TrainingSettings()
    augment: AugmentSettings = AugmentSettings()

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        return from_file(value) if isinstance(value, Mapping) else value

    @model_serializer(mode="wrap")
    def _for_file(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        tree = for_file(handler(self))
        if info.context == "everything":
            return tree
        tree = {name: value for name, value in tree.items() if (name, value) not in ADDED}
        for (part, name), default in LATER.items():
            value = tree.get(part, {}).get(name)
            if (tuple(value) if isinstance(value, list) else value) == default:
                tree[part] = {key: value for key, value in tree[part].items() if key != name}
        return tree

    @property
    def predicted_columns(self) -> tuple[str, ...]:
        """Columns of the manifest that are predicted beside a class: no text may hold them."""
        return (*(one.name for one in self.targets), *(self.event.columns if self.event else ()))

    @property
    def known_profile(self) -> Profile:
        """The profile of the run; of a run from before there were profiles the one whose fields it had."""
        if self.profile is not None:
            return self.profile
        name = "chest" if self.classes.findings or self.report.template == "ct_rate" else "dementia"
        return read_profile(name)

    @property
    def citations(self) -> str:
        """The papers a page of this run names: the recipe's and the profile's."""
        return " ".join(dict.fromkeys(filter(None, (self.citation, self.known_profile.citation))))

    def settled(self, profile: Profile | None = None) -> Self:
        """The same run with its profile, and with the template and the class text that the profile brings where none is stated."""
        known = profile or self.known_profile
        templates = self.classes.templates
        if templates == ClassTexts().templates:
            templates = known.class_texts[:1]
        return self.model_copy(
            update={
                "profile": known,
                "report": self.report.model_copy(update={"template": self.report.template or known.template}),
                "classes": self.classes.model_copy(update={"templates": templates}),
            }
        )

    def same_run(self, other: "RunConfig") -> bool:
        """Whether both describe the same run, wherever and however fast it is computed."""
        free = dict.fromkeys(HOW)
        one, two = (
            config.settled().model_copy(
                update={"citation": None, "training": config.training.model_copy(update=free)}
            )
            for config in (self, other)
        )
        return one == two

    def to_json(self) -> str:
        """The configuration as indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The configuration that ``to_json`` wrote.

        Raises:
            UsageError: not JSON, or a setting that does not exist or cannot be.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise UsageError(explain(error)) from None

    def edit(self, assignment: str) -> Self:
        """A copy with one setting changed, as ``--set`` writes it: ``training.epochs=5``, ``vision=visual_prompts(20),lora(8)``.

        Raises:
            UsageError: no ``=``, no such setting (the message lists those that are there), or a value of the wrong kind.
        """
        path, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set takes PATH=VALUE, got '{assignment}'.")
        *parents, leaf = path.strip().split(".")
        tree = self.model_dump(mode="json", context="everything")
        if [*parents, leaf][0] == "targets":  # with mmse among them
            tree = from_file(tree)
            tree["targets"] = [one.model_dump(mode="json") for one in tree["targets"]]
        here: Any = tree
        for step in parents:
            here = here[key_of(here, step, path)]
        switch = text.strip().lower()
        key: str | int
        if parents in METHOD_LISTS and leaf in PEFT_METHODS and switch in {"true", "false"}:
            text, key, here = json.dumps(_switched(here, leaf, on=switch == "true")), parents[0], tree
        else:
            key = key_of(here, leaf, path)
        problem: UsageError | None = None
        for value in readings(text):
            here[key] = value
            try:
                return type(self).model_validate(tree)
            except ValidationError as error:
                problem = problem or UsageError(explain(error))
            except UsageError as error:
                problem = problem or error
        assert problem is not None
        raise problem from None


def read_recipe(recipe: str) -> RunConfig:
    """A recipe by its name in the catalogue, or the ``config.json`` of another run by its path.

    Raises:
        UsageError: no such recipe, or the file is not a configuration.
    """
    path = Path(recipe)
    if path.suffix == ".json" and path.is_file():
        return RunConfig.from_json(path.read_text(encoding="utf-8"))
    config = load(RECIPES, recipe, "recipe")()
    assert isinstance(config, RunConfig)
    return config


def _switched(methods: list[dict[str, Any]], kind: str, *, on: bool) -> list[dict[str, Any]]:
    """The methods of a side with one of a kind, with its defaults where it was not there, or without any."""
    if on:
        return methods if any(one["kind"] == kind for one in methods) else [*methods, {"kind": kind}]
    return [one for one in methods if one["kind"] != kind]
