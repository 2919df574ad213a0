"""An adapter on disk: safetensors + JSON, pinned to the tensors of its base. Nothing in it is executed when it is loaded."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from pydantic import Field, ValidationError, model_serializer, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from voxtune import __version__
from voxtune.config import RunConfig, explain
from voxtune.errors import DataError, WeightsError
from voxtune.model.adapter_bounds import LARGEST_JSON, check_bounds, check_finite, check_parameters
from voxtune.model.base_files import with_files
from voxtune.model.build import BackboneSettings, adapter_state, build_model, load_adapter_state
from voxtune.model.device import placed
from voxtune.model.vlm import VisionLanguageModel
from voxtune.run_dir import read_json, write_bytes, write_json, write_text
from voxtune.storage.seal import SUMS, fits_sums, write_sums
from voxtune.types.norms import Norms
from voxtune.types.protocols import Backbone
from voxtune.types.reliability import TargetScores, Trust
from voxtune.types.settings import Settings
from voxtune.types.target import MMSE, mmse_among, mmse_apart
from voxtune.weights.shapes import shapes_only

FORMAT = 2
"""Since 2 an adapter lies beside ``SHA256SUMS`` of its two files."""
FILES = ("adapter.safetensors", "adapter.json")
MOST_SIGNS = 20
"""Texts of signs that a class or finding may have."""


class AdapterFacts(Settings):
    """``adapter.json``: what the adapter needs, what it was made from, what it may be used for. No IDs, no paths."""

    format: int = FORMAT
    voxtune: str = __version__
    base: str
    base_sha256: str
    """Of the base's tensors (name, type, shape, values), whatever file they came in."""
    base_files: dict[str, str] = Field(default_factory=dict)
    """The sha256 of the files that the base was read from (``weights``, ``text_weights``, ``tokenizer/NAME``); none of a shipped base."""
    adapter_sha256: str
    preset: str
    task: Literal["diagnosis", "findings", "regression", "time_to_event"] = "diagnosis"
    """One of the classes, each of them yes or no for itself, no class (targets alone), or the risk of an event by each of them."""
    classes: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    """Findings whose labels training never saw."""
    class_texts: tuple[str, ...]
    """Templates with ``{name}``; of findings the pair with ``{finding}``: present, absent."""
    signs: dict[str, tuple[str, ...]] = Field(default_factory=dict, max_length=1000)
    """By class or finding, the further texts that describe it by its signs; of a finding present and absent by turns."""
    temperature: float = Field(1.0, gt=0)
    """Calibration fixed on validation: logits are divided by it, then ``offsets`` are added."""
    offsets: dict[str, float] = Field(default_factory=dict)
    """By class; empty where validation had too few scans of one."""
    thresholds: dict[str, float] = Field(default_factory=dict)
    simulated: bool = False
    """The training scans were simulated: every page says so."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Counts and settings of the training cohort, without IDs."""
    target_scores: dict[str, TargetScores] = Field(default_factory=dict)
    """What taught the head of each target; in files that of ``mmse`` stands under ``mmse_scores``. Adapters of before have none."""
    control_of: str | None = None
    """The ``adapter_sha256`` of the adapter this is the control of: it was taught labels and texts dealt out at random and answers nothing."""
    norms: Norms | None = None
    """What percentiles in its texts are of; ``None`` where these state none."""
    trust: Trust = Trust()
    """How far an answer can be trusted, by validation."""
    licence: str = "unstated"
    config: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        return mmse_among(value, "target_scores", "mmse_scores") if isinstance(value, Mapping) else value

    @model_serializer(mode="wrap")
    def _for_file(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        tree = mmse_apart(handler(self), "target_scores", "mmse_scores")
        absent = {
            name for name in ("base_files", "norms", "signs") if name in tree and not getattr(self, name)
        }
        return {name: value for name, value in tree.items() if name not in absent}

    @model_validator(mode="after")
    def _worded(self) -> "AdapterFacts":
        if self.task != "regression" and not (self.classes and self.class_texts):
            raise ValueError("an adapter that answers with classes names them and their texts")
        if self.task == "findings" and len(self.class_texts) != 2:
            raise ValueError("a finding is asked by two texts: present, absent")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        reference = self.trust.reference
        if reference is not None and reference.classes not in {(), self.classes}:
            raise ValueError("what is kept of validation participants is of other classes")
        lengths = {len(self.signs.get(name, ())) for name in self.classes}
        if self.signs and (len(lengths) > 1 or max(lengths) > MOST_SIGNS):
            raise ValueError(f"expected as many signs of every class, at most {MOST_SIGNS}")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The numbers it predicts, by name."""
        mmse = (MMSE,) if self.config.get(MMSE, {}).get("enabled") else ()
        return mmse + tuple(str(one["name"]) for one in self.config.get("targets", ()))

    def target_note(self, target: str) -> str | None:
        """Why a target of a scan is not estimated, although there is a head; ``None`` where it is."""
        scores = self.target_scores.get(target)
        why = scores.too_few if scores else None
        return f"{'MMSE' if target == MMSE else target} not estimated: {why}" if why else None

    @property
    def mmse_note(self) -> str | None:
        """``target_note`` of MMSE."""
        return self.target_note(MMSE)

    def offsets_of(self, classes: Sequence[str]) -> list[float]:
        """The offsets of some classes in their order; empty where one of them was not trained on."""
        return (
            [self.offsets[name] for name in classes] if all(name in self.offsets for name in classes) else []
        )

    def calibrated(self, logits: Tensor) -> Tensor:
        """Logits (..., K) to all classes of the adapter on the scale of its probabilities."""
        shifts = self.offsets_of(self.classes)
        scaled = logits / self.temperature
        return scaled + torch.tensor(shifts, device=logits.device) if shifts else scaled


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter on its base, ready to predict."""

    model: VisionLanguageModel
    facts: AdapterFacts
    config: RunConfig


def save_adapter(folder: Path, model: VisionLanguageModel, facts: AdapterFacts, card: str) -> None:
    """Write ``adapter.safetensors``, ``adapter.json``, their ``SHA256SUMS`` and the model card, each whole or not at all."""
    data = save(adapter_state(model))
    write_bytes(folder / FILES[0], data, shared=True)
    digest = hashlib.sha256(data).hexdigest()
    signed = facts.model_copy(update={"adapter_sha256": digest, "format": FORMAT})
    write_json(folder / FILES[1], signed.model_dump(mode="json"), shared=True)
    write_sums(folder, FILES, shared=True)
    write_text(folder / "README.md", card, shared=True)


def check_bytes(folder: Path, facts: AdapterFacts) -> None:
    """See that the two files of an adapter are those that were exported; adapters of before there were sums have only one hash.

    Raises:
        WeightsError: a byte was changed, or ``SHA256SUMS`` is gone.
    """
    absent = next((name for name in FILES if not (folder / name).is_file()), None)
    if absent is not None:
        raise WeightsError(f"'{folder.name}' has no {absent}.")
    if (folder / SUMS).exists():
        if not fits_sums(folder, FILES):
            raise WeightsError(
                f"'{folder.name}': {' or '.join(FILES)} is not the file that {SUMS} names (changed or truncated)."
            )
    elif facts.format >= FORMAT:
        raise WeightsError(f"'{folder.name}' has no {SUMS}, so nobody can say that it is whole.")


def shareable_config(config: RunConfig) -> dict[str, Any]:
    """The configuration without anything that points into one machine's folders."""
    tree = config.model_dump(mode="json")
    for key in ("weights", "tokenizer", "text_weights"):
        if tree["backbone"].get(key) is not None:
            tree["backbone"][key] = None
    if tree["report"]["file"] is not None:
        tree["report"]["file"] = Path(tree["report"]["file"]).name
    template = tree["report"]["template"]
    if template is not None and Path(template).is_absolute():
        tree["report"]["template"] = Path(template).name
    return tree


def read_facts(folder: Path) -> AdapterFacts:
    """``adapter.json`` checked.

    Raises:
        WeightsError: not an adapter, from a newer version, or with impossible facts.
    """
    if not (folder / "adapter.json").is_file():
        raise WeightsError(
            f"'{folder.name}' is not an adapter: it has no adapter.json. 'voxtune export RUN -o ADAPTER' makes one."
        )
    if (size := (folder / "adapter.json").stat().st_size) > LARGEST_JSON:
        raise WeightsError(
            f"'{folder.name}/adapter.json' has {size} bytes, more than the limit of {LARGEST_JSON}."
        )
    try:
        tree = read_json(folder / "adapter.json", "the facts of an adapter")
    except DataError as error:
        raise WeightsError(str(error)) from None
    if isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
        raise WeightsError(
            f"'{folder.name}' is of adapter format {tree['format']}, this version reads up to {FORMAT}: update voxtune."
        )
    check_bounds(tree, folder.name)
    try:
        facts = AdapterFacts.model_validate(tree)
    except ValidationError as error:
        raise WeightsError(f"'{folder.name}/adapter.json': {explain(error)}") from None
    check_bytes(folder, facts)
    return facts


def load_adapter(
    path: str | Path, base: str | Path | Settings | Backbone | None = None, *, control: bool = False
) -> LoadedAdapter:
    """Load an adapter onto its base.

    Args:
        path: the adapter's folder.
        base: the base's weights file or a folder that holds it (with its tokenizer), its settings, or the backbone itself; ``None`` looks
            beside the adapter, where its run found them and in VOXTUNE_HOME, unless the base is shipped.
        control: a control is wanted, or at least welcome; otherwise it is refused, because its answers are nonsense.

    Raises:
        WeightsError: changed bytes, another base, a newer format, tensors that do not fit, a control.
    """
    folder = Path(path)
    facts = read_facts(folder)
    if facts.control_of is not None and not control:
        raise WeightsError(
            f"'{folder.name}' is a control: it was taught labels dealt out at random and answers nothing. "
            "Give the adapter that it was made beside; 'voxtune explain' finds the control by itself."
        )
    state = _read_tensors(folder / "adapter.safetensors", facts)
    config = RunConfig.from_json(json.dumps(facts.config))
    if base is None or isinstance(base, str | Path):
        place = None if base is None else Path(base)
        backbone = with_files(config.backbone, facts.base, facts.base_files, folder, place)
        config = config.model_copy(update={"backbone": backbone})
    elif isinstance(base, Settings):
        config = config.model_copy(update={"backbone": base})
    given = base is not None and not isinstance(base, str | Path | Settings)
    if not given and getattr(config.backbone, "weights", None) is None:
        check_parameters(_shapes(config.backbone), folder.name)
    loaded = cast(Backbone, base) if given else cast(BackboneSettings, config.backbone).build()
    model = build_model(config, backbone=loaded)
    if model.base_sha256 != facts.base_sha256:
        todo = "" if base is not None else " Give the weights of its base (--base FILE or FOLDER)."
        raise WeightsError(
            f"'{folder.name}' was trained on {facts.base} with sha256 {facts.base_sha256[:12]}..., "
            f"these weights are {model.base_sha256[:12]}...; an adapter works only on its own base.{todo}"
        )
    load_adapter_state(model, state)
    return LoadedAdapter(placed(model.eval()), facts, config)


def _shapes(settings: Settings) -> nn.Module:
    """The backbone of some settings without storage: a file that is loaded has its own size, a new one only what is asked for."""
    bare = {"weights": None, "text_weights": None, "fresh": True}
    known = {name: value for name, value in bare.items() if name in type(settings).model_fields}
    with shapes_only():
        return cast(nn.Module, cast(BackboneSettings, settings.model_copy(update=known)).build())


def _read_tensors(path: Path, facts: AdapterFacts) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"'{path.parent.name}' has no {path.name}.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != facts.adapter_sha256:
        raise WeightsError(
            f"'{path.parent.name}/{path.name}' is not the file that adapter.json names (changed or truncated)."
        )
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"'{path.parent.name}/{path.name}' cannot be read: {error}.") from None
    check_finite(state, path.parent.name)
    return state
